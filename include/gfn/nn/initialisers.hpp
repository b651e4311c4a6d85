// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <gfn/ad/parameters.hpp>
#include <gfn/core/random.hpp>

namespace gfn {

/// How the weights of a layer start.
enum class Initialiser {
  uniform_fan_in,  ///< weights and biases U(±1/√fan_in)
  zero,            ///< all zero: a policy head that starts uniform
};

/// Fills a layer's weights (inputs × outputs) and biases (1 × outputs).
template <class T>
void initialise(Initialiser kind, Parameters<T>& parameters, int weights, int biases, Stream& stream) {
  Out<T> w = parameters.modify(weights);
  Out<T> b = parameters.modify(biases);
  const double bound =
      kind == Initialiser::zero || w.rows() == 0 ? 0.0 : 1.0 / std::sqrt(static_cast<double>(w.rows()));
  const auto draw = [&] { return static_cast<T>(bound * (2.0 * stream.uniform() - 1.0)); };
  for (Eigen::Index i = 0; i < w.size(); ++i) w.data()[i] = draw();
  for (Eigen::Index i = 0; i < b.size(); ++i) b.data()[i] = draw();
}

}  // namespace gfn
