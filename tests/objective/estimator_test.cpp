// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/exact/gradient.hpp>
#include <gfn/exact/values.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/flow_matching.hpp>
#include <gfn/objective/guide.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "environment/small_environments.hpp"
#include "tabular.hpp"

// What the trainers estimate from sampled trajectories, against what they ought to.

namespace {

using gfn::HyperGrid;
using gfn::exact::GradientMoments;
using gfn::exact::StateGraph;
using tabular::Table;
using Actions = std::vector<gfn::Action>;

constexpr double log_z = 0.4;

/// A z-test for each coordinate of a mean of `count` independent estimates. With the limit 5 a right mean fails with a
/// probability below 6e-7 per coordinate; all tests of this file have fewer than 5000, so the level is below 3e-3
/// altogether (Bonferroni). The seed is fixed, so a pass stays a pass.
void check_mean(const Eigen::VectorXd& mean, const GradientMoments& exact, int count) {
  REQUIRE(mean.size() == exact.mean.size());
  double worst = 0;
  int tested = 0;
  for (Eigen::Index i = 0; i < mean.size(); ++i) {
    const double error = std::abs(mean[i] - exact.mean[i]);
    const double deviation = std::sqrt(exact.covariance(i, i) / count);
    if (deviation < 1e-12) {  // the same in every trajectory
      CHECK(error < 1e-12);
    } else {
      worst = std::max(worst, error / deviation);
      ++tested;
    }
  }
  CHECK(tested > 0);
  CHECK(worst < 5);
  CHECK(worst > 0.1);  // a random number was compared, not the exact one with itself
}

/// The gradients of parameters, one after the other; they are left zero.
template <class... T>
Eigen::VectorXd take_gradient(gfn::Parameters<T>&... parameters) {
  Eigen::VectorXd gradient((parameters.size() + ...));
  Eigen::Index first = 0;
  const auto take = [&](auto& p) {
    gradient.segment(first, p.size()) = p.grad().template cast<double>();
    first += p.size();
    p.zero_grad();
  };
  (take(parameters), ...);
  return gradient;
}

/// A batch of trajectories by a forward policy.
template <class E, class P>
gfn::Batch<E> rollout(const E& env, P& forward, int trajectories, std::uint64_t iteration = 0) {
  gfn::Batch<E> batch(env);
  gfn::PolicyEvaluation<typename P::Scalar, P, E> evaluation(forward, env, gfn::Direction::forward, gfn::Sampling::yes);
  gfn::ForwardSampler<E> sampler(env);
  sampler.sample(batch, evaluation, trajectories, gfn::Random{11}, iteration);
  return batch;
}
/// Walks back by a backward policy from where the trajectories of a batch ended.
template <class T = double, class E, class P>
gfn::Batch<E> walk_back(const gfn::Batch<E>& ends, P& backward) {
  const E& env = ends.environment();
  gfn::Batch<E> batch(env);
  gfn::PolicyEvaluation<T, P, E> evaluation(backward, env, gfn::Direction::backward, gfn::Sampling::yes);
  gfn::BackwardSampler<E> sampler(env);
  sampler.sample(
      batch, evaluation, ends.trajectories(), [&](int i) -> const auto& { return ends.terminal_state(i); },
      gfn::Random{12}, 0);
  return batch;
}

/// How many trajectories are sampled where their mean is compared with the exact one.
constexpr int many = 20000;

/// Compares the mean of what a trainer adds to the gradients, over a batch of many trajectories by a forward policy,
/// with the exact expectation.
template <class E, class Forward, class Trainer, class... T>
void check_forward(const StateGraph<E>& graph, Forward& forward, gfn::Batch<E>& batch, Trainer&& trainer,
                   gfn::Parameters<T>&... parameters) {
  const auto add = [&](gfn::Batch<E>& b) { trainer.gradient(b); };
  const auto exact = gfn::exact::expected_gradient(graph, forward, {}, add, parameters...);
  add(batch);
  check_mean(take_gradient(parameters...), exact, batch.trajectories());
}
/// The same for the backward half of a trainer, over walks back from where such trajectories ended. Returns the exact
/// expectation.
template <class E, class Forward, class Backward, class Trainer, class... T>
Eigen::VectorXd check_backward(const StateGraph<E>& graph, Forward& forward, Backward& backward, gfn::Batch<E>& walks,
                               Trainer&& trainer, gfn::Parameters<T>&... parameters) {
  const auto add = [&](gfn::Batch<E>& b) { trainer.backward_gradient(b); };
  const auto exact = gfn::exact::expected_backward_gradient(graph, forward, backward, {}, add, parameters...);
  add(walks);
  check_mean(take_gradient(parameters...), exact, walks.trajectories());
  return exact.mean;
}

/// Trajectory balance and both halves of coupled training: both policies, log Z and both critics.
template <class E, class Forward, class Backward, class Value>
void check_sampled(const StateGraph<E>& graph, Forward& forward, Backward& backward, Value& value,
                   Value& backward_value, double lambda) {
  const E& env = graph.environment();
  auto batch = rollout(env, forward, many);
  auto balance = gfn::trajectory_balance_trainer(env, forward, backward, {.initial_log_z = log_z});
  check_forward(graph, forward, batch, balance, forward.parameters(), backward.parameters(),
                balance.log_z().parameters());
  auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value,
                                      {.forward = {.lambda = lambda, .center = false, .initial_log_z = log_z},
                                       .backward = {.lambda = lambda, .center = false}});
  check_forward(graph, forward, batch, trainer, forward.parameters(), trainer.log_z().parameters(), value.parameters());
  auto walks = walk_back(batch, backward);
  check_backward(graph, forward, backward, walks, trainer, backward.parameters(), backward_value.parameters());
}

template <class E>
void check_sampled_tables(const E& env) {
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  auto backward_value = tabular::random_value(graph, 4);
  check_sampled(graph, forward, backward, value, backward_value, 1);
  const auto log_f = gfn::exact::forward_log_probabilities(graph, forward);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  auto exact_value = tabular::value_table(graph, gfn::exact::forward_values(graph, log_f, log_b, log_z));
  auto exact_backward = tabular::value_table(graph, gfn::exact::backward_values(graph, log_f, log_b));
  check_sampled(graph, forward, backward, exact_value, exact_backward, 0.9);
}

/// The other methods whose gradient is a mean over trajectories. Objectives that divide by a number of steps, visits or
/// sub-trajectories of the whole batch are biased by O(1/N) and have no place here.
template <class E>
void check_other_methods(const StateGraph<E>& graph) {
  const E& env = graph.environment();
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto flow = tabular::random_value(graph, 3);
  auto backward_value = tabular::random_value(graph, 4);
  auto uniform = gfn::uniform_backward(env);
  auto batch = rollout(env, forward, many);
  const gfn::SubtrajectoryBalance subtrajectory{.weights = gfn::SubtrajectoryWeights::geometric_within};
  {  // TB-U
    auto trainer = gfn::trajectory_balance_trainer(env, forward, uniform, {.initial_log_z = log_z});
    check_forward(graph, forward, batch, trainer, forward.parameters(), trainer.log_z().parameters());
  }
  // DB-U, DB-B, SubTB-U, SubTB-B
  check_forward(graph, forward, batch, gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, uniform, flow),
                forward.parameters(), flow.parameters());
  check_forward(graph, forward, batch, gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, backward, flow),
                forward.parameters(), backward.parameters(), flow.parameters());
  check_forward(graph, forward, batch, gfn::objective_trainer(env, subtrajectory, forward, uniform, flow),
                forward.parameters(), flow.parameters());
  check_forward(graph, forward, batch, gfn::objective_trainer(env, subtrajectory, forward, backward, flow),
                forward.parameters(), backward.parameters(), flow.parameters());
  if (graph.terminal_rows().size() == graph.states().size()) {  // modified DB: every state can end
    const gfn::ModifiedDetailedBalance modified;
    check_forward(graph, forward, batch, gfn::objective_trainer(env, modified, forward, uniform), forward.parameters());
    check_forward(graph, forward, batch, gfn::objective_trainer(env, modified, forward, backward), forward.parameters(),
                  backward.parameters());
  }
  {  // RL-U
    auto trainer = gfn::policy_gradient_trainer(env, forward, uniform, flow,
                                                {.lambda = 0.9, .center = false, .initial_log_z = log_z});
    check_forward(graph, forward, batch, trainer, forward.parameters(), trainer.log_z().parameters(),
                  flow.parameters());
  }
  {  // the backward half of RL-G
    auto guide = gfn::discouraged_exit_below(env, -0.5, -0.3);
    const gfn::CoupledOptions options{.backward = {.lambda = 0.9, .center = false}};
    auto walks = walk_back(batch, backward);
    auto plain = gfn::coupled_trainer(env, forward, backward, flow, backward_value, options);
    auto guided =
        gfn::coupled_trainer(env, forward, backward, flow, backward_value, options, gfn::GuidedBackwardReward(guide));
    const auto compare = [&](auto& trainer) {
      return check_backward(graph, forward, backward, walks, trainer, backward.parameters(),
                            backward_value.parameters());
    };
    const double difference = (compare(guided) - compare(plain)).norm();
    const bool has_choice = graph.can_exit(0);  // whether to exit: without it there is nothing to discourage
    CHECK((difference > 1e-3) == has_choice);
  }
}

double norm_of_difference(const Eigen::VectorXd& a, const Eigen::VectorXd& b) {
  return (a - b).norm() / std::max(a.norm(), 1e-300);
}

template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;

/// A network for each thing that a method may need; always the same numbers.
template <class T>
struct Functions {
  gfn::NeuralFunction<T> forward, backward, flow, value, backward_value;

  template <class E>
  explicit Functions(const E& env, gfn::Random random = gfn::Random{5})
      : forward(gfn::mlp_policy<T>(env, options(), random)),
        backward(gfn::mlp_backward<T>(env, options(), random)),
        flow(gfn::mlp_flow<T>(env, options(), random)),
        value(gfn::mlp_value<T>(env, options(), random)),
        backward_value(gfn::mlp_value<T>(env, options(), random)) {}

  Eigen::VectorXd take_gradients() {
    return take_gradient(forward.parameters(), backward.parameters(), flow.parameters(), value.parameters(),
                         backward_value.parameters());
  }
  void check_equal(const Functions& other) const {
    const auto check = [](const auto& a, const auto& b) {
      CHECK(norm_of_difference(a.parameters().value().template cast<double>(),
                               b.parameters().value().template cast<double>()) < tolerance<T>);
    };
    check(forward, other.forward);
    check(backward, other.backward);
    check(flow, other.flow);
    check(value, other.value);
    check(backward_value, other.backward_value);
  }

 private:
  static gfn::MlpOptions options() { return {.hidden = {16, 16}}; }
};

/// The gradients of every method on sampled trajectories, with one row per distinct state and with one per visit.
template <class T, class E>
void check_groupings(const E& env) {
  Functions<T> f(env);
  const auto sampled = rollout(env, f.forward, 64);
  std::vector<Actions> trajectories(64);
  for (int i = 0; i < 64; ++i)
    for (const gfn::Step& step : sampled.steps(i)) trajectories[static_cast<std::size_t>(i)].push_back(step.action);
  const auto compare = [&](const auto& add) {
    const auto gradient = [&](bool group) {
      auto batch = gfn::batch_from_trajectories(env, trajectories, group);
      const double loss = add(batch);
      return std::pair(loss, f.take_gradients());
    };
    const auto [loss, one] = gradient(true);
    const auto [loss_apart, apart] = gradient(false);
    CHECK(loss_apart == Approx(loss).epsilon(tolerance<T>));
    CHECK(one.norm() > 1e-3);
    CHECK(norm_of_difference(one, apart) < tolerance<T>);
  };
  REQUIRE(gfn::batch_from_trajectories(env, trajectories, false).table().rows() > 2 * sampled.table().rows());
  const auto compare_objective = [&](auto&& trainer) { compare([&](auto& batch) { return trainer.gradient(batch); }); };
  compare_objective(gfn::trajectory_balance_trainer(env, f.forward, f.backward, {.initial_log_z = log_z}));
  compare_objective(gfn::objective_trainer(env, gfn::DetailedBalance{}, f.forward, f.backward, f.flow));
  compare_objective(gfn::objective_trainer(env, gfn::SubtrajectoryBalance{}, f.forward, f.backward, f.flow));
  compare_objective(gfn::objective_trainer(env, gfn::FlowMatching{}, f.forward, f.backward));
  if (env.can_exit(env.initial_state()))  // and then every state can
    compare_objective(gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, f.forward, f.backward));
  auto trainer = gfn::coupled_trainer(env, f.forward, f.backward, f.value, f.backward_value);
  compare([&](auto& batch) {
    batch.assume_on_policy(f.forward);
    return trainer.gradient(batch);
  });
  compare([&](auto& batch) {
    batch.assume_walked_back_by(f.backward);
    return trainer.backward_gradient(batch);
  });
}

}  // namespace

TEST_CASE("sampled gradients have the exact mean: tables") {
  check_sampled_tables(HyperGrid{{.dimension = 2, .side = 3}});
  check_sampled_tables(environments::PrependAppend{});
}

TEMPLATE_TEST_CASE("sampled gradients have the exact mean: other methods and environments", "", HyperGrid,
                   environments::Slots, environments::Words, environments::Networks) {
  const auto env = environments::small<TestType>();
  check_other_methods(StateGraph(env));
  if constexpr (!std::is_same_v<TestType, HyperGrid>) check_sampled_tables(env);
}

TEST_CASE("sampled gradients have the exact mean: networks") {
  const HyperGrid env{{.dimension = 2, .side = 3}};
  const StateGraph graph(env);
  gfn::Random random{5};
  const gfn::MlpOptions options{.hidden = {3}};
  auto forward = gfn::mlp_policy<double>(env, options, random);
  auto backward = gfn::mlp_backward<double>(env, options, random);
  auto value = gfn::mlp_value<double>(env, options, random);
  auto backward_value = gfn::mlp_value<double>(env, options, random);
  check_sampled(graph, forward, backward, value, backward_value, 1);
}

TEST_CASE("centred gradients have the exact mean over pairs and triples of trajectories") {
  const HyperGrid env{{.dimension = 2, .side = 2}};
  const StateGraph graph(env);
  REQUIRE(gfn::exact::num_trajectories(graph) == 5);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  const auto trainer_of = [&](bool center) {
    return gfn::policy_gradient_trainer(env, forward, backward, value, {.center = center, .initial_log_z = log_z});
  };
  auto centred = trainer_of(true);
  auto plain = trainer_of(false);
  auto& parameters = forward.parameters();
  const auto plain_mean = gfn::exact::expected_gradient(
                              graph, forward, {}, [&](auto& b) { plain.gradient(b); }, parameters)
                              .mean;
  // centred by hand
  gfn::PolicyEvaluation<double, Table<HyperGrid>, HyperGrid> evaluation(forward, env, gfn::Direction::forward);
  gfn::Tape<double> tape;
  const auto by_hand = [&](auto& batch) {
    plain.gradient(batch);
    parameters.zero_grad();
    std::vector<double> advantage(plain.advantages().advantage().begin(), plain.advantages().advantage().end());
    const double mean =
        std::accumulate(advantage.begin(), advantage.end(), 0.0) / static_cast<double>(advantage.size());
    for (double& a : advantage) a -= mean;
    evaluation.evaluate(batch.table());
    tape.clear();
    tape.backward(gfn::policy_gradient_loss(tape, evaluation, batch, advantage));
  };
  for (const int size : {2, 3}) {
    const auto exact = gfn::exact::expected_gradient(
        graph, forward, {.batch = size}, [&](auto& b) { centred.gradient(b); }, parameters);
    const auto expected = gfn::exact::expected_gradient(graph, forward, {.batch = size}, by_hand, parameters);
    CHECK(norm_of_difference(expected.mean, exact.mean) < 1e-12);
    CHECK((exact.mean - plain_mean).norm() > 0.05 * plain_mean.norm());  // biased, by O(1/N)
    // sampled
    const int batches = 4000;
    Eigen::VectorXd mean = Eigen::VectorXd::Zero(parameters.size());
    gfn::Batch<HyperGrid> batch(env);
    gfn::ForwardSampler<HyperGrid> sampler(env);
    gfn::PolicyEvaluation<double, Table<HyperGrid>, HyperGrid> acting(forward, env, gfn::Direction::forward,
                                                                      gfn::Sampling::yes);
    for (int i = 0; i < batches; ++i) {
      sampler.sample(batch, acting, size, gfn::Random{13}, static_cast<std::uint64_t>(i));
      centred.gradient(batch);
      mean += take_gradient(parameters) / batches;
    }
    check_mean(mean, exact, batches);
  }
}

TEMPLATE_TEST_CASE("a step takes the gradient of its own batch, with the activations of the rollout", "", float,
                   double) {
  const HyperGrid env{{.dimension = 2, .side = 8}};
  const gfn::Random random{6};
  Functions<TestType> one(env), two(env);  // the same numbers in both
  auto uniform = gfn::uniform_backward(env);
  // one run by steps; in the other Adam moves the parameters by the gradients of the same batches.
  const auto check = [&](auto&& trainer, auto&& by_hand) {
    gfn::Adam<TestType> adam;
    for (auto* policy_or_flow : {&two.forward, &two.backward, &two.flow})
      adam.add(policy_or_flow->parameters(), {.learning_rate = 1e-3});
    adam.add(two.value.parameters(), {.learning_rate = 5e-3});
    adam.add(by_hand.log_z().parameters(), {.learning_rate = 0.1});
    for (int i = 0; i < 3; ++i) {
      const auto report = trainer.step(random, 32);
      gfn::Batch<HyperGrid> batch = trainer.batch();
      batch.assume_on_policy(two.forward);
      CHECK(report.loss == Approx(by_hand.gradient(batch)).epsilon(tolerance<TestType>));
      adam.step();
      one.check_equal(two);
    }
  };
  const auto check_objective = [&](const auto& objective) {
    check(gfn::objective_trainer(env, objective, one.forward, one.backward),
          gfn::objective_trainer(env, objective, two.forward, two.backward));
  };
  const auto check_objective_with_flow = [&](const auto& objective) {
    check(gfn::objective_trainer(env, objective, one.forward, one.backward, one.flow),
          gfn::objective_trainer(env, objective, two.forward, two.backward, two.flow));
  };
  SECTION("trajectory balance") { check_objective(gfn::TrajectoryBalance{}); }
  SECTION("detailed balance") { check_objective_with_flow(gfn::DetailedBalance{}); }
  SECTION("sub-trajectory balance") { check_objective_with_flow(gfn::SubtrajectoryBalance{}); }
  SECTION("flow matching") { check_objective(gfn::FlowMatching{}); }
  SECTION("modified detailed balance") { check_objective(gfn::ModifiedDetailedBalance{}); }
  SECTION("uniform backward policy") {
    check(gfn::trajectory_balance_trainer(env, one.forward, uniform),
          gfn::trajectory_balance_trainer(env, two.forward, uniform));
  }
  SECTION("policy gradient") {
    check(gfn::policy_gradient_trainer(env, one.forward, uniform, one.value),
          gfn::policy_gradient_trainer(env, two.forward, uniform, two.value));
  }
  SECTION("coupled policy gradients") {
    gfn::Adam<TestType> back;  // of the second half, which sees the forward policy after its step
    back.add(two.backward.parameters(), {.learning_rate = 1e-3});
    back.add(two.backward_value.parameters(), {.learning_rate = 5e-3});
    auto trainer = gfn::coupled_trainer(env, one.forward, one.backward, one.value, one.backward_value);
    auto by_hand = gfn::coupled_trainer(env, two.forward, two.backward, two.value, two.backward_value);
    gfn::Adam<TestType> adam;
    adam.add(two.forward.parameters(), {.learning_rate = 1e-3});
    adam.add(two.value.parameters(), {.learning_rate = 5e-3});
    adam.add(by_hand.log_z().parameters(), {.learning_rate = 0.1});
    for (int i = 0; i < 3; ++i) {
      const auto report = trainer.step(random, 32);
      gfn::Batch<HyperGrid> batch = trainer.batch(), walks = trainer.backward_batch();
      batch.assume_on_policy(two.forward);
      walks.assume_walked_back_by(two.backward);
      CHECK(report.loss == Approx(by_hand.gradient(batch)).epsilon(tolerance<TestType>));
      adam.step();
      CHECK(report.backward_loss == Approx(by_hand.backward_gradient(walks)).epsilon(tolerance<TestType>));
      back.step();
      one.check_equal(two);
    }
  }
}

TEMPLATE_TEST_CASE("grouped and ungrouped states give the same gradients, to rounding", "", float, double) {
  check_groupings<TestType>(environments::PrependAppend{.letters = 3, .length = 4});
  check_groupings<TestType>(HyperGrid{{.dimension = 2, .side = 4}});
  check_groupings<TestType>(environments::small<environments::Networks>());
}

TEMPLATE_TEST_CASE("in exact balance, with exact critics, nothing is left to learn", "", HyperGrid,
                   environments::PrependAppend) {
  TestType env;
  if constexpr (std::is_same_v<TestType, HyperGrid>) env = HyperGrid{{.dimension = 2, .side = 4}};
  const StateGraph graph(env);
  const double log_z_star = gfn::exact::log_partition(graph);
  const auto check = [&](auto& backward) {
    const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
    const auto log_f = gfn::exact::induced_forward(graph, log_b);
    auto forward = tabular::forward_table(graph, log_f);
    auto value = tabular::value_table(graph, gfn::exact::forward_values(graph, log_f, log_b, log_z_star));
    auto backward_value = tabular::value_table(graph, gfn::exact::backward_values(graph, log_f, log_b));
    auto batch = rollout(env, forward, 200);
    auto back = walk_back(batch, backward);
    const auto largest = [](auto numbers) {
      double result = 0;
      for (const double x : numbers) result = std::max(result, std::abs(x));
      return result;
    };
    const auto gradient = [&] {
      Eigen::VectorXd g = take_gradient(forward.parameters(), value.parameters(), backward_value.parameters());
      gfn::visit_parameters(backward, [&](auto& p) { g[0] = std::max(std::abs(g[0]), take_gradient(p).norm()); });
      return g.norm();
    };
    // TB-U, TB-B
    auto balance = gfn::trajectory_balance_trainer(env, forward, backward, {.initial_log_z = log_z_star});
    CHECK(balance.gradient(batch) < 1e-24);
    CHECK(gradient() < 1e-12);
    CHECK(take_gradient(balance.log_z().parameters()).norm() < 1e-12);
    // RL-U, and the forward half of RL-B
    for (const double lambda : {0.0, 0.99, 1.0}) {
      auto trainer =
          gfn::policy_gradient_trainer(env, forward, backward, value, {.lambda = lambda, .initial_log_z = log_z_star});
      CHECK(std::abs(trainer.gradient(batch)) < 1e-12);
      CHECK(largest(trainer.advantages().advantage()) < 1e-12);
      CHECK(gradient() < 1e-12);
      CHECK(take_gradient(trainer.log_z().parameters()).norm() < 1e-12);
    }
    // the backward half of RL-B: its costs do not vanish, their advantages do
    if constexpr (!gfn::UniformPolicyLike<std::remove_reference_t<decltype(backward)>>)
      for (const double lambda : {0.0, 1.0}) {
        auto trainer =
            gfn::coupled_trainer(env, forward, backward, value, backward_value, {.backward = {.lambda = lambda}});
        trainer.backward_gradient(back);
        CHECK(largest(trainer.backward_advantages().advantage()) < 1e-12);
        CHECK(gradient() < 1e-12);
      }
  };
  auto uniform = gfn::uniform_backward(env);
  check(uniform);
  auto backward = tabular::random_backward(graph, 2);
  check(backward);
}
