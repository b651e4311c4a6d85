// SPDX-License-Identifier: MIT
#include <gfn/exact/distribution.hpp>

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/environment/state_table.hpp>
#include <gfn/exact/metrics.hpp>
#include <gfn/exact/trajectories.hpp>
#include <gfn/exact/values.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/policy_evaluation.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

namespace {

using gfn::HyperGrid;
using gfn::exact::StateGraph;
using Numbers = std::vector<double>;

double sum(const Numbers& x) { return std::accumulate(x.begin(), x.end(), 0.0); }

/// A chain 0 → 1 → … → `last` with an exit everywhere, and given log-rewards.
struct Chain {
  using State = int;
  Numbers log_r;
  State initial_state() const { return 0; }
  int num_actions() const { return 1; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = s + 1 < static_cast<int>(log_r.size()); }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, gfn::Action) const { ++s; }
  void legal_undos(const State& s, gfn::Mask legal) const { legal[0] = s > 0; }
  void undo(State& s, gfn::Action) const { --s; }
  double log_reward(const State& s) const { return log_r[static_cast<std::size_t>(s)]; }
};

/// Adds something up over all complete trajectories: visit(actions, terminal index).
template <class E, class Visit>
void for_each_trajectory(const StateGraph<E>& graph, const Visit& visit) {
  for (const auto& actions : gfn::exact::all_trajectories(graph))
    visit(actions,
          static_cast<std::size_t>(graph.terminal_index(gfn::exact::follow(graph, actions, [](std::size_t) {}))));
}

/// All of it against sums over trajectories.
template <class E>
void check_against_enumeration(const E& env) {
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  const auto log_f = gfn::exact::forward_log_probabilities(graph, forward);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  const double log_z_star = gfn::exact::log_partition(graph);

  Numbers p(graph.terminal_rows().size(), 0), ways_back(p.size(), 0);
  double divergence = 0;
  for_each_trajectory(graph, [&](const auto& actions, std::size_t x) {
    const double f = gfn::exact::trajectory_log_probability(graph, actions, log_f);
    const double b = gfn::exact::trajectory_log_probability(graph, actions, log_b);
    p[x] += std::exp(f);
    ways_back[x] += std::exp(b);
    divergence += std::exp(f) * (f - b - graph.log_rewards()[x] + log_z_star);
  });
  const Numbers learned = gfn::exact::terminating_distribution(graph, forward);
  CHECK(sum(learned) == Approx(1).epsilon(1e-13));
  CHECK(gfn::total_variation(learned, p) < 1e-14);
  CHECK(gfn::total_variation(learned, gfn::exact::terminating_distribution(env, forward)) == 0);
  for (const double one : ways_back) CHECK(one == Approx(1).epsilon(1e-13));
  CHECK(gfn::exact::forward_divergence(graph, log_f, log_b) == Approx(divergence).epsilon(1e-12));
  CHECK(gfn::exact::forward_values(graph, log_f, log_b, 0.7)[0] ==
        Approx(divergence + 0.7 - log_z_star).epsilon(1e-12));

  // the backward critic: costs along the ways back from each terminating state
  const Numbers v_b = gfn::exact::backward_values(graph, log_f, log_b);
  Numbers expected(p.size(), 0);
  for_each_trajectory(graph, [&](const auto& actions, std::size_t x) {
    const double b = gfn::exact::trajectory_log_probability(graph, actions, log_b);
    const double f = gfn::exact::trajectory_log_probability(graph, actions, log_f) - log_f.exits[x];
    expected[x] += std::exp(b) * (b - f);
  });
  CHECK(v_b[0] == 0);
  for (std::size_t x = 0; x < p.size(); ++x)
    CHECK(v_b[static_cast<std::size_t>(graph.terminal_rows()[x])] == Approx(expected[x]).epsilon(1e-12).margin(1e-14));

  const Numbers target = gfn::exact::target_distribution(graph);
  CHECK(sum(target) == Approx(1).epsilon(1e-13));
  CHECK(gfn::exact::target_distribution(env) == target);
  CHECK(gfn::exact::log_partition(env) == log_z_star);
  const Numbers flows = gfn::exact::log_flows(graph, backward);
  CHECK(flows[0] == Approx(log_z_star).epsilon(1e-13));
  const auto induced = gfn::exact::induced_forward(graph, log_b);
  CHECK(gfn::total_variation(gfn::exact::terminating_distribution(graph, induced), target) < 1e-13);
  CHECK(gfn::exact::forward_divergence(graph, induced, log_b) == Approx(0).margin(1e-13));
  const Numbers visits = gfn::exact::visit_probabilities(graph, induced);
  for (int row = 0; row < graph.num_states(); ++row)
    CHECK(std::log(visits[static_cast<std::size_t>(row)]) ==
          Approx(flows[static_cast<std::size_t>(row)] - log_z_star).margin(1e-12));
}

}  // namespace

TEST_CASE("exact distributions, flows and values are sums over trajectories") {
  check_against_enumeration(HyperGrid{{.dimension = 2, .side = 3}});
  check_against_enumeration(HyperGrid{{.dimension = 3, .side = 2}});
  check_against_enumeration(environments::PrependAppend{});
  check_against_enumeration(environments::Subsets{.n = 5, .k = 2});
}

TEST_CASE("uniform policies are those of equal logits") {
  const environments::PrependAppend env;
  const StateGraph graph(env);
  const auto forward = gfn::uniform_forward(env);
  const auto backward = gfn::uniform_backward(env);
  auto flat = gfn::tabular_policy<double>(env, graph.states());
  auto flat_back = gfn::tabular_backward<double>(env, graph.states());
  CHECK(gfn::total_variation(gfn::exact::terminating_distribution(graph, forward),
                             gfn::exact::terminating_distribution(graph, flat)) < 1e-15);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  const auto log_flat = gfn::exact::backward_log_probabilities(graph, flat_back);
  for (std::size_t e = 0; e < graph.num_edges(); ++e) CHECK(log_b.edges[e] == Approx(log_flat.edges[e]).margin(1e-15));
}

TEMPLATE_TEST_CASE("networks are evaluated in their own scalar, some rows at a time", "", float, double) {
  const HyperGrid env{{.dimension = 2, .side = 33}};  // 1089 states
  const StateGraph graph(env);
  gfn::Random random{1};
  auto forward = gfn::mlp_policy<TestType>(env, {.hidden = {8, 8}}, random);
  auto backward = gfn::mlp_backward<TestType>(env, {.hidden = {8}}, random);
  auto value = gfn::mlp_value<TestType>(env, {.hidden = {8}}, random);
  const auto log_f = gfn::exact::forward_log_probabilities(graph, forward);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  const auto v = gfn::exact::state_values(graph, value);

  // the same through a table of all states, as training does it
  gfn::StateTable<HyperGrid> table(env);
  std::vector<int> rows;
  for (const auto& s : graph.states()) rows.push_back(table.find_or_add(s));
  gfn::PolicyEvaluation<TestType, decltype(forward), HyperGrid> f(forward, env, gfn::Direction::forward);
  gfn::PolicyEvaluation<TestType, decltype(backward), HyperGrid> b(backward, env, gfn::Direction::backward);
  f.evaluate(table);
  b.evaluate(table);
  value.extend(table.block(rows));
  const double margin = std::is_same_v<TestType, float> ? 1e-6 : 1e-14;
  double worst = 0;
  for (std::size_t e = 0; e < graph.num_edges(); ++e) {
    const auto& edge = graph.edges()[e];
    worst = std::max(worst, std::abs(log_f.edges[e] - f.log_probability(edge.source, edge.action)));
    worst = std::max(worst, std::abs(log_b.edges[e] - b.log_probability(edge.child, edge.backward_action)));
  }
  for (int row = 0; row < graph.num_states(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    worst = std::max(worst, std::abs(log_f.exits[i] - f.log_probability(row, 2)));
    worst = std::max(worst, std::abs(v[i] - static_cast<double>(value.output(row)[0])));
  }
  CHECK(worst < margin);
  // in double, whatever the network's scalar
  CHECK(std::abs(sum(gfn::exact::terminating_distribution(graph, forward)) - 1) < 1e-13);
}

TEST_CASE("policies of another environment, and logits that are not finite, are refused") {
  const HyperGrid env{{.dimension = 2, .side = 3}};
  const HyperGrid other{{.dimension = 3, .side = 3}};
  const StateGraph graph(env);
  auto backward = tabular::random_backward(graph, 1);
  CHECK_THROWS_AS(gfn::exact::forward_log_probabilities(graph, backward), std::invalid_argument);
  auto forward = tabular::random_forward(graph, 1);
  CHECK_THROWS_AS(gfn::exact::backward_log_probabilities(graph, forward), std::invalid_argument);
  CHECK_THROWS_AS(gfn::exact::state_values(graph, forward), std::invalid_argument);
  forward.modify()(graph.find(graph.state(4)), 1) = std::nan("");
  try {
    (void)gfn::exact::terminating_distribution(graph, forward);
    FAIL("NaN logits passed");
  } catch (const gfn::Error& error) {
    CHECK(std::string(error.what()).find(gfn::describe(graph.state(4))) != std::string::npos);
  }
}

TEST_CASE("rewards may be 0, or of any size") {
  const double zero = gfn::minus_infinity<>;
  const Chain env{{zero, 1000, zero, 1000 + std::log(3), -1000}};
  const StateGraph graph(env);
  CHECK(gfn::exact::log_partition(graph) == Approx(1000 + std::log(4)).epsilon(1e-15));
  const Numbers target = gfn::exact::target_distribution(graph);
  CHECK(target[0] == 0);
  CHECK(target[1] == Approx(.25).epsilon(1e-12));
  CHECK(target[3] == Approx(.75).epsilon(1e-12));
  CHECK(target[4] == 0);
  const auto uniform = gfn::uniform_backward(env);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, uniform);
  CHECK(gfn::exact::log_flows(graph, log_b)[2] == Approx(1000 + std::log(3)).epsilon(1e-15));
  const auto induced = gfn::exact::induced_forward(graph, log_b);
  CHECK(gfn::exact::forward_divergence(graph, induced, log_b) == Approx(0).margin(1e-9));
  CHECK(gfn::exact::forward_values(graph, gfn::exact::forward_log_probabilities(graph, uniform), log_b, 0)[0] == -zero);
  CHECK(gfn::mean_reward_ratio(target, graph.log_rewards()) == Approx(1).epsilon(1e-12));

  const Chain nothing{{zero, zero}};
  CHECK(gfn::exact::log_partition(nothing) == zero);
  CHECK_THROWS_AS(gfn::exact::target_distribution(nothing), gfn::Error);
  const Chain nothing_behind{{1, zero}};
  const StateGraph behind(nothing_behind);
  CHECK_THROWS_AS(gfn::exact::induced_forward(behind, gfn::exact::backward_log_probabilities(behind, uniform)),
                  gfn::Error);
}

TEST_CASE("metrics have the values of the books") {
  const Numbers p{.5, .5, 0, 0}, q{0, 0, .25, .75}, r{.25, .25, .25, .25};
  CHECK(gfn::total_variation(p, p) == 0);
  CHECK(gfn::total_variation(p, q) == 1);
  CHECK(gfn::total_variation(p, r) == .5);
  CHECK(gfn::jensen_shannon(p, p) == 0);
  CHECK(gfn::jensen_shannon(p, q) == Approx(std::log(2)).epsilon(1e-15));
  CHECK(gfn::jensen_shannon(p, r) == Approx(gfn::jensen_shannon(r, p)).epsilon(1e-15));
  CHECK(gfn::jensen_shannon(p, r) ==
        Approx(.5 * std::log(4. / 3) + .5 * (.5 * std::log(2. / 3) + .5 * std::log(2))).epsilon(1e-14));
  CHECK(gfn::kl_divergence(p, r) == Approx(std::log(2)).epsilon(1e-15));
  CHECK(gfn::kl_divergence(r, p) == std::numeric_limits<double>::infinity());
  // rewards 1, 2, 3, 4: E_{P*}[R] = 30/10
  Numbers log_r;
  for (int i = 1; i <= 4; ++i) log_r.push_back(std::log(i));
  CHECK(gfn::mean_reward_ratio(p, log_r) == Approx(1.5 / 3).epsilon(1e-14));
  CHECK(gfn::mean_reward_ratio(q, log_r) == Approx(3.75 / 3).epsilon(1e-14));
  CHECK(gfn::mean_reward_accuracy(q, log_r) == 1);
  CHECK(gfn::mean_reward_accuracy(p, log_r) == gfn::mean_reward_ratio(p, log_r));
  CHECK_THROWS_AS(gfn::total_variation(p, Numbers{1}), std::invalid_argument);
  CHECK_THROWS_AS(gfn::jensen_shannon(p, Numbers{1}), std::invalid_argument);
  CHECK_THROWS_AS(gfn::mean_reward_ratio(p, Numbers{1}), std::invalid_argument);
}

TEST_CASE("the paper's grids: a uniform distribution has the known distances from the target") {
  const HyperGrid env{{.dimension = 2, .side = 128}};
  const StateGraph graph(env);
  const Numbers target = gfn::exact::target_distribution(graph);
  const Numbers uniform(target.size(), 1.0 / static_cast<double>(target.size()));
  CHECK(gfn::exact::log_partition(graph) == Approx(8.178594).margin(1e-6));
  CHECK(gfn::total_variation(uniform, target) == Approx(.7155).margin(1e-4));
  CHECK(gfn::jensen_shannon(uniform, target) == Approx(.3375).margin(1e-4));
}
