// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include <gfn/core/sparse_rows.hpp>

namespace gfn {

/// Tells one set of rows from another: who holds them, and a unique_number() for the content.
struct RowsIdentity {
  const void* owner = nullptr;
  std::uint64_t content = 0;
  friend bool operator==(const RowsIdentity&, const RowsIdentity&) = default;
};

/// Some rows of a table of states: what a policy, a value or a flow is evaluated at.
template <class S>
struct StateBlock {
  using State = S;
  std::span<const State> states;         ///< all states of the table
  const SparseRows* features = nullptr;  ///< their encodings; null when the environment has none
  std::span<const int> rows;             ///< the rows that are meant
  RowsIdentity identity;                 ///< changes when rows are forgotten, not when some are added
};

}  // namespace gfn
