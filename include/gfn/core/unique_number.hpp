// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <atomic>
#include <cstdint>

namespace gfn {

/// A number that was never given before in this process; not 0. By it caches recognise a content: an address would not
/// do, since objects come to lie where others have been.
[[nodiscard]] inline std::uint64_t unique_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace gfn
