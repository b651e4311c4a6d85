// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>

#include <gfn/core/error.hpp>

namespace gfn {

/// ε-exploration: with probability ε_i a step of iteration i takes a uniform legal action,
/// ε_i = end + (start − end) · decayⁱ, from i = 0 on.
struct Exploration {
  double start = 0;
  double decay = 0.99;
  double end = 0;

  double epsilon(std::uint64_t iteration) const {
    return end + (start - end) * std::pow(decay, static_cast<double>(iteration));
  }
  bool is_off() const { return start == 0 && end == 0; }
  /// Throws std::invalid_argument for numbers outside [0, 1].
  void check() const {
    require(start >= 0 && start <= 1, "epsilon is ", start, ", not in [0, 1]");
    require(end >= 0 && end <= 1, "epsilon's end is ", end, ", not in [0, 1]");
    require(decay >= 0 && decay <= 1, "epsilon's decay is ", decay, ", not in [0, 1]");
  }
};

}  // namespace gfn
