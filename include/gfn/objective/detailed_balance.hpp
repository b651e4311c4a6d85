// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/objective/flow_terms.hpp>
#include <gfn/objective/rewards.hpp>

namespace gfn {

/// Detailed balance (Bengio et al., "GFlowNet foundations", JMLR 2023): the squared residuals of all steps, summed over
/// a trajectory and averaged over trajectories. With a state flow F,
///
///     log F(s) + log π_F(s, a) − log F(s') − log π_B(s', a)   for a move,
///     log F(x) + log π_F(x, exit) − log R(x)                  for the exit.
///
/// Holds for trajectories from any source. Needs both policies and a state flow; log Z is log F(s₀).
struct DetailedBalance {
  double log_reward_floor = minus_infinity<>;  ///< log R is not taken below it; −∞: as it is

  std::string description() const { return "detailed balance"; }

  template <class T, class Input>
    requires FlowInput<Input> Var<T>
  operator()(Tape<T>& tape, const Input& input) const {
    return scale(sum(square(residuals(tape, input))), 1.0 / input.batch.trajectories());
  }
  template <class Input>
  double log_z(const Input& input) const {
    return log_flow_at_start(input);
  }
  /// One residual per step, a column.
  template <class T, class Input>
  Var<T> residuals(Tape<T>& tape, const Input& input) const {
    const auto& batch = input.batch;
    const std::size_t count = batch.steps().size();
    int* sources = tape.template allocate<int>(count);
    int* targets = tape.template allocate<int>(count);
    auto [log_rewards, r] = tape.constant(Shape{static_cast<Eigen::Index>(count), 1});
    r.setZero();
    for (std::size_t k = 0; k < count; ++k) {
      sources[k] = batch.steps()[k].row;
      targets[k] = batch.steps()[k].child;  // none at the exits, which lead to R(x) in place of a flow
    }
    for (int i = 0; i < batch.trajectories(); ++i)
      r(batch.offsets()[static_cast<std::size_t>(i) + 1] - 1, 0) =
          static_cast<T>(training_log_reward(batch, i, log_reward_floor));
    const Var<T> flow = record_flow(tape, input);
    return pick_rows(flow, {sources, count}) - pick_rows(flow, {targets, count}) - log_rewards +
           input.forward.record(tape, batch) - input.backward.record(tape, batch);
  }
};

/// Modified detailed balance (Deleu et al., "Bayesian structure learning with generative flow networks", UAI 2022), for
/// environments whose states can all end. It needs no state flow, since F(s) = R(s) / π_F(s, exit). The squared
/// residuals of all moves,
///
///     log R(s) + log π_F(s, a) + log π_F(s', exit) − log R(s') − log π_B(s', a) − log π_F(s, exit),
///
/// are summed over a trajectory and averaged over trajectories. Throws gfn::Error for a state that cannot exit.
struct ModifiedDetailedBalance {
  double log_reward_floor = minus_infinity<>;

  std::string description() const { return "modified detailed balance"; }

  /// Rewards of all states are needed, not only of the last.
  template <class E>
  void prepare(Batch<E>& batch) const {
    const auto& table = batch.table();
    for (int row = 0; row < table.rows(); ++row)
      if (!table.can_exit(row)) fail("modified detailed balance: the state ", table.describe_row(row), " cannot exit");
    batch.compute_rewards_where([](int) { return true; });
  }

  template <class T, class Input>
  Var<T> operator()(Tape<T>& tape, const Input& input) const {
    const auto& batch = input.batch;
    const std::size_t count = batch.steps().size();
    int* sources = tape.template allocate<int>(count);
    int* targets = tape.template allocate<int>(count);
    Action* exits = tape.template allocate<Action>(count);
    auto [moves, m] = tape.constant(Shape{static_cast<Eigen::Index>(count), 1});  // 1 for a move, 0 for the exit
    auto [log_rewards, r] = tape.constant(Shape{static_cast<Eigen::Index>(count), 1});
    for (std::size_t k = 0; k < count; ++k) {
      const Step& step = batch.steps()[k];
      const auto i = static_cast<Eigen::Index>(k);
      sources[k] = step.row;
      targets[k] = step.child;
      exits[k] = batch.table().exit_action();
      m(i, 0) = step.child == none ? T(0) : T(1);
      r(i, 0) = step.child == none ? T(0)
                                   : static_cast<T>(training_log_reward_of_row(batch, step.row, log_reward_floor) -
                                                    training_log_reward_of_row(batch, step.child, log_reward_floor));
    }
    const std::span<const Action> exit_actions(exits, count);
    const Var<T> residual = input.forward.record(tape, batch) - input.backward.record(tape, batch) +
                            input.forward.record(tape, std::span<int>(targets, count), exit_actions) -
                            input.forward.record(tape, std::span<int>(sources, count), exit_actions) + log_rewards;
    return scale(sum(square(residual * moves)), 1.0 / batch.trajectories());
  }
  template <class Input>
  double log_z(const Input& input) const {
    const int start = input.batch.steps().front().row;
    return input.batch.log_reward_shift() + training_log_reward_of_row(input.batch, start, log_reward_floor) -
           input.forward.log_probability(start, input.batch.table().exit_action());
  }
};

}  // namespace gfn
