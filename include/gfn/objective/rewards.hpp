// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/rollout/batch.hpp>

namespace gfn {

/// The log-reward of a row for training: not below `floor`, and less the batch's log_reward_shift, as all that is
/// learned is. Throws gfn::Error for −∞, naming the state.
template <class E>
[[nodiscard]] double training_log_reward_of_row(const Batch<E>& batch, int row, double floor) {
  const double log_reward = std::max(batch.log_reward_of_row(row), floor);
  if (log_reward == minus_infinity<>)
    fail("log_reward is -inf at the state ", batch.table().describe_row(row), ": training needs a log_reward_floor");
  return log_reward - batch.log_reward_shift();
}
/// The same for the terminal state of a trajectory.
template <class E>
[[nodiscard]] double training_log_reward(const Batch<E>& batch, int trajectory, double floor) {
  return training_log_reward_of_row(batch, batch.terminal_row(trajectory), floor);
}

/// What a policy-dependent reward is computed from: a batch, and both policies evaluated on it.
template <class E, class ForwardEvaluation, class BackwardEvaluation>
struct RewardInput {
  const Batch<E>& batch;
  const ForwardEvaluation& forward;
  const BackwardEvaluation& backward;
  double log_z;  ///< log Ẑ less the batch's log_reward_shift, as training_log_reward is; it takes no gradient from here
};

/// A policy-dependent reward: fills in the cost of every step of the batch, from numbers alone (no gradient flows
/// through it). Costs are minimised.
template <class R, class Input>
concept PolicyDependentReward = requires(const R& reward, const Input& input, std::span<double> cost) {
  reward(input, cost);
};

/// R_F, the forward reward (Niu et al. 2024, Definition 1):
/// log π_F(s, a) − log π_B(s', a) for a move, log π_F(x, exit) − (log R(x) − log Ẑ) for the exit.
/// Over a trajectory it sums up to δ(τ) = log [Ẑ P_F(τ) / (R(x) P_B(τ|x))].
struct ForwardReward {
  double log_reward_floor = minus_infinity<>;

  std::string description() const { return "forward reward"; }

  template <class Input>
  void operator()(const Input& input, std::span<double> cost) const {
    for (std::size_t k = 0; k < cost.size(); ++k) {
      const Step& step = input.batch.steps()[k];
      cost[k] = input.forward.log_probability(step) - input.backward.log_probability(step);
    }
    for (int i = 0; i < input.batch.trajectories(); ++i) {
      const auto exit = static_cast<std::size_t>(input.batch.offsets()[static_cast<std::size_t>(i) + 1]) - 1;
      cost[exit] -= training_log_reward(input.batch, i, log_reward_floor) - input.log_z;
    }
  }
};

/// R_B, the backward reward (Niu et al. 2024, Definition 1): log π_B(s', a) − log π_F(s, a) for the step from s' back
/// to s; nothing for the exit.
struct BackwardReward {
  std::string description() const { return "backward reward"; }

  template <class Input>
  void operator()(const Input& input, std::span<double> cost) const noexcept {
    for (std::size_t k = 0; k < cost.size(); ++k) {
      const Step& step = input.batch.steps()[k];
      cost[k] = step.child == none ? 0.0 : input.backward.log_probability(step) - input.forward.log_probability(step);
    }
  }
};

}  // namespace gfn
