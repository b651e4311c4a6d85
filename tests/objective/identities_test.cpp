// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <gfn/environment/hypergrid.hpp>
#include <gfn/exact/gradient.hpp>
#include <gfn/exact/values.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

// The identities that the method rests on (Niu et al. 2024, and exact in every case), by enumeration of all trajectories
// with random tabular policies, in double, to 1e-10.

namespace {

using gfn::Baseline;
using gfn::exact::BackwardLogProbabilities;
using gfn::exact::ForwardLogProbabilities;
using gfn::exact::StateGraph;
using tabular::derivative;
using tabular::expectation;
using tabular::Table;
using Numbers = std::vector<double>;
using Actions = std::vector<gfn::Action>;

constexpr double log_z = 0.4;
constexpr double tolerance = 1e-10;

gfn::HyperGrid environment(gfn::HyperGrid*) { return gfn::HyperGrid{{.dimension = 2, .side = 3}}; }
environments::PrependAppend environment(environments::PrependAppend*) { return {.letters = 2, .length = 3}; }

/// An environment with random policies on it, and a law ρ of terminating states that no policy gave.
template <class E>
struct Setting {
  E env = environment(static_cast<E*>(nullptr));
  StateGraph<E> graph{env};
  Table<E> forward = tabular::random_forward(graph, 1);
  Table<E> backward = tabular::random_backward(graph, 2);
  double log_z_star = gfn::exact::log_partition(graph);
  Numbers rho = gfn::exact::terminating_distribution(graph, tabular_guide());

  ForwardLogProbabilities log_f() { return gfn::exact::forward_log_probabilities(graph, forward); }
  BackwardLogProbabilities log_b() { return gfn::exact::backward_log_probabilities(graph, backward); }
  gfn::exact::TrajectoryLaw backward_law() { return gfn::exact::trajectory_law(graph, rho, log_b()); }
  double divergence() { return gfn::exact::forward_divergence(graph, log_f(), log_b()); }

  /// The exact critics.
  Table<E> value(double offset = 0) {
    Numbers v = gfn::exact::forward_values(graph, log_f(), log_b(), log_z);
    for (double& x : v) x -= offset;
    return tabular::value_table(graph, v);
  }
  Table<E> backward_value() {
    return tabular::value_table(graph, gfn::exact::backward_values(graph, log_f(), log_b()));
  }

 private:
  ForwardLogProbabilities tabular_guide() {
    auto guide = tabular::random_forward(graph, 9);
    return gfn::exact::forward_log_probabilities(graph, guide);
  }
};

void check_equal(const Eigen::VectorXd& a, const Eigen::VectorXd& b) {
  REQUIRE(a.size() == b.size());
  CHECK((a - b).lpNorm<Eigen::Infinity>() < tolerance);
  CHECK(a.lpNorm<Eigen::Infinity>() > 1e-3);  // there is something to compare
}

/// KL between the ways on from a state, under two forward policies, path by path.
template <class E>
double divergence_from(const StateGraph<E>& graph, int row, const ForwardLogProbabilities& p,
                       const ForwardLogProbabilities& q, double log_p = 0, double log_q = 0) {
  double sum = 0;
  if (graph.can_exit(row)) {
    const auto x = static_cast<std::size_t>(graph.terminal_index(row));
    sum += std::exp(log_p + p.exits[x]) * (log_p + p.exits[x] - log_q - q.exits[x]);
  }
  std::size_t e = graph.first_edge(row);
  for (const auto& edge : graph.edges(row)) {
    sum += divergence_from(graph, edge.child, p, q, log_p + p.edges[e], log_q + q.edges[e]);
    ++e;
  }
  return sum;
}

struct Psi {
  Baseline baseline;
  double lambda;
};

/// A conditional law of trajectories given where they end, that no Markov policy has.
template <class E>
std::map<Actions, double> random_guide(const StateGraph<E>& graph) {
  std::map<Actions, double> log_guide;
  Numbers sums(graph.terminal_rows().size(), 0);
  gfn::Stream stream(3, gfn::Purpose::user, 0, 0);
  const auto end_of = [&](const Actions& actions) {
    return static_cast<std::size_t>(graph.terminal_index(gfn::exact::follow(graph, actions, [](std::size_t) {})));
  };
  for (const Actions& actions : gfn::exact::all_trajectories(graph)) {
    log_guide[actions] = stream.normal();
    sums[end_of(actions)] += std::exp(log_guide[actions]);
  }
  for (auto& [actions, log_p] : log_guide) log_p -= std::log(sums[end_of(actions)]);
  return log_guide;
}

template <class B>
Actions actions_of(const B& batch, int i) {
  Actions actions;
  for (const gfn::Step& step : batch.steps(i)) actions.push_back(step.action);
  return actions;
}

/// L_TB^G(τ) = (log P_B(τ|x) − log P_G(τ|x))², as a user writes it.
struct GuidedBalance {
  const std::map<Actions, double>* log_guide;

  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    const auto& batch = input.batch;
    auto [guide, g] = tape.constant(gfn::Shape{batch.trajectories(), 1});
    for (int i = 0; i < batch.trajectories(); ++i) g(i, 0) = log_guide->at(actions_of(batch, i));
    return mean(square(segment_sum(input.backward.record(tape, batch), batch.offsets()) - guide));
  }
};

/// The costs of R_B^G for a guide that is known path by path: its part falls due on the walk's last step.
struct GuidedReward {
  const std::map<Actions, double>* log_guide;

  template <class Input>
  void operator()(const Input& input, std::span<double> cost) const {
    for (int i = 0; i < input.batch.trajectories(); ++i) {
      auto k = static_cast<std::size_t>(input.batch.offsets()[static_cast<std::size_t>(i)]);
      const auto steps = input.batch.steps(i);
      cost[k] = steps.size() > 1 ? -log_guide->at(actions_of(input.batch, i)) : 0.0;
      for (const gfn::Step& step : steps) cost[k++] += input.backward.log_probability(step);
    }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("identity 1: V_F(s0) = J_F = KL(P_F || P_B R / Z*) + log Z - log Z*", "", gfn::HyperGrid,
                   environments::PrependAppend) {
  Setting<TestType> s;
  const auto log_f = s.log_f();
  const auto log_b = s.log_b();
  const auto law = gfn::exact::trajectory_law(s.graph, log_f);
  const double divergence = expectation(law, [&](const Actions& actions) {
    const int x = gfn::exact::follow(s.graph, actions, [](std::size_t) {});
    const double target = s.graph.log_rewards()[static_cast<std::size_t>(s.graph.terminal_index(x))] - s.log_z_star +
                          gfn::exact::trajectory_log_probability(s.graph, actions, log_b);
    return gfn::exact::trajectory_log_probability(s.graph, actions, log_f) - target;
  });
  CHECK(std::abs(s.divergence() - divergence) < tolerance);
  const double v = gfn::exact::forward_values(s.graph, log_f, log_b, log_z)[0];
  CHECK(std::abs(v - (divergence + log_z - s.log_z_star)) < tolerance);
  // and J_F as the trainer sees it: the mean of the trajectories' costs
  auto value = s.value();
  auto trainer = gfn::policy_gradient_trainer(s.env, s.forward, s.backward, value, {.initial_log_z = log_z});
  const double j = expectation(law, [&](const Actions& actions) {
    auto batch = gfn::batch_from_trajectories(s.env, std::vector<Actions>{actions});
    return trainer.gradient(batch);
  });
  CHECK(std::abs(v - j) < tolerance);
}

TEMPLATE_TEST_CASE("identity 2: V_F(s) = log Z - log F*(s) + KL of the ways on from s", "", gfn::HyperGrid,
                   environments::PrependAppend) {
  Setting<TestType> s;
  const auto log_f = s.log_f();
  const auto log_b = s.log_b();
  const auto values = gfn::exact::forward_values(s.graph, log_f, log_b, log_z);
  const auto flows = gfn::exact::log_flows(s.graph, log_b);
  const auto induced = gfn::exact::induced_forward(s.graph, log_b);
  for (int row = 0; row < s.graph.num_states(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    CHECK(std::abs(values[i] - (log_z - flows[i] + divergence_from(s.graph, row, log_f, induced))) < tolerance);
  }
}

TEMPLATE_TEST_CASE("identity 3: half the gradient of trajectory balance is that of KL and of J_F", "", gfn::HyperGrid,
                   environments::PrependAppend) {
  Setting<TestType> s;
  auto trainer = gfn::trajectory_balance_trainer(s.env, s.forward, s.backward, {.initial_log_z = log_z});
  const auto balance = gfn::exact::expected_gradient(
      s.graph, s.forward, {}, [&](auto& batch) { trainer.gradient(batch); }, s.forward.parameters(),
      trainer.log_z().parameters());
  const Eigen::Index size = s.forward.parameters().size();
  const double by_log_z = balance.mean[size] / 2;
  check_equal(balance.mean.head(size) / 2, derivative(s.forward, [&] { return s.divergence(); }));
  CHECK(std::abs(by_log_z - (s.divergence() + log_z - s.log_z_star)) < tolerance);
  // J_F is the same with V_F(s0) for the KL: they differ by log Z − log Z*
  check_equal(balance.mean.head(size) / 2, derivative(s.forward, [&] {
                return gfn::exact::forward_values(s.graph, s.log_f(), s.log_b(), log_z)[0];
              }));
}

TEMPLATE_TEST_CASE("identity 4: half the gradient of backward trajectory balance is that of KL and of J_B", "",
                   gfn::HyperGrid, environments::PrependAppend) {
  Setting<TestType> s;
  const auto log_f = s.log_f();
  const auto law = s.backward_law();
  auto balance = gfn::trajectory_balance_trainer(s.env, s.forward, s.backward, {.initial_log_z = log_z});
  const Eigen::VectorXd gradient =
      gfn::exact::expected_gradient(
          s.env, law, {}, [&](auto& batch) { balance.gradient(batch); }, s.backward.parameters())
          .mean /
      2;
  const auto p = gfn::exact::terminating_distribution(s.graph, log_f);
  const auto divergence = [&] {  // E_ρ KL(P_B(τ|x) ‖ P_F(τ|x))
    const auto log_b = s.log_b();
    return expectation(s.backward_law(), [&](const Actions& actions) {
      const int x = gfn::exact::follow(s.graph, actions, [](std::size_t) {});
      return gfn::exact::trajectory_log_probability(s.graph, actions, log_b) -
             gfn::exact::trajectory_log_probability(s.graph, actions, log_f) +
             std::log(p[static_cast<std::size_t>(s.graph.terminal_index(x))]);
    });
  };
  const auto j = [&] {
    const auto values = gfn::exact::backward_values(s.graph, log_f, s.log_b());
    double sum = 0;
    for (std::size_t x = 0; x < s.rho.size(); ++x)
      sum += s.rho[x] * values[static_cast<std::size_t>(s.graph.terminal_rows()[x])];
    return sum;
  };
  check_equal(gradient, derivative(s.backward, divergence));
  check_equal(gradient, derivative(s.backward, j));
  // and the policy gradient, with any baseline, and with any λ and the exact critic
  auto value = s.value();
  auto exact_critic = s.backward_value();
  auto wrong_critic = tabular::random_value(s.graph, 5);
  const auto policy_gradient = [&](Psi psi, Table<TestType>& critic) -> Eigen::VectorXd {
    auto trainer =
        gfn::coupled_trainer(s.env, s.forward, s.backward, value, critic,
                             {.backward = {.baseline = psi.baseline, .lambda = psi.lambda, .center = false}});
    return gfn::exact::expected_gradient(
               s.env, law, {}, [&](auto& batch) { trainer.backward_gradient(batch); }, s.backward.parameters())
        .mean;
  };
  for (const Psi psi : {Psi{Baseline::off, 1}, Psi{Baseline::constant, 1}, Psi{Baseline::learned, 1}})
    check_equal(gradient, policy_gradient(psi, wrong_critic));
  for (const double lambda : {0.0, 0.5, 0.99, 1.0})
    check_equal(gradient, policy_gradient({Baseline::learned, lambda}, exact_critic));
  CHECK((gradient - policy_gradient({Baseline::learned, 0.5}, wrong_critic)).norm() > 1e-3);
}

TEMPLATE_TEST_CASE("identity 5: the same for a guide, Markovian or not", "", gfn::HyperGrid,
                   environments::PrependAppend) {
  Setting<TestType> s;
  const auto guide = random_guide(s.graph);
  const auto law = s.backward_law();
  const auto divergence = [&] {
    const auto log_b = s.log_b();
    return expectation(s.backward_law(), [&](const Actions& actions) {
      return gfn::exact::trajectory_log_probability(s.graph, actions, log_b) - guide.at(actions);
    });
  };
  const Eigen::VectorXd expected = derivative(s.backward, divergence);
  gfn::ObjectiveTrainer<TestType, GuidedBalance, Table<TestType>, Table<TestType>> balance(
      s.env, GuidedBalance{&guide}, s.forward, s.backward, nullptr, {});
  check_equal(expected, gfn::exact::expected_gradient(
                            s.env, law, {}, [&](auto& batch) { balance.gradient(batch); }, s.backward.parameters())
                                .mean /
                            2);
  auto value = s.value();
  auto critic = tabular::random_value(s.graph, 5);
  for (const Baseline baseline : {Baseline::off, Baseline::constant, Baseline::learned}) {
    auto trainer = gfn::coupled_trainer(s.env, s.forward, s.backward, value, critic,
                                        {.backward = {.baseline = baseline, .center = false}}, GuidedReward{&guide});
    check_equal(expected,
                gfn::exact::expected_gradient(
                    s.env, law, {}, [&](auto& batch) { trainer.backward_gradient(batch); }, s.backward.parameters())
                    .mean);
  }
}

TEMPLATE_TEST_CASE("identity 6: the policy gradient, whatever weighs the steps", "", gfn::HyperGrid,
                   environments::PrependAppend) {
  Setting<TestType> s;
  const Eigen::VectorXd expected = derivative(s.forward, [&] { return s.divergence(); });
  const double by_log_z = s.divergence() + log_z - s.log_z_star;
  auto exact_critic = s.value();
  auto wrong_critic = tabular::random_value(s.graph, 5);
  const auto policy_gradient = [&](Psi psi, Table<TestType>& critic, bool value_on_log_z = false) {
    auto trainer = gfn::policy_gradient_trainer(s.env, s.forward, s.backward, critic,
                                                {.baseline = psi.baseline,
                                                 .lambda = psi.lambda,
                                                 .center = false,
                                                 .value_on_log_z = value_on_log_z,
                                                 .initial_log_z = log_z});
    return gfn::exact::expected_gradient(
               s.graph, s.forward, {}, [&](auto& batch) { trainer.gradient(batch); }, s.forward.parameters(),
               trainer.log_z().parameters(), critic.parameters())
        .mean.eval();
  };
  const Eigen::Index size = expected.size();
  for (const Psi psi : {Psi{Baseline::off, 1}, Psi{Baseline::constant, 1}, Psi{Baseline::learned, 1}}) {
    const Eigen::VectorXd gradient = policy_gradient(psi, wrong_critic);
    check_equal(expected, gradient.head(size));
    CHECK(std::abs(gradient[size] - by_log_z) < tolerance);
  }
  auto without_log_z = s.value(log_z);
  for (const double lambda : {0.0, 0.5, 0.99, 1.0})
    for (const bool on_log_z : {false, true}) {
      auto& critic = on_log_z ? without_log_z : exact_critic;
      const Eigen::VectorXd gradient = policy_gradient({Baseline::learned, lambda}, critic, on_log_z);
      check_equal(expected, gradient.head(size));
      CHECK(std::abs(gradient[size] - by_log_z) < tolerance);
      // the exact critic is the mean of its Monte-Carlo targets
      CHECK(gradient.tail(critic.parameters().size()).template lpNorm<Eigen::Infinity>() < tolerance);
    }
  CHECK((expected - policy_gradient({Baseline::learned, 0.5}, wrong_critic).head(size)).norm() > 1e-3);
}

TEMPLATE_TEST_CASE("identity 7: the difference of two policies' performance", "", gfn::HyperGrid,
                   environments::PrependAppend) {
  Setting<TestType> s;
  auto other = tabular::random_forward(s.graph, 8);
  const auto old_p = s.log_f();
  const auto new_p = gfn::exact::forward_log_probabilities(s.graph, other);
  const auto log_b = s.log_b();
  const auto old_v = gfn::exact::forward_values(s.graph, old_p, log_b, log_z);
  const auto new_v = gfn::exact::forward_values(s.graph, new_p, log_b, log_z);
  const auto visits = gfn::exact::visit_probabilities(s.graph, new_p);
  double advantages = 0, divergences = 0;
  const auto add = [&](int row, double p, double old_log_p, double log_back, double next_value) {
    const auto i = static_cast<std::size_t>(row);
    const double q = visits[i] * std::exp(p);
    advantages += q * (old_log_p - log_back + next_value - old_v[i]);
    divergences += q * (p - old_log_p);
  };
  for (std::size_t e = 0; e < s.graph.num_edges(); ++e) {
    const auto& edge = s.graph.edges()[e];
    add(edge.source, new_p.edges[e], old_p.edges[e], log_b.edges[e], old_v[static_cast<std::size_t>(edge.child)]);
  }
  for (std::size_t x = 0; x < new_p.exits.size(); ++x)
    add(s.graph.terminal_rows()[x], new_p.exits[x], old_p.exits[x], s.graph.log_rewards()[x] - log_z, 0);
  CHECK(std::abs(new_v[0] - old_v[0] - advantages - divergences) < tolerance);
  CHECK(std::abs(divergences - divergence_from(s.graph, 0, new_p, old_p)) < tolerance);
}
