// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/exact/state_graph.hpp>

namespace gfn::exact {

namespace detail {

/// One term of an expectation, π·cost: nothing where π = 0, whatever the cost.
inline double expected_cost(double log_p, double cost) {
  const double p = std::exp(log_p);
  return p == 0 ? 0.0 : p * cost;
}

}  // namespace detail

/// V_F(s) of each row: the expected sum of the forward costs R_F from s on, under the forward policy (Niu et al. 2024),
///
///     V_F(s) = Σ_a π_F(s, a) (log π_F(s, a) − log π_B(s', a) + V_F(s'))
///              + π_F(s, exit) (log π_F(s, exit) − log R(s) + log Z).
///
/// The exact critic. V_F(s₀) = KL(P_F ‖ P_B R/Z*) + log Z − log Z*; +∞ where a state with reward 0 is reached.
template <class E>
[[nodiscard]] std::vector<double> forward_values(const StateGraph<E>& graph, const ForwardLogProbabilities& forward,
                                                 const BackwardLogProbabilities& backward, double log_z) {
  std::vector<double> values(graph.states().size());
  for (int row = graph.num_states() - 1; row >= 0; --row) {
    double sum = 0;
    std::size_t e = graph.first_edge(row);
    for (const Edge& edge : graph.edges(row)) {
      const double log_p = forward.edges[e];
      sum += detail::expected_cost(log_p, log_p - backward.edges[e] + values[static_cast<std::size_t>(edge.child)]);
      ++e;
    }
    if (graph.can_exit(row)) {
      const auto i = static_cast<std::size_t>(graph.terminal_index(row));
      sum += detail::expected_cost(forward.exits[i], forward.exits[i] - graph.log_rewards()[i] + log_z);
    }
    values[static_cast<std::size_t>(row)] = sum;
  }
  return values;
}

/// V_B(s') of each row: the expected sum of the backward costs R_B from s' back to s₀, under the backward policy,
///
///     V_B(s') = Σ over the edges s → s' of π_B(s', a) (log π_B(s', a) − log π_F(s, a) + V_B(s)),   V_B(s₀) = 0.
template <class E>
[[nodiscard]] std::vector<double> backward_values(const StateGraph<E>& graph, const ForwardLogProbabilities& forward,
                                                  const BackwardLogProbabilities& backward) {
  std::vector<double> values(graph.states().size(), 0.0);
  std::size_t e = 0;
  for (const Edge& edge : graph.edges()) {  // a source is complete before its edges come
    const double log_p = backward.edges[e];
    values[static_cast<std::size_t>(edge.child)] +=
        detail::expected_cost(log_p, log_p - forward.edges[e] + values[static_cast<std::size_t>(edge.source)]);
    ++e;
  }
  return values;
}

/// KL(P_F(τ) ‖ P_B(τ|x) R(x)/Z*) over trajectories: how far a forward policy is from balance with a backward one and
/// the rewards. 0 only in exact balance; an upper bound of KL(P_F^⊤ ‖ P*).
template <class E>
[[nodiscard]] double forward_divergence(const StateGraph<E>& graph, const ForwardLogProbabilities& forward,
                                        const BackwardLogProbabilities& backward) {
  return forward_values(graph, forward, backward, log_partition(graph))[0];
}

}  // namespace gfn::exact
