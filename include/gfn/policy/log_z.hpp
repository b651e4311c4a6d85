// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/ad/tape.hpp>

namespace gfn {

/// The logarithm of the total flow, log Z(θ), as one learned number.
template <class T>
class ScalarLogZ {
 public:
  using Scalar = T;

  explicit ScalarLogZ(double initial = 0) {
    parameters_.add("log Z", 1, 1);
    parameters_.modify(0)(0, 0) = static_cast<T>(initial);
  }
  Parameters<T>& parameters() { return parameters_; }
  const Parameters<T>& parameters() const { return parameters_; }
  double value() const { return static_cast<double>(parameters_.value(0)(0, 0)); }
  /// A 1 × 1 variable.
  Var<T> record(Tape<T>& tape) { return tape.parameter(parameters_, 0); }

 private:
  Parameters<T> parameters_;
};

}  // namespace gfn
