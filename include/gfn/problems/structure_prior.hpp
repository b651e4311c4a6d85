// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>

#include <gfn/core/error.hpp>
#include <gfn/problems/dag.hpp>

namespace gfn {

/// A modular prior over the graphs on num_nodes nodes: log P(G) = Σ_j log_prior(j, parents of j, num_nodes) + const.
/// −∞ forbids a parent set. May be called from several threads at once.
template <class P>
concept StructurePrior = requires(const P& prior, int node, NodeSet parents, int num_nodes) {
  { prior.log_prior(node, parents, num_nodes) } -> std::convertible_to<double>;
};

/// Every graph has the same probability.
struct UniformPrior {
  double log_prior(int, NodeSet, int) const { return 0; }
};

/// Every edge is there with probability p, independently, given that the graph is acyclic: P(G) ∝ (p/(1 − p))^|edges|.
class ErdosRenyiPrior {
 public:
  /// Throws std::invalid_argument for a probability outside of (0, 1).
  explicit ErdosRenyiPrior(double edge_probability)
      : edge_probability_(edge_probability), log_odds_(std::log(edge_probability) - std::log1p(-edge_probability)) {
    require(edge_probability > 0 && edge_probability < 1, "ErdosRenyiPrior: the edge probability is ", edge_probability,
            ", it must be above 0 and below 1");
  }
  double edge_probability() const { return edge_probability_; }
  double log_prior(int, NodeSet parents, int) const { return count_nodes(parents) * log_odds_; }

 private:
  double edge_probability_;
  double log_odds_;
};

/// The "fair" prior: each number k of parents is as probable as any other, and so is each set of k parents:
/// P(G) ∝ Π_j 1/C(n − 1, k_j). Eggeling, Viinikka, Vuoksenmaa, Koivisto: "On structure priors for learning Bayesian
/// networks", AISTATS 2019.
struct FairPrior {
  double log_prior(int, NodeSet parents, int num_nodes) const {
    double sets = 1;  // C(n − 1, k)
    for (int k = 1; k <= count_nodes(parents); ++k) sets *= static_cast<double>(num_nodes - k) / k;
    return -std::log(sets);
  }
};

}  // namespace gfn
