// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include <gfn/gfn.hpp>

#include "training_options.hpp"

namespace examples {

/// What stands for the guide of an environment that has none.
struct NoGuide {};

/// Makes the networks and the trainer of a method, and calls use(trainer, forward policy). `make_guide` gives the guide
/// of rl-g.
template <class E, class MakeGuide, class Use>
void with_trainer(const E& env, const TrainingOptions& o, gfn::Random& random, MakeGuide&& make_guide, Use&& use) {
  using T = float;
  const gfn::MlpOptions policy{.hidden = parse_widths("--hidden", o.hidden)};
  const gfn::MlpOptions critic{.hidden = parse_widths("--critic-hidden", o.critic_hidden)};
  const gfn::RewardExponent exponent{.start = o.anneal_from,
                                     .iterations = static_cast<std::uint64_t>(o.anneal_iterations)};
  const gfn::ObjectiveTrainerOptions balance{.learning_rate = o.learning_rate,
                                             .log_z_rate = o.log_z_rate,
                                             .exploration = {.start = o.epsilon, .decay = o.epsilon_decay},
                                             .reward_exponent = exponent};
  const gfn::PolicyGradientOptions gradient{.baseline = parse_baseline(o.baseline),
                                            .lambda = o.lambda,
                                            .learning_rate = o.learning_rate,
                                            .log_z_rate = o.log_z_rate,
                                            .critic_rate = o.critic_rate,
                                            .reward_exponent = exponent};
  const double backward_rate = o.backward_learning_rate < 0 ? o.learning_rate : o.backward_learning_rate;

  auto forward = gfn::mlp_policy<T>(env, policy, random);
  const auto by_objective = [&](const auto& objective, auto& backward, auto&... flow) {
    auto trainer = gfn::objective_trainer(env, objective, forward, backward, flow..., balance);
    use(trainer, forward);
  };
  const auto with_backward = [&](const auto& next) {
    if (o.method.ends_with("-b")) {
      auto backward = o.shared_trunk ? gfn::backward_policy_head(env, forward.network())
                                     : gfn::mlp_backward<T>(env, policy, random);
      next(backward);
    } else {
      auto backward = gfn::uniform_backward(env);
      next(backward);
    }
  };
  const auto by_flow = [&](const auto& objective) {
    with_backward([&](auto& backward) {
      auto flow = gfn::mlp_flow<T>(env, policy, random);
      by_objective(objective, backward, flow);
    });
  };
  const auto coupled = [&](const auto& backward_reward) {
    auto backward = gfn::mlp_backward<T>(env, policy, random);
    auto value = gfn::mlp_value<T>(env, critic, random);
    auto backward_value = gfn::mlp_value<T>(env, critic, random);
    auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value,
                                        {.forward = gradient,
                                         .backward = {.loss = parse_backward_loss(o.backward_loss),
                                                      .learning_rate = backward_rate,
                                                      .critic_rate = o.critic_rate}},
                                        backward_reward);
    use(trainer, forward);
  };

  if (o.method.starts_with("tb-")) {
    with_backward([&](auto& backward) { by_objective(gfn::TrajectoryBalance{}, backward); });
  } else if (o.method.starts_with("db-")) {
    by_flow(gfn::DetailedBalance{});
  } else if (o.method.starts_with("subtb-")) {
    by_flow(gfn::SubtrajectoryBalance{.lambda = o.lambda});
  } else if (o.method == "fm") {
    auto backward = gfn::uniform_backward(env);
    by_objective(gfn::FlowMatching(), backward);
  } else if (o.method == "rl-u") {
    auto backward = gfn::uniform_backward(env);
    auto value = gfn::mlp_value<T>(env, critic, random);
    auto trainer = gfn::policy_gradient_trainer(env, forward, backward, value, gradient);
    use(trainer, forward);
  } else if (o.method == "rl-t") {
    auto backward = gfn::uniform_backward(env);
    auto value = gfn::mlp_value<T>(env, critic, random);
    auto trainer = gfn::trust_region_trainer(env, forward, backward, value, gradient, {.max_kl = o.max_kl});
    use(trainer, forward);
  } else if (o.method == "rl-b") {
    coupled(gfn::BackwardReward{});
  } else if (o.method == "rl-g") {
    auto guide = make_guide(env);
    if constexpr (std::is_same_v<decltype(guide), NoGuide>)
      gfn::fail("--method rl-g: this environment has no guide");
    else
      coupled(gfn::GuidedBackwardReward(guide));
  } else if (o.method == "q-much") {
    auto target = gfn::mlp_policy<T>(env, policy, random);
    auto trainer = gfn::munchausen_trainer(env, forward, target,
                                           {.learning_rate = o.learning_rate, .exploration = balance.exploration});
    use(trainer, forward);
  }
}

}  // namespace examples
