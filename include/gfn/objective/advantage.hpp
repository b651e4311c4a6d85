// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/rollout/batch.hpp>
#include <gfn/rollout/policy_evaluation.hpp>

namespace gfn {

/// What the sum of later costs is compared with, to weigh log π of a step.
enum class Baseline {
  off,       ///< Ψ_t = Σ_{l ≥ t} r_l: the cost to go
  constant,  ///< Ψ_t = Σ_l r_l for every t: for R_F this is δ(τ), the weight in trajectory balance's gradient, whose
             ///< constant baseline is log Ẑ
  learned,   ///< Ψ_t: the generalised advantage with a learned value function
};

/// Options of the advantages.
struct AdvantageOptions {
  Baseline baseline = Baseline::learned;
  double lambda = 0.99;       ///< of the generalised advantage, in [0, 1]; 1: Monte-Carlo return minus value
  double value_lambda = 1.0;  ///< of the value function's targets, in [0, 1]; 1: Monte-Carlo returns
  bool center = true;         ///< subtract the batch mean over all steps, forced ones included (biased by O(1/N))
};

/// Throws std::invalid_argument for a λ outside [0, 1].
inline void check_advantage_options(const AdvantageOptions& options) {
  require(options.lambda >= 0 && options.lambda <= 1, "lambda is ", options.lambda, ", not in [0, 1]");
  require(options.value_lambda >= 0 && options.value_lambda <= 1, "value_lambda is ", options.value_lambda,
          ", not in [0, 1]");
}

/// Generalised advantages and value targets of every step of a batch, from costs (which are minimised) and values
/// (costs to go), undiscounted (Schulman et al., "High-dimensional continuous control using generalized advantage
/// estimation", ICLR 2016, with γ = 1):
///
///     δ_t = r_t + v_{t+1} − v_t,   Â_t = δ_t + λ Â_{t+1},   v after the last step = 0.
///
/// Along backward walks time runs from the terminal state to the initial one, and the exit is no step of the walk.
template <class E>
class Advantages {
 public:
  /// `cost` has one entry per step of the batch; `value` one per row of the table, and is empty but for
  /// Baseline::learned.
  void compute(const Batch<E>& batch, Direction direction, std::span<const double> cost, std::span<const double> value,
               const AdvantageOptions& options) {
    advantage_.assign(cost.size(), 0.0);
    target_.assign(cost.size(), 0.0);
    total_.assign(static_cast<std::size_t>(batch.trajectories()), 0.0);
    steps_ = 0;
    for (int i = 0; i < batch.trajectories(); ++i) walk(batch, i, direction, cost, value, options);
    if (options.center) center(batch, direction);
  }

  /// Ψ_t of each step, in the order of batch.steps(); 0 at the exits of backward walks.
  std::span<const double> advantage() const { return advantage_; }
  /// What the value function is fitted to at each step.
  std::span<const double> target() const { return target_; }
  /// Σ_t r_t of each trajectory: δ(τ) for R_F.
  std::span<const double> total() const { return total_; }
  double mean_total() const {
    return total_.empty() ? 0.0
                          : std::accumulate(total_.begin(), total_.end(), 0.0) / static_cast<double>(total_.size());
  }

 private:
  void walk(const Batch<E>& batch, int i, Direction direction, std::span<const double> cost,
            std::span<const double> value, const AdvantageOptions& options) {
    const std::size_t first = static_cast<std::size_t>(batch.offsets()[static_cast<std::size_t>(i)]);
    const std::size_t count = batch.steps(i).size();
    double next_value = 0, next_advantage = 0, next_target = 0, to_go = 0;
    // from the last action of the walk to its first
    const std::size_t actions = direction == Direction::forward ? count : count - 1;
    for (std::size_t j = 0; j < actions; ++j) {
      const std::size_t k = direction == Direction::forward ? first + count - 1 - j : first + j;
      const Step& step = batch.steps()[k];
      const int row = direction == Direction::forward ? step.row : step.child;
      const double v = value.empty() ? 0.0 : value[static_cast<std::size_t>(row)];
      to_go += cost[k];
      next_advantage = cost[k] + next_value - v + options.lambda * next_advantage;
      next_target = cost[k] + (1 - options.value_lambda) * next_value + options.value_lambda * next_target;
      next_value = v;
      advantage_[k] = options.baseline == Baseline::learned ? next_advantage : to_go;
      target_[k] = next_target;
    }
    steps_ += actions;
    total_[static_cast<std::size_t>(i)] = to_go;
    if (options.baseline == Baseline::constant)
      for (std::size_t k = first; k < first + actions; ++k) advantage_[k] = to_go;
  }
  void center(const Batch<E>& batch, Direction direction) {
    if (steps_ == 0) return;
    const auto counts = [&](std::size_t k) {
      return direction == Direction::forward || batch.steps()[k].child != none;
    };
    double sum = 0;
    for (std::size_t k = 0; k < advantage_.size(); ++k)
      if (counts(k)) sum += advantage_[k];
    const double mean = sum / static_cast<double>(steps_);
    for (std::size_t k = 0; k < advantage_.size(); ++k)
      if (counts(k)) advantage_[k] -= mean;
  }

  std::vector<double> advantage_, target_, total_;
  std::size_t steps_ = 0;
};

}  // namespace gfn
