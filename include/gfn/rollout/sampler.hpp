// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/core/random.hpp>
#include <gfn/rollout/batch.hpp>
#include <gfn/rollout/policy_evaluation.hpp>

namespace gfn {

/// Options of a forward rollout.
struct RolloutOptions {
  double epsilon = 0;        ///< probability of a uniform legal action in place of the policy's, per step, in [0, 1]
  int max_length = 1000000;  ///< a trajectory with more actions than this stops the rollout with an error
};

namespace detail {

/// The states in which the trajectories of a rollout stand.
struct Walk {
  int trajectory;
  int row;
};

/// What forward and backward samplers share: the walks that go on, and a stream of random numbers for each.
template <class E>
class Walks {
 public:
  void start(Batch<E>& batch, int trajectories, const Random& random, Purpose purpose, std::uint64_t iteration) {
    batch.clear();
    walks_.clear();
    streams_.clear();
    for (int i = 0; i < trajectories; ++i)
      streams_.push_back(random.stream(purpose, iteration, static_cast<std::uint32_t>(i)));
    evaluated_ = 0;
  }
  /// Evaluates the policy at the rows that came in since the last call.
  template <class Evaluation>
  void evaluate_new_rows(const StateTable<E>& table, Evaluation& policy) {
    fresh_.clear();
    for (; evaluated_ < table.rows(); ++evaluated_) fresh_.push_back(evaluated_);
    policy.extend(fresh_);
  }
  /// A walk without repeats visits no more states than there are rows.
  void check_length(const StateTable<E>& table, int length, int max_length) const {
    if (length > table.rows() || length > max_length) [[unlikely]]
      refuse_length(table, length, max_length);
  }
  std::vector<Walk>& walks() { return walks_; }
  Stream& stream(int trajectory) { return streams_[static_cast<std::size_t>(trajectory)]; }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] void refuse_length(const StateTable<E>& table, int length,
                                                            int max_length) const {
    if (length > table.rows())
      fail("a trajectory returns to a state that it has left: the environment has a cycle through ",
           table.describe_row(walks_.front().row));
    fail("a trajectory is longer than max_length = ", max_length, " actions, at state ",
         table.describe_row(walks_.front().row));
  }

  std::vector<Walk> walks_;
  std::vector<Stream> streams_;
  std::vector<int> fresh_;
  int evaluated_ = 0;
};

}  // namespace detail

/// Samples trajectories from the initial state to the exit. All of them take a step at a time, so that the policy is
/// evaluated once per distinct state, on a block of new states per step.
template <class E>
class ForwardSampler {
 public:
  using State = StateOf<E>;

  explicit ForwardSampler(const E& env) : initial_(env.initial_state()) {}

  /// Fills the batch with `trajectories` new ones; trajectory i draws from the stream (seed, forward, iteration, i).
  /// The policy's evaluation is left with all rows of the batch. Throws gfn::Error for an environment that leaves no
  /// choice or has a cycle, and for legal logits that are NaN, +∞ or all −∞, naming the state.
  template <class T, class P>
  void sample(Batch<E>& batch, PolicyEvaluation<T, P, E>& policy, int trajectories, const Random& random,
              std::uint64_t iteration, const RolloutOptions& options = {}) {
    require(trajectories >= 0, "a rollout of ", trajectories, " trajectories");
    require(options.epsilon >= 0 && options.epsilon <= 1, "epsilon is ", options.epsilon, ", not in [0, 1]");
    policy.require_sampling(Direction::forward);
    walks_.start(batch, trajectories, random, Purpose::forward_rollout, iteration);
    StateTable<E>& table = batch.table();
    policy.begin(table);
    for (int i = 0; i < trajectories; ++i) walks_.walks().push_back({i, table.find_or_add(initial_)});
    for (int length = 1; !walks_.walks().empty(); ++length) {
      walks_.check_length(table, length, options.max_length);
      walks_.evaluate_new_rows(table, policy);
      step(batch, policy, options.epsilon);
    }
    if (options.epsilon == 0)
      batch.finish(trajectories, false, BatchSource::policy, policy.version());
    else
      batch.finish(trajectories, false, BatchSource::exploration);
  }

 private:
  template <class Evaluation>
  void step(Batch<E>& batch, const Evaluation& policy, double epsilon) {
    auto& walks = walks_.walks();
    std::size_t alive = 0;
    for (const detail::Walk walk : walks) {
      Stream& stream = walks_.stream(walk.trajectory);
      const bool explore = epsilon > 0 && stream.uniform() < epsilon;
      const Action action = explore ? policy.sample_uniform(walk.row, stream) : policy.sample(walk.row, stream);
      const int child = take(batch, walk, action);
      if (child != none) walks[alive++] = {walk.trajectory, child};
    }
    walks.resize(alive);
  }
  int take(Batch<E>& batch, const detail::Walk& walk, Action action) {
    StateTable<E>& table = batch.table();
    if (action == table.exit_action()) {
      batch.record(walk.trajectory, {walk.row, action, none, none});
      return none;
    }
    const E& env = batch.environment();
    Action back = none;
    if constexpr (Environment<E>) back = backward_action(env, table.state(walk.row), action);
    const int child = table.find_or_add_changed(
        walk.row, [&](State& s) { env.apply(s, action); }, action);
    table.check_edge(walk.row, action, child, back);
    batch.record(walk.trajectory, {walk.row, action, child, back});
    return child;
  }

  detail::Walks<E> walks_;
  State initial_;
};

/// Samples trajectories backward, from given terminal states to the initial one.
template <class E>
class BackwardSampler {
 public:
  using State = StateOf<E>;

  explicit BackwardSampler(const E& env) : initial_(env.initial_state()) {
    static_assert(check_environment_concept<E>());
  }

  /// Fills the batch with one trajectory for each call of terminal(i), i = 0 … trajectories − 1, which gives a terminal
  /// state. Trajectory i draws from the stream (seed, backward, iteration, i); a terminal state that is the initial one
  /// gives a trajectory of nothing but the exit. Throws gfn::Error, naming the state, for one that can't end or that
  /// has no way back.
  template <class T, class P, class Terminal>
  void sample(Batch<E>& batch, PolicyEvaluation<T, P, E>& policy, int trajectories, const Terminal& terminal,
              const Random& random, std::uint64_t iteration, int max_length = RolloutOptions{}.max_length) {
    policy.require_sampling(Direction::backward);
    walks_.start(batch, trajectories, random, Purpose::backward_rollout, iteration);
    StateTable<E>& table = batch.table();
    policy.begin(table);
    for (int i = 0; i < trajectories; ++i) {
      const int row = table.find_or_add(terminal(i));
      if (!table.can_exit(row)) fail("a backward rollout starts at ", table.describe_row(row), ", which cannot exit");
      batch.record(i, {row, table.exit_action(), none, none});
      if (!(table.state(row) == initial_)) walks_.walks().push_back({i, row});
    }
    for (int length = 1; !walks_.walks().empty(); ++length) {
      walks_.check_length(table, length, max_length);
      walks_.evaluate_new_rows(table, policy);
      step(batch, policy);
    }
    batch.finish(trajectories, true, BatchSource::given, policy.version());
  }

 private:
  template <class Evaluation>
  void step(Batch<E>& batch, const Evaluation& policy) {
    StateTable<E>& table = batch.table();
    const E& env = batch.environment();
    auto& walks = walks_.walks();
    std::size_t alive = 0;
    for (const detail::Walk walk : walks) {
      if (table.backward_choices(walk.row) == 0)
        fail("no legal undo at state ", table.describe_row(walk.row), ", which is not the initial state");
      const Action back = policy.sample(walk.row, walks_.stream(walk.trajectory));
      const Action action = forward_action(env, table.state(walk.row), back);
      const int parent = table.find_or_add_changed(walk.row, [&](State& s) { env.undo(s, back); });
      table.check_edge(parent, action, walk.row, back);
      batch.record(walk.trajectory, {parent, action, walk.row, back});
      if (!(table.state(parent) == initial_)) walks[alive++] = {walk.trajectory, parent};
    }
    walks.resize(alive);
  }

  detail::Walks<E> walks_;
  State initial_;
};

}  // namespace gfn
