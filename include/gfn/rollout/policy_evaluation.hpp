// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <gfn/ad/fisher.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/softmax.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/random.hpp>
#include <gfn/environment/state_table.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/policy/output_rows.hpp>
#include <gfn/rollout/batch.hpp>

namespace gfn {

enum class Direction { forward, backward };

/// Whether evaluated rows are also to be drawn from.
enum class Sampling : bool { no, yes };

/// A policy on the rows of a table: log-probabilities per distinct state, computed once, read by the samplers and by
/// the objectives, and put on a tape without being computed again. A state with one legal choice is forced: its
/// log-probability is 0, and the policy is not asked.
template <class T, class P, class E>
class PolicyEvaluation {
  static constexpr bool uniform = UniformPolicyLike<P>;
  static_assert(check_policy_concept<P, StateOf<E>>());

 public:
  using State = StateOf<E>;

  /// Refers to the policy. Throws std::invalid_argument if it has not one output per choice in this direction, or says
  /// that it takes encodings of another width than the environment's.
  PolicyEvaluation(P& policy, const E& env, Direction direction, Sampling sampling = Sampling::no)
      : outputs_(policy), direction_(direction), sampling_(sampling) {
    if constexpr (!uniform) {
      width_ = direction == Direction::forward ? env.num_actions() + 1 : backward_width(env);
      require(policy.outputs() == width_, name(), " has ", policy.outputs(), " outputs, the environment has ", width_,
              direction == Direction::forward ? " forward choices (the exit included)" : " backward actions");
      require_inputs(policy, env, name());
    }
  }
  PolicyEvaluation(const PolicyEvaluation&) = delete;
  PolicyEvaluation& operator=(const PolicyEvaluation&) = delete;

  /// Starts anew on a table, with no rows evaluated. Throws std::invalid_argument for the table of an environment with
  /// other numbers of actions.
  void begin(const StateTable<E>& table) {
    if constexpr (!uniform) {
      const int choices = direction_ == Direction::forward ? table.num_forward() : table.num_backward();
      require(choices == width_, name(), " has ", width_, " outputs, the states of the table have ", choices,
              direction_ == Direction::forward ? " forward choices (the exit included)" : " backward actions");
    }
    table_ = &table;
    rows_.clear();
    position_.clear();
    ++stamp_;
    version_ = policy_version(outputs_.function());
  }
  /// Evaluates the policy at those of the rows that have a choice. No row may come twice.
  void extend(std::span<const int> rows) {
    if constexpr (!uniform) {
      const std::size_t first = rows_.size();
      if (position_.size() < static_cast<std::size_t>(table_->rows()))
        position_.resize(static_cast<std::size_t>(table_->rows()), none);
      for (const int row : rows) {
        if (choices(row) < 2) continue;
        position_[static_cast<std::size_t>(row)] = static_cast<int>(rows_.size());
        rows_.push_back(row);
      }
      if (rows_.size() > first) evaluate_from(first);
    }
  }
  /// Starts anew, and evaluates all rows of the table.
  void evaluate(const StateTable<E>& table) {
    begin(table);
    if constexpr (!uniform) {
      all_.resize(static_cast<std::size_t>(table.rows()));
      for (int row = 0; row < table.rows(); ++row) all_[static_cast<std::size_t>(row)] = row;
      extend(all_);
    }
  }

  /// log π(action | state); 0 where the choice is forced.
  double log_probability(int row, Action action) const {
    if constexpr (uniform)
      return -std::log(static_cast<double>(choices(row)));
    else
      return choices(row) < 2 ? 0.0 : static_cast<double>(log_row(row)[action]);
  }
  /// The logit of an action at an evaluated row that has a choice.
  T logit(int row, Action action) const requires(!uniform) { return outputs_.output(row)[action]; }
  /// log π of a step: of its action, or (backward) of the way back from its child; 0 for the exit's way back.
  double log_probability(const Step& step) const {
    if (direction_ == Direction::forward) return log_probability(step.row, step.action);
    return step.child == none ? 0.0 : log_probability(step.child, step.backward_action);
  }

  /// Throws std::invalid_argument for an evaluation that was not made to be drawn from in this direction.
  void require_sampling(Direction direction) const {
    require(direction == direction_ && (uniform || sampling_ == Sampling::yes), name(),
            " was evaluated for another direction, or without Sampling::yes, and can't be drawn from here");
  }
  /// Draws an action at a row; never an illegal one. For evaluations made with Sampling::yes.
  Action sample(int row, Stream& stream) const {
    const ConstMask legal = mask(row);
    const int count = choices(row);
    if constexpr (!uniform) {
      if (count > 1) {
        const T* cumulative = cumulative_.data() + offset(row);
        const double u = stream.uniform() * static_cast<double>(cumulative[width_ - 1]);
        int a = 0;  // illegal actions add nothing to the sum, so it never steps over u at one
        while (static_cast<double>(cumulative[a]) <= u) ++a;
        return a;
      }
    }
    return nth_legal(legal, count > 1 ? stream.below(count) : 0);
  }
  /// Draws uniformly among the legal actions.
  Action sample_uniform(int row, Stream& stream) const { return nth_legal(mask(row), stream.below(choices(row))); }

  /// The log-probabilities of all steps of a batch, exits included: a column. Backward, an exit has the entry 0.
  Var<T> record(Tape<T>& tape, const Batch<E>& batch) {
    const auto steps = batch.steps();
    int* rows = tape.template allocate<int>(steps.size());
    Action* actions = tape.template allocate<Action>(steps.size());
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const bool forward = direction_ == Direction::forward;
      rows[k] = forward ? steps[k].row : steps[k].child;
      actions[k] = forward ? steps[k].action : steps[k].backward_action;
    }
    return record(tape, std::span<int>(rows, steps.size()), std::span<const Action>(actions, steps.size()));
  }
  /// The log-probabilities of an action at each of some rows, a column; the row `none` has the entry 0. Writes to
  /// `rows`; both lists must outlive the tape's next `clear`.
  Var<T> record(Tape<T>& tape, std::span<int> rows, std::span<const Action> actions) {
    if constexpr (uniform) {
      auto [column, values] = tape.constant(Shape{static_cast<Eigen::Index>(rows.size()), 1});
      for (std::size_t k = 0; k < rows.size(); ++k)
        values(static_cast<Eigen::Index>(k), 0) =
            rows[k] == none ? T(0) : static_cast<T>(log_probability(rows[k], actions[k]));
      return column;
    } else {
      for (int& row : rows)
        if (row != none) row = position_[static_cast<std::size_t>(row)];  // none again where the choice is forced
      return pick(record_rows(tape), rows, actions);
    }
  }
  /// The log-probabilities of all actions at all evaluated rows (`rows()`), one row each. Recorded once per tape.
  Var<T> record_rows(Tape<T>& tape) requires(!uniform) {
    if (recorded_generation_ != tape.generation() || recorded_stamp_ != stamp_) {
      recorded_generation_ = tape.generation();
      recorded_stamp_ = stamp_;
      recorded_logits_ = outputs_.function().record(tape, table_->block(rows_));
      recorded_ =
          tape.adopt(Finished<T>{log_probabilities_.data(), &outputs_.function().parameters(), version_, &stamp_},
                     LogSoftmax{masks(), rows_.data()}, recorded_logits_);
    }
    return recorded_;
  }
  /// Adds F v to the gradient of the policy's parameters, v being their tangent and F the Fisher matrix of the policy
  /// at the evaluated rows, with one weight for each of `rows()`.
  void add_fisher_product(Tape<T>& tape, std::span<const T> weights) requires(!uniform) {
    record_rows(tape);
    gfn::add_fisher_product(recorded_logits_, weights, masks(), rows_.data());
  }

  /// The row in which this policy acts in a step; none at an exit's way back.
  int acting_row(const Step& step) const { return direction_ == Direction::forward ? step.row : step.child; }
  /// Where the log-probability of a step stands among the recorded rows: a position and an action. The position is none
  /// where there is no choice.
  struct Entry {
    int position;
    Action action;
  };
  Entry entry(const Step& step) const {
    const int row = acting_row(step);
    return {row == none ? none : position_[static_cast<std::size_t>(row)],
            direction_ == Direction::forward ? step.action : step.backward_action};
  }
  /// The rows at which the policy has been evaluated: those with a choice.
  std::span<const int> rows() const { return rows_; }
  P& policy() const { return outputs_.function(); }
  /// The policy_version under which `begin` was called.
  std::uint64_t version() const { return version_; }

 private:
  /// Stands in for the outputs of a policy that has none, and keeps it by value.
  struct NoOutputs {
    explicit NoOutputs(const P& p) : policy(p) {}
    P& function() const { return policy; }
    mutable P policy;
  };
  static auto outputs_type() {
    if constexpr (uniform)
      return std::type_identity<NoOutputs>{};
    else
      return std::type_identity<OutputRows<P, State>>{};
  }
  using Outputs = typename decltype(outputs_type())::type;

  static int backward_width(const E& env) {
    if constexpr (Environment<E>)
      return num_backward_actions(env);
    else
      return 0;
  }
  const char* name() const { return direction_ == Direction::forward ? "the forward policy" : "the backward policy"; }
  int choices(int row) const {
    return direction_ == Direction::forward ? table_->forward_choices(row) : table_->backward_choices(row);
  }
  ConstMask mask(int row) const {
    return direction_ == Direction::forward ? table_->forward_mask(row) : table_->backward_mask(row);
  }
  const bool* masks() const {
    return direction_ == Direction::forward ? table_->forward_masks() : table_->backward_masks();
  }
  static Action nth_legal(ConstMask legal, int n) {
    Action a = 0;
    while (!legal[static_cast<std::size_t>(a)] || n-- > 0) ++a;
    return a;
  }

  std::size_t offset(int row) const {
    return static_cast<std::size_t>(position_[static_cast<std::size_t>(row)]) * static_cast<std::size_t>(width_);
  }
  const T* log_row(int row) const { return log_probabilities_.data() + offset(row); }

  [[gnu::noinline]] void evaluate_from(std::size_t first) {
    const std::span<const int> fresh = std::span<const int>(rows_).subspan(first);
    outputs_.extend(table_->block(fresh));
    const T* before = log_probabilities_.data();
    log_probabilities_.resize(rows_.size() * static_cast<std::size_t>(width_));
    if (log_probabilities_.data() != before) ++stamp_;
    if (sampling_ == Sampling::yes) cumulative_.resize(log_probabilities_.size());
    for (const int row : fresh) {
      T* log_p = log_probabilities_.data() + offset(row);
      log_softmax_row(outputs_.output(row), mask(row).data(), width_, log_p);
      check(row, log_p);
      if (sampling_ == Sampling::yes) accumulate(row, log_p);
    }
  }
  void check(int row, const T* log_p) const {
    for (int a = 0; a < width_; ++a)
      if (std::isnan(log_p[a])) [[unlikely]]
        fail(name(), " gives logits that are not finite at state ", table_->describe_row(row));
  }
  void accumulate(int row, const T* log_p) {
    T* cumulative = cumulative_.data() + offset(row);
    const ConstMask legal = mask(row);
    T sum = 0;
    for (int a = 0; a < width_; ++a) {
      if (legal[static_cast<std::size_t>(a)]) sum += std::exp(log_p[a]);
      cumulative[a] = sum;
    }
  }

  Outputs outputs_;
  Direction direction_;
  Sampling sampling_;
  int width_ = 0;
  const StateTable<E>* table_ = nullptr;
  std::vector<int> rows_;      // the rows with a choice, in the order of evaluation
  std::vector<int> position_;  // where a row of the table stands among them
  std::vector<int> all_;
  AlignedBuffer<T> log_probabilities_;  // one row of width_ per entry of rows_
  AlignedBuffer<T> cumulative_;         // their running sums, for drawing
  std::uint64_t version_ = 0;
  std::uint64_t stamp_ = 0;  // counts how often log_probabilities_ was overwritten or moved

  // what record_rows gave last
  std::uint64_t recorded_generation_ = 0, recorded_stamp_ = 0;
  Var<T> recorded_logits_, recorded_;
};

}  // namespace gfn
