// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/segments.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/objective/flow_terms.hpp>
#include <gfn/objective/rewards.hpp>
#include <gfn/policy/output_rows.hpp>

namespace gfn {

/// Flow matching (Bengio et al., "Flow network based generative models for non-iterative diverse candidate generation",
/// NeurIPS 2021). The forward policy's logits are taken as logarithms of edge flows, log F(s, a), and the policy is
/// their softmax. Over the states s ≠ s₀ that the trajectories visit, each visit counting once, the mean of
///
///     ( log Σ_{p, a: p → s} F(p, a) − log [ Σ_{a ≠ exit} F(s, a) + R(s) where s can end ] )²,
///
/// plus the mean over trajectories of (log F(x, exit) − log R(x))². Sums are log-sum-exp, with no absolute epsilon;
/// parallel edges count one each. Needs a forward policy with parameters, and the rewards of all visited states that
/// can end; the parents of visited states are added to the batch's rows. log Z is the logarithm of the flow out of s₀.
/// The mean over visits divides by a random number where lengths differ: a gradient biased by O(1/N), N trajectories.
class FlowMatching {
 public:
  explicit FlowMatching(double log_reward_floor = minus_infinity<>) : floor_(log_reward_floor) {}
  std::string description() const { return "flow matching"; }

  /// Notes the edges into and out of each visited state, and adds the parents to the batch's table.
  template <class E>
  void prepare(Batch<E>& batch) {
    count_visits(batch);
    batch.compute_rewards_where([&](int row) { return visited(row) && batch.table().can_exit(row); });
    clear();
    const int visited_rows = static_cast<int>(visits_.size());
    for (int row = 0; row < visited_rows; ++row) {
      if (!visited(row) || batch.table().backward_choices(row) == 0) continue;  // s₀ has nothing to match
      add_inflow(batch, row);
      add_outflow(batch, row);
      matched_visits_.push_back(visits_[static_cast<std::size_t>(row)]);
    }
  }

  template <class T, class Input>
  Var<T> operator()(Tape<T>& tape, const Input& input) const {
    const auto& batch = input.batch;
    const Var<T> log_flow = input.forward.policy().record(tape, batch.table().block(all_rows(tape, batch)));
    Var<T> loss = reward_matching(tape, batch, log_flow);
    if (matched_visits_.empty()) return loss;
    const Var<T> inflow = segment_log_sum_exp(pick(log_flow, in_rows_, in_actions_), in_offsets_);
    const Var<T> outflow =
        segment_log_sum_exp(add(pick(log_flow, out_rows_, out_actions_), as_column(out_log_rewards_)), out_offsets_);
    double visits = 0;
    for (const double n : matched_visits_) visits += n;
    return loss + scale(sum(multiply(square(inflow - outflow), as_column(matched_visits_))), 1.0 / visits);
  }
  /// The logarithm of the flow out of s₀.
  template <class Input>
  double log_z(const Input& input) const {
    const auto& table = input.batch.table();
    const int start = input.batch.steps().front().row;
    using Policy = std::remove_reference_t<decltype(input.forward.policy())>;
    OutputRows<Policy, typename std::remove_reference_t<decltype(table)>::State> log_flow(input.forward.policy());
    log_flow.extend(table.block({&start, 1}));  // a start without a choice was not evaluated
    double total = minus_infinity<>;
    for (Action a = 0; a < table.num_forward(); ++a)
      if (table.forward_mask(start)[static_cast<std::size_t>(a)])
        total = log_add_exp(total, static_cast<double>(log_flow.output(start)[a]));
    return input.batch.log_reward_shift() + total;
  }

 private:
  static Eigen::Map<const Vector<double>> as_column(const std::vector<double>& x) {
    return {x.data(), static_cast<Eigen::Index>(x.size())};
  }
  bool visited(int row) const { return visits_[static_cast<std::size_t>(row)] > 0; }

  template <class E>
  void count_visits(const Batch<E>& batch) {
    visits_.assign(static_cast<std::size_t>(batch.table().rows()), 0);
    for (const Step& step : batch.steps()) ++visits_[static_cast<std::size_t>(step.row)];
  }
  void clear() {
    in_rows_.clear();
    in_actions_.clear();
    in_offsets_.assign(1, 0);
    out_rows_.clear();
    out_actions_.clear();
    out_log_rewards_.clear();
    out_offsets_.assign(1, 0);
    matched_visits_.clear();
  }
  template <class E>
  void add_inflow(Batch<E>& batch, int row) {
    StateTable<E>& table = batch.table();
    const E& env = batch.environment();
    for (Action b = 0; b < table.num_backward(); ++b) {
      if (!table.backward_mask(row)[static_cast<std::size_t>(b)]) continue;
      in_actions_.push_back(forward_action(env, table.state(row), b));
      in_rows_.push_back(table.find_or_add_changed(row, [&](StateOf<E>& s) { env.undo(s, b); }));
    }
    in_offsets_.push_back(require_int(in_rows_.size(), "edges into the visited states"));
  }
  template <class E>
  void add_outflow(const Batch<E>& batch, int row) {
    const StateTable<E>& table = batch.table();
    for (Action a = 0; a < table.exit_action(); ++a)
      if (table.forward_mask(row)[static_cast<std::size_t>(a)]) add_out(row, a, 0);
    if (table.can_exit(row)) add_out(none, 0, training_log_reward_of_row(batch, row, floor_));
    out_offsets_.push_back(require_int(out_rows_.size(), "edges out of the visited states"));
  }
  void add_out(int row, Action action, double log_reward) {
    out_rows_.push_back(row);
    out_actions_.push_back(action);
    out_log_rewards_.push_back(log_reward);
  }

  template <class T, class E>
  Var<T> reward_matching(Tape<T>& tape, const Batch<E>& batch, const Var<T>& log_flow) const {
    const auto count = static_cast<std::size_t>(batch.trajectories());
    int* rows = tape.template allocate<int>(count);
    Action* exits = tape.template allocate<Action>(count);
    auto [log_rewards, r] = tape.constant(Shape{batch.trajectories(), 1});
    for (int i = 0; i < batch.trajectories(); ++i) {
      rows[i] = batch.terminal_row(i);
      exits[i] = batch.table().exit_action();
      r(i, 0) = static_cast<T>(training_log_reward(batch, i, floor_));
    }
    return mean(square(pick(log_flow, {rows, count}, {exits, count}) - log_rewards));
  }

  double floor_;
  std::vector<int> visits_;
  std::vector<double> matched_visits_;
  std::vector<int> in_rows_, in_actions_, in_offsets_ = {0};
  std::vector<int> out_rows_, out_actions_, out_offsets_ = {0};
  std::vector<double> out_log_rewards_;
};

}  // namespace gfn
