// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

namespace gfn {

/// The uniform policy over the legal actions (parallel edges count one each). It has no parameters, and costs nothing.
struct UniformPolicy {
  static constexpr bool is_uniform = true;
};

/// The uniform backward policy of an environment.
template <class E>
UniformPolicy uniform_backward(const E&) {
  return {};
}
/// The uniform forward policy of an environment.
template <class E>
UniformPolicy uniform_forward(const E&) {
  return {};
}

}  // namespace gfn
