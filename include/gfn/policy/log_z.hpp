// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <gfn/ad/tape.hpp>

namespace gfn {

/// The logarithm of the total flow, log Z(θ), as one learned number beside a fixed one, the origin: log Z = origin +
/// parameter. The parameter starts at 0, and meets log-rewards less the origin (Batch::log_reward_shift), so that
/// numbers of any size lose nothing in float.
template <class T>
class ScalarLogZ {
 public:
  using Scalar = T;

  /// `initial` is the origin, and so the value at first.
  explicit ScalarLogZ(double initial = 0) : origin_(initial) { parameters_.add("log Z", 1, 1); }
  Parameters<T>& parameters() { return parameters_; }
  const Parameters<T>& parameters() const { return parameters_; }
  double origin() const { return origin_; }
  /// log Z less the origin.
  double relative() const { return static_cast<double>(parameters_.value(0)(0, 0)); }
  double value() const { return origin_ + relative(); }
  /// log Z less the origin, a 1 × 1 variable.
  Var<T> record(Tape<T>& tape) { return tape.parameter(parameters_, 0); }

  /// Visits all state that a checkpoint must hold.
  template <class Archive>
  void visit_state(Archive&& archive) {
    archive("log Z", parameters_);
    archive("origin of log Z", &origin_, std::size_t{1});
  }

 private:
  double origin_;
  Parameters<T> parameters_;
};

}  // namespace gfn
