// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <map>
#include <vector>

#include <gfn/exact/gradient.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/sampler.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

// Rollouts follow the exact law of trajectories: chi-square tests, each at the level 5e-5 (there are 13 of them; the
// seed is fixed, so a pass stays a pass).

namespace {

using gfn::HyperGrid;
using gfn::exact::StateGraph;
using Actions = std::vector<gfn::Action>;

/// The quantile of the chi-square distribution at 1 − 5e-5 (Wilson and Hilferty's approximation).
double chi_square_limit(int freedom) {
  constexpr double normal_quantile = 3.8906;
  const double a = 2.0 / (9.0 * freedom);
  const double root = 1 - a + normal_quantile * std::sqrt(a);
  return freedom * root * root * root;
}

/// Counts against expectations, in groups that each have a fixed sum. Rare outcomes of a group are taken together.
class ChiSquare {
 public:
  void add(double observed, double expected) {
    total_ += observed;
    if (expected == 0) {
      impossible_ = impossible_ || observed > 0;
    } else if (expected < 5) {
      rare_observed_ += observed;
      rare_expected_ += expected;
    } else {
      add_bin(observed, expected);
    }
  }
  void finish_group() {
    if (rare_expected_ > 0) add_bin(rare_observed_, rare_expected_);
    rare_observed_ = rare_expected_ = 0;
    freedom_ += bins_ > 0 ? bins_ - 1 : 0;
    bins_ = 0;
  }
  /// `total`: what the counts have to sum to, so that nothing was seen beside the outcomes that were added.
  void check(double total) const {
    CHECK(total_ == total);
    CHECK(!impossible_);
    REQUIRE(freedom_ > 0);
    CHECK(statistic_ < chi_square_limit(freedom_));
  }

 private:
  void add_bin(double observed, double expected) {
    statistic_ += (observed - expected) * (observed - expected) / expected;
    ++bins_;
  }
  double total_ = 0, statistic_ = 0, rare_observed_ = 0, rare_expected_ = 0;
  int bins_ = 0, freedom_ = 0;
  bool impossible_ = false;
};

template <class E>
std::map<Actions, int> count_trajectories(const gfn::Batch<E>& batch) {
  std::map<Actions, int> counts;
  for (int i = 0; i < batch.trajectories(); ++i) {
    Actions actions;
    for (const gfn::Step& step : batch.steps(i)) actions.push_back(step.action);
    ++counts[actions];
  }
  return counts;
}

constexpr int trajectories = 40000;

template <class T, class E, class P>
void check_forward(const StateGraph<E>& graph, P& policy, double epsilon = 0) {
  const E& env = graph.environment();
  auto law = gfn::exact::forward_log_probabilities(graph, policy);
  if (epsilon > 0) {  // every step explores with probability ε
    const auto uniform = gfn::uniform_forward(env);
    const auto log_u = gfn::exact::forward_log_probabilities(graph, uniform);
    const auto mix = [&](double& p, double u) { p = std::log((1 - epsilon) * std::exp(p) + epsilon * std::exp(u)); };
    for (std::size_t e = 0; e < law.edges.size(); ++e) mix(law.edges[e], log_u.edges[e]);
    for (std::size_t x = 0; x < law.exits.size(); ++x) mix(law.exits[x], log_u.exits[x]);
  }
  gfn::Batch<E> batch(env);
  gfn::PolicyEvaluation<T, P, E> evaluation(policy, env, gfn::Direction::forward, gfn::Sampling::yes);
  gfn::ForwardSampler<E> sampler(env);
  sampler.sample(batch, evaluation, trajectories, gfn::Random{7}, 0, {.epsilon = epsilon});
  CHECK(batch.on_policy() == (epsilon == 0));
  auto counts = count_trajectories(batch);
  ChiSquare test;
  for (const Actions& actions : gfn::exact::all_trajectories(graph))
    test.add(counts[actions], trajectories * std::exp(gfn::exact::trajectory_log_probability(graph, actions, law)));
  test.finish_group();
  test.check(trajectories);
}

template <class T, class E, class P>
void check_backward(const StateGraph<E>& graph, P& policy) {
  const E& env = graph.environment();
  const auto law = gfn::exact::backward_log_probabilities(graph, policy);
  gfn::Batch<E> batch(env);
  gfn::PolicyEvaluation<T, P, E> evaluation(policy, env, gfn::Direction::backward, gfn::Sampling::yes);
  gfn::BackwardSampler<E> sampler(env);
  const auto ends = graph.terminal_rows();
  const auto end = [&](int i) -> const auto& { return graph.state(ends[static_cast<std::size_t>(i) % ends.size()]); };
  const int each = 4000, count = each * static_cast<int>(ends.size());
  sampler.sample(batch, evaluation, count, end, gfn::Random{7}, 0);
  for (int i = 0; i < count; ++i) REQUIRE(batch.terminal_state(i) == end(i));
  auto counts = count_trajectories(batch);
  ChiSquare test;
  for (const int x : ends) {
    for (const Actions& actions : gfn::exact::all_trajectories(graph))
      if (gfn::exact::follow(graph, actions, [](std::size_t) {}) == x)
        test.add(counts[actions], each * std::exp(gfn::exact::trajectory_log_probability(graph, actions, law)));
    test.finish_group();
  }
  test.check(count);
}

}  // namespace

TEMPLATE_TEST_CASE("rollouts of tabular and uniform policies follow the exact law", "", HyperGrid,
                   environments::PrependAppend) {
  TestType env;
  if constexpr (std::is_same_v<TestType, HyperGrid>) env = HyperGrid{{.dimension = 2, .side = 3}};
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  check_forward<double>(graph, forward);
  check_forward<double>(graph, forward, 0.3);
  check_backward<double>(graph, backward);
  auto uniform = gfn::uniform_forward(env);
  check_forward<float>(graph, uniform);
  check_backward<float>(graph, uniform);
}

TEST_CASE("rollouts of networks follow the exact law") {
  const environments::PrependAppend env;
  const StateGraph graph(env);
  gfn::Random random{3};
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {8}}, random);
  auto backward = gfn::mlp_backward<float>(env, {.hidden = {8}}, random);
  for (gfn::NeuralFunction<float>* network : {&forward, &backward})
    network->parameters().modify() *= 4;  // less uniform
  check_forward<float>(graph, forward);
  check_forward<float>(graph, forward, 0.3);
  check_backward<float>(graph, backward);
}

TEST_CASE("rollouts without grouping take the same trajectories") {
  const HyperGrid env{{.dimension = 2, .side = 3}};
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  gfn::Batch<HyperGrid> batch(env, false), grouped(env);
  gfn::PolicyEvaluation<double, tabular::Table<HyperGrid>, HyperGrid> evaluation(forward, env, gfn::Direction::forward,
                                                                                 gfn::Sampling::yes);
  gfn::ForwardSampler<HyperGrid> sampler(env);
  sampler.sample(batch, evaluation, 200, gfn::Random{7}, 0);
  sampler.sample(grouped, evaluation, 200, gfn::Random{7}, 0);
  CHECK(count_trajectories(batch) == count_trajectories(grouped));
  CHECK(batch.table().rows() > grouped.table().rows());
}
