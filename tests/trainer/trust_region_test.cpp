// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <gfn/environment/traits.hpp>
#include <gfn/exact/gradient.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/nn/conjugate_gradient.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include <Eigen/Dense>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

namespace {

using gfn::Direction;
using gfn::HyperGrid;
using gfn::TrustRegionUpdate;
using gfn::exact::StateGraph;
using tabular::Table;
using Neural = gfn::NeuralFunction<double, gfn::Tanh>;
using Solver = gfn::ConjugateGradient<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();

HyperGrid grid() { return HyperGrid{{.dimension = 2, .side = 3}}; }

/// A random table, or a small network.
template <class P, class E>
P make(const StateGraph<E>& graph, int outputs, std::uint64_t seed) {
  using T = typename P::Scalar;
  const E& env = graph.environment();
  if constexpr (std::is_same_v<P, gfn::NeuralFunction<T, gfn::Tanh>>) {
    gfn::Random random{seed};
    return P(gfn::mlp_trunk<T, gfn::Tanh>(env, {.hidden = {4, 3}}, random), "head", outputs);
  } else {
    P table(env, graph.states(), outputs);
    tabular::randomise(table, seed);
    return table;
  }
}

/// The rows in which a policy acts, step by step; none at the exit's way back.
int acting_row(const gfn::Step& step, Direction direction) {
  return direction == Direction::forward ? step.row : step.child;
}

/// A policy's log-probabilities at all states of a graph, computed apart from any trainer.
struct Law {
  gfn::exact::ForwardLogProbabilities forward;
  gfn::exact::BackwardLogProbabilities backward;
};
template <class E, class P>
Law law_of(const StateGraph<E>& graph, P& policy, Direction direction) {
  if (direction == Direction::forward) return {gfn::exact::forward_log_probabilities(graph, policy), {}};
  return {{}, gfn::exact::backward_log_probabilities(graph, policy)};
}
/// KL(p ‖ q) at one state.
template <class E>
double divergence(const StateGraph<E>& graph, int row, const Law& p, const Law& q, Direction direction) {
  const auto term = [](double a, double b) { return std::exp(a) * (a - b); };
  double sum = 0;
  if (direction == Direction::backward) {
    for (const std::uint32_t e : graph.incoming(row)) sum += term(p.backward.edges[e], q.backward.edges[e]);
    return sum;
  }
  if (graph.can_exit(row)) {
    const auto x = static_cast<std::size_t>(graph.terminal_index(row));
    sum = term(p.forward.exits[x], q.forward.exits[x]);
  }
  for (std::size_t e = graph.first_edge(row); e < graph.first_edge(row) + graph.edges(row).size(); ++e)
    sum += term(p.forward.edges[e], q.forward.edges[e]);
  return sum;
}
/// log π of a step.
template <class E>
double log_probability(const StateGraph<E>& graph, int row, const gfn::Step& step, const Law& p, Direction direction) {
  if (step.child == gfn::none)
    return direction == Direction::forward ? p.forward.exits[static_cast<std::size_t>(graph.terminal_index(row))] : 0.0;
  std::size_t e = graph.first_edge(row);
  while (graph.edges()[e].action != step.action) ++e;
  return direction == Direction::forward ? p.forward.edges[e] : p.backward.edges[e];
}

/// What a report ought to say about a step from one policy to another.
struct Change {
  double kl = 0;           // (1/N) Σ_i Σ_t KL(old ‖ new)
  double improvement = 0;  // of (1/N) Σ_i Σ_t (new / old) Â
};
template <class E>
Change change(const StateGraph<E>& graph, const gfn::Batch<E>& batch, Direction direction, const Law& before,
              const Law& after, std::span<const double> advantage) {
  Change result;
  for (std::size_t k = 0; k < batch.steps().size(); ++k) {
    const gfn::Step& step = batch.steps()[k];
    const int acting = acting_row(step, direction);
    if (acting == gfn::none) continue;
    const int source = graph.find(batch.table().state(step.row));
    result.kl += divergence(graph, graph.find(batch.table().state(acting)), before, after, direction);
    const double log_ratio = log_probability(graph, source, step, after, direction) -
                             log_probability(graph, source, step, before, direction);
    result.improvement -= std::expm1(log_ratio) * advantage[k];
  }
  result.kl /= batch.trajectories();
  result.improvement /= batch.trajectories();
  return result;
}

template <class T>
std::vector<T> numbers(const gfn::Parameters<T>& parameters) {
  return {parameters.value().data(), parameters.value().data() + parameters.size()};
}

/// Compares the report of an accepted step with what became of the policy, up to the rounding of log-probabilities.
template <class E, class P>
void check_accepted(const StateGraph<E>& graph, const gfn::Batch<E>& batch, Direction direction, P& policy,
                    const std::vector<typename P::Scalar>& values_before, std::span<const double> advantage,
                    const gfn::TrustRegionReport& report, double max_kl) {
  using T = typename P::Scalar;
  const double tolerance = std::is_same_v<T, float> ? 2e-3 : 1e-6;
  const double rounding = std::is_same_v<T, float> ? 1e-6 : 0;  // of a trajectory's log-probabilities
  const std::vector<T> values_after = numbers(policy.parameters());
  const Law after = law_of(graph, policy, direction);
  using Values = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>;
  policy.parameters().modify() = Values(values_before.data(), policy.parameters().size());
  const Law before = law_of(graph, policy, direction);
  policy.parameters().modify() = Values(values_after.data(), policy.parameters().size());
  const Change actual = change(graph, batch, direction, before, after, advantage);
  CHECK(actual.kl <= max_kl * (1 + tolerance));
  CHECK(actual.kl > 0);
  CHECK(actual.improvement > 0);
  CHECK(report.kl == Approx(actual.kl).epsilon(tolerance).margin(rounding));
  CHECK(report.improvement == Approx(actual.improvement).epsilon(tolerance).margin(rounding));
  CHECK(report.expected_improvement > 0);
  CHECK(report.step == std::pow(.5, report.trials - 1));
}

/// Trains both policies, functions of the kind P, by steps in a trust region, and checks each. Returns how many were
/// accepted of ten.
template <class P, class E>
int check_steps(const E& env, double max_kl) {
  const StateGraph graph(env);
  auto forward = make<P>(graph, env.num_actions() + 1, 1);
  auto backward = make<P>(graph, gfn::num_backward_actions(env), 2);
  auto value = make<P>(graph, 1, 3);
  auto backward_value = make<P>(graph, 1, 4);
  const gfn::TrustRegionOptions region{.max_kl = max_kl, .conjugate_gradient = {.iterations = 40, .tolerance = 1e-16}};
  auto trainer = gfn::coupled_trust_region_trainer(env, forward, backward, value, backward_value, {},
                                                   {.forward = region, .backward = region});
  // The networks of the words hardly change in some directions, in which a step of whatever KL is a long one.
  const bool flat = std::is_same_v<P, Neural> && !std::is_same_v<E, HyperGrid>;
  int accepted = 0;
  for (int i = 0; i < 5; ++i) {
    const auto forward_before = numbers(forward.parameters()), backward_before = numbers(backward.parameters());
    trainer.step(gfn::Random{7}, 16);
    const auto& report = trainer.update().report();
    const auto& backward_report = trainer.backward_update().report();
    if (report.accepted) {
      ++accepted;
      check_accepted(graph, trainer.batch(), Direction::forward, forward, forward_before,
                     trainer.advantages().advantage(), report, max_kl);
    }
    if (backward_report.accepted) {
      ++accepted;
      check_accepted(graph, trainer.backward_batch(), Direction::backward, backward, backward_before,
                     trainer.backward_advantages().advantage(), backward_report, max_kl);
    }
    if (max_kl == 1e-8 && report.accepted && !flat) {  // so small that the quadratic model is the truth
      CHECK(report.kl / report.step / report.step == Approx(max_kl).epsilon(0.01));
      CHECK(report.improvement == Approx(report.expected_improvement).epsilon(0.01));
    }
  }
  return accepted;
}
/// By tables and by small networks with numbers of type T.
template <class T, class E>
void check_steps_of_both_kinds(const E& env, double max_kl) {
  CAPTURE(max_kl);
  CHECK(check_steps<gfn::TabularFunction<T, E>>(env, max_kl) >= 8);
  CHECK(check_steps<gfn::NeuralFunction<T, gfn::Tanh>>(env, max_kl) >= 8);
}

/// A batch, a policy evaluated on it, and the surrogate's gradient in the policy's parameters: what an update starts
/// from.
template <class P>
struct UpdateSetting {
  HyperGrid env;
  StateGraph<HyperGrid> graph{env};
  P policy = make<P>(graph, env.num_actions() + 1, 1);
  gfn::Batch<HyperGrid> batch = gfn::batch_from_trajectories(env, gfn::exact::all_trajectories(graph));
  std::vector<double> advantage = std::vector<double>(batch.steps().size());
  gfn::PolicyEvaluation<double, P, HyperGrid> evaluation{policy, env, Direction::forward};
  gfn::Tape<double> tape;

  explicit UpdateSetting(const HyperGrid& e, double scale = 1) : env(e) {
    gfn::Stream stream(3, gfn::Purpose::user, 0, 0);
    for (double& a : advantage) a = scale * stream.normal();
    evaluation.evaluate(batch.table());
    tape.backward(gfn::policy_gradient_loss(tape, evaluation, batch, advantage));
  }
  gfn::TrustRegionReport update(const gfn::TrustRegionOptions& options = {}) {
    TrustRegionUpdate<double> step(policy.parameters(), options);
    step(tape, evaluation, batch, advantage);
    CHECK(policy.parameters().grad().norm() == 0);  // used up
    return step.report();
  }
};

}  // namespace

TEST_CASE("conjugate gradients solve what a factorisation solves") {
  const int n = 12;
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  Eigen::MatrixXd a(n, n);
  for (double& x : a.reshaped()) x = stream.normal();
  const Eigen::MatrixXd h = a * a.transpose() + Eigen::MatrixXd::Identity(n, n);
  Eigen::VectorXd b(n);
  for (double& x : b) x = stream.normal();
  for (const double damping : {0.0, 0.5}) {
    Solver solver;
    gfn::Vector<double> direction(n), product = b;
    Solver::VectorMap d(direction.data(), n), p(product.data(), n);
    const auto report =
        solver.solve(d, p, [&] { p += h * d; }, {.iterations = 2 * n, .tolerance = 1e-24, .damping = damping});
    const Eigen::VectorXd expected = (h + damping * Eigen::MatrixXd::Identity(n, n)).ldlt().solve(b);
    CHECK((solver.solution() - expected).norm() < 1e-9 * expected.norm());
    CHECK(report.residual < 1e-24);
    CHECK(report.iterations <= 2 * n);
    CHECK_FALSE(report.negative_curvature);
    CHECK(product.norm() == 0);
  }
}

TEST_CASE("conjugate gradients of long vectors take as many iterations as there are eigenvalues") {
  const Eigen::Index n = 3000;  // more than the inner products sum in one go
  Eigen::VectorXd eigenvalues(n), b(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    eigenvalues[i] = 1 + static_cast<double>(i % 3);
    b[i] = std::sin(static_cast<double>(i));
  }
  Solver solver;
  gfn::Vector<double> direction(n), product = b;
  Solver::VectorMap d(direction.data(), n), p(product.data(), n);
  const auto report = solver.solve(d, p, [&] { p.array() += eigenvalues.array() * d.array(); }, {.tolerance = 1e-20});
  CHECK(report.iterations == 3);
  CHECK((solver.solution().array() * eigenvalues.array() - b.array()).matrix().norm() < 1e-10);
  CHECK(Solver::dot(b, eigenvalues) == Approx(b.dot(eigenvalues)).epsilon(1e-12));
  product = b;
  CHECK(solver.solve(d, p, [&] { p.array() += eigenvalues.array() * d.array(); }, {.iterations = 2, .tolerance = 0})
            .iterations == 2);
}

TEST_CASE("conjugate gradients stop where the curvature is not positive") {
  Solver solver;
  gfn::Vector<double> direction(2), product(2);
  Solver::VectorMap d(direction.data(), 2), p(product.data(), 2);
  const auto solve = [&](double h0, double h1, double b0, double b1, double damping = 0) {
    product << b0, b1;
    return solver.solve(d, p, [&] { product[0] += h0 * direction[0], product[1] += h1 * direction[1]; },
                        {.tolerance = 1e-20, .damping = damping});
  };
  auto report = solve(-1, -1, 1, 1);
  CHECK(report.negative_curvature);
  CHECK(report.iterations == 0);
  CHECK(solver.solution().norm() == 0);
  CHECK(product.norm() == 0);
  report = solve(1, -0.9, 1, 0.5);  // positive along b, negative in the second direction
  CHECK(report.negative_curvature);
  CHECK(report.iterations == 1);
  CHECK(solver.solution().allFinite());
  CHECK(solve(0, 0, 1, 1).negative_curvature);
  CHECK(solve(std::nan(""), 1, 1, 1).negative_curvature);
  CHECK(solver.solution().norm() == 0);
  CHECK_FALSE(solve(-1, -1, 1, 1, 2).negative_curvature);  // damped to positive
  CHECK(solver.solution()[0] == Approx(1));
  CHECK(solve(1, 1, 0, 0).iterations == 0);
  CHECK(solver.solution().norm() == 0);
}

TEMPLATE_TEST_CASE("the Fisher product of a policy is the Hessian of its mean divergence", "", Table<HyperGrid>,
                   Neural) {
  const HyperGrid env = grid();
  const StateGraph graph(env);
  auto trajectories = gfn::exact::all_trajectories(graph);
  trajectories.push_back(trajectories[3]);
  const auto batch = gfn::batch_from_trajectories(env, trajectories);
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    auto policy = make<TestType>(graph, direction == Direction::forward ? 3 : 2, 1);
    auto& parameters = policy.parameters();
    gfn::PolicyEvaluation<double, TestType, HyperGrid> evaluation(policy, env, direction);
    evaluation.evaluate(batch.table());
    std::vector<double> weights(evaluation.rows().size(), 0.0);  // visits per trajectory
    for (const gfn::Step& step : batch.steps())
      for (std::size_t i = 0; i < weights.size(); ++i)
        if (evaluation.rows()[i] == acting_row(step, direction)) weights[i] += 1. / batch.trajectories();
    // ∇K(θ') = −Σ weight Σ_a π_θ(a) ∇log π_θ'(a)
    gfn::Tape<double> tape;
    tape.clear();
    gfn::Matrix<double> cotangent = -evaluation.record_rows(tape).value().array().exp().matrix();
    for (Eigen::Index i = 0; i < cotangent.rows(); ++i) cotangent.row(i) *= weights[static_cast<std::size_t>(i)];
    const auto gradient = [&]() -> Eigen::VectorXd {
      evaluation.evaluate(batch.table());
      tape.clear();
      parameters.zero_grad();
      tape.pull_back(evaluation.record_rows(tape), cotangent);
      return parameters.grad();
    };
    const double h = 1e-3;
    double largest = 0, error = 0;
    for (Eigen::Index i = 0; i < parameters.size(); ++i) {
      const double x = parameters.value()[i];
      const auto at = [&](double shift) {
        parameters.modify()[i] = x + shift;
        return gradient();
      };
      const Eigen::VectorXd column = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      parameters.modify()[i] = x;
      evaluation.evaluate(batch.table());
      tape.clear();
      parameters.zero_grad();
      parameters.tangent().setZero();
      parameters.tangent()[i] = 1;
      evaluation.add_fisher_product(tape, weights);
      largest = std::max(largest, column.cwiseAbs().maxCoeff());
      error = std::max(error, (parameters.grad() - column).cwiseAbs().maxCoeff());
    }
    CHECK(largest > 0.05);
    CHECK(error < 1e-9);
  }
}

TEST_CASE("trust-region steps stay in their region and lower the surrogate") {
  const double max_kl = GENERATE(1e-8, 0.01, 1.0);
  check_steps_of_both_kinds<double>(grid(), max_kl);
  check_steps_of_both_kinds<double>(environments::PrependAppend(), max_kl);  // parallel edges, rows without a choice
}

TEST_CASE("trust-region steps stay in their region in float too") {
  const double max_kl = GENERATE(0.01, 1.0);  // well above the rounding of log-probabilities
  check_steps_of_both_kinds<float>(grid(), max_kl);
  check_steps_of_both_kinds<float>(environments::PrependAppend(), max_kl);
}

TEST_CASE("a trust-region step that fails leaves the parameters as they were, bit for bit") {
  const HyperGrid env = grid();
  SECTION("no point of the line search will do") {
    int rejected = 0;
    for (const double max_kl : {0.3, 1.0, 3.0, 30.0, 1e4}) {
      UpdateSetting<Neural> s(env);
      const auto before = numbers(s.policy.parameters());
      const auto report = s.update({.max_kl = max_kl, .halvings = 0});
      CHECK(report.trials == 1);
      if (report.accepted) {
        check_accepted(s.graph, s.batch, Direction::forward, s.policy, before, s.advantage, report, max_kl);
      } else {
        ++rejected;
        CHECK(numbers(s.policy.parameters()) == before);
        CHECK(report.step == 0);
        CHECK((report.kl > max_kl || report.improvement <= 0));  // the point that was refused
      }
      // with more trials the same step is found, shorter
      UpdateSetting<Neural> again(env);
      CHECK(again.update({.max_kl = max_kl}).accepted);
    }
    CHECK(rejected >= 1);
  }
  SECTION("nothing to gain") {
    UpdateSetting<Table<HyperGrid>> s(env, 0);
    const auto before = numbers(s.policy.parameters());
    const auto report = s.update();
    CHECK_FALSE(report.accepted);
    CHECK(report.trials == 0);
    CHECK(numbers(s.policy.parameters()) == before);
  }
  SECTION("a gradient that is not a number") {
    UpdateSetting<Table<HyperGrid>> s(env);
    s.policy.parameters().grad()[0] = std::nan("");
    const auto before = numbers(s.policy.parameters());
    CHECK_FALSE(s.update().accepted);
    CHECK(numbers(s.policy.parameters()) == before);
  }
  SECTION("a policy without a choice has no curvature") {
    UpdateSetting<Table<HyperGrid>> s(HyperGrid{{.dimension = 1, .side = 1}});
    s.policy.parameters().grad()[0] = 1;
    const auto before = numbers(s.policy.parameters());
    const auto report = s.update();
    CHECK_FALSE(report.accepted);
    CHECK(report.conjugate_gradient.negative_curvature);
    CHECK(numbers(s.policy.parameters()) == before);
  }
  SECTION("and a trainer goes on") {
    const StateGraph graph(env);
    auto forward = make<Table<HyperGrid>>(graph, 3, 1);
    auto backward = gfn::uniform_backward(env);
    auto value = make<Table<HyperGrid>>(graph, 1, 3);
    auto trainer = gfn::trust_region_trainer(env, forward, backward, value, {}, {.max_kl = 1.0, .halvings = 0});
    int rejected = 0;
    for (int i = 0; i < 30; ++i) {
      const auto before = numbers(forward.parameters());
      trainer.step(gfn::Random{9}, 8);
      if (trainer.update().report().accepted) continue;
      ++rejected;
      CHECK(numbers(forward.parameters()) == before);
    }
    CHECK(rejected > 0);
    CHECK(rejected < 30);
  }
}

TEST_CASE("damping shortens the natural gradient") {
  const HyperGrid env = grid();
  UpdateSetting<Table<HyperGrid>> plain(env), damped(env);
  const gfn::TrustRegionOptions options{.max_kl = 1e-4, .conjugate_gradient = {.iterations = 60, .tolerance = 1e-20}};
  auto with_damping = options;
  with_damping.conjugate_gradient.damping = 1;
  const auto report = plain.update(options), damped_report = damped.update(with_damping);
  CHECK(report.accepted);
  CHECK(damped_report.accepted);
  // the undamped direction is the steepest in the measure of KL
  CHECK(report.improvement / std::sqrt(report.kl) > 1.01 * damped_report.improvement / std::sqrt(damped_report.kl));
}

TEST_CASE("options of the trust region out of range are refused") {
  gfn::Parameters<double> parameters;
  parameters.add("one", 1, 1);
  const auto make_update = [&](const gfn::TrustRegionOptions& options) {
    TrustRegionUpdate<double> update(parameters, options);
  };
  CHECK_NOTHROW(make_update({}));
  for (const double max_kl : {0.0, -1.0, infinity, std::nan("")})
    CHECK_THROWS_AS(make_update({.max_kl = max_kl}), std::invalid_argument);
  for (const double damping : {-1.0, infinity, std::nan("")})
    CHECK_THROWS_AS(make_update({.conjugate_gradient = {.damping = damping}}), std::invalid_argument);
  CHECK_THROWS_AS(make_update({.conjugate_gradient = {.iterations = 0}}), std::invalid_argument);
  CHECK_THROWS_AS(make_update({.halvings = -1}), std::invalid_argument);
}
