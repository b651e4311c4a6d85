// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/ad/tape.hpp>
#include <gfn/core/random.hpp>
#include <gfn/nn/adam.hpp>
#include <gfn/objective/advantage.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/objective/policy_gradient.hpp>
#include <gfn/objective/rewards.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/policy/log_z.hpp>
#include <gfn/policy/output_rows.hpp>
#include <gfn/rollout/reward_exponent.hpp>
#include <gfn/rollout/sampler.hpp>
#include <gfn/trainer/arguments.hpp>
#include <gfn/trainer/policy_update.hpp>
#include <gfn/trainer/report.hpp>

namespace gfn {

/// Options of the forward policy's gradient. Defaults: Niu et al. 2024.
struct PolicyGradientOptions {
  Baseline baseline = Baseline::learned;
  double lambda = 0.99;       ///< of the advantages
  double value_lambda = 1.0;  ///< of the value function's targets
  bool center = true;         ///< subtract the batch mean from the advantages
  bool value_on_log_z =
      false;  ///< V(s) = v(s) + what log Ẑ has moved by: that is fast at first, and the network need not follow
  double learning_rate = 1e-3;
  double log_z_rate = 0.1;
  double critic_rate = 5e-3;
  double initial_log_z = 0;                    ///< the origin of log-rewards too: log Z is learned less it
  double log_reward_floor = minus_infinity<>;  ///< log R is not taken below it; −∞: as it is
  RewardExponent reward_exponent{};            ///< off by default; not the paper's

  AdvantageOptions advantage() const {
    return {.baseline = baseline, .lambda = lambda, .value_lambda = value_lambda, .center = center};
  }
};

namespace detail {

/// A value function on the rows of a batch, with its own optimiser: the critic of either direction. V = Absent: none.
template <class T, class V, class E>
class Critic {
 public:
  Critic(V& value, const E& env, Direction direction, double rate) : outputs_(value), direction_(direction) {
    require_scalar_function(value, env, "the value function");
    adam_.add(value.parameters(), {.learning_rate = rate});
  }
  /// V at every row of the table; V(s₀) = 0 in backward direction, and `offset` is added elsewhere.
  std::span<const double> evaluate(const StateTable<E>& table, double offset) {
    offset_ = offset;
    rows_.resize(static_cast<std::size_t>(table.rows()));
    std::iota(rows_.begin(), rows_.end(), 0);
    outputs_.extend(table.block(rows_));
    values_.assign(rows_.size(), 0.0);
    for (const int row : rows_)
      if (direction_ == Direction::forward || table.backward_choices(row) > 0)
        values_[static_cast<std::size_t>(row)] = offset + static_cast<double>(outputs_.output(row)[0]);
    return values_;
  }
  /// Adds the gradient of the value loss, and returns it. Throws gfn::Error where that is not finite.
  double gradient(Tape<T>& tape, const Batch<E>& batch, std::span<const double> target) {
    tape.clear();
    const Var<T> loss = value_loss(tape, outputs_.function(), batch, direction_, target, rows_, offset_);
    const double value = static_cast<double>(loss.scalar());
    if (!std::isfinite(value))
      fail("the loss of the ", direction_ == Direction::forward ? "" : "backward ", "value function is ", value);
    tape.backward(loss);
    return value;
  }
  void update() { adam_.step(); }
  void zero_gradients() { adam_.zero_gradients(); }

  template <class Archive>
  void visit_state(Archive&& archive, const char* name) {
    visit_function(archive, name, outputs_.function());
    adam_.visit_state(archive);
  }

 private:
  OutputRows<V, StateOf<E>> outputs_;
  Direction direction_;
  Adam<T> adam_;
  std::vector<int> rows_;
  std::vector<double> values_;
  double offset_ = 0;
};

/// No value function.
template <class T, class E>
class Critic<T, Absent, E> {
 public:
  Critic(Absent&, const E&, Direction, double) {}
  std::span<const double> evaluate(const StateTable<E>&, double) { return {}; }
  double gradient(Tape<T>&, const Batch<E>&, std::span<const double>) { return 0; }
  void update() {}
  void zero_gradients() {}
  template <class Archive>
  void visit_state(Archive&&, const char*) {}
};

}  // namespace detail

/// Trains the forward policy by policy gradients with a policy-dependent reward (RL-U and the forward half of RL-B;
/// Niu et al. 2024). On the policy's own trajectories: costs R_F, a value function V, generalised advantages, then a
/// step of V on its squared error and one of (π_F, log Z) on the surrogate, ∂J/∂log Z being the mean of δ(τ).
/// Refers to environment, policies and critic, which must live as long as it does, and never owns them (a uniform
/// policy is copied); owns log Z and the optimisers. Where an exception leaves `step` or `gradient`, parameters,
/// optimisers and iteration are as before, and gradients are zero.
template <class E, class Forward, class Backward, class Value = Absent, class Reward = ForwardReward,
          class Update = AdamUpdate<typename Forward::Scalar>, class LogZ = ScalarLogZ<typename Forward::Scalar>>
class PolicyGradientTrainer {
 public:
  using T = typename Forward::Scalar;
  using Environment = E;
  using ForwardEvaluation = PolicyEvaluation<T, Forward, E>;
  using BackwardEvaluation = PolicyEvaluation<T, Backward, E>;
  static_assert(check_environment_concept<E>());
  static_assert(check_trained_policy<Forward>());

  /// Throws std::invalid_argument for options out of range, for functions that do not fit the environment, with both
  /// numbers, and for functions that share parameters.
  PolicyGradientTrainer(const E& env, Forward& forward, Backward& backward, Value& value, Reward reward, Update update,
                        const PolicyGradientOptions& options)
      : options_(options),
        reward_(std::move(reward)),
        update_(std::move(update)),
        log_z_(options.initial_log_z),
        critic_(value, env, Direction::forward, options.critic_rate),
        batch_(env),
        sampler_(env),
        forward_(forward, env, Direction::forward, Sampling::yes),
        backward_(backward, env, Direction::backward) {
    static_assert(PolicyDependentReward<Reward, RewardInput<E, ForwardEvaluation, BackwardEvaluation>>,
                  "PolicyDependentReward: needs `void operator()(const Input&, std::span<double> cost) const` "
                  "(objective/rewards.hpp)");
    check_advantage_options(options.advantage());
    check_learning_rate("log_z_rate", options.log_z_rate);
    check_learning_rate("critic_rate", options.critic_rate);
    require(options.baseline != Baseline::learned || !std::is_same_v<Value, Absent>,
            "Baseline::learned needs a value function");
    options.reward_exponent.check();
    require_own_parameters(forward, value, "the forward policy and the value function");
    require_own_parameters(backward, value, "the backward policy and the value function");
    adam_.add(log_z_.parameters(), {.learning_rate = options.log_z_rate});
  }

  /// One iteration on `trajectories` new trajectories. Throws gfn::Error for a loss that is not finite.
  IterationReport step(const Random& random, int trajectories) {
    return detail::guarded(
        [&] {
          PhaseClock clock(seconds_);
          const double before = seconds_.total();
          sample(random, trajectories, clock);
          const double value_loss = differentiate(clock);
          return update_parameters(value_loss, before, clock);
        },
        [&] { forget_gradients(); });
  }

  /// Adds the gradients of critic, policy and log Z on an on-policy batch, under the reward exponent of this iteration,
  /// and returns the mean of δ(τ): what `step` does, without the optimisers. Throws std::invalid_argument for a batch
  /// that was not drawn from the forward policy as it is now (see Batch::assume_on_policy), for one of another
  /// environment and for one without trajectories.
  double gradient(Batch<E>& batch) {
    detail::require_batch(batch, environment());
    require(batch.source() != BatchSource::exploration,
            "policy gradients are on-policy: the batch was sampled with exploration");
    require(
        batch.on_policy(forward_.policy()),
        "policy gradients are on-policy: the batch was not drawn from the forward policy as it is now (a caller who "
        "knows better says batch.assume_on_policy(forward))");
    return detail::guarded(
        [&] {
          set_reward_scale(batch);
          forward_.evaluate(batch.table());
          evaluate(batch);
          critic_gradient(batch);
          policy_gradient(batch);
          return advantages_.mean_total();
        },
        [&] { forget_gradients(); });
  }

  const E& environment() const { return batch_.environment(); }
  std::uint64_t iteration() const { return iteration_; }
  LogZ& log_z() { return log_z_; }
  double log_z_estimate() const { return batch_.reward_exponent() * log_z_.origin() + log_z_.relative(); }
  const Update& update() const { return update_; }
  Forward& forward() { return forward_.policy(); }
  Backward& backward() { return backward_.policy(); }
  const Batch<E>& batch() const { return batch_; }
  const Advantages<E>& advantages() const { return advantages_; }
  const PhaseSeconds& seconds() const { return seconds_; }

  /// Visits all parameters and all state that a checkpoint must hold.
  template <class Archive>
  void visit_state(Archive&& archive) {
    describe_to(archive, "forward reward", reward_);
    archive("iteration", &iteration_, std::size_t{1});
    visit_function(archive, "forward policy", forward_.policy());
    visit_function(archive, "backward policy", backward_.policy());
    log_z_.visit_state(archive);
    update_.visit_state(archive);
    adam_.visit_state(archive);
    critic_.visit_state(archive, "value");
  }

 private:
  template <class, class, class, class, class, class, class, class, class>
  friend class CoupledTrainer;

  // A step in three parts: all calls of the environment, all gradients, and then the first change of a parameter.

  void set_reward_scale(Batch<E>& batch) const {
    batch.set_reward_exponent(options_.reward_exponent.at(iteration_));
    batch.set_log_reward_origin(log_z_.origin());
  }
  void sample(const Random& random, int trajectories, PhaseClock& clock) {
    require(trajectories >= 1, "a step on ", trajectories, " trajectories");
    set_reward_scale(batch_);
    sampler_.sample(batch_, forward_, trajectories, random, iteration_);
    clock.mark(&PhaseSeconds::rollout);
    evaluate(batch_);
    clock.mark(&PhaseSeconds::forward);
  }
  /// Returns the value loss. The tape is left with the surrogate.
  double differentiate(PhaseClock& clock) {
    const double value_loss = critic_gradient(batch_);
    policy_gradient(batch_);
    clock.mark(&PhaseSeconds::reverse);
    return value_loss;
  }
  /// The update of the policy may throw, and then leaves its parameters as they were; what comes after it does not.
  IterationReport update_parameters(double value_loss, double seconds_before, PhaseClock& clock) {
    update_(tape_, forward_, batch_, advantages_.advantage());
    adam_.step();
    if (learns_value()) critic_.update();
    clock.mark(&PhaseSeconds::optimiser);
    tape_.clear();  // here rather than in the next step: it gathers the memory that has been added in this one
    ++iteration_;
    IterationReport report{.iteration = iteration_,
                           .trajectories = batch_.trajectories(),
                           .transitions = batch_.num_steps(),
                           .distinct_states = batch_.table().rows(),
                           .loss = advantages_.mean_total(),
                           .log_z = log_z_estimate(),
                           .value_loss = value_loss,
                           .seconds = seconds_.total() - seconds_before};
    if constexpr (requires { update_.report().kl; }) {
      report.trust_region_step = update_.report().step;
      report.trust_region_kl = update_.report().kl;
      report.expected_improvement = update_.report().expected_improvement;
    }
    return report;
  }
  void forget_gradients() {
    visit_parameters(forward_.policy(), [](auto& p) { p.zero_grad(); });
    adam_.zero_gradients();
    critic_.zero_gradients();
    tape_.clear();
  }

  /// Costs, values and advantages of a batch on which the forward policy is evaluated.
  void evaluate(Batch<E>& batch) {
    batch.compute_rewards();
    large_rewards_.look_at(batch);
    backward_.evaluate(batch.table());
    const double log_z = log_z_.relative();
    cost_.assign(batch.steps().size(), 0.0);
    reward_(RewardInput<E, ForwardEvaluation, BackwardEvaluation>{batch, forward_, backward_, log_z}, cost_);
    std::span<const double> values;
    if (learns_value()) values = critic_.evaluate(batch.table(), options_.value_on_log_z ? log_z : 0.0);
    advantages_.compute(batch, Direction::forward, cost_, values, options_.advantage());
    if (!std::isfinite(advantages_.mean_total()))
      fail("the mean of the trajectories' costs is ", advantages_.mean_total(), " in iteration ", iteration_ + 1);
  }
  bool learns_value() const { return options_.baseline == Baseline::learned; }
  double critic_gradient(const Batch<E>& batch) {
    return learns_value() ? critic_.gradient(tape_, batch, advantages_.target()) : 0.0;
  }
  void policy_gradient(const Batch<E>& batch) {
    tape_.clear();
    tape_.backward(policy_gradient_loss(tape_, forward_, batch, advantages_.advantage()));
    log_z_.parameters().grad(0)(0, 0) += static_cast<T>(advantages_.mean_total());
  }

  PolicyGradientOptions options_;
  Reward reward_;
  Update update_;  // of the policy
  LogZ log_z_;
  detail::Critic<T, Value, E> critic_;
  Batch<E> batch_;
  ForwardSampler<E> sampler_;
  ForwardEvaluation forward_;
  BackwardEvaluation backward_;
  Advantages<E> advantages_;
  std::vector<double> cost_;
  Tape<T> tape_;
  Adam<T> adam_;  // of log Z
  detail::LargeRewards<T> large_rewards_;
  std::uint64_t iteration_ = 0;
  PhaseSeconds seconds_;
};

/// Policy gradients for the forward policy with a policy-dependent reward of your own (see PolicyDependentReward).
template <class E, class Forward, class Backward, FunctionOrAbsent Value, class Reward>
auto policy_gradient_trainer(E&& env, Forward&& forward, Backward&& backward, Value&& critic,
                             const PolicyGradientOptions& options, Reward reward) {
  if constexpr (check_trainer_arguments<E, Forward, Backward, Value>()) {
    using T = typename std::remove_reference_t<Forward>::Scalar;
    return PolicyGradientTrainer<std::remove_cvref_t<E>, std::remove_reference_t<Forward>,
                                 std::remove_cvref_t<Backward>, std::remove_reference_t<Value>, Reward>(
        env, forward, backward, critic, std::move(reward),
        AdamUpdate<T>(forward.parameters(), {.learning_rate = options.learning_rate}), options);
  }
}
/// The same with R_F (RL-U with a uniform backward policy).
template <class E, class Forward, class Backward, FunctionOrAbsent Value>
auto policy_gradient_trainer(E&& env, Forward&& forward, Backward&& backward, Value&& critic,
                             const PolicyGradientOptions& options = {}) {
  return policy_gradient_trainer(std::forward<E>(env), std::forward<Forward>(forward), std::forward<Backward>(backward),
                                 std::forward<Value>(critic), options,
                                 ForwardReward{.log_reward_floor = options.log_reward_floor});
}
/// The same without a value function, for the other baselines. Throws std::invalid_argument for Baseline::learned.
template <class E, class Forward, class Backward>
auto policy_gradient_trainer(E&& env, Forward&& forward, Backward&& backward, const PolicyGradientOptions& options) {
  return policy_gradient_trainer(std::forward<E>(env), std::forward<Forward>(forward), std::forward<Backward>(backward),
                                 Absent{}, options);
}
/// The same with natural-gradient steps inside a trust region (RL-T).
template <class E, class Forward, class Backward, FunctionOrAbsent Value>
auto trust_region_trainer(E&& env, Forward&& forward, Backward&& backward, Value&& critic,
                          const PolicyGradientOptions& options = {}, const TrustRegionOptions& region = {}) {
  if constexpr (check_trainer_arguments<E, Forward, Backward, Value>()) {
    using Update = TrustRegionUpdate<typename std::remove_reference_t<Forward>::Scalar>;
    return PolicyGradientTrainer<std::remove_cvref_t<E>, std::remove_reference_t<Forward>,
                                 std::remove_cvref_t<Backward>, std::remove_reference_t<Value>, ForwardReward, Update>(
        env, forward, backward, critic, ForwardReward{.log_reward_floor = options.log_reward_floor},
        Update(forward.parameters(), region), options);
  }
}

}  // namespace gfn
