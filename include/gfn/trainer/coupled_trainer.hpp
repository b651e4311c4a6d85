// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/trainer/arguments.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>
#include <gfn/trainer/state_snapshot.hpp>

namespace gfn {

/// How the backward policy learns from its walks. Both have the same expected gradient, ∇J_B (Niu et al. 2024,
/// Proposition 1).
enum class BackwardLoss : std::uint8_t {
  policy_gradient,  ///< the surrogate, with the costs R_B or R_B^G
  squared,  ///< ½δ(τ)², δ the log-ratio of trajectory balance with the other policy (for R_B^G: the guide) held fixed:
            ///< no value function, no centring, and more variance
};

/// Options of the backward policy's gradient. Defaults: Niu et al. 2024.
struct BackwardGradientOptions {
  BackwardLoss loss = BackwardLoss::policy_gradient;
  Baseline baseline = Baseline::learned;
  double lambda = 1.0;
  double value_lambda = 1.0;
  bool center = true;
  double learning_rate = 1e-3;
  double critic_rate = 5e-3;

  AdvantageOptions advantage() const {
    return {.baseline = baseline, .lambda = lambda, .value_lambda = value_lambda, .center = center};
  }
};

/// Options of coupled training.
struct CoupledOptions {
  PolicyGradientOptions forward{};
  BackwardGradientOptions backward{};
};

/// Trains both policies by policy gradients (RL-B; Niu et al. 2024, Algorithm 1). Each iteration makes a forward step
/// on new trajectories, walks back from their terminal states by the backward policy, and makes a step of the backward
/// value function and of the backward policy on the costs R_B, computed with the forward policy just updated.
///
/// The walks are drawn before the forward step, which changes nothing in them: so the environment is asked before any
/// parameter moves. Where an exception leaves `step`, parameters, optimisers and iteration are as before, and gradients
/// are zero. For a backward reward that may throw that takes a copy of the forward half's state in each iteration (see
/// Guide).
template <class E, class Forward, class Backward, class Value = Absent, class BackwardValue = Absent,
          class Reward = ForwardReward, class RewardBack = BackwardReward,
          class Update = AdamUpdate<typename Forward::Scalar>, class UpdateBack = AdamUpdate<typename Forward::Scalar>>
class CoupledTrainer {
 public:
  using ForwardTrainer = PolicyGradientTrainer<E, Forward, Backward, Value, Reward, Update>;
  using T = typename Forward::Scalar;
  using Environment = E;
  using ForwardEvaluation = typename ForwardTrainer::ForwardEvaluation;
  using BackwardEvaluation = typename ForwardTrainer::BackwardEvaluation;
  /// Whether the backward reward is shown each batch of the forward policy (see Guide).
  static constexpr bool remembers = requires(RewardBack & reward, const Batch<E>& batch) { reward.observe(batch); };
  static_assert(check_trained_backward_policy<Backward>());

  /// Throws std::invalid_argument for options out of range, for functions and guides that do not fit the environment,
  /// and for functions that share parameters.
  CoupledTrainer(const E& env, Forward& forward, Backward& backward, Value& value, BackwardValue& backward_value,
                 Reward reward, RewardBack backward_reward, Update update, UpdateBack backward_update,
                 const CoupledOptions& options)
      : options_(options.backward),
        log_reward_floor_(options.forward.log_reward_floor),
        reward_(std::move(backward_reward)),
        update_(std::move(backward_update)),
        forward_trainer_(env, forward, backward, value, std::move(reward), std::move(update), options.forward),
        critic_(backward_value, env, Direction::backward, options.backward.critic_rate),
        batch_(env),
        sampler_(env),
        forward_(forward, env, Direction::forward),
        backward_(backward, env, Direction::backward, Sampling::yes) {
    static_assert(PolicyDependentReward<RewardBack, Input>,
                  "PolicyDependentReward: needs `void operator()(const Input&, std::span<double> cost) const`");
    check_advantage_options(options_.advantage());
    check_learning_rate("backward critic_rate", options_.critic_rate);
    require(!learns_value() || !std::is_same_v<BackwardValue, Absent>,
            "Baseline::learned needs a backward value function");
    require_own_parameters(forward, backward, "forward and backward policy");
    require_own_parameters(backward, backward_value, "the backward policy and its value function");
    require_own_parameters(forward, backward_value, "the forward policy and the backward value function");
    require_own_parameters(value, backward_value, "the value functions of both directions");
    if constexpr (requires { reward_.require_environment(env); }) reward_.require_environment(env);
  }

  /// One iteration of Algorithm 1 on `trajectories` new trajectories, and as many back from their ends.
  IterationReport step(const Random& random, int trajectories) {
    return detail::guarded(
        [&] {
          PhaseSeconds& seconds = forward_trainer_.seconds_;
          PhaseClock clock(seconds);
          const double before = seconds.total();
          forward_trainer_.sample(random, trajectories, clock);
          walk_back(random, clock);
          const double value_loss = forward_trainer_.differentiate(clock);
          if constexpr (remembers) reward_.observe(forward_trainer_.batch());
          if constexpr (may_throw) snapshot_.save(forward_trainer_);
          IterationReport report = forward_trainer_.update_parameters(value_loss, before, clock);
          try {
            train_backward(clock);
          } catch (...) {
            if constexpr (may_throw) snapshot_.restore(forward_trainer_);
            throw;
          }
          report.backward_loss = advantages_.mean_total();
          report.seconds = seconds.total() - before;
          return report;
        },
        [&] { forget_gradients(); });
  }

  /// Adds the gradients of the backward policy and its critic on a batch of backward walks (their starting points as
  /// they are), under the reward exponent of this iteration, and returns the mean cost: the backward half of `step`,
  /// without the optimisers. Throws std::invalid_argument for a batch that was not walked back by the backward policy
  /// as it is now (see Batch::assume_walked_back_by), for one of another environment and for one without trajectories.
  double backward_gradient(Batch<E>& batch) {
    detail::require_batch(batch, environment());
    require(
        batch.walked_back_by(backward_.policy()),
        "policy gradients are on-policy: the batch was not walked back by the backward policy as it is now (a caller "
        "who knows better says batch.assume_walked_back_by(backward))");
    return detail::guarded(
        [&] {
          forward_trainer_.set_reward_scale(batch);
          batch.compute_rewards();
          prepare(batch);
          backward_.evaluate(batch.table());
          evaluate(batch);
          critic_gradient(batch);
          policy_gradient(batch);
          return advantages_.mean_total();
        },
        [&] { forget_gradients(); });
  }
  /// The forward half.
  double gradient(Batch<E>& batch) { return forward_trainer_.gradient(batch); }

  const E& environment() const { return forward_trainer_.environment(); }
  std::uint64_t iteration() const { return forward_trainer_.iteration(); }
  auto& log_z() { return forward_trainer_.log_z(); }
  double log_z_estimate() const { return forward_trainer_.log_z_estimate(); }
  const Batch<E>& batch() const { return forward_trainer_.batch(); }
  const Batch<E>& backward_batch() const { return batch_; }
  const Advantages<E>& advantages() const { return forward_trainer_.advantages(); }
  const Advantages<E>& backward_advantages() const { return advantages_; }
  const Update& update() const { return forward_trainer_.update(); }
  const UpdateBack& backward_update() const { return update_; }
  const PhaseSeconds& seconds() const { return forward_trainer_.seconds(); }

  /// Visits all parameters and all state that a checkpoint must hold. Not there with a guide that remembers what it has
  /// seen, which would have to be kept too.
  template <class Archive>
  void visit_state(Archive&& archive) requires(!remembers) {
    describe_to(archive, "backward reward", reward_);
    forward_trainer_.visit_state(archive);
    update_.visit_state(archive);
    critic_.visit_state(archive, "backward value");
  }

 private:
  using Input = RewardInput<E, ForwardEvaluation, BackwardEvaluation>;
  /// Whether the backward half may throw, for other reasons than a lack of memory, once the forward half has moved.
  static constexpr bool may_throw = !std::is_same_v<UpdateBack, AdamUpdate<T>> || !(requires {
    requires RewardBack::only_prepare_throws;
  } || noexcept(std::declval<const RewardBack&>()(std::declval<const Input&>(), std::span<double>())));

  /// All that the backward half asks the environment for.
  void walk_back(const Random& random, PhaseClock& clock) {
    const Batch<E>& ends = forward_trainer_.batch();
    forward_trainer_.set_reward_scale(batch_);
    sampler_.sample(
        batch_, backward_, ends.trajectories(), [&](int i) -> const auto& { return ends.terminal_state(i); }, random,
        iteration());
    batch_.take_rewards(ends);
    prepare(batch_);
    clock.mark(&PhaseSeconds::rollout);
  }
  void prepare(Batch<E>& batch) {
    if constexpr (requires { reward_.prepare(batch); }) reward_.prepare(batch);
  }
  void train_backward(PhaseClock& clock) {
    evaluate(batch_);
    clock.mark(&PhaseSeconds::forward);
    critic_gradient(batch_);
    policy_gradient(batch_);
    clock.mark(&PhaseSeconds::reverse);
    update_(tape_, backward_, batch_, weights());
    if (learns_value()) critic_.update();
    clock.mark(&PhaseSeconds::optimiser);
    tape_.clear();  // here rather than in the next step: it gathers the memory that has been added in this one
  }
  void forget_gradients() {
    forward_trainer_.forget_gradients();
    visit_parameters(backward_.policy(), [](auto& p) { p.zero_grad(); });
    critic_.zero_gradients();
    tape_.clear();
  }

  /// Costs, values and advantages of a batch on which the backward policy is evaluated.
  void evaluate(const Batch<E>& batch) {
    forward_.evaluate(batch.table());
    cost_.assign(batch.steps().size(), 0.0);
    reward_(Input{batch, forward_, backward_, forward_trainer_.log_z().relative()}, cost_);
    std::span<const double> values;
    if (learns_value()) values = critic_.evaluate(batch.table(), 0.0);
    advantages_.compute(batch, Direction::backward, cost_, values, options_.advantage());
    if (options_.loss == BackwardLoss::squared) compute_deviations(batch);
    if (!std::isfinite(advantages_.mean_total()))
      fail("the mean cost of the backward trajectories is ", advantages_.mean_total(), " in iteration ", iteration());
  }
  void policy_gradient(const Batch<E>& batch) {
    tape_.clear();
    tape_.backward(policy_gradient_loss(tape_, backward_, batch, weights()));
  }
  bool learns_value() const {
    return options_.loss == BackwardLoss::policy_gradient && options_.baseline == Baseline::learned;
  }
  void critic_gradient(const Batch<E>& batch) {
    if (learns_value()) critic_.gradient(tape_, batch, advantages_.target());
  }
  /// −δ(τ) at every step: with it as the weight of log π_B, the surrogate has the gradient of the mean of ½δ².
  void compute_deviations(const Batch<E>& batch) {
    const double log_z = forward_trainer_.log_z().relative();
    deviations_.assign(cost_.size(), 0.0);
    for (int i = 0; i < batch.trajectories(); ++i) {
      const auto first = static_cast<std::size_t>(batch.offsets()[static_cast<std::size_t>(i)]);
      const std::size_t steps = batch.steps(i).size() - 1;  // without the exit
      const double deviation = advantages_.total()[static_cast<std::size_t>(i)] - log_z +
                               training_log_reward(batch, i, log_reward_floor_) -
                               forward_.log_probability(batch.steps(i).back());
      for (std::size_t k = first; k < first + steps; ++k) deviations_[k] = deviation;
    }
  }
  /// What log π_B of each step is weighted with.
  std::span<const double> weights() const {
    return options_.loss == BackwardLoss::squared ? std::span<const double>(deviations_) : advantages_.advantage();
  }

  BackwardGradientOptions options_;
  double log_reward_floor_;
  RewardBack reward_;
  UpdateBack update_;
  ForwardTrainer forward_trainer_;
  detail::Critic<T, BackwardValue, E> critic_;
  Batch<E> batch_;
  BackwardSampler<E> sampler_;
  ForwardEvaluation forward_;
  BackwardEvaluation backward_;
  Advantages<E> advantages_;
  std::vector<double> cost_, deviations_;
  Tape<T> tape_;
  StateSnapshot snapshot_;
};

/// Coupled policy gradients with policy-dependent rewards of your own for both policies.
template <class E, class Forward, class Backward, FunctionOrAbsent Value, FunctionOrAbsent BackwardValue,
          class RewardBack, class Reward>
auto coupled_trainer(E&& env, Forward&& forward, Backward&& backward, Value&& critic, BackwardValue&& backward_critic,
                     const CoupledOptions& options, RewardBack backward_reward, Reward forward_reward) {
  if constexpr (check_coupled_arguments<E, Forward, Backward, Value, BackwardValue>()) {
    using T = typename std::remove_reference_t<Forward>::Scalar;
    return CoupledTrainer<std::remove_cvref_t<E>, std::remove_reference_t<Forward>, std::remove_reference_t<Backward>,
                          std::remove_reference_t<Value>, std::remove_reference_t<BackwardValue>, Reward, RewardBack>(
        env, forward, backward, critic, backward_critic, std::move(forward_reward), std::move(backward_reward),
        AdamUpdate<T>(forward.parameters(), {.learning_rate = options.forward.learning_rate}),
        AdamUpdate<T>(backward.parameters(), {.learning_rate = options.backward.learning_rate}), options);
  }
}
/// The same with R_F, and R_B (RL-B) or R_B^G (RL-G).
template <class E, class Forward, class Backward, FunctionOrAbsent Value, FunctionOrAbsent BackwardValue,
          class RewardBack = BackwardReward>
auto coupled_trainer(E&& env, Forward&& forward, Backward&& backward, Value&& critic, BackwardValue&& backward_critic,
                     const CoupledOptions& options = {}, RewardBack backward_reward = {}) {
  return coupled_trainer(std::forward<E>(env), std::forward<Forward>(forward), std::forward<Backward>(backward),
                         std::forward<Value>(critic), std::forward<BackwardValue>(backward_critic), options,
                         std::move(backward_reward),
                         ForwardReward{.log_reward_floor = options.forward.log_reward_floor});
}

/// The sizes of the trust regions of both policies.
struct CoupledTrustRegionOptions {
  TrustRegionOptions forward{};
  TrustRegionOptions backward{};
};

/// The same with natural-gradient steps of both policies, each inside a trust region.
template <class E, class Forward, class Backward, FunctionOrAbsent Value, FunctionOrAbsent BackwardValue,
          class RewardBack = BackwardReward>
auto coupled_trust_region_trainer(E&& env, Forward&& forward, Backward&& backward, Value&& critic,
                                  BackwardValue&& backward_critic, const CoupledOptions& options = {},
                                  const CoupledTrustRegionOptions& regions = {}, RewardBack backward_reward = {}) {
  if constexpr (check_coupled_arguments<E, Forward, Backward, Value, BackwardValue>()) {
    using Update = TrustRegionUpdate<typename std::remove_reference_t<Forward>::Scalar>;
    return CoupledTrainer<std::remove_cvref_t<E>, std::remove_reference_t<Forward>, std::remove_reference_t<Backward>,
                          std::remove_reference_t<Value>, std::remove_reference_t<BackwardValue>, ForwardReward,
                          RewardBack, Update, Update>(
        env, forward, backward, critic, backward_critic,
        ForwardReward{.log_reward_floor = options.forward.log_reward_floor}, std::move(backward_reward),
        Update(forward.parameters(), regions.forward), Update(backward.parameters(), regions.backward), options);
  }
}

}  // namespace gfn
