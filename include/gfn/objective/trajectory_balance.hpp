// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/objective/rewards.hpp>

namespace gfn {

/// Trajectory balance (Malkin et al., "Trajectory balance: improved credit assignment in GFlowNets", NeurIPS 2022):
///
///     L = (1/N) Σ_i δ(τ_i)²,   δ(τ) = log Z + Σ_t log π_F(s_t, a_t) − Σ_t log π_B(s_{t+1}, a_t) − log R(x).
///
/// Holds for trajectories from any source. Needs both policies and log Z.
struct TrajectoryBalance {
  double log_reward_floor = minus_infinity<>;  ///< log R is not taken below it; −∞: as it is

  std::string description() const { return "trajectory balance"; }

  template <class T, class Input>
  Var<T> operator()(Tape<T>& tape, const Input& input) const {
    return mean(square(deviations(tape, input)));
  }
  /// δ(τ_i), a column.
  template <class T, class Input>
  Var<T> deviations(Tape<T>& tape, const Input& input) const {
    const auto& batch = input.batch;
    const Var<T> log_ratio = input.forward.record(tape, batch) - input.backward.record(tape, batch);
    auto [log_reward, r] = tape.constant(Shape{batch.trajectories(), 1});
    for (int i = 0; i < batch.trajectories(); ++i)
      r(i, 0) = static_cast<T>(training_log_reward(batch, i, log_reward_floor));
    return segment_sum(log_ratio, batch.offsets()) + input.log_z.record(tape) - log_reward;
  }
};

}  // namespace gfn
