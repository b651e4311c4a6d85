// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <ranges>
#include <span>

#include <gfn/core/eigen.hpp>
#include <gfn/core/error.hpp>
#include <gfn/problems/dag.hpp>

namespace gfn {

// Summaries of a distribution over graphs, given as graphs with weights: all graphs with their exact probabilities, or
// samples without weights (each then counts once). Weights are not negative, and are divided by their sum. All graphs
// have the same nodes.

namespace detail {

template <class T>
inline constexpr bool is_dag = false;
template <int MaxNodes>
inline constexpr bool is_dag<Dag<MaxNodes>> = true;

template <class R>
concept range_of_dags = std::ranges::contiguous_range<const R> && std::ranges::sized_range<const R> &&
    is_dag<std::ranges::range_value_t<R>>;

/// Calls add(graph, weight / sum of the weights) for each graph.
template <class Dags, class Add>
void for_each_weighted(const Dags& graphs, std::span<const double> weights, Add&& add) {
  const std::span dags(graphs);
  require(!dags.empty() && (weights.empty() || weights.size() == dags.size()), "summary of graphs: ", dags.size(),
          " graphs and ", weights.size(), " weights, there must be at least one graph, and a weight for each or none");
  double total = weights.empty() ? static_cast<double>(dags.size()) : 0.0;
  for (const double w : weights) {
    require(w >= 0, "summary of graphs: a weight is ", w, ", it must be at least 0");
    total += w;
  }
  require(total > 0 && std::isfinite(total), "summary of graphs: the weights sum to ", total,
          ", which must be finite and above 0");
  for (std::size_t k = 0; k < dags.size(); ++k) {
    require(dags[k].num_nodes() == dags[0].num_nodes(), "summary of graphs: one has ", dags[k].num_nodes(),
            " nodes, another ", dags[0].num_nodes());
    add(dags[k], (weights.empty() ? 1.0 : weights[k]) / total);
  }
}

}  // namespace detail

/// The probability of each edge: entry (i, j) is P(i→j).
template <detail::range_of_dags Dags>
[[nodiscard]] Eigen::MatrixXd edge_marginals(const Dags& dags, std::span<const double> weights = {}) {
  Eigen::MatrixXd marginals;
  detail::for_each_weighted(dags, weights, [&](const auto& dag, double weight) {
    const int n = dag.num_nodes();
    if (marginals.size() == 0) marginals.setZero(n, n);
    for (int j = 0; j < n; ++j) for_each_node(dag.parents(j), [&](int i) { marginals(i, j) += weight; });
  });
  return marginals;
}

/// E[number of edges].
template <detail::range_of_dags Dags>
[[nodiscard]] double expected_num_edges(const Dags& dags, std::span<const double> weights = {}) {
  double sum = 0;
  detail::for_each_weighted(dags, weights, [&](const auto& dag, double weight) { sum += weight * dag.num_edges(); });
  return sum;
}

/// The structural Hamming distance of two graphs on the same nodes: the least number of edges to insert, delete or flip
/// that turns one into the other, that is the number of pairs of nodes that are not joined in the same way. A flip
/// counts once. (Graphs are compared as they are, not their Markov equivalence classes.)
template <int MaxNodes>
[[nodiscard]] int structural_hamming_distance(const Dag<MaxNodes>& a, const Dag<MaxNodes>& b) {
  require(a.num_nodes() == b.num_nodes(), "structural_hamming_distance: one graph has ", a.num_nodes(),
          " nodes, the other ", b.num_nodes());
  int distance = 0;
  for (int j = 0; j < a.num_nodes(); ++j)
    for (int i = 0; i < j; ++i)
      distance += a.has_edge(i, j) != b.has_edge(i, j) || a.has_edge(j, i) != b.has_edge(j, i);
  return distance;
}

/// E[structural Hamming distance to `truth`].
template <detail::range_of_dags Dags>
[[nodiscard]] double expected_structural_hamming_distance(const Dags& dags,
                                                          const std::ranges::range_value_t<Dags>& truth,
                                                          std::span<const double> weights = {}) {
  double sum = 0;
  detail::for_each_weighted(
      dags, weights, [&](const auto& dag, double weight) { sum += weight * structural_hamming_distance(dag, truth); });
  return sum;
}

}  // namespace gfn
