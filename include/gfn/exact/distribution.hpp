// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/exact/state_graph.hpp>

namespace gfn::exact {

// Distributions over terminating states are vectors, aligned with graph.terminal_rows(). Enumeration always finds the
// states in the same order, so those of two graphs of one environment can be compared.

/// u(s): the probability that a trajectory of the forward policy passes through each row.
/// u(s₀) = 1, u(s') = Σ over the edges s → s' of u(s) π_F(s, a).
template <class E>
[[nodiscard]] std::vector<double> visit_probabilities(const StateGraph<E>& graph,
                                                      const ForwardLogProbabilities& forward) {
  std::vector<double> u(graph.states().size(), 0.0);
  u[0] = 1;
  std::size_t e = 0;
  for (const Edge& edge : graph.edges())  // sources in topological order
    u[static_cast<std::size_t>(edge.child)] += u[static_cast<std::size_t>(edge.source)] * std::exp(forward.edges[e++]);
  return u;
}

/// P_F^⊤(x) = u(x) π_F(x, exit): the distribution of the states in which trajectories of the forward policy end.
template <class E>
[[nodiscard]] std::vector<double> terminating_distribution(const StateGraph<E>& graph,
                                                           const ForwardLogProbabilities& forward) {
  const std::vector<double> u = visit_probabilities(graph, forward);
  std::vector<double> p(forward.exits.size());
  for (std::size_t i = 0; i < p.size(); ++i)
    p[i] = u[static_cast<std::size_t>(graph.terminal_rows()[i])] * std::exp(forward.exits[i]);
  return p;
}
template <class E, class P>
  requires Policy<P, StateOf<E>>
[[nodiscard]] std::vector<double> terminating_distribution(const StateGraph<E>& graph, P& forward) {
  return terminating_distribution(graph, forward_log_probabilities(graph, forward));
}
/// The same for an environment that is enumerated for this one purpose.
template <ForwardEnvironment E, class P>
  requires Policy<P, StateOf<E>>
[[nodiscard]] std::vector<double> terminating_distribution(const E& env, P& forward) {
  return terminating_distribution(StateGraph<E>(env), forward);
}

/// log Z* = log Σ_x R(x); −∞ where every reward is 0.
template <class E>
[[nodiscard]] double log_partition(const StateGraph<E>& graph) {
  return log_sum_exp(graph.log_rewards());
}
template <ForwardEnvironment E>
[[nodiscard]] double log_partition(const E& env) {
  return log_partition(StateGraph<E>(env));
}

/// P*(x) = R(x)/Z* from all log-rewards, in their order. Throws gfn::Error where every reward is 0.
[[nodiscard]] inline std::vector<double> target_distribution(std::span<const double> log_rewards) {
  const double log_z = log_sum_exp(log_rewards);
  if (log_z == minus_infinity<>)
    fail("target_distribution: the reward of all ", log_rewards.size(), " terminating states is 0");
  std::vector<double> p(log_rewards.begin(), log_rewards.end());
  for (double& x : p) x = std::exp(x - log_z);
  return p;
}
/// The same for the terminating states of a graph.
template <class E>
[[nodiscard]] std::vector<double> target_distribution(const StateGraph<E>& graph) {
  return target_distribution(graph.log_rewards());
}
template <ForwardEnvironment E>
[[nodiscard]] std::vector<double> target_distribution(const E& env) {
  return target_distribution(StateGraph<E>(env));
}

/// log F*(s) of each row, the flow that a backward policy and the rewards induce:
/// F*(s) = 1[s can exit] R(s) + Σ over the edges s → s' of F*(s') π_B(s', a); F*(s₀) = Z*.
template <class E>
[[nodiscard]] std::vector<double> log_flows(const StateGraph<E>& graph, const BackwardLogProbabilities& backward) {
  std::vector<double> log_f(graph.states().size());
  for (int row = graph.num_states() - 1; row >= 0; --row) {
    double sum = graph.can_exit(row) ? graph.log_rewards()[static_cast<std::size_t>(graph.terminal_index(row))]
                                     : minus_infinity<>;
    std::size_t e = graph.first_edge(row);
    for (const Edge& edge : graph.edges(row))
      sum = log_add_exp(sum, log_f[static_cast<std::size_t>(edge.child)] + backward.edges[e++]);
    log_f[static_cast<std::size_t>(row)] = sum;
  }
  return log_f;
}
template <class E, class P>
  requires Policy<P, StateOf<E>>
[[nodiscard]] std::vector<double> log_flows(const StateGraph<E>& graph, P& backward) {
  return log_flows(graph, backward_log_probabilities(graph, backward));
}

/// P_{F*}, the forward policy that a backward policy and the rewards induce: in exact balance with both, at log Z*.
/// log P_{F*}(s, a) = log F*(s') + log π_B(s', a) − log F*(s), and log R(x) − log F*(x) for the exit. Throws
/// gfn::Error, naming the state, where F*(s) = 0: there it is not defined.
template <class E>
[[nodiscard]] ForwardLogProbabilities induced_forward(const StateGraph<E>& graph,
                                                      const BackwardLogProbabilities& backward) {
  const std::vector<double> log_f = log_flows(graph, backward);
  ForwardLogProbabilities result{backward.edges, {graph.log_rewards().begin(), graph.log_rewards().end()}};
  for (int row = 0; row < graph.num_states(); ++row) {
    const double log_flow = log_f[static_cast<std::size_t>(row)];
    if (log_flow == minus_infinity<>) fail("induced_forward: no reward lies behind state ", graph.describe_row(row));
    std::size_t e = graph.first_edge(row);
    for (const Edge& edge : graph.edges(row))
      result.edges[e++] += log_f[static_cast<std::size_t>(edge.child)] - log_flow;
    if (graph.can_exit(row)) result.exits[static_cast<std::size_t>(graph.terminal_index(row))] -= log_flow;
  }
  return result;
}

}  // namespace gfn::exact
