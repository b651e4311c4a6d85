// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/nn/sgd.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/replay_guide.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/tabular.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/problems/sequence.hpp>
#include <gfn/rollout/trajectories.hpp>
#include <gfn/sampled/objects.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/munchausen_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>
#include <gfn/trainer/train.hpp>

#include "catch.hpp"
#include "messages.hpp"

// Components that do not belong together are refused, in a sentence that names both sides.

namespace {

using gfn::HyperGrid;
using Network = gfn::NeuralFunction<double>;
using Trajectories = std::vector<std::vector<gfn::Action>>;

const gfn::MlpOptions small{.hidden = {8}};

struct Networks {
  explicit Networks(const HyperGrid& env)
      : forward(gfn::mlp_policy<double>(env, small, random)),
        backward(gfn::mlp_backward<double>(env, small, random)),
        value(gfn::mlp_value<double>(env, small, random)),
        backward_value(gfn::mlp_value<double>(env, small, random)),
        flow(gfn::mlp_flow<double>(env, small, random)) {}
  gfn::Random random{1};
  Network forward, backward, value, backward_value, flow;
};

template <class F>
std::string refusal(const F& f) {
  return message_of<std::invalid_argument>(f);
}

}  // namespace

TEST_CASE("networks made for another grid are refused, wherever they are used") {
  const HyperGrid env{{.dimension = 2, .side = 16}}, other{{.dimension = 2, .side = 8}};
  Networks n(env), foreign(other);
  gfn::UniformPolicy uniform;
  const auto both = [](const std::string& message) {
    return contains(message, "16 features") && contains(message, "32");
  };
  CHECK(both(refusal([&] { gfn::trajectory_balance_trainer(env, foreign.forward, uniform); })));
  CHECK(both(refusal([&] { gfn::trajectory_balance_trainer(env, n.forward, foreign.backward); })));
  CHECK(both(refusal([&] { gfn::objective_trainer(env, gfn::DetailedBalance{}, n.forward, uniform, foreign.flow); })));
  CHECK(both(refusal([&] { gfn::policy_gradient_trainer(env, n.forward, uniform, foreign.value); })));
  CHECK(both(refusal([&] { gfn::coupled_trainer(env, n.forward, n.backward, n.value, foreign.backward_value); })));
  CHECK(both(refusal([&] { gfn::munchausen_trainer(env, foreign.forward, foreign.flow); })));
  const gfn::exact::StateGraph<HyperGrid> graph(env);
  CHECK(both(refusal([&] { static_cast<void>(gfn::exact::terminating_distribution(graph, foreign.forward)); })));
  CHECK(both(refusal([&] { static_cast<void>(gfn::exact::state_values(graph, foreign.value)); })));
  CHECK(both(refusal([&] { static_cast<void>(gfn::sampled::sample_objects(env, foreign.forward, 5, n.random)); })));
  // on a table of states
  gfn::StateTable<HyperGrid> table(env);
  table.find_or_add(env.initial_state());
  const int row = 0;
  CHECK(both(refusal([&] { foreign.value.extend(table.block({&row, 1})); })));
  gfn::PolicyEvaluation<double, Network, HyperGrid> evaluation(foreign.forward, other, gfn::Direction::forward);
  CHECK(both(refusal([&] { evaluation.evaluate(table); })));
  const HyperGrid deeper{{.dimension = 3, .side = 8}};
  const gfn::StateTable<HyperGrid> others(deeper);
  CHECK(refusal([&] { evaluation.evaluate(others); }) ==
        "the forward policy has 3 outputs, the states of the table have 4 forward choices (the exit included)");
}

TEST_CASE("a flow and a critic have one output, and no parameters of another optimiser") {
  const HyperGrid env{{.dimension = 2, .side = 8}};
  Networks n(env);
  gfn::UniformPolicy uniform;
  auto many = gfn::mlp_policy<double>(env, small, n.random);
  CHECK(refusal([&] { gfn::objective_trainer(env, gfn::SubtrajectoryBalance{}, n.forward, uniform, many); }) ==
        "the state flow has 3 outputs, 1 is needed");
  CHECK(contains(refusal([&] { gfn::policy_gradient_trainer(env, n.forward, uniform, many); }), "3 outputs, 1 is"));
  CHECK(contains(refusal([&] { gfn::coupled_trainer(env, n.forward, n.backward, n.value, many); }), "3 outputs, 1"));
  // shared parameters
  CHECK(contains(refusal([&] { gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.value); }),
                 "the value functions of both directions must not share parameters"));
  auto trunk = gfn::mlp_trunk<double>(env, small, n.random);
  auto head = gfn::backward_policy_head(env, trunk);
  auto value_head = gfn::scalar_head(trunk);
  CHECK(contains(refusal([&] { gfn::policy_gradient_trainer(env, n.forward, head, value_head); }),
                 "the backward policy and the value function must not share parameters"));
  auto forward_trunk = gfn::mlp_trunk<double>(env, small, n.random);
  auto forward = gfn::policy_head(env, forward_trunk);
  auto backward_critic = gfn::scalar_head(forward_trunk);
  CHECK(contains(refusal([&] { gfn::coupled_trainer(env, forward, n.backward, n.value, backward_critic); }),
                 "the forward policy and the backward value function must not share parameters"));
  const gfn::AppendSequence words({.length = 2, .alphabet_size = 2}, [](std::span<const gfn::Symbol>) { return 0.0; });
  auto policy = gfn::mlp_policy<double>(words, small, n.random);
  auto back = gfn::mlp_backward<double>(words, small, n.random);  // one output too
  CHECK(contains(refusal([&] { gfn::objective_trainer(words, gfn::DetailedBalance{}, policy, back, back); }),
                 "the state flow is one of the policies"));
}

TEST_CASE("a head that comes after an optimiser is refused") {
  const HyperGrid env{{.dimension = 2, .side = 8}};
  gfn::Random random{1};
  gfn::UniformPolicy uniform;
  const auto late = [&](const auto& make_optimiser) {
    auto trunk = gfn::mlp_trunk<double>(env, small, random);
    auto forward = gfn::policy_head(env, trunk);
    return refusal([&] {
      [[maybe_unused]] auto optimiser = make_optimiser(forward);
      auto head = gfn::scalar_head(trunk);
    });
  };
  const char* expected = "block 'value weights' comes too late";
  CHECK(
      contains(late([&](auto& f) { return gfn::trajectory_balance_trainer(env, f, uniform).iteration(); }), expected));
  CHECK(contains(late([](auto& f) {
                   gfn::Sgd<double> sgd;
                   sgd.add(f.parameters());
                   return sgd;
                 }),
                 expected));
  CHECK(contains(late([](auto& f) { return gfn::TrustRegionUpdate<double>(f.parameters(), {}); }), expected));
}

TEST_CASE("a batch of another environment, or of no trajectories, is refused") {
  const HyperGrid env{{.dimension = 2, .side = 8}}, copy = env;
  Networks n(env);
  gfn::UniformPolicy uniform;
  auto of_copy = gfn::batch_from_trajectories(copy, Trajectories{{2}});
  auto empty = gfn::batch_from_trajectories(env, Trajectories{});
  const auto check = [&](const auto& use) {
    CHECK(contains(refusal([&] { use(of_copy); }), "made for another environment than the trainer's"));
    CHECK(contains(refusal([&] { use(empty); }), "a batch of no trajectories"));
  };
  auto balance = gfn::trajectory_balance_trainer(env, n.forward, uniform);
  auto subtrajectory = gfn::objective_trainer(env, gfn::SubtrajectoryBalance{}, n.forward, uniform, n.flow);
  auto coupled = gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value);
  check([&](auto& batch) { balance.update(batch); });
  check([&](auto& batch) { balance.gradient(batch); });
  check([&](auto& batch) { subtrajectory.update(batch); });
  check([&](auto& batch) { coupled.gradient(batch); });
  check([&](auto& batch) { coupled.backward_gradient(batch); });
}

TEST_CASE("policy gradients refuse batches that their policy did not draw, as it is now") {
  const HyperGrid env{{.dimension = 2, .side = 8}};
  Networks n(env), others(env);
  gfn::UniformPolicy uniform;
  auto trainer = gfn::policy_gradient_trainer(env, n.forward, uniform, n.value);
  const auto drawn_by = [&](auto& policy) {
    gfn::Batch<HyperGrid> batch(env);
    gfn::PolicyEvaluation<double, std::remove_reference_t<decltype(policy)>, HyperGrid> evaluation(
        policy, env, gfn::Direction::forward, gfn::Sampling::yes);
    gfn::ForwardSampler<HyperGrid>(env).sample(batch, evaluation, 4, n.random, 0);
    return batch;
  };
  const char* expected = "was not drawn from the forward policy as it is now";
  auto own = drawn_by(n.forward), foreign = drawn_by(others.forward), by_uniform = drawn_by(uniform);
  CHECK(own.on_policy(n.forward));
  CHECK(foreign.on_policy());
  CHECK_FALSE(foreign.on_policy(n.forward));
  CHECK(by_uniform.on_policy(uniform));
  trainer.gradient(own);
  CHECK(contains(refusal([&] { trainer.gradient(foreign); }), expected));
  CHECK(contains(refusal([&] { trainer.gradient(by_uniform); }), expected));
  auto data = gfn::batch_from_trajectories(env, Trajectories{{0, 2}, {1, 2}});
  CHECK(contains(refusal([&] { trainer.gradient(data); }), expected));
  data.assume_on_policy(n.forward);
  trainer.gradient(data);
  // once the policy has moved, its batches are old
  n.forward.parameters().modify() *= 1.5;
  CHECK(contains(refusal([&] { trainer.gradient(own); }), expected));
  CHECK(contains(refusal([&] { trainer.gradient(data); }), expected));
  // backward walks
  auto coupled = gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value);
  coupled.step(n.random, 4);
  auto walks = coupled.backward_batch();
  CHECK(contains(refusal([&] { coupled.backward_gradient(walks); }), "was not walked back by the backward policy"));
  walks.assume_walked_back_by(n.backward);
  coupled.backward_gradient(walks);
}

TEST_CASE("a guide of another environment is refused") {
  const HyperGrid env{{.dimension = 2, .side = 8}}, other{{.dimension = 2, .side = 8}};
  Networks n(env);
  auto guide = gfn::discouraged_exit(other);
  auto below = gfn::discouraged_exit_below(other, 0.0);
  const auto make = [&](auto& g) {
    gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value, {}, gfn::GuidedBackwardReward(g));
  };
  CHECK(contains(refusal([&] { make(guide); }), "the guide was made for another environment"));
  CHECK(contains(refusal([&] { make(below); }), "the guide was made for another environment"));
}

TEST_CASE("parameters take over others of the same shapes alone, and forget no version") {
  const HyperGrid env{{.dimension = 2, .side = 4}};
  gfn::Random random{1};
  auto f = gfn::mlp_value<double>(env, small, random);
  auto wider = gfn::mlp_value<double>(env, {.hidden = {9}}, random);
  gfn::StateTable<HyperGrid> table(env);
  table.find_or_add(env.initial_state());
  const int row = 0;
  const auto value = [&] {
    f.extend(table.block({&row, 1}));
    return *f.output(0);
  };
  const double first = value();
  const auto saved = f.parameters();
  f.parameters().modify() *= 2;
  const double second = value();
  f.parameters() = saved;
  CHECK(value() == first);
  f.parameters().modify() *= 3;  // the second change from the same beginning
  CHECK(value() != first);
  CHECK(value() != second);
  CHECK(
      contains(refusal([&] { f.parameters() = wider.parameters(); }), "'hidden 1 weights' is 8 x 8 here, 8 x 9 there"));
}

TEST_CASE("named options and temporaries of uniform policies are taken as they come") {
  const HyperGrid env{{.dimension = 2, .side = 4}};
  Networks n(env);
  gfn::ObjectiveTrainerOptions objective_options;
  gfn::PolicyGradientOptions gradient_options{.baseline = gfn::Baseline::off};
  gfn::CoupledOptions coupled_options;
  gfn::TrustRegionOptions region;
  gfn::CoupledTrustRegionOptions regions;
  gfn::MunchausenOptions munchausen_options;
  gfn::TrainOptions train_options{.iterations = 2, .batch = 4};
  const auto works = [&](auto&& trainer) {
    gfn::train(trainer, train_options, n.random);
    CHECK(trainer.iteration() == 2);
  };
  works(gfn::trajectory_balance_trainer(env, n.forward, gfn::UniformPolicy{}, objective_options));
  works(
      gfn::objective_trainer(env, gfn::TrajectoryBalance{}, n.forward, gfn::uniform_backward(env), objective_options));
  works(gfn::objective_trainer(env, gfn::DetailedBalance{}, n.forward, n.backward, n.flow, objective_options));
  works(gfn::policy_gradient_trainer(env, n.forward, gfn::UniformPolicy{}, gradient_options));
  works(gfn::policy_gradient_trainer(env, n.forward, n.backward, n.value, gradient_options));
  works(gfn::trust_region_trainer(env, n.forward, n.backward, n.value, gradient_options, region));
  works(gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value, coupled_options));
  works(gfn::coupled_trust_region_trainer(env, n.forward, n.backward, n.value, n.backward_value, coupled_options,
                                          regions));
  auto target = gfn::mlp_policy<double>(env, small, n.random);
  works(gfn::munchausen_trainer(env, n.forward, target, munchausen_options));
}

TEST_CASE("update and gradient train towards the power of the reward that step trains towards") {
  const HyperGrid env{{.dimension = 2, .side = 8}};
  const auto loss = [&](double start, double power) {
    Networks n(env);
    auto trainer = gfn::trajectory_balance_trainer(env, n.forward, gfn::UniformPolicy{},
                                                   {.reward_exponent = {.start = start, .iterations = 4}});
    auto data = gfn::batch_from_trajectories(env, Trajectories{{2}, {0, 2}, {1, 0, 2}});
    const double gradient = trainer.gradient(data);
    CHECK(data.reward_exponent() == power);
    return gradient;
  };
  CHECK(loss(0.1, 0.1) != loss(1, 1));
  Networks n(env);
  auto trainer = gfn::trajectory_balance_trainer(env, n.forward, gfn::UniformPolicy{},
                                                 {.reward_exponent = {.start = 0.2, .iterations = 4}});
  auto data = gfn::batch_from_trajectories(env, Trajectories{{2}, {0, 2}});
  for (const double power : {0.2, 0.4, 0.6, 0.8, 1.0, 1.0}) {
    trainer.update(data);
    CHECK(data.reward_exponent() == Approx(power));
  }
  // the guide learns from R itself
  const gfn::SlotSequence slots({.length = 2, .alphabet_size = 2},
                                [](std::span<const gfn::Symbol> x) { return 1.0 + x[0] + 2.0 * x[1]; });
  gfn::ReplayGuide guide(slots), plain(slots);
  auto batch = gfn::batch_from_trajectories(slots, Trajectories{{0, 1, 4}, {2, 3, 4}, {0, 3, 4}});
  batch.compute_rewards();
  plain.observe(batch);
  batch.set_reward_exponent(0.1);
  guide.observe(batch);
  for (int i = 0; i < 3; ++i) {
    auto pattern = slots.initial_state();
    pattern[0] = batch.terminal_state(i)[0];
    CHECK(guide.score(pattern, batch.terminal_state(i)) == plain.score(pattern, batch.terminal_state(i)));
  }
}

TEST_CASE("rewards that were not computed are no rewards") {
  const HyperGrid env{{.dimension = 2, .side = 8}};
  auto batch = gfn::batch_from_trajectories(env, Trajectories{{0, 2}});
  CHECK(message_of<gfn::Error>([&] { static_cast<void>(batch.log_reward(0)); }) ==
        "the log-reward of the state (1, 0) has not been computed: Batch::compute_rewards() comes first");
  batch.compute_rewards();
  CHECK(batch.log_reward(0) == env.log_reward(batch.terminal_state(0)));
}
