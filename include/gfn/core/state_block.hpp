// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include <gfn/core/sparse_rows.hpp>

namespace gfn {

/// A number for a new content of some rows, never given before in this process: the addresses of objects come back.
[[nodiscard]] inline std::uint64_t next_content_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Tells one set of rows from another: who holds them, and the number of the content.
struct RowsIdentity {
  const void* owner = nullptr;
  std::uint64_t epoch = 0;
  friend bool operator==(const RowsIdentity&, const RowsIdentity&) = default;
};

/// Some rows of a table of states: what a policy, a value or a flow is evaluated at.
template <class S>
struct StateBlock {
  using State = S;
  std::span<const State> states;         ///< all states of the table
  const SparseRows* features = nullptr;  ///< their encodings; null when the environment has none
  std::span<const int> rows;             ///< the rows that are meant
  RowsIdentity identity;                 ///< changes whenever the states do
};

}  // namespace gfn
