// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <gfn/gfn.hpp>

#include "scenario.hpp"

namespace training_step {

/// All that the methods train, and the guide of rl-g (gfn::Absent where there is none).
template <class E, class Guide>
struct Networks {
  template <class MakeGuide>
  Networks(const E& environment, const MakeGuide& make_guide, const NetworkOptions& options, gfn::Random& random)
      : env(environment),
        guide(make_guide(environment)),
        forward(gfn::mlp_policy<float>(env, {.hidden = options.policy}, random)),
        backward(gfn::mlp_backward<float>(env, {.hidden = options.policy}, random)),
        value(gfn::mlp_value<float>(env, {.hidden = options.critic}, random)),
        backward_value(gfn::mlp_value<float>(env, {.hidden = options.critic}, random)),
        flow(gfn::mlp_flow<float>(env, {.hidden = options.policy}, random)),
        target(gfn::mlp_policy<float>(env, {.hidden = options.policy}, random)) {}

  const E& env;
  Guide guide;
  gfn::UniformPolicy uniform;
  gfn::NeuralFunction<float> forward, backward, value, backward_value, flow, target;
};

// --- useful work in dense layers ---

/// Multiplications in the dense layers for one row: the first layer is sparse, and each layer is weights and biases.
inline double multiplications(const gfn::NeuralFunction<float>& function) {
  const auto& blocks = function.parameters().blocks();
  double count = 0;
  for (std::size_t i = 2; i < blocks.size(); i += 2) count += static_cast<double>(blocks[i].shape.size());
  return count;
}
/// Useful floating-point operations of a network that is evaluated at so many rows,
inline double evaluated(const gfn::NeuralFunction<float>& function, int rows) {
  return 2 * multiplications(function) * rows;
}
/// and of one that is then differentiated too.
inline double trained(const gfn::NeuralFunction<float>& function, int rows) {
  return 6 * multiplications(function) * rows;
}

/// The distinct states of a batch,
template <class E>
int states(const gfn::Batch<E>& batch) {
  return batch.table().rows();
}
/// and those with a choice among forward or backward actions, at which the policies are asked.
template <class E>
int choices(const gfn::Batch<E>& batch) {
  int count = 0;
  for (int row = 0; row < states(batch); ++row) count += batch.table().forward_choices(row) > 1 ? 1 : 0;
  return count;
}
template <class E>
int ways_back(const gfn::Batch<E>& batch) {
  int count = 0;
  for (int row = 0; row < states(batch); ++row) count += batch.table().backward_choices(row) > 1 ? 1 : 0;
  return count;
}

/// The work of a forward policy, and of both policies, where all are trained on the same batch; and of all networks in
/// coupled training.
template <class N, class E>
double policy_flop(const N& n, const gfn::Batch<E>& batch) {
  return trained(n.forward, choices(batch));
}
template <class N, class E>
double policies_flop(const N& n, const gfn::Batch<E>& batch) {
  return policy_flop(n, batch) + trained(n.backward, ways_back(batch));
}
template <class N, class E>
double coupled_flop(const N& n, const gfn::Batch<E>& ahead, const gfn::Batch<E>& back) {
  return trained(n.forward, choices(ahead)) + evaluated(n.backward, ways_back(ahead)) +
         trained(n.value, states(ahead)) + evaluated(n.forward, choices(back)) + trained(n.backward, ways_back(back)) +
         trained(n.backward_value, states(back));
}

// --- the methods ---

/// A training whose trainer make(networks) gives; flop(networks, trainer) counts the work of its last step.
template <class N, class Make, class Flop>
class TrainingBy : public Training {
 public:
  template <class MakeNetworks>
  TrainingBy(const MakeNetworks& make_networks, const Make& make, const Flop& flop)
      : networks_(make_networks()), trainer_(make(networks_)), flop_(flop) {}

  gfn::IterationReport step(const gfn::Random& random, int batch) override { return trainer_.step(random, batch); }
  double flop() const override { return flop_(networks_, trainer_); }
  gfn::PhaseSeconds seconds() const override { return trainer_.seconds(); }

 private:
  N networks_;
  std::invoke_result_t<const Make&, N&> trainer_;
  Flop flop_;
};

/// Begins a training by the method of that name; null where the environment has no such method: mdb-* need states that
/// can all exit, and rl-g a guide.
template <class E, class MakeGuide>
std::unique_ptr<Training> begin(const std::string& method, const E& env, const MakeGuide& make_guide,
                                const NetworkOptions& options, gfn::Random& random) {
  using Guide = std::invoke_result_t<const MakeGuide&, const E&>;
  using N = Networks<E, Guide>;
  const auto by = [&]<class Make, class Flop>(const Make& make, const Flop& flop) -> std::unique_ptr<Training> {
    return std::make_unique<TrainingBy<N, Make, Flop>>([&] { return N(env, make_guide, options, random); }, make, flop);
  };
  const auto policy = [](const N& n, const auto& t) { return policy_flop(n, t.batch()); };
  const auto policies = [](const N& n, const auto& t) { return policies_flop(n, t.batch()); };
  const auto policy_and_flow = [](const N& n, const auto& t) {
    return policy_flop(n, t.batch()) + trained(n.flow, states(t.batch()));
  };
  const auto policies_and_flow = [](const N& n, const auto& t) {
    return policies_flop(n, t.batch()) + trained(n.flow, states(t.batch()));
  };
  const auto coupled = [](const N& n, const auto& t) { return coupled_flop(n, t.batch(), t.backward_batch()); };

  if (method == "tb-u")
    return by([](N& n) { return gfn::trajectory_balance_trainer(n.env, n.forward, n.uniform); }, policy);
  if (method == "tb-b")
    return by([](N& n) { return gfn::trajectory_balance_trainer(n.env, n.forward, n.backward); }, policies);
  if (method == "db-u")
    return by([](N& n) { return gfn::objective_trainer(n.env, gfn::DetailedBalance{}, n.forward, n.uniform, n.flow); },
              policy_and_flow);
  if (method == "db-b")
    return by([](N& n) { return gfn::objective_trainer(n.env, gfn::DetailedBalance{}, n.forward, n.backward, n.flow); },
              policies_and_flow);
  if (method == "subtb-u")
    return by(
        [](N& n) { return gfn::objective_trainer(n.env, gfn::SubtrajectoryBalance{}, n.forward, n.uniform, n.flow); },
        policy_and_flow);
  if (method == "subtb-b")
    return by(
        [](N& n) { return gfn::objective_trainer(n.env, gfn::SubtrajectoryBalance{}, n.forward, n.backward, n.flow); },
        policies_and_flow);
  if (method.starts_with("mdb-") && !env.can_exit(env.initial_state())) return nullptr;
  if (method == "mdb-u")
    return by([](N& n) { return gfn::objective_trainer(n.env, gfn::ModifiedDetailedBalance{}, n.forward, n.uniform); },
              policy);
  if (method == "mdb-b")
    return by([](N& n) { return gfn::objective_trainer(n.env, gfn::ModifiedDetailedBalance{}, n.forward, n.backward); },
              policies);
  if (method == "fm")
    return by([](N& n) { return gfn::objective_trainer(n.env, gfn::FlowMatching{}, n.forward, n.uniform); },
              [](const N& n, const auto& t) { return trained(n.forward, states(t.batch())); });
  if (method == "rl-u")
    return by(
        [](N& n) { return gfn::policy_gradient_trainer(n.env, n.forward, n.uniform, n.value); },
        [](const N& n, const auto& t) { return policy_flop(n, t.batch()) + trained(n.value, states(t.batch())); });
  if (method == "rl-t")
    return by([](N& n) { return gfn::trust_region_trainer(n.env, n.forward, n.uniform, n.value); },
              [](const N& n, const auto& t) {
                const gfn::TrustRegionReport& update = t.update().report();
                const int again = 4 * update.conjugate_gradient.iterations + update.trials;  // forward passes' worth
                return policy_flop(n, t.batch()) + again * evaluated(n.forward, choices(t.batch())) +
                       trained(n.value, states(t.batch()));
              });
  if (method == "rl-b")
    return by([](N& n) { return gfn::coupled_trainer(n.env, n.forward, n.backward, n.value, n.backward_value); },
              coupled);
  if (method == "rl-g") {
    if constexpr (std::is_same_v<Guide, gfn::Absent>)
      return nullptr;
    else
      return by(
          [](N& n) {
            return gfn::coupled_trainer(n.env, n.forward, n.backward, n.value, n.backward_value, {},
                                        gfn::GuidedBackwardReward(n.guide));
          },
          coupled);
  }
  if (method == "q-much")  // which of the transitions drawn from the buffer are of the same state, nobody tells
    return by([](N& n) { return gfn::munchausen_trainer(n.env, n.forward, n.target); },
              [](const N&, const auto&) { return std::numeric_limits<double>::quiet_NaN(); });
  gfn::fail("there is no method '", method, "'");
}

/// A scenario of the environment that make_env() gives; make_guide(env) gives the guide of rl-g, or gfn::Absent.
template <class MakeEnv, class MakeGuide>
Scenario make_scenario(const std::string& name, int batch, int iterations, MakeEnv make_env, MakeGuide make_guide) {
  return {name, batch, iterations, [make_env, make_guide]() -> Begin {
            const auto env = std::make_shared<const std::invoke_result_t<MakeEnv&>>(make_env());
            return [env, make_guide](const std::string& method, const NetworkOptions& options, gfn::Random& random) {
              return begin(method, *env, make_guide, options, random);
            };
          }};
}

}  // namespace training_step
