// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/gfn.hpp>

#include "training_options.hpp"

namespace examples {

/// Makes the networks and the trainer of a method, and calls use(trainer, forward policy).
template <class E, class Use>
void with_trainer(const E& env, const TrainingOptions& o, gfn::Random& random, Use&& use) {
  using T = float;
  const gfn::MlpOptions policy{.hidden = parse_widths("--hidden", o.hidden)};
  const gfn::MlpOptions critic{.hidden = parse_widths("--critic-hidden", o.critic_hidden)};
  const gfn::ObjectiveTrainerOptions balance{.learning_rate = o.learning_rate,
                                             .log_z_rate = o.log_z_rate,
                                             .exploration = {.start = o.epsilon, .decay = o.epsilon_decay}};
  const gfn::PolicyGradientOptions gradient{
      .lambda = o.lambda, .learning_rate = o.learning_rate, .log_z_rate = o.log_z_rate, .critic_rate = o.critic_rate};
  const gfn::BackwardGradientOptions backward_gradient{.learning_rate = o.learning_rate, .critic_rate = o.critic_rate};

  auto forward = gfn::mlp_policy<T>(env, policy, random);
  if (o.method == "tb-u") {
    auto backward = gfn::uniform_backward(env);
    auto trainer = gfn::trajectory_balance_trainer(env, forward, backward, balance);
    use(trainer, forward);
  } else if (o.method == "tb-b") {
    auto backward = gfn::mlp_backward<T>(env, policy, random);
    auto trainer = gfn::trajectory_balance_trainer(env, forward, backward, balance);
    use(trainer, forward);
  } else if (o.method == "rl-u") {
    auto backward = gfn::uniform_backward(env);
    auto value = gfn::mlp_value<T>(env, critic, random);
    auto trainer = gfn::policy_gradient_trainer(env, forward, backward, value, gradient);
    use(trainer, forward);
  } else if (o.method == "rl-b") {
    auto backward = gfn::mlp_backward<T>(env, policy, random);
    auto value = gfn::mlp_value<T>(env, critic, random);
    auto backward_value = gfn::mlp_value<T>(env, critic, random);
    auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value,
                                        {.forward = gradient, .backward = backward_gradient});
    use(trainer, forward);
  }
}

}  // namespace examples
