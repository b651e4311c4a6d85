// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <gfn/trainer/policy_gradient_trainer.hpp>

namespace gfn {

/// How the backward policy learns from its walks. Both have the same expected gradient, ∇J_B (Niu et al. 2024,
/// Proposition 1).
enum class BackwardLoss : std::uint8_t {
  policy_gradient,  ///< the surrogate, with the costs R_B or R_B^G
  squared,  ///< ½δ(τ)², δ the log-ratio of trajectory balance with the other policy held fixed: no value function, no
            ///< centring, and more variance
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
/// on new trajectories, then walks back from their terminal states by the backward policy, and makes a step of the
/// backward value function and of the backward policy on the costs R_B, computed with the forward policy just updated.
template <class E, class Forward, class Backward, class Value = Absent, class BackwardValue = Absent,
          class Reward = ForwardReward, class RewardBack = BackwardReward,
          class Update = AdamUpdate<typename Forward::Scalar>, class UpdateBack = AdamUpdate<typename Forward::Scalar>>
class CoupledTrainer {
 public:
  using ForwardTrainer = PolicyGradientTrainer<E, Forward, Backward, Value, Reward, Update>;
  using T = typename Forward::Scalar;
  using ForwardEvaluation = typename ForwardTrainer::ForwardEvaluation;
  using BackwardEvaluation = typename ForwardTrainer::BackwardEvaluation;
  /// Whether the backward reward is shown each batch of the forward policy (see Guide).
  static constexpr bool remembers = requires(RewardBack & reward, const Batch<E>& batch) { reward.observe(batch); };
  static_assert(!UniformPolicyLike<Backward>,
                "CoupledTrainer: the backward policy is trained, and must have parameters (not the uniform one)");

  CoupledTrainer(const E& env, Forward& forward, Backward& backward, Value& value, BackwardValue& backward_value,
                 Reward reward, RewardBack backward_reward, Update update, UpdateBack backward_update,
                 const CoupledOptions& options)
      : options_(options.backward),
        log_reward_floor_(options.forward.log_reward_floor),
        reward_(std::move(backward_reward)),
        update_(std::move(backward_update)),
        forward_trainer_(env, forward, backward, value, std::move(reward), std::move(update), options.forward),
        critic_(backward_value, Direction::backward, options.backward.critic_rate),
        batch_(env),
        sampler_(env),
        forward_(forward, env, Direction::forward),
        backward_(backward, env, Direction::backward, Sampling::yes) {
    static_assert(PolicyDependentReward<RewardBack, RewardInput<E, ForwardEvaluation, BackwardEvaluation>>,
                  "PolicyDependentReward: needs `void operator()(const Input&, std::span<double> cost) const`");
    check_advantage_options(options_.advantage());
    check_learning_rate("backward critic_rate", options_.critic_rate);
    require(!learns_value() || !std::is_same_v<BackwardValue, Absent>,
            "Baseline::learned needs a backward value function");
    require_own_parameters(forward, backward, "forward and backward policy");
    require_own_parameters(backward, backward_value, "the backward policy and its value function");
  }

  /// One iteration of Algorithm 1 on `trajectories` new trajectories, and as many back from their ends.
  IterationReport step(const Random& random, int trajectories) {
    const std::uint64_t iteration = forward_trainer_.iteration();
    IterationReport report = forward_trainer_.step(random, trajectories);
    PhaseSeconds& seconds = forward_trainer_.seconds();
    const double before = seconds.total();
    PhaseClock clock(seconds);
    const Batch<E>& ends = forward_trainer_.batch();
    if constexpr (remembers) reward_.observe(ends);
    batch_.set_reward_exponent(ends.reward_exponent());
    sampler_.sample(
        batch_, backward_, trajectories, [&](int i) -> const auto& { return ends.terminal_state(i); }, random,
        iteration);
    clock.mark(&PhaseSeconds::rollout);
    evaluate(batch_);
    clock.mark(&PhaseSeconds::forward);
    critic_gradient(batch_);
    clock.mark(&PhaseSeconds::reverse);
    if (learns_value()) critic_.update();
    clock.mark(&PhaseSeconds::optimiser);
    policy_gradient(batch_);
    clock.mark(&PhaseSeconds::reverse);
    update_(tape_, backward_, batch_, weights());
    clock.mark(&PhaseSeconds::optimiser);
    tape_.clear();  // here rather than in the next step: it gathers the memory that has been added in this one
    report.backward_loss = advantages_.mean_total();
    report.seconds += seconds.total() - before;
    return report;
  }

  /// Adds the gradients of the backward policy and its critic on a batch of backward walks (their starting points as
  /// they are), and returns the mean cost: the backward half of `step`, without the optimisers.
  double backward_gradient(Batch<E>& batch) {
    backward_.evaluate(batch.table());
    evaluate(batch);
    critic_gradient(batch);
    policy_gradient(batch);
    return advantages_.mean_total();
  }
  /// The forward half.
  double gradient(Batch<E>& batch) { return forward_trainer_.gradient(batch); }

  std::uint64_t iteration() const { return forward_trainer_.iteration(); }
  auto& log_z() { return forward_trainer_.log_z(); }
  double log_z_estimate() const { return forward_trainer_.log_z_estimate(); }
  const Batch<E>& batch() const { return forward_trainer_.batch(); }
  const Batch<E>& backward_batch() const { return batch_; }
  const Advantages<E>& advantages() const { return forward_trainer_.advantages(); }
  const Advantages<E>& backward_advantages() const { return advantages_; }
  const Update& update() const { return forward_trainer_.update(); }
  const UpdateBack& backward_update() const { return update_; }
  const PhaseSeconds& seconds() const { return std::as_const(forward_trainer_).seconds(); }

  /// Visits all parameters and all state that a checkpoint must hold. Not there with a guide that remembers what it has
  /// seen, which would have to be kept too.
  template <class Archive>
  void visit_state(Archive&& archive) requires(!remembers) {
    forward_trainer_.visit_state(archive);
    update_.visit_state(archive);
    critic_.visit_state(archive, "backward value");
  }

 private:
  /// Costs, values and advantages of a batch on which the backward policy is evaluated.
  void evaluate(Batch<E>& batch) {
    forward_.evaluate(batch.table());
    cost_.assign(batch.steps().size(), 0.0);
    reward_(RewardInput<E, ForwardEvaluation, BackwardEvaluation>{batch, forward_, backward_,
                                                                  forward_trainer_.log_z().value()},
            cost_);
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
  void compute_deviations(Batch<E>& batch) {
    batch.compute_rewards();
    const double log_z = forward_trainer_.log_z().value();
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
};

/// Coupled policy gradients with policy-dependent rewards of your own for both policies.
template <class E, class Forward, class Backward, class Value, class BackwardValue, class RewardBack, class Reward>
auto coupled_trainer(const E& env, Forward& forward, Backward& backward, Value& critic, BackwardValue& backward_critic,
                     const CoupledOptions& options, RewardBack backward_reward, Reward forward_reward) {
  static_assert(check_trained_policy<Forward>());
  using T = typename Forward::Scalar;
  return CoupledTrainer<E, Forward, Backward, Value, BackwardValue, Reward, RewardBack>(
      env, forward, backward, critic, backward_critic, std::move(forward_reward), std::move(backward_reward),
      AdamUpdate<T>(forward.parameters(), {.learning_rate = options.forward.learning_rate}),
      AdamUpdate<T>(backward.parameters(), {.learning_rate = options.backward.learning_rate}), options);
}
/// The same with R_F, and R_B (RL-B) or R_B^G (RL-G).
template <class E, class Forward, class Backward, class Value, class BackwardValue, class RewardBack = BackwardReward>
auto coupled_trainer(const E& env, Forward& forward, Backward& backward, Value& critic, BackwardValue& backward_critic,
                     const CoupledOptions& options = {}, RewardBack backward_reward = {}) {
  return coupled_trainer(env, forward, backward, critic, backward_critic, options, std::move(backward_reward),
                         ForwardReward{.log_reward_floor = options.forward.log_reward_floor});
}

/// The sizes of the trust regions of both policies.
struct CoupledTrustRegionOptions {
  TrustRegionOptions forward{};
  TrustRegionOptions backward{};
};

/// The same with natural-gradient steps of both policies, each inside a trust region.
template <class E, class Forward, class Backward, class Value, class BackwardValue, class RewardBack = BackwardReward>
auto coupled_trust_region_trainer(const E& env, Forward& forward, Backward& backward, Value& critic,
                                  BackwardValue& backward_critic, const CoupledOptions& options = {},
                                  const CoupledTrustRegionOptions& regions = {}, RewardBack backward_reward = {}) {
  static_assert(check_trained_policy<Forward>());
  using Update = TrustRegionUpdate<typename Forward::Scalar>;
  return CoupledTrainer<E, Forward, Backward, Value, BackwardValue, ForwardReward, RewardBack, Update, Update>(
      env, forward, backward, critic, backward_critic,
      ForwardReward{.log_reward_floor = options.forward.log_reward_floor}, std::move(backward_reward),
      Update(forward.parameters(), regions.forward), Update(backward.parameters(), regions.backward), options);
}

}  // namespace gfn
