// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <gfn/trainer/policy_gradient_trainer.hpp>

namespace gfn {

/// Options of the backward policy's gradient. Defaults: Niu et al. 2024.
struct BackwardGradientOptions {
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
  static_assert(!UniformPolicyLike<Backward>,
                "CoupledTrainer: the backward policy is trained, and must have parameters (not the uniform one)");

  CoupledTrainer(const E& env, Forward& forward, Backward& backward, Value& value, BackwardValue& backward_value,
                 Reward reward, RewardBack backward_reward, Update update, UpdateBack backward_update,
                 const CoupledOptions& options)
      : options_(options.backward),
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
    require(options_.baseline != Baseline::learned || !std::is_same_v<BackwardValue, Absent>,
            "Baseline::learned needs a backward value function");
    require(static_cast<void*>(&forward.parameters()) != static_cast<void*>(&backward.parameters()),
            "CoupledTrainer: forward and backward policy must not share parameters, each has its own optimiser");
  }

  /// One iteration of Algorithm 1 on `trajectories` new trajectories, and as many back from their ends.
  IterationReport step(const Random& random, int trajectories) {
    const std::uint64_t iteration = forward_trainer_.iteration();
    IterationReport report = forward_trainer_.step(random, trajectories);
    PhaseSeconds& seconds = forward_trainer_.seconds();
    const double before = seconds.total();
    PhaseClock clock(seconds);
    const Batch<E>& ends = forward_trainer_.batch();
    if constexpr (requires { reward_.observe(ends); }) reward_.observe(ends);
    sampler_.sample(
        batch_, backward_, trajectories, [&](int i) -> const auto& { return ends.terminal_state(i); }, random,
        iteration);
    clock.mark(&PhaseSeconds::rollout);
    evaluate(batch_);
    clock.mark(&PhaseSeconds::forward);
    critic_.gradient(tape_, batch_, advantages_.target());
    clock.mark(&PhaseSeconds::reverse);
    critic_.update();
    clock.mark(&PhaseSeconds::optimiser);
    policy_gradient(batch_);
    clock.mark(&PhaseSeconds::reverse);
    update_(tape_, backward_, batch_, advantages_.advantage());
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
    critic_.gradient(tape_, batch, advantages_.target());
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

  /// Visits all parameters and all state that a checkpoint must hold.
  template <class Archive>
  void visit_state(Archive&& archive) {
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
    const auto values = critic_.evaluate(batch.table(), 0.0);
    advantages_.compute(batch, Direction::backward, cost_, values, options_.advantage());
    if (!std::isfinite(advantages_.mean_total()))
      fail("the mean cost of the backward trajectories is ", advantages_.mean_total(), " in iteration ", iteration());
  }
  void policy_gradient(const Batch<E>& batch) {
    tape_.clear();
    tape_.backward(policy_gradient_loss(tape_, backward_, batch, advantages_.advantage()));
  }

  BackwardGradientOptions options_;
  RewardBack reward_;
  UpdateBack update_;
  ForwardTrainer forward_trainer_;
  detail::Critic<T, BackwardValue, E> critic_;
  Batch<E> batch_;
  BackwardSampler<E> sampler_;
  ForwardEvaluation forward_;
  BackwardEvaluation backward_;
  Advantages<E> advantages_;
  std::vector<double> cost_;
  Tape<T> tape_;
};

/// Coupled policy gradients (RL-B).
template <class E, class Forward, class Backward, class Value, class BackwardValue, class RewardBack = BackwardReward>
auto coupled_trainer(const E& env, Forward& forward, Backward& backward, Value& critic, BackwardValue& backward_critic,
                     const CoupledOptions& options = {}, RewardBack backward_reward = {}) {
  using T = typename Forward::Scalar;
  return CoupledTrainer<E, Forward, Backward, Value, BackwardValue, ForwardReward, RewardBack>(
      env, forward, backward, critic, backward_critic,
      ForwardReward{.log_reward_floor = options.forward.log_reward_floor}, std::move(backward_reward),
      AdamUpdate<T>(forward.parameters(), {.learning_rate = options.forward.learning_rate}),
      AdamUpdate<T>(backward.parameters(), {.learning_rate = options.backward.learning_rate}), options);
}

}  // namespace gfn
