// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <gfn/core/error.hpp>

namespace gfn {

/// An exponent of the reward that grows to 1: iteration i trains towards R^β, β_i = start + (1 − start)·min(1, i /
/// iterations), from i = 0 on. A reward with a narrow, high peak attracts a policy before it has seen anything else; a
/// small exponent at first lets it find its way around. From iteration `iterations` on the target is R itself.
struct RewardExponent {
  double start = 1;              ///< in (0, 1]; 1: off
  std::uint64_t iterations = 0;  ///< until the exponent is 1; 0: off

  double at(std::uint64_t iteration) const {
    if (iteration >= iterations) return 1;
    return start + (1 - start) * static_cast<double>(iteration) / static_cast<double>(iterations);
  }
  /// Throws std::invalid_argument for a start outside (0, 1].
  void check() const { require(start > 0 && start <= 1, "reward_exponent starts at ", start, ", not in (0, 1]"); }
};

}  // namespace gfn
