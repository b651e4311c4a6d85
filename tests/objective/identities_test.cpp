// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <gfn/exact/gradient.hpp>
#include <gfn/exact/values.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "environment/small_environments.hpp"
#include "tabular.hpp"

// The identities that the method rests on (Niu et al. 2024, and exact in every case), by enumeration of all
// trajectories with random tabular policies, in double, to 1e-10.

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

using Environments = std::tuple<gfn::HyperGrid, environments::Slots, environments::Words, environments::Networks,
                                environments::PrependAppend>;

/// An environment with random policies on it, and a law ρ of terminating states that no policy gave.
template <class E>
struct Setting {
  E env = environments::small<E>();
  StateGraph<E> graph{env};
  Table<E> forward = tabular::random_forward(graph, 1);
  Table<E> backward = tabular::random_backward(graph, 2);
  double log_z_star = gfn::exact::log_partition(graph);
  Numbers rho = gfn::exact::terminating_distribution(graph, tabular_guide());

  ForwardLogProbabilities log_f() { return gfn::exact::forward_log_probabilities(graph, forward); }
  BackwardLogProbabilities log_b() { return gfn::exact::backward_log_probabilities(graph, backward); }
  gfn::exact::TrajectoryLaw backward_law() { return gfn::exact::trajectory_law(graph, rho, log_b()); }
  double divergence() { return gfn::exact::forward_divergence(graph, log_f(), log_b()); }

  /// J_F of a forward policy.
  double performance(const ForwardLogProbabilities& log_p) {
    return gfn::exact::forward_values(graph, log_p, log_b(), log_z)[0];
  }
  /// A_F(s, a) of the forward policy, for all edges and exits.
  ForwardLogProbabilities advantages() {
    ForwardLogProbabilities a = log_f();
    const auto back = log_b();
    const Numbers v = gfn::exact::forward_values(graph, a, back, log_z);
    for (std::size_t e = 0; e < graph.num_edges(); ++e) {
      const auto& edge = graph.edges()[e];
      a.edges[e] += v[static_cast<std::size_t>(edge.child)] - back.edges[e] - v[static_cast<std::size_t>(edge.source)];
    }
    for (std::size_t x = 0; x < a.exits.size(); ++x)
      a.exits[x] += log_z - graph.log_rewards()[x] - v[static_cast<std::size_t>(graph.terminal_rows()[x])];
    return a;
  }

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

/// Σ_a π(a|s)·x(s, a) at one state; x has the form of a policy's log-probabilities.
template <class E>
double mean_at(const StateGraph<E>& graph, int row, const ForwardLogProbabilities& log_p,
               const ForwardLogProbabilities& x) {
  double sum = 0;
  const std::size_t first = graph.first_edge(row);
  for (std::size_t e = first; e < first + graph.edges(row).size(); ++e) sum += std::exp(log_p.edges[e]) * x.edges[e];
  if (!graph.can_exit(row)) return sum;
  const auto i = static_cast<std::size_t>(graph.terminal_index(row));
  return sum + std::exp(log_p.exits[i]) * x.exits[i];
}
/// The same with x = f(log p, log q), for two policies.
template <class E, class F>
double mean_of(const StateGraph<E>& graph, int row, const ForwardLogProbabilities& p, const ForwardLogProbabilities& q,
               const F& f) {
  ForwardLogProbabilities x = p;
  std::transform(p.edges.begin(), p.edges.end(), q.edges.begin(), x.edges.begin(), f);
  std::transform(p.exits.begin(), p.exits.end(), q.exits.begin(), x.exits.begin(), f);
  return mean_at(graph, row, p, x);
}
/// KL(p(·|s) ‖ q(·|s)).
template <class E>
double divergence_at(const StateGraph<E>& graph, int row, const ForwardLogProbabilities& p,
                     const ForwardLogProbabilities& q) {
  return mean_of(graph, row, p, q, [](double log_p, double log_q) { return log_p - log_q; });
}
/// TV(p(·|s), q(·|s)).
template <class E>
double variation_at(const StateGraph<E>& graph, int row, const ForwardLogProbabilities& p,
                    const ForwardLogProbabilities& q) {
  return mean_of(graph, row, p, q,
                 [](double log_p, double log_q) { return std::abs(1 - std::exp(log_q - log_p)) / 2; });
}

/// f''(0) by central differences of order 8.
template <class F>
double second_derivative(const F& f) {
  constexpr double h = 0.02;
  constexpr double weights[] = {8. / 5, -1. / 5, 8. / 315, -1. / 560};
  double sum = -205. / 72 * f(0.0);
  for (int k = 1; k <= 4; ++k) sum += weights[k - 1] * (f(k * h) + f(-k * h));
  return sum / (h * h);
}

struct Psi {
  Baseline baseline;
  double lambda;
};

/// A conditional law of trajectories given where they end, that no Markov policy has.
template <class E>
std::map<Actions, double> random_guide(const StateGraph<E>& graph, std::uint64_t seed = 3) {
  std::map<Actions, double> log_guide;
  Numbers sums(graph.terminal_rows().size(), 0);
  gfn::Stream stream(seed, gfn::Purpose::user, 0, 0);
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

TEMPLATE_LIST_TEST_CASE("identity 1: V_F(s0) = J_F = KL(P_F || P_B R / Z*) + log Z - log Z*", "", Environments) {
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
    batch.assume_on_policy(s.forward);
    return trainer.gradient(batch);
  });
  CHECK(std::abs(v - j) < tolerance);
}

TEMPLATE_LIST_TEST_CASE("identity 2: V_F(s) = log Z - log F*(s) + KL of the ways on from s", "", Environments) {
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

TEMPLATE_LIST_TEST_CASE("identity 3: half the gradient of trajectory balance is that of KL and of J_F", "",
                        Environments) {
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

TEMPLATE_LIST_TEST_CASE("identity 4: half the gradient of backward trajectory balance is that of KL and of J_B", "",
                        Environments) {
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
               s.env, law, {},
               [&](auto& batch) {
                 batch.assume_walked_back_by(s.backward);
                 trainer.backward_gradient(batch);
               },
               s.backward.parameters())
        .mean;
  };
  for (const Psi psi : {Psi{Baseline::off, 1}, Psi{Baseline::constant, 1}, Psi{Baseline::learned, 1}})
    check_equal(gradient, policy_gradient(psi, wrong_critic));
  for (const double lambda : {0.0, 0.5, 0.99, 1.0})
    check_equal(gradient, policy_gradient({Baseline::learned, lambda}, exact_critic));
  CHECK((gradient - policy_gradient({Baseline::learned, 0.5}, wrong_critic)).norm() > 1e-3);
}

TEMPLATE_LIST_TEST_CASE("identity 5: the same for a guide, Markovian or not", "", Environments) {
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
    check_equal(expected, gfn::exact::expected_gradient(
                              s.env, law, {},
                              [&](auto& batch) {
                                batch.assume_walked_back_by(s.backward);
                                trainer.backward_gradient(batch);
                              },
                              s.backward.parameters())
                              .mean);
  }
}

TEMPLATE_LIST_TEST_CASE("identity 6: the policy gradient, whatever weighs the steps", "", Environments) {
  Setting<TestType> s;
  const Eigen::VectorXd expected = derivative(s.forward, [&] { return s.divergence(); });
  const double by_log_z = s.divergence() + log_z - s.log_z_star;
  auto exact_critic = s.value();
  auto wrong_critic = tabular::random_value(s.graph, 5);
  const auto policy_gradient = [&](Psi psi, Table<TestType>& critic, bool value_on_log_z = false) {
    auto trainer = gfn::policy_gradient_trainer(
        s.env, s.forward, s.backward, critic,
        {.baseline = psi.baseline, .lambda = psi.lambda, .center = false, .value_on_log_z = value_on_log_z});
    trainer.log_z().parameters().modify(0)(0, 0) = log_z;  // learned, not the origin
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

TEMPLATE_LIST_TEST_CASE("identity 7: the difference of two policies' performance", "", Environments) {
  Setting<TestType> s;
  auto other = tabular::random_forward(s.graph, 8);
  const auto old_p = s.log_f();
  const auto new_p = gfn::exact::forward_log_probabilities(s.graph, other);
  const auto visits = gfn::exact::visit_probabilities(s.graph, new_p);
  const auto advantage = s.advantages();
  double advantages = 0, divergences = 0;
  for (int row = 0; row < s.graph.num_states(); ++row) {
    advantages += visits[static_cast<std::size_t>(row)] * mean_at(s.graph, row, new_p, advantage);
    divergences += visits[static_cast<std::size_t>(row)] * divergence_at(s.graph, row, new_p, old_p);
  }
  CHECK(std::abs(s.performance(new_p) - s.performance(old_p) - advantages - divergences) < tolerance);
  CHECK(std::abs(divergences - divergence_from(s.graph, 0, new_p, old_p)) < tolerance);
}

TEMPLATE_LIST_TEST_CASE("identity 8: the Fisher matrix is the Hessian of the policies' mean divergence", "",
                        Environments) {
  using Evaluation = gfn::PolicyEvaluation<double, Table<TestType>, TestType>;
  Setting<TestType> s;
  auto& parameters = s.forward.parameters();
  const Eigen::VectorXd values = parameters.value();
  const auto old_p = s.log_f();
  const auto visits = gfn::exact::visit_probabilities(s.graph, old_p);
  const auto law = gfn::exact::trajectory_law(s.graph, old_p);
  // the library's product, each state weighing as much as it is visited
  auto batch = gfn::batch_from_trajectories(s.env, law.trajectories);
  Evaluation evaluation(s.forward, s.env, gfn::Direction::forward);
  evaluation.evaluate(batch.table());
  Numbers weights;
  for (const int row : evaluation.rows())
    weights.push_back(visits[static_cast<std::size_t>(s.graph.find(batch.table().state(row)))]);
  gfn::Stream stream(6, gfn::Purpose::user, 0, 0);
  for (int k = 0; k < 4; ++k) {
    Eigen::VectorXd v(parameters.size());
    for (double& x : v) x = stream.normal();
    gfn::Tape<double> tape;
    parameters.zero_grad();
    parameters.tangent() = v;
    evaluation.add_fisher_product(tape, weights);
    const double product = v.dot(parameters.grad());

    const auto moved = [&](double step) {
      parameters.modify() = values + step * v;
      const auto p = s.log_f();
      parameters.modify() = values;
      return p;
    };
    const double hessian = second_derivative([&](double step) {
      const auto p = moved(step);
      double sum = 0;
      for (int row = 0; row < s.graph.num_states(); ++row)
        sum += visits[static_cast<std::size_t>(row)] * divergence_at(s.graph, row, old_p, p);
      return sum;
    });
    CHECK(product > 0.1);
    CHECK(std::abs(product - hessian) < 1e-8 * product);
    // and the mean square of the score, along v, of whole trajectories
    const double h = 1e-3;
    const ForwardLogProbabilities at[] = {moved(-2 * h), moved(-h), moved(h), moved(2 * h)};
    const double score = expectation(law, [&](const Actions& actions) {
      double log_p[4];
      for (int i = 0; i < 4; ++i) log_p[i] = gfn::exact::trajectory_log_probability(s.graph, actions, at[i]);
      const double slope = (8 * (log_p[2] - log_p[1]) - (log_p[3] - log_p[0])) / (12 * h);
      return slope * slope;
    });
    CHECK(std::abs(product - score) < 1e-8 * product);
    evaluation.evaluate(batch.table());
  }
}

TEMPLATE_LIST_TEST_CASE("the coupled objective bounds the guided one", "", Environments) {
  Setting<TestType> s;
  const auto log_f = s.log_f();
  const auto rho = gfn::exact::terminating_distribution(s.graph, log_f);
  double range_use = 0, size_use = 0;  // the largest shares of the bounds that were reached
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    // guides far from P_B and near to it, in directions that have nothing to do with P_F, and away from it
    for (const double distance : {1.0, 0.01, -1.0, -0.01}) {
      tabular::randomise(s.backward, seed);
      const auto log_b = s.log_b();
      const auto guide = random_guide(s.graph, seed + 10);
      std::map<Actions, double> f;  // log P_B(τ|x) / P_G(τ|x), up to a factor of P_G that depends on x
      std::map<int, double> sums;
      const auto law = gfn::exact::trajectory_law(s.graph, log_f);
      const auto end_of = [&](const Actions& actions) {
        return gfn::exact::follow(s.graph, actions, [](std::size_t) {});
      };
      for (const Actions& actions : law.trajectories) {
        const double log_p = gfn::exact::trajectory_log_probability(s.graph, actions, log_b);
        const double log_f_of = gfn::exact::trajectory_log_probability(s.graph, actions, log_f);
        f[actions] = distance > 0 ? distance * (log_p - guide.at(actions)) : -distance * (log_f_of - log_p);
        sums[end_of(actions)] += std::exp(log_p - f[actions]);
      }
      double low = 0, high = 0;
      for (auto& [actions, ratio] : f) {
        ratio += std::log(sums.at(end_of(actions)));
        low = std::min(low, ratio), high = std::max(high, ratio);
      }
      const auto at = [&](const Actions& actions) { return f.at(actions); };
      const double j_f = s.performance(log_f);
      const double guided_j_f = expectation(law, [&](const Actions& actions) {  // J_F with P_G in place of P_B
        const auto x = static_cast<std::size_t>(s.graph.terminal_index(end_of(actions)));
        const double log_g = gfn::exact::trajectory_log_probability(s.graph, actions, log_b) - f.at(actions);
        return gfn::exact::trajectory_log_probability(s.graph, actions, log_f) - log_g - s.graph.log_rewards()[x] +
               log_z;
      });
      CHECK(std::abs(guided_j_f - j_f - expectation(law, at)) < tolerance);
      const double guided_j_b = expectation(gfn::exact::trajectory_law(s.graph, rho, log_b), at);
      CHECK(guided_j_b > 0);  // a divergence
      const double divergence = j_f + s.log_z_star - log_z;
      CHECK(std::abs(divergence - s.divergence()) < tolerance);
      const double gap = guided_j_f - j_f - guided_j_b;
      const double by_range = (high - low) * std::sqrt(divergence / 2);
      const double by_size = std::max(high, -low) * std::sqrt(2 * divergence);
      CHECK(gap <= by_range);
      CHECK(gap <= by_size);
      range_use = std::max(range_use, gap / by_range);
      size_use = std::max(size_use, gap / by_size);
    }
  }
  CHECK(range_use > 0.2);  // or the left side would have lost something
  CHECK(size_use > 0.12);
}

TEST_CASE("the bound with the largest ratio in place of its range does not hold") {
  // one x, and two ways to it
  const environments::PrependAppend env{.letters = 1, .length = 1};
  const StateGraph graph(env);
  REQUIRE(graph.num_edges() == 2);
  auto forward = gfn::tabular_policy<double>(env, graph.states());
  auto backward = gfn::tabular_backward<double>(env, graph.states());
  forward.modify()(0, 0) = std::log(.51);
  forward.modify()(0, 1) = std::log(.49);
  const auto log_f = gfn::exact::forward_log_probabilities(graph, forward);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  const double f[] = {std::log(.5 / .3), std::log(.5 / .7)};
  double gap = 0;
  for (std::size_t e = 0; e < 2; ++e) gap += (std::exp(log_f.edges[e]) - std::exp(log_b.edges[e])) * f[e];
  const double divergence = gfn::exact::forward_divergence(graph, log_f, log_b);
  CHECK(gap == Approx(.00847).margin(5e-6));
  CHECK(std::max(f[0], -f[1]) * std::sqrt(divergence / 2) == Approx(.00511).margin(5e-6));  // and is no bound
  CHECK(gap <= (f[0] - f[1]) * std::sqrt(divergence / 2));
  CHECK(gap <= std::max(f[0], -f[1]) * std::sqrt(2 * divergence));
}

TEMPLATE_LIST_TEST_CASE("trust regions: two bounds of the performance of the next policy", "", Environments) {
  Setting<TestType> s;
  const auto old_p = s.log_f();
  const auto visits = gfn::exact::visit_probabilities(s.graph, old_p);
  const auto advantage = s.advantages();
  double longest = 0;  // the most choices that a trajectory makes
  for (const Actions& actions : gfn::exact::all_trajectories(s.graph)) {
    int row = 0;
    double choices = 0;
    for (const gfn::Action action : actions) {
      const auto edges = s.graph.edges(row);
      choices += edges.size() + (s.graph.can_exit(row) ? 1 : 0) > 1;
      for (const auto& edge : edges)
        if (edge.action == action) row = edge.child;
    }
    longest = std::max(longest, choices);
  }
  const Eigen::VectorXd values = s.forward.parameters().value();
  double divergence_use = 0, variation_use = 0;  // the largest shares of the bounds, above the surrogate
  for (const double scale : {0.01, 0.1, 0.5, 2.0})
    for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
      tabular::randomise(s.forward, seed, scale);
      s.forward.parameters().modify() += values;
      const auto new_p = s.log_f();
      const auto new_visits = gfn::exact::visit_probabilities(s.graph, new_p);
      double surrogate = 0, divergence = 0, variation = 0, largest = 0;
      for (int row = 0; row < s.graph.num_states(); ++row) {
        const auto i = static_cast<std::size_t>(row);
        const double mean = mean_at(s.graph, row, new_p, advantage);  // Ā(s) = E_π'[A_F(s, ·; θ)]
        largest = std::max(largest, std::abs(mean));
        surrogate += visits[i] * mean;
        divergence += new_visits[i] * divergence_at(s.graph, row, new_p, old_p);
        variation += visits[i] * variation_at(s.graph, row, new_p, old_p);
      }
      const double difference = s.performance(new_p) - s.performance(old_p);
      const double by_divergence = largest * longest * std::sqrt(2 * divergence) + divergence;
      const double by_variation = 2 * largest * (longest - 1) * variation + divergence;
      CHECK(difference <= surrogate + by_divergence + 1e-12);
      CHECK(difference <= surrogate + by_variation + 1e-12);
      divergence_use = std::max(divergence_use, (difference - surrogate) / by_divergence);
      variation_use = std::max(variation_use, (difference - surrogate) / by_variation);
    }
  CHECK(divergence_use > 0.13);  // or the left side would have lost something
  CHECK(variation_use > 0.15);
}
