// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <gfn/environment/describe.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/exact/trajectories.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/flow_matching.hpp>
#include <gfn/objective/guide.hpp>
#include <gfn/objective/policy_gradient.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/trajectories.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "environment/small_environments.hpp"
#include "messages.hpp"
#include "tabular.hpp"

// The balance objectives: their values against direct sums, their gradients against central differences through the
// whole program (policies, flow, log Z, evaluation, tape), and their fixed points.

namespace {

using gfn::HyperGrid;
using gfn::SubtrajectoryWeights;
using gfn::exact::StateGraph;
using tabular::Table;
using Actions = std::vector<gfn::Action>;
using Pointers = std::vector<gfn::Parameters<double>*>;

constexpr SubtrajectoryWeights all_weights[] = {SubtrajectoryWeights::detailed_balance,
                                                SubtrajectoryWeights::modified_detailed_balance,
                                                SubtrajectoryWeights::trajectory_balance,
                                                SubtrajectoryWeights::equal,
                                                SubtrajectoryWeights::equal_within,
                                                SubtrajectoryWeights::geometric,
                                                SubtrajectoryWeights::geometric_within,
                                                SubtrajectoryWeights::geometric_within_unnormalised,
                                                SubtrajectoryWeights::geometric_within_long_first};

HyperGrid grid(double r0 = 0.01) { return HyperGrid{{.dimension = 2, .side = 3, .r0 = r0}}; }

/// All trajectories of a graph, and the first of them twice.
template <class E>
gfn::Batch<E> all_in_a_batch(const StateGraph<E>& graph) {
  auto trajectories = gfn::exact::all_trajectories(graph);
  trajectories.push_back(trajectories[0]);
  return gfn::batch_from_trajectories(graph.environment(), trajectories);
}

/// Every few of them, and the first of them twice: enough of the longer ones to cover all states, at less cost.
template <class E>
gfn::Batch<E> some_in_a_batch(const StateGraph<E>& graph, std::size_t count) {
  const auto all = gfn::exact::all_trajectories(graph);
  std::vector<Actions> some = {all[0]};
  for (std::size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
  return gfn::batch_from_trajectories(graph.environment(), some);
}

/// The largest entry of the gradients, which are left zero.
double largest_gradient(const Pointers& parameters) {
  double largest = 0;
  for (auto* p : parameters) {
    largest = std::max(largest, p->grad().lpNorm<Eigen::Infinity>());
    p->zero_grad();
  }
  return largest;
}

/// Compares the gradients that loss() adds to with central differences of order 4 of its value. Every parameter counts
/// for something.
template <class Loss>
void check_gradient(const Pointers& parameters, const Loss& loss) {
  constexpr double h = 1e-3;
  largest_gradient(parameters);
  loss();
  std::vector<Eigen::VectorXd> gradients;
  for (auto* p : parameters) gradients.emplace_back(p->grad());
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    Eigen::VectorXd differences(gradients[k].size());
    for (Eigen::Index i = 0; i < differences.size(); ++i) {
      const double x = parameters[k]->value()[i];
      const auto at = [&](double shift) {
        parameters[k]->modify()[i] = x + shift;
        return loss();
      };
      differences[i] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      parameters[k]->modify()[i] = x;
    }
    CHECK(gradients[k].lpNorm<Eigen::Infinity>() > 1e-3);
    CHECK((gradients[k] - differences).lpNorm<Eigen::Infinity>() <
          1e-8 * std::max(1.0, gradients[k].lpNorm<Eigen::Infinity>()));
  }
  largest_gradient(parameters);
}

/// The objectives that need no state flow: their gradients by the parameters that are given, and log Z's.
template <class E, class Objective, class Forward, class Backward>
void check_objective(gfn::Batch<E>& batch, const Objective& objective, Forward& forward, Backward& backward,
                     Pointers parameters, bool learns_log_z = false) {
  auto trainer = gfn::objective_trainer(batch.environment(), objective, forward, backward, {.initial_log_z = 0.4});
  if (learns_log_z) parameters.push_back(&trainer.log_z().parameters());
  check_gradient(parameters, [&] { return trainer.gradient(batch); });
}
template <class E, class Forward, class Backward, class Flow>
void check_objectives_with_flow(gfn::Batch<E>& batch, Forward& forward, Backward& backward, Flow& flow,
                                const Pointers& parameters, std::initializer_list<double> lambdas) {
  const E& env = batch.environment();
  auto balance = gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, backward, flow);
  check_gradient(parameters, [&] { return balance.gradient(batch); });
  for (const SubtrajectoryWeights weights : all_weights)
    for (const double lambda : lambdas) {
      auto trainer = gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.weights = weights, .lambda = lambda},
                                            forward, backward, flow);
      // trajectory balance alone has no gradient by the flows but the first: still one of the table
      check_gradient(parameters, [&] { return trainer.gradient(batch); });
    }
}

/// h_t = Σ (log π_F − log π_B) − log F(s_t) along a trajectory, with log R(x) at its end.
template <class E, class Backward>
std::vector<double> potentials_along(const StateGraph<E>& graph, const Actions& actions, Table<E>& forward,
                                     Backward& backward, Table<E>& flow) {
  const auto log_f = gfn::exact::forward_log_probabilities(graph, forward);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  std::vector<double> h = {-flow.table()(0, 0)};
  double ratio = 0;
  const int x = gfn::exact::follow(graph, actions, [&](std::size_t e) {
    ratio += log_f.edges[e] - log_b.edges[e];
    h.push_back(ratio - flow.table()(graph.edges()[e].child, 0));
  });
  const auto exit = static_cast<std::size_t>(graph.terminal_index(x));
  h.push_back(ratio + log_f.exits[exit] - graph.log_rewards()[exit]);
  return h;
}

/// The weighted sum of all Δ² of a batch, term by term.
double direct_subtrajectory_balance(const std::vector<std::vector<double>>& potentials, SubtrajectoryWeights weights,
                                    double lambda) {
  using enum SubtrajectoryWeights;
  const auto count = static_cast<double>(potentials.size());
  std::size_t longest = 0;
  double pairs = 0, steps = 0;
  for (const auto& h : potentials) {
    const std::size_t n = h.size() - 1;
    longest = std::max(longest, n);
    pairs += static_cast<double>(n * (n + 1)) / 2;
    steps += static_cast<double>(n);
  }
  std::vector<double> of_length(longest + 1, 0.0);  // how many sub-trajectories are that long
  double powers = 0;
  for (std::size_t k = 1; k <= longest; ++k) {
    for (const auto& h : potentials)
      if (h.size() > k) of_length[k] += static_cast<double>(h.size() - k);
    powers += std::pow(lambda, static_cast<double>(k - 1));
  }
  double sum = 0;
  for (const auto& h : potentials) {
    const std::size_t n = h.size() - 1;
    const auto short_first = [&](std::size_t k) { return std::pow(lambda, static_cast<double>(k - 1)); };
    const auto long_first = [&](std::size_t k) { return std::pow(lambda, static_cast<double>(n - k)); };
    double short_total = 0, long_total = 0;
    for (std::size_t k = 1; k <= n; ++k) {
      short_total += static_cast<double>(n - k + 1) * short_first(k);
      long_total += static_cast<double>(n - k + 1) * long_first(k);
    }
    const auto weight = [&](std::size_t k) {
      switch (weights) {
        case detailed_balance:
          return k == 1 ? 1 / steps : 0.0;
        case modified_detailed_balance:
          return k == 1 ? 1 / (count * static_cast<double>(n)) : 0.0;
        case trajectory_balance:
          return k == n ? 1 / count : 0.0;
        case equal:
          return 1 / pairs;
        case equal_within:
          return 2 / (count * static_cast<double>(n * (n + 1)));
        case geometric:
          return short_first(k) / powers / of_length[k];
        case geometric_within:
          return short_first(k) / short_total / count;
        case geometric_within_unnormalised:
          return short_first(k) / count;
        case geometric_within_long_first:
          return long_first(k) / long_total / count;
      }
      return 0.0;
    };
    for (std::size_t i = 0; i <= n; ++i)
      for (std::size_t j = i + 1; j <= n; ++j) sum += weight(j - i) * (h[j] - h[i]) * (h[j] - h[i]);
  }
  return sum;
}

/// The table of log F*(s, a), the logarithms of the edge flows that a backward policy and the rewards induce; log R(x)
/// for the exits.
template <class E>
Table<E> exact_edge_flows(const StateGraph<E>& graph, const gfn::exact::BackwardLogProbabilities& log_b) {
  const auto log_flow = gfn::exact::log_flows(graph, log_b);
  gfn::exact::ForwardLogProbabilities numbers{log_b.edges, {graph.log_rewards().begin(), graph.log_rewards().end()}};
  for (std::size_t e = 0; e < graph.num_edges(); ++e)
    numbers.edges[e] += log_flow[static_cast<std::size_t>(graph.edges()[e].child)];
  return tabular::forward_table(graph, numbers);
}

}  // namespace

TEST_CASE("sub-trajectory balance is the direct sum over all sub-trajectories") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto flow = tabular::random_value(graph, 3);
  auto batch = all_in_a_batch(graph);
  std::vector<std::vector<double>> potentials;
  for (int i = 0; i < batch.trajectories(); ++i) {
    Actions actions;
    for (const gfn::Step& step : batch.steps(i)) actions.push_back(step.action);
    potentials.push_back(potentials_along(graph, actions, forward, backward, flow));
  }
  for (const SubtrajectoryWeights weights : all_weights)
    for (const double lambda : {0.0, 0.1, 0.5, 0.9, 0.99, 1.0}) {
      auto trainer = gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.weights = weights, .lambda = lambda},
                                            forward, backward, flow);
      const double expected = direct_subtrajectory_balance(potentials, weights, lambda);
      CHECK(expected > 0.1);
      CHECK(trainer.gradient(batch) == Approx(expected).epsilon(1e-12));
    }
  for (const double lambda : {-0.1, 1.1, std::nan("")}) {
    auto trainer = gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.lambda = lambda}, forward, backward, flow);
    CHECK_THROWS_AS(trainer.gradient(batch), std::invalid_argument);
  }
}

TEST_CASE("gradients of the objectives against central differences: tables on the grid") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto flow = tabular::random_value(graph, 3);
  auto batch = all_in_a_batch(graph);
  const Pointers policies = {&forward.parameters(), &backward.parameters()};
  check_objective(batch, gfn::TrajectoryBalance{}, forward, backward, policies, true);
  check_objective(batch, gfn::ModifiedDetailedBalance{}, forward, backward, policies);
  check_objective(batch, gfn::FlowMatching{}, forward, backward, {&forward.parameters()});
  check_objectives_with_flow(batch, forward, backward, flow,
                             {&forward.parameters(), &backward.parameters(), &flow.parameters()}, {0.0, 0.9, 1.0});
}

TEMPLATE_TEST_CASE("gradients of the objectives against central differences: tables on sequences and networks", "",
                   environments::Slots, environments::Networks) {
  const auto env = environments::small<TestType>();
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto flow = tabular::random_value(graph, 3);
  auto batch = some_in_a_batch(graph, 12);
  const Pointers policies = {&forward.parameters(), &backward.parameters()};
  check_objective(batch, gfn::TrajectoryBalance{}, forward, backward, policies, true);
  check_objective(batch, gfn::FlowMatching{}, forward, backward, {&forward.parameters()});
  check_objectives_with_flow(batch, forward, backward, flow,
                             {&forward.parameters(), &backward.parameters(), &flow.parameters()}, {0.9});
  if (env.can_exit(env.initial_state()))
    check_objective(batch, gfn::ModifiedDetailedBalance{}, forward, backward, policies);
}

TEMPLATE_TEST_CASE("gradients of the objectives against central differences: the uniform backward policy", "",
                   HyperGrid, environments::Slots, environments::Words, environments::Networks) {
  const auto env = environments::small<TestType>();
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto flow = tabular::random_value(graph, 3);
  auto uniform = gfn::uniform_backward(env);
  auto batch = some_in_a_batch(graph, 12);
  check_objective(batch, gfn::TrajectoryBalance{}, forward, uniform, {&forward.parameters()}, true);
  check_objectives_with_flow(batch, forward, uniform, flow, {&forward.parameters(), &flow.parameters()}, {0.9});
  if (env.can_exit(env.initial_state()))
    check_objective(batch, gfn::ModifiedDetailedBalance{}, forward, uniform, {&forward.parameters()});
}

TEST_CASE("sub-trajectory balance on a long trajectory: values and gradients are those of the direct sum") {
  const HyperGrid env{{.dimension = 1, .side = 128}};
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = gfn::uniform_backward(env);  // which has no choice
  auto flow = tabular::random_value(graph, 3);
  Actions there(99, 0), half(50, 0);
  there.push_back(1), half.push_back(1);
  auto batch = gfn::batch_from_trajectories(env, std::vector<Actions>{there, half});
  const auto potentials = [&] {
    return std::vector{potentials_along(graph, there, forward, backward, flow),
                       potentials_along(graph, half, forward, backward, flow)};
  };
  using enum SubtrajectoryWeights;
  for (const auto weights : {geometric_within, geometric_within_unnormalised, geometric_within_long_first})
    for (const double lambda : {0.0, 0.5, 0.9, 0.99, 1.0}) {
      auto trainer = gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.weights = weights, .lambda = lambda},
                                            forward, backward, flow);
      CHECK(trainer.gradient(batch) ==
            Approx(direct_subtrajectory_balance(potentials(), weights, lambda)).epsilon(1e-12));
      // ∂/∂log F(s_k) of the direct sum, which is quadratic in it: a central difference is exact
      Eigen::VectorXd expected(flow.parameters().size());
      for (Eigen::Index i = 0; i < expected.size(); ++i) {
        const double x = flow.parameters().value()[i];
        const auto at = [&](double y) {
          flow.parameters().modify()[i] = y;
          return direct_subtrajectory_balance(potentials(), weights, lambda);
        };
        expected[i] = (at(x + 1) - at(x - 1)) / 2;
        flow.parameters().modify()[i] = x;
      }
      const double size = expected.lpNorm<Eigen::Infinity>();
      CHECK(size > 1e-3);
      CHECK((flow.parameters().grad() - expected).lpNorm<Eigen::Infinity>() < 1e-11 * size);
      largest_gradient({&forward.parameters(), &flow.parameters()});
      check_gradient({&forward.parameters()}, [&] { return trainer.gradient(batch); });
      largest_gradient({&flow.parameters()});
    }
}

TEST_CASE("gradient of the guided backward surrogate against central differences") {
  // its advantages are numbers: the gradient is that of (1/N) Σ Ψ log π_B for fixed Ψ
  const auto env = environments::small<environments::Networks>();
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  auto backward_value = tabular::random_value(graph, 4);
  auto batch = some_in_a_batch(graph, 30);
  auto guide = gfn::discouraged_exit_below(env, -0.5, -0.3);
  const auto surrogate_gradient = [&](auto reward) -> Eigen::VectorXd {
    auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value, {}, reward);
    largest_gradient({&backward.parameters()});
    batch.assume_walked_back_by(backward);
    trainer.backward_gradient(batch);
    const Eigen::VectorXd gradient = backward.parameters().grad();
    const std::vector<double> advantage(trainer.backward_advantages().advantage().begin(),
                                        trainer.backward_advantages().advantage().end());
    const auto surrogate = [&] {
      const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
      double sum = 0;
      std::size_t k = 0;
      for (int i = 0; i < batch.trajectories(); ++i) {
        Actions actions;
        for (const gfn::Step& step : batch.steps(i)) actions.push_back(step.action);
        gfn::exact::follow(graph, actions, [&](std::size_t e) { sum += advantage[k++] * log_b.edges[e]; });
        ++k;  // the exit
      }
      return sum / batch.trajectories();
    };
    const Eigen::VectorXd expected = tabular::derivative(backward, surrogate);
    CHECK((gradient - expected).cwiseAbs().maxCoeff() < 1e-10);
    CHECK(gradient.cwiseAbs().maxCoeff() > 1e-3);
    return gradient;
  };
  const Eigen::VectorXd guided = surrogate_gradient(gfn::GuidedBackwardReward(guide));
  CHECK((guided - surrogate_gradient(gfn::BackwardReward{})).norm() > 1e-3);
}

TEST_CASE("gradients of the objectives against central differences: tables, parallel edges") {
  const environments::PrependAppend env;
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto flow = tabular::random_value(graph, 3);
  auto batch = all_in_a_batch(graph);
  check_objective(batch, gfn::TrajectoryBalance{}, forward, backward, {&forward.parameters(), &backward.parameters()},
                  true);
  check_objective(batch, gfn::FlowMatching{}, forward, backward, {&forward.parameters()});
  check_objectives_with_flow(batch, forward, backward, flow,
                             {&forward.parameters(), &backward.parameters(), &flow.parameters()}, {0.9});
}

TEST_CASE("gradients of the objectives against central differences: networks") {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  auto batch = all_in_a_batch(graph);
  const gfn::MlpOptions options{.hidden = {3, 3}};
  gfn::Random random{5};
  SECTION("apart") {
    auto forward = gfn::mlp_policy<double, gfn::Tanh>(env, options, random);
    auto backward = gfn::mlp_backward<double, gfn::Tanh>(env, options, random);
    auto flow = gfn::mlp_flow<double, gfn::Tanh>(env, options, random);
    const Pointers policies = {&forward.parameters(), &backward.parameters()};
    check_objective(batch, gfn::TrajectoryBalance{}, forward, backward, policies, true);
    check_objective(batch, gfn::ModifiedDetailedBalance{}, forward, backward, policies);
    check_objective(batch, gfn::FlowMatching{}, forward, backward, {&forward.parameters()});
    check_objectives_with_flow(batch, forward, backward, flow,
                               {&forward.parameters(), &backward.parameters(), &flow.parameters()}, {0.9});
  }
  SECTION("three heads on one trunk") {
    auto trunk = gfn::mlp_trunk<double, gfn::Tanh>(env, options, random);
    auto forward = gfn::policy_head(env, trunk);
    auto backward = gfn::backward_policy_head(env, trunk);
    auto flow = gfn::scalar_head(trunk, "log flow");
    check_objective(batch, gfn::TrajectoryBalance{}, forward, backward, {&trunk->parameters()}, true);
    check_objective(batch, gfn::ModifiedDetailedBalance{}, forward, backward, {&trunk->parameters()});
    check_objective(batch, gfn::FlowMatching{}, forward, backward, {&trunk->parameters()});
    check_objectives_with_flow(batch, forward, backward, flow, {&trunk->parameters()}, {0.9});
    // the flow is asked at states where neither policy has a choice
    const HyperGrid line{{.dimension = 1, .side = 3}};
    auto line_trunk = gfn::mlp_trunk<double, gfn::Tanh>(line, {.hidden = {64}}, random);
    auto line_forward = gfn::policy_head(line, line_trunk);
    auto line_backward = gfn::backward_policy_head(line, line_trunk);
    auto line_flow = gfn::scalar_head(line_trunk, "log flow");
    auto walk = gfn::batch_from_trajectories(line, std::vector<Actions>{{0, 0, 1}});
    auto subtrajectory =
        gfn::objective_trainer(line, gfn::SubtrajectoryBalance{}, line_forward, line_backward, line_flow);
    CHECK_NOTHROW(subtrajectory.gradient(walk));
  }
}

TEMPLATE_TEST_CASE("gradients of the policy gradient's surrogate and of the value loss against central differences", "",
                   Table<HyperGrid>, (gfn::NeuralFunction<double, gfn::Tanh>)) {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  auto batch = all_in_a_batch(graph);
  gfn::Random random{5};
  const auto make = [&](int outputs) {
    if constexpr (std::is_same_v<TestType, Table<HyperGrid>>) {
      TestType table(env, graph.states(), outputs);
      tabular::randomise(table, static_cast<std::uint64_t>(outputs));
      return table;
    } else {
      return TestType(gfn::mlp_trunk<double, gfn::Tanh>(env, {.hidden = {3, 3}}, random), "head", outputs);
    }
  };
  auto forward = make(3);
  auto backward = make(2);
  auto value = make(1);
  gfn::Stream stream(7, gfn::Purpose::user, 0, 0);
  std::vector<double> numbers(batch.steps().size());  // for the advantages, and for the values' targets
  for (double& x : numbers) x = stream.normal();
  std::vector<int> rows(static_cast<std::size_t>(batch.table().rows()));
  std::iota(rows.begin(), rows.end(), 0);
  gfn::Tape<double> tape;
  for (const auto direction : {gfn::Direction::forward, gfn::Direction::backward}) {
    TestType& policy = direction == gfn::Direction::forward ? forward : backward;
    gfn::PolicyEvaluation<double, TestType, HyperGrid> evaluation(policy, env, direction);
    check_gradient({&policy.parameters()}, [&] {
      evaluation.evaluate(batch.table());
      tape.clear();
      const auto loss = gfn::policy_gradient_loss(tape, evaluation, batch, numbers);
      tape.backward(loss);
      return loss.scalar();
    });
    check_gradient({&value.parameters()}, [&] {
      tape.clear();
      const auto loss = gfn::value_loss(tape, value, batch, direction, numbers, rows, 0.3);
      tape.backward(loss);
      return loss.scalar();
    });
  }
}

TEMPLATE_TEST_CASE("in exact balance every objective is zero, and tells log Z*", "", HyperGrid,
                   environments::PrependAppend) {
  TestType env;
  if constexpr (std::is_same_v<TestType, HyperGrid>) env = grid();
  const StateGraph graph(env);
  const double log_z_star = gfn::exact::log_partition(graph);
  auto batch = all_in_a_batch(graph);
  const auto check = [&](auto& backward) {
    const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
    auto forward = exact_edge_flows(graph, log_b);  // their softmax is the policy
    auto flow = tabular::value_table(graph, gfn::exact::log_flows(graph, log_b));
    Pointers parameters = {&forward.parameters(), &flow.parameters()};
    gfn::visit_parameters(backward, [&](auto& p) { parameters.push_back(&p); });
    const auto check_one = [&](auto&& trainer) {
      CHECK(trainer.gradient(batch) < 1e-24);
      CHECK(largest_gradient(parameters) < 1e-12);
      CHECK(trainer.log_z_estimate() == Approx(log_z_star).epsilon(1e-13));
      // and not zero elsewhere
      forward.modify()(0, 0) += 0.1;
      CHECK(trainer.gradient(batch) > 1e-5);
      CHECK(largest_gradient(parameters) > 1e-3);
      forward.modify()(0, 0) -= 0.1;
    };
    check_one(gfn::trajectory_balance_trainer(env, forward, backward, {.initial_log_z = log_z_star}));
    check_one(gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, backward, flow));
    for (const SubtrajectoryWeights weights : all_weights)
      check_one(gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.weights = weights}, forward, backward, flow));
    check_one(gfn::objective_trainer(env, gfn::FlowMatching{}, forward, backward));
    if constexpr (std::is_same_v<TestType, HyperGrid>)
      check_one(gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, forward, backward));
  };
  auto uniform = gfn::uniform_backward(env);
  check(uniform);
  auto backward = tabular::random_backward(graph, 2);
  check(backward);
}

TEST_CASE("flow matching by hand: two parallel edges and a state that is visited twice") {
  const environments::PrependAppend env{.letters = 1, .length = 2};  // words: none, a, aa
  const StateGraph graph(env);
  auto forward = gfn::tabular_policy<double>(env, graph.states());
  forward.modify() << std::log(1.), std::log(2.), 9,  // the empty word: append, prepend; no exit
      std::log(4.), std::log(5.), 9,                  // a
      9, 9, std::log(7.);                             // aa: the exit
  auto backward = gfn::uniform_backward(env);
  auto batch = gfn::batch_from_trajectories(env, std::vector<Actions>{{0, 1, 2}, {1, 0, 2}, {0, 0, 2}});
  auto trainer = gfn::objective_trainer(env, gfn::FlowMatching{}, forward, backward);
  const double reward = env.log_reward("aa");
  const auto square = [](double x) { return x * x; };
  // each of the two states is visited three times
  const double expected =
      (square(std::log(3.) - std::log(9.)) + square(std::log(9.) - reward)) / 2 + square(std::log(7.) - reward);
  CHECK(trainer.gradient(batch) == Approx(expected).epsilon(1e-13));
  CHECK(trainer.log_z_estimate() == Approx(std::log(3.)).epsilon(1e-13));
}

TEST_CASE("a reward of 0 is refused without a floor, and the state named") {
  const HyperGrid env = grid(0);  // nothing on the background
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto flow = tabular::random_value(graph, 3);
  auto batch = gfn::batch_from_trajectories(env, std::vector<Actions>{{0, 1, 2}});
  auto rewarded = gfn::batch_from_trajectories(env, std::vector<Actions>{{0, 0, 2}});
  const auto refusal = [&](auto&& trainer, auto& some) {
    return message_of<gfn::Error>([&] { trainer.gradient(some); });
  };
  const auto check = [&](auto&& plain, auto&& floored, const char* state) {
    const std::string text = refusal(plain, batch);
    CHECK(contains(text, "-inf"));
    CHECK(contains(text, "floor"));
    CHECK(contains(text, state));
    CHECK(std::isfinite(floored.gradient(batch)));
  };
  check(gfn::trajectory_balance_trainer(env, forward, backward),
        gfn::trajectory_balance_trainer(env, forward, backward, {}, {.log_reward_floor = -12}), "(1, 1)");
  check(gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, backward, flow),
        gfn::objective_trainer(env, gfn::DetailedBalance{.log_reward_floor = -12}, forward, backward, flow), "(1, 1)");
  check(gfn::objective_trainer(env, gfn::SubtrajectoryBalance{}, forward, backward, flow),
        gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.log_reward_floor = -12}, forward, backward, flow),
        "(1, 1)");
  check(gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, forward, backward),
        gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{.log_reward_floor = -12}, forward, backward),
        "(1, 0)");
  check(gfn::objective_trainer(env, gfn::FlowMatching{}, forward, backward),
        gfn::objective_trainer(env, gfn::FlowMatching{-12}, forward, backward), "(1, 0)");
  // a state on the way may have no reward where only the end's is asked for
  CHECK(refusal(gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, backward, flow), rewarded).empty());
  CHECK(contains(refusal(gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, forward, backward), rewarded),
                 "(1, 0)"));
}

TEST_CASE("a floor takes the place of smaller rewards, and of no others") {
  const HyperGrid env = grid();  // log R is −4.6 on the background
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto batch = gfn::batch_from_trajectories(env, std::vector<Actions>{{0, 2}});
  const auto loss = [&](double floor) {
    return gfn::trajectory_balance_trainer(env, forward, backward, {}, {.log_reward_floor = floor}).gradient(batch);
  };
  const double without = loss(gfn::minus_infinity<>);
  CHECK(loss(-12) == without);
  const double at_one = std::sqrt(loss(0)), raised = std::sqrt(loss(1));
  CHECK(std::min(std::abs(at_one - raised), at_one + raised) == Approx(1).epsilon(1e-12));
}

TEST_CASE("modified detailed balance refuses states that cannot end, and names one") {
  const environments::PrependAppend env;
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto batch = gfn::batch_from_trajectories(env, std::vector<Actions>{{0, 1, 1, 4}});
  auto trainer = gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, forward, backward);
  const std::string text = message_of<gfn::Error>([&] { trainer.gradient(batch); });
  CHECK(contains(text, "cannot exit"));
  CHECK(contains(text, gfn::describe(env.initial_state())));
}
