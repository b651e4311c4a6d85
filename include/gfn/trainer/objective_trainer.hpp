// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/ad/tape.hpp>
#include <gfn/core/random.hpp>
#include <gfn/nn/adam.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/objective/trajectory_balance.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/policy/log_z.hpp>
#include <gfn/policy/output_rows.hpp>
#include <gfn/rollout/exploration.hpp>
#include <gfn/rollout/reward_exponent.hpp>
#include <gfn/rollout/sampler.hpp>
#include <gfn/trainer/arguments.hpp>
#include <gfn/trainer/report.hpp>

namespace gfn {

/// Options of a trainer with a single objective. Defaults: Niu et al. 2024.
struct ObjectiveTrainerOptions {
  double learning_rate = 1e-3;  ///< of policies and flow (Adam)
  double log_z_rate = 0.1;      ///< of log Z, where the objective learns it as such: TB does, DB, SubTB and FM do not
  double initial_log_z = 0;     ///< the origin of log-rewards too: log Z and state flows are learned less it
  Exploration exploration{};    ///< off by default
  RewardExponent reward_exponent{};  ///< off by default
};

/// Trains by one objective on forward rollouts: sample, evaluate, one reverse pass, one step of Adam on everything.
/// Refers to environment, policies and flow, which must live as long as it does, and never owns them (a uniform policy
/// is copied); owns log Z and the optimiser. Where an exception leaves `step`, `update` or `gradient`, parameters,
/// optimiser and iteration are as before, and gradients are zero.
template <class E, class O, class Forward, class Backward, class Flow = Absent,
          class LogZ = ScalarLogZ<typename Forward::Scalar>>
class ObjectiveTrainer {
 public:
  using T = typename Forward::Scalar;
  using Environment = E;
  static_assert(check_environment_concept<E>());
  static_assert(check_trained_policy<Forward>());

  /// `flow` is null for objectives that need none. Throws std::invalid_argument for options out of range, and for
  /// functions that do not fit the environment, with both numbers.
  ObjectiveTrainer(const E& env, O objective, Forward& forward, Backward& backward, Flow* flow,
                   const ObjectiveTrainerOptions& options)
      : objective_(std::move(objective)),
        options_(options),
        log_z_(options.initial_log_z),
        flow_(make_flow_rows(flow)),
        batch_(env),
        sampler_(env),
        forward_(forward, env, Direction::forward, Sampling::yes),
        backward_(backward, env, Direction::backward) {
    static_assert(Objective<O, T, Input>,
                  "Objective: needs `Var<T> operator()(Tape<T>&, const Input&) const`, and all that it takes from the "
                  "input must be given to the trainer (a state flow, for instance)");
    options.exploration.check();
    options.reward_exponent.check();
    check_learning_rate("log_z_rate", options.log_z_rate);
    if constexpr (has_flow) check_flow(*flow, env);
    adam_.add(forward.parameters(), {.learning_rate = options.learning_rate});
    visit_parameters(backward, [&](auto& p) { adam_.add(p, {.learning_rate = options.learning_rate}); });
    if constexpr (has_flow) adam_.add(flow->parameters(), {.learning_rate = options.learning_rate});
    adam_.add(log_z_.parameters(), {.learning_rate = options.log_z_rate});
  }

  /// One iteration on `trajectories` new trajectories. Throws gfn::Error for a loss that is not finite.
  IterationReport step(const Random& random, int trajectories) {
    require(trajectories >= 1, "a step on ", trajectories, " trajectories");
    return detail::guarded([&] { return sample_and_train(random, trajectories); }, [&] { forget_gradients(); });
  }

  /// Adds the gradient of the objective on a batch from any source, under the reward exponent of this iteration, and
  /// returns its value: what `step` does, without the optimiser. Throws std::invalid_argument for a batch of another
  /// environment or without trajectories, gfn::Error for a loss that is not finite.
  double gradient(Batch<E>& batch) {
    detail::require_batch(batch, environment());
    return detail::guarded(
        [&] {
          set_reward_scale(batch);
          prepare(batch);
          forward_.evaluate(batch.table());
          backward_.evaluate(batch.table());
          return accumulate_gradient(batch);
        },
        [&] { forget_gradients(); });
  }

  /// One iteration on a batch from any source that the objective allows (data, backward walks, a replay buffer), and
  /// its loss. Throws as `gradient` does.
  double update(Batch<E>& batch) {
    const double loss = gradient(batch);
    finish_iteration();
    return loss;
  }

  const E& environment() const { return batch_.environment(); }
  std::uint64_t iteration() const { return iteration_; }
  LogZ& log_z() { return log_z_; }
  /// The learned log Z, or what the objective takes for it (log F(s₀), for instance), as of the last gradient.
  double log_z_estimate() const {
    if constexpr (requires(const Input& input) { objective_.log_z(input); })
      return log_z_estimate_;
    else
      return batch_.reward_exponent() * log_z_.origin() + log_z_.relative();
  }
  const Batch<E>& batch() const { return batch_; }
  const PhaseSeconds& seconds() const { return seconds_; }

  /// Visits all parameters and all state that a checkpoint must hold.
  template <class Archive>
  void visit_state(Archive&& archive) {
    describe_to(archive, "objective", objective_);
    archive("iteration", &iteration_, std::size_t{1});
    archive("estimate of log Z", &log_z_estimate_, std::size_t{1});
    visit_function(archive, "forward policy", forward_.policy());
    visit_function(archive, "backward policy", backward_.policy());
    if constexpr (has_flow) visit_function(archive, "flow", flow_.function());
    log_z_.visit_state(archive);
    adam_.visit_state(archive);
  }

 private:
  using ForwardEvaluation = PolicyEvaluation<T, Forward, E>;
  using BackwardEvaluation = PolicyEvaluation<T, Backward, E>;
  /// The outputs of the flow, where there is one.
  static auto make_flow_rows([[maybe_unused]] Flow* flow) {
    if constexpr (std::is_same_v<Flow, Absent>)
      return Absent{};
    else
      return OutputRows<Flow, StateOf<E>>(*flow);
  }
  static constexpr bool has_flow = !std::is_same_v<Flow, Absent>;
  using FlowRows = decltype(make_flow_rows(nullptr));
  using Input = ObjectiveInput<Batch<E>, ForwardEvaluation, BackwardEvaluation, LogZ, FlowRows>;

  void check_flow(Flow& flow, const E& env) const {
    require_scalar_function(flow, env, "the state flow");
    require(!is_same_object(flow, forward_.policy()) && !is_same_object(flow, backward_.policy()),
            "the state flow is one of the policies: it must be a function of its own");
  }
  template <class A, class B>
  static bool is_same_object(const A& a, const B& b) {
    return static_cast<const void*>(&a) == static_cast<const void*>(&b);
  }

  IterationReport sample_and_train(const Random& random, int trajectories) {
    PhaseClock clock(seconds_);
    const double before = seconds_.total();
    const double epsilon = options_.exploration.epsilon(iteration_);
    set_reward_scale(batch_);
    sampler_.sample(batch_, forward_, trajectories, random, iteration_, {.epsilon = epsilon});
    clock.mark(&PhaseSeconds::rollout);
    evaluate_forward_at_rows_from(prepare(batch_));
    backward_.evaluate(batch_.table());
    clock.mark(&PhaseSeconds::forward);
    const double loss = accumulate_gradient(batch_);
    clock.mark(&PhaseSeconds::reverse);
    finish_iteration();
    clock.mark(&PhaseSeconds::optimiser);
    return {.iteration = iteration_,
            .trajectories = trajectories,
            .transitions = batch_.num_steps(),
            .distinct_states = batch_.table().rows(),
            .loss = loss,
            .log_z = log_z_estimate(),
            .epsilon = epsilon,
            .seconds = seconds_.total() - before};
  }
  /// The first change of a parameter in an iteration; nothing here throws.
  void finish_iteration() {
    adam_.step();
    tape_.clear();  // here rather than in the next step: it gathers the memory that has been added in this one
    ++iteration_;
  }
  void forget_gradients() {
    adam_.zero_gradients();
    tape_.clear();
  }

  void set_reward_scale(Batch<E>& batch) const {
    batch.set_reward_exponent(options_.reward_exponent.at(iteration_));
    batch.set_log_reward_origin(log_z_.origin());
  }
  /// Rewards, and what the objective wants to add to the batch. Returns the number of rows before.
  int prepare(Batch<E>& batch) {
    const int rows = batch.table().rows();
    batch.compute_rewards();
    large_rewards_.look_at(batch);
    if constexpr (requires { objective_.prepare(batch); }) objective_.prepare(batch);
    return rows;
  }
  /// After a rollout the forward policy stands evaluated at the rows of the trajectories, not at those added since.
  void evaluate_forward_at_rows_from(int first) {
    added_rows_.clear();
    for (int row = first; row < batch_.table().rows(); ++row) added_rows_.push_back(row);
    if (!added_rows_.empty()) forward_.extend(added_rows_);
  }
  /// All functions are evaluated at all rows before the first is recorded: on a shared trunk, rows that came later
  /// would move what is recorded already.
  void evaluate_flow(const Batch<E>& batch) {
    if constexpr (has_flow) {
      all_rows_.resize(static_cast<std::size_t>(batch.table().rows()));
      std::iota(all_rows_.begin(), all_rows_.end(), 0);
      flow_.extend(batch.table().block(all_rows_));
    }
  }
  double accumulate_gradient(const Batch<E>& batch) {
    tape_.clear();
    evaluate_flow(batch);
    const Input input{batch, forward_, backward_, log_z_, &flow_};
    const Var<T> loss = objective_(tape_, input);
    const double value = static_cast<double>(loss.scalar());
    if (!std::isfinite(value)) fail("the loss is ", value, " in iteration ", iteration_ + 1);
    double log_z = 0;
    if constexpr (requires { objective_.log_z(input); }) log_z = objective_.log_z(input);
    tape_.backward(loss);
    log_z_estimate_ = log_z;
    return value;
  }

  O objective_;
  ObjectiveTrainerOptions options_;
  LogZ log_z_;
  FlowRows flow_;
  Batch<E> batch_;
  ForwardSampler<E> sampler_;
  ForwardEvaluation forward_;
  BackwardEvaluation backward_;
  Tape<T> tape_;
  Adam<T> adam_;
  std::vector<int> added_rows_, all_rows_;
  detail::LargeRewards<T> large_rewards_;
  std::uint64_t iteration_ = 0;
  double log_z_estimate_ = 0;  // of objectives that do not learn log Z as such
  PhaseSeconds seconds_;
};

/// Trains by any objective that needs no state flow.
template <class E, class O, class Forward, class Backward>
auto objective_trainer(E&& env, const O& objective, Forward&& forward, Backward&& backward,
                       const ObjectiveTrainerOptions& options = {}) {
  if constexpr (check_trainer_arguments<E, Forward, Backward>())
    return ObjectiveTrainer<std::remove_cvref_t<E>, O, std::remove_reference_t<Forward>, std::remove_cvref_t<Backward>>(
        env, objective, forward, backward, nullptr, options);
}
/// Trains by any objective, given a state flow.
template <class E, class O, class Forward, class Backward, FunctionOrAbsent Flow>
auto objective_trainer(E&& env, const O& objective, Forward&& forward, Backward&& backward, Flow&& flow,
                       const ObjectiveTrainerOptions& options = {}) {
  if constexpr (check_trainer_arguments<E, Forward, Backward, Flow>())
    return ObjectiveTrainer<std::remove_cvref_t<E>, O, std::remove_reference_t<Forward>, std::remove_cvref_t<Backward>,
                            std::remove_reference_t<Flow>>(env, objective, forward, backward, &flow, options);
}
/// Trains by trajectory balance: TB-U with a uniform backward policy, TB-B with a learned one.
template <class E, class Forward, class Backward>
auto trajectory_balance_trainer(E&& env, Forward&& forward, Backward&& backward,
                                const ObjectiveTrainerOptions& options = {}, const TrajectoryBalance& objective = {}) {
  if constexpr (check_trainer_arguments<E, Forward, Backward>())
    return ObjectiveTrainer<std::remove_cvref_t<E>, TrajectoryBalance, std::remove_reference_t<Forward>,
                            std::remove_cvref_t<Backward>>(env, objective, forward, backward, nullptr, options);
}

}  // namespace gfn
