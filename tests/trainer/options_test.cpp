// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <gfn/gfn.hpp>

#include "catch.hpp"
#include "messages.hpp"
#include "tabular.hpp"

// What the trainers offer beside the paper's defaults, and what they refuse.

namespace {

using gfn::HyperGrid;
using gfn::exact::StateGraph;

HyperGrid grid(int side = 3) { return HyperGrid{{.dimension = 2, .side = side}}; }

/// Both policies and all functions of a graph, with random entries.
struct Tables {
  explicit Tables(const StateGraph<HyperGrid>& graph)
      : forward(tabular::random_forward(graph, 1)),
        backward(tabular::random_backward(graph, 2)),
        value(tabular::random_value(graph, 3)),
        backward_value(tabular::random_value(graph, 4)) {}
  gfn::TabularFunction<double, HyperGrid> forward, backward, value, backward_value;
};

}  // namespace

TEST_CASE("the squared loss of the backward policy has the expected gradient of its policy gradient") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  const auto expected = [&](const gfn::BackwardGradientOptions& options) {
    auto trainer = gfn::coupled_trainer(env, t.forward, t.backward, t.value, t.backward_value, {.backward = options});
    return gfn::exact::expected_backward_gradient(
        graph, t.forward, t.backward, {}, [&](auto& batch) { trainer.backward_gradient(batch); },
        t.backward.parameters());
  };
  const auto squared = expected({.loss = gfn::BackwardLoss::squared});
  const auto gradient = expected({.baseline = gfn::Baseline::off, .center = false});
  CHECK(gradient.mean.norm() > 0.1);
  CHECK((squared.mean - gradient.mean).norm() < 1e-12);
  CHECK(squared.covariance.trace() > gradient.covariance.trace());
}

TEST_CASE("the squared loss of a backward walk is half the square of trajectory balance's deviation") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  const auto trajectories = gfn::exact::all_trajectories(graph);
  auto batch = gfn::batch_from_trajectories(env, trajectories);
  auto coupled =
      gfn::coupled_trainer(env, t.forward, t.backward, t.value, t.backward_value,
                           {.forward = {.initial_log_z = 0.7}, .backward = {.loss = gfn::BackwardLoss::squared}});
  batch.assume_walked_back_by(t.backward);
  coupled.backward_gradient(batch);
  const gfn::Vector<double> gradient = t.backward.parameters().grad();
  t.backward.parameters().zero_grad();
  auto balance = gfn::trajectory_balance_trainer(env, t.forward, t.backward, {.initial_log_z = 0.7});
  balance.gradient(batch);
  CHECK((2 * gradient - t.backward.parameters().grad()).cwiseAbs().maxCoeff() < 1e-12);
}

TEST_CASE("without a value function policy gradients have the other baselines") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  for (const auto baseline : {gfn::Baseline::off, gfn::Baseline::constant}) {
    Tables with(graph), without(graph);
    auto uniform = gfn::uniform_backward(env);
    auto a = gfn::policy_gradient_trainer(env, with.forward, uniform, with.value, {.baseline = baseline});
    auto b = gfn::policy_gradient_trainer(env, without.forward, uniform, {.baseline = baseline});
    const gfn::Matrix<double> before = with.value.table();
    for (int i = 0; i < 3; ++i) {
      a.step(gfn::Random{1}, 8);
      b.step(gfn::Random{1}, 8);
    }
    CHECK(with.forward.table() == without.forward.table());
    CHECK(with.value.table() == before);  // a value function that is not asked for is not trained
  }
  Tables t(graph);
  auto uniform = gfn::uniform_backward(env);
  CHECK(contains(message_of([&] { gfn::policy_gradient_trainer(env, t.forward, uniform, {}); }), "needs a value"));
}

namespace {

/// R_F twice over.
struct TwiceForwardReward {
  template <class Input>
  void operator()(const Input& input, std::span<double> cost) const {
    gfn::ForwardReward{}(input, cost);
    for (double& c : cost) c *= 2;
  }
};

}  // namespace

TEST_CASE("a policy-dependent reward of one's own takes the place of the method's") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  const auto trajectories = gfn::exact::all_trajectories(graph);
  auto batch = gfn::batch_from_trajectories(env, trajectories);
  const gfn::PolicyGradientOptions options{.baseline = gfn::Baseline::off};
  const auto gradient = [&](auto&& trainer) {
    t.forward.parameters().zero_grad();
    batch.assume_on_policy(t.forward);
    trainer.gradient(batch);
    return gfn::Vector<double>(t.forward.parameters().grad());
  };
  const auto once = gradient(gfn::policy_gradient_trainer(env, t.forward, t.backward, t.value, options));
  const auto twice =
      gradient(gfn::policy_gradient_trainer(env, t.forward, t.backward, t.value, options, TwiceForwardReward{}));
  const auto coupled =
      gradient(gfn::coupled_trainer(env, t.forward, t.backward, t.value, t.backward_value, {.forward = options},
                                    gfn::BackwardReward{}, TwiceForwardReward{}));
  CHECK(once.norm() > 0.1);
  CHECK((twice - 2 * once).norm() < 1e-12);
  CHECK((coupled - twice).norm() < 1e-12);
}

TEST_CASE("an annealed reward starts at a power, and ends as it is") {
  const gfn::RewardExponent exponent{.start = 0.2, .iterations = 4};
  CHECK(exponent.at(0) == Approx(0.2));
  CHECK(exponent.at(1) == Approx(0.4));
  CHECK(exponent.at(4) == 1);
  CHECK(exponent.at(1000) == 1);
  CHECK(gfn::RewardExponent{}.at(0) == 1);
  CHECK_THROWS_AS((gfn::RewardExponent{.start = 0, .iterations = 4}.check()), std::invalid_argument);
  CHECK_THROWS_AS((gfn::RewardExponent{.start = 1.5, .iterations = 4}.check()), std::invalid_argument);

  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  auto uniform = gfn::uniform_backward(env);
  const auto check = [&](auto&& trainer) {
    for (int i = 0; i < 6; ++i) {
      trainer.step(gfn::Random{1}, 5);
      const auto& batch = trainer.batch();
      for (int k = 0; k < batch.trajectories(); ++k)
        CHECK(batch.log_reward(k) ==
              Approx(exponent.at(static_cast<std::uint64_t>(i)) * env.log_reward(batch.terminal_state(k))));
    }
  };
  check(gfn::trajectory_balance_trainer(env, t.forward, uniform, {.reward_exponent = exponent}));
  check(gfn::policy_gradient_trainer(env, t.forward, uniform, t.value, {.reward_exponent = exponent}));

  // the walks back are weighed by the same reward
  auto coupled = gfn::coupled_trainer(
      env, t.forward, t.backward, t.value, t.backward_value,
      {.forward = {.reward_exponent = exponent}, .backward = {.loss = gfn::BackwardLoss::squared}});
  coupled.step(gfn::Random{1}, 5);
  const auto& back = coupled.backward_batch();
  for (int k = 0; k < back.trajectories(); ++k)
    CHECK(back.log_reward(k) == Approx(0.2 * env.log_reward(back.terminal_state(k))));
}

TEST_CASE("a balance objective makes steps on trajectories from anywhere, policy gradients only on their own") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  auto batch = gfn::batch_from_trajectories(env, gfn::exact::all_trajectories(graph));
  auto balance = gfn::trajectory_balance_trainer(env, t.forward, t.backward, {.learning_rate = 0.05});
  const double first = balance.update(batch);
  double last = first;
  for (int i = 0; i < 300; ++i) last = balance.update(batch);
  CHECK(balance.iteration() == 301);
  CHECK(first > 1);
  CHECK(last < 1e-3);  // every trajectory in balance
  const auto learned = gfn::exact::terminating_distribution(graph, t.forward);
  CHECK(gfn::total_variation(learned, gfn::exact::target_distribution(graph)) < 0.02);

  gfn::Batch<HyperGrid> explored(env);
  gfn::ForwardSampler<HyperGrid> sampler(env);
  gfn::PolicyEvaluation<double, gfn::TabularFunction<double, HyperGrid>, HyperGrid> policy(
      t.forward, env, gfn::Direction::forward, gfn::Sampling::yes);
  sampler.sample(explored, policy, 4, gfn::Random{1}, 0, {.epsilon = 0.1});
  auto gradient = gfn::policy_gradient_trainer(env, t.forward, t.backward, t.value);
  CHECK(contains(message_of([&] { gradient.gradient(explored); }), "on-policy"));
  sampler.sample(explored, policy, 4, gfn::Random{1}, 0);
  gradient.gradient(explored);

  gfn::PolicyEvaluation<double, gfn::TabularFunction<double, HyperGrid>, HyperGrid> not_for_drawing(
      t.forward, env, gfn::Direction::forward);
  CHECK_THROWS_AS(sampler.sample(explored, not_for_drawing, 4, gfn::Random{1}, 0), std::invalid_argument);
}

namespace {

/// Adds the parents of all states to the batch, and reads the forward policy there.
struct ReadsAddedRows {
  int* added;
  template <class E>
  void prepare(gfn::Batch<E>& batch) const {
    const int rows = batch.table().rows();
    for (int row = 0; row < rows; ++row)
      for (gfn::Action b = 0; b < batch.table().num_backward(); ++b)
        if (batch.table().backward_mask(row)[static_cast<std::size_t>(b)])
          batch.table().find_or_add_changed(row, [&](auto& s) { batch.environment().undo(s, b); });
    *added += batch.table().rows() - rows;
  }
  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    double sum = 0;
    const auto& table = input.batch.table();
    for (int row = 0; row < table.rows(); ++row)
      for (gfn::Action a = 0; a < table.num_forward(); ++a)
        if (table.forward_mask(row)[static_cast<std::size_t>(a)])
          sum += std::exp(input.forward.log_probability(row, a));
    CHECK(sum == Approx(table.rows()));
    return gfn::TrajectoryBalance{}(tape, input);
  }
};

}  // namespace

TEST_CASE("the forward policy stands evaluated at the rows that an objective adds") {
  const HyperGrid env = grid(5);
  const StateGraph graph(env);
  Tables t(graph);
  int added = 0;
  auto trainer = gfn::objective_trainer(env, ReadsAddedRows{&added}, t.forward, t.backward);
  for (int i = 0; i < 10; ++i) trainer.step(gfn::Random{1}, 2);
  CHECK(added > 0);
}

TEST_CASE("a value function that overflows stops the training before anything is changed by it") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  for (int row = 0; row < graph.num_states(); ++row) t.value.modify()(row, 0) = 1e300;
  const gfn::Matrix<double> before = t.forward.table();
  auto trainer = gfn::policy_gradient_trainer(env, t.forward, t.backward, t.value);
  CHECK(contains(message_of([&] { trainer.step(gfn::Random{1}, 4); }), "the loss of the value function is"));
  CHECK(t.forward.table() == before);

  Tables b(graph);
  for (int row = 0; row < graph.num_states(); ++row) b.backward_value.modify()(row, 0) = 1e300;
  auto coupled = gfn::coupled_trainer(env, b.forward, b.backward, b.value, b.backward_value);
  CHECK(contains(message_of([&] { coupled.step(gfn::Random{1}, 16); }), "the loss of the backward value function is"));
}

TEST_CASE("functions that share parameters and have optimisers of their own are refused") {
  const HyperGrid env = grid();
  gfn::Random random{1};
  auto trunk = gfn::mlp_trunk<double>(env, {.hidden = {8}}, random);
  auto forward = gfn::policy_head(env, trunk);
  auto backward = gfn::backward_policy_head(env, trunk);
  auto value = gfn::scalar_head(trunk);
  auto other_backward = gfn::mlp_backward<double>(env, {.hidden = {8}}, random);
  auto other_value = gfn::mlp_value<double>(env, {.hidden = {8}}, random);
  CHECK(contains(message_of([&] { gfn::policy_gradient_trainer(env, forward, other_backward, value); }),
                 "must not share parameters"));
  CHECK(contains(message_of([&] { gfn::coupled_trainer(env, forward, backward, other_value, other_value); }),
                 "must not share parameters"));
}

TEST_CASE("no trainer makes a step on nothing") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  auto uniform = gfn::uniform_backward(env);
  auto target = tabular::random_forward(graph, 1);
  const auto refuses = [](auto&& trainer) {
    CHECK(contains(message_of([&] { trainer.step(gfn::Random{1}, 0); }), "a step on 0 trajectories"));
  };
  refuses(gfn::trajectory_balance_trainer(env, t.forward, uniform));
  refuses(gfn::objective_trainer(env, gfn::DetailedBalance{}, t.forward, uniform, t.value));
  refuses(gfn::policy_gradient_trainer(env, t.forward, uniform, t.value));
  refuses(gfn::coupled_trainer(env, t.forward, t.backward, t.value, t.backward_value));
  refuses(gfn::munchausen_trainer(env, t.forward, target));
}

TEST_CASE("both policies make steps inside trust regions, and the report tells what they were") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  Tables t(graph);
  auto trainer = gfn::coupled_trust_region_trainer(env, t.forward, t.backward, t.value, t.backward_value, {},
                                                   {.forward = {.max_kl = 0.02}, .backward = {.max_kl = 0.005}});
  for (int i = 0; i < 5; ++i) {
    const gfn::Matrix<double> before = t.backward.table();
    const auto report = trainer.step(gfn::Random{1}, 32);
    REQUIRE(trainer.update().report().accepted);
    CHECK(report.trust_region_step == trainer.update().report().step);
    CHECK(report.trust_region_kl > 0);
    CHECK(report.trust_region_kl <= 0.02);
    CHECK(report.expected_improvement > 0);
    REQUIRE(trainer.backward_update().report().accepted);
    CHECK(trainer.backward_update().report().kl <= 0.005);
    CHECK(t.backward.table() != before);
  }
}

namespace {

/// A line of three states that says of its undo what is not so.
struct WrongUndo {
  using State = int;
  bool wrong_back = false, wrong_forward = false;
  int initial_state() const { return 0; }
  int num_actions() const { return 2; }
  int num_features() const { return 3; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = s < 2; }
  bool can_exit(const State& s) const { return s > 0; }
  void apply(State& s, gfn::Action) const { ++s; }
  int num_backward_actions() const { return 2; }
  gfn::Action backward_action(const State&, gfn::Action) const { return wrong_back ? 1 : 0; }
  gfn::Action forward_action(const State&, gfn::Action) const { return wrong_forward ? 1 : 0; }
  void legal_undos(const State& s, gfn::Mask legal) const { legal[0] = s > 0; }
  void undo(State& s, gfn::Action) const { --s; }
  double log_reward(const State& s) const { return s; }
  void encode(const State& s, gfn::Features out) const { out.one(s); }
};

}  // namespace

TEST_CASE("an undo that is not the way back stops the rollout, and is named") {
  const auto train = [](const WrongUndo& env) {
    return message_of([&] {
      gfn::Random random{1};
      auto forward = gfn::mlp_policy<double>(env, {.hidden = {4}}, random);
      auto backward = gfn::mlp_backward<double>(env, {.hidden = {4}}, random);
      auto value = gfn::mlp_value<double>(env, {.hidden = {4}}, random);
      auto critic = gfn::mlp_value<double>(env, {.hidden = {4}}, random);
      auto trainer = gfn::coupled_trainer(env, forward, backward, value, critic);
      for (int i = 0; i < 5; ++i) trainer.step(random, 8);
    });
  };
  CHECK(train({}) == "");
  CHECK(contains(train({.wrong_back = true}), "by the backward action 1, which is not legal at state 1"));
  CHECK(contains(train({.wrong_forward = true}), "by the action 1, which is not legal at state"));
}

TEST_CASE("a replay guide forgets the patterns of objects that it has dropped") {
  const gfn::SlotSequence env({.length = 8, .alphabet_size = 4}, [](std::span<const gfn::Symbol>) { return 0.5; });
  using E = std::remove_const_t<decltype(env)>;
  gfn::ReplayGuide<E> guide(env, {.capacity = 20});
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  std::size_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    auto x = env.initial_state();
    for (int k = 0; k < 8; ++k) x[k] = static_cast<gfn::Symbol>(stream.below(4));
    guide.add(x, std::exp(0.5));
    most = std::max(most, guide.num_patterns());
  }
  CHECK(guide.size() == 20);
  CHECK(most < 21u * 255u * 3u);  // 2000 random objects have some 100000 patterns
}
