// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>
#include <utility>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/problems/sequence_reward.hpp>
#include <gfn/problems/sequence_state.hpp>

namespace gfn {

/// How a measured or predicted value y becomes a reward, in this order.
struct RewardTransformOptions {
  double sigmoid_slope = 0;         ///< y ← 1/(1 + exp(−slope·y)); not at all where it is 0
  double floor = minus_infinity<>;  ///< y ← max(y, floor); R_min, before the exponent
  double exponent = 1;              ///< y ← yᵅ, α > 0
  double maximum = 0;               ///< R = y·R_max / max y, over all objects; not scaled where it is 0
};

/// R(y) of RewardTransformOptions, by way of its logarithm. It grows with y.
class RewardTransform {
 public:
  /// Without scale. Throws std::invalid_argument for options out of range, and for a maximum that is not 0: the scale
  /// needs the largest value.
  explicit RewardTransform(const RewardTransformOptions& options = {}) : RewardTransform(options, 1) {
    require(options.maximum == 0, "RewardTransform: maximum is ", options.maximum,
            ", but the largest value of all objects is not given, which is to be scaled to it");
  }
  /// `largest` is the largest y of all objects; it matters only where R is scaled. Throws std::invalid_argument for
  /// options out of range.
  RewardTransform(const RewardTransformOptions& options, double largest) : options_(options) {
    require(std::isfinite(options.sigmoid_slope) && options.sigmoid_slope >= 0, "RewardTransform: sigmoid_slope is ",
            options.sigmoid_slope, ", it must be finite and at least 0");
    require(options.floor < -minus_infinity<>, "RewardTransform: floor is ", options.floor,
            ", it must be below +infinity");
    require(std::isfinite(options.exponent) && options.exponent > 0, "RewardTransform: exponent is ", options.exponent,
            ", it must be finite and above 0");
    require(std::isfinite(options.maximum) && options.maximum >= 0, "RewardTransform: maximum is ", options.maximum,
            ", it must be finite and at least 0");
    if (options.maximum == 0) return;
    const double top = log_reward(largest);
    require(std::isfinite(top), "RewardTransform: the largest value, ", largest, ", can't be scaled to ",
            options.maximum);
    log_scale_ = std::log(options.maximum) - top;
  }

  const RewardTransformOptions& options() const { return options_; }
  /// log R; −∞ for a reward of 0, NaN where y is below 0 when it comes to the exponent.
  double log_reward(double y) const {
    if (options_.sigmoid_slope > 0) y = 1 / (1 + std::exp(-options_.sigmoid_slope * y));
    if (y < options_.floor) y = options_.floor;  // a y that is NaN stays so
    return options_.exponent * std::log(y) + log_scale_;
  }

 private:
  RewardTransformOptions options_;
  double log_scale_ = 0;
};

/// The reward of sequences that a function object gives, such as a TreeEnsemble, by
/// `double operator()(std::span<const Symbol>) const`, transformed.
template <class Value>
class TransformedReward {
  static_assert(
      std::is_invocable_r_v<double, const Value&, std::span<const Symbol>>,
      "TransformedReward: needs `double operator()(std::span<const gfn::Symbol>) const`, the value of a complete "
      "sequence");

 public:
  TransformedReward(Value value, RewardTransform transform)
      : value_(std::move(value)), transform_(std::move(transform)) {}

  const Value& value() const { return value_; }
  const RewardTransform& transform() const { return transform_; }
  double operator()(std::span<const Symbol> sequence) const { return transform_.log_reward(value_(sequence)); }
  SequenceOptions sequence_options() const requires member::sequence_options<Value> {
    return value_.sequence_options();
  }

 private:
  Value value_;
  RewardTransform transform_;
};

}  // namespace gfn
