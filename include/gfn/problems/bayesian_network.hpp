// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/problems/dag.hpp>
#include <gfn/problems/structure_prior.hpp>

namespace gfn {

/// A score of graphs that is a sum over their nodes: log P(data | G) = Σ_j local_score(j, parents of j).
/// May be called from several threads at once.
template <class S>
concept DecomposableScore = requires(const S& score, int node, NodeSet parents) {
  { score.num_nodes() } -> std::same_as<int>;
  { score.local_score(node, parents) } -> std::convertible_to<double>;
};

struct BayesianNetworkOptions {
  int max_parents = std::numeric_limits<int>::max();  ///< of each node, at least 0
};

/// The structure of a Bayesian network: states are the directed acyclic graphs on n nodes, the start is the empty
/// graph, action n·i + j adds the edge i→j (and undoes it by the same number), every state can exit. Edges that are
/// there, that close a cycle or that give a node too many parents are masked. Encoding: the n·n adjacency matrix, row =
/// parent.
///
/// The log-reward is the log posterior odds of the graph against the empty one:
///   log R(G) = Σ_j [ local_score(j, Pa_j) − local_score(j, ∅) + log_prior(j, Pa_j) − log_prior(j, ∅) ].
/// Deleu et al., "Bayesian structure learning with generative flow networks", UAI 2022.
template <class Score, class Prior = UniformPrior, int MaxNodes = 32>
class BayesianNetwork {
  static_assert(DecomposableScore<Score>,
                "BayesianNetwork: needs a score with `int num_nodes() const` and "
                "`double local_score(int node, gfn::NodeSet parents) const`");
  static_assert(StructurePrior<Prior>,
                "BayesianNetwork: needs a prior with "
                "`double log_prior(int node, gfn::NodeSet parents, int num_nodes) const`");

 public:
  using State = Dag<MaxNodes>;

  /// Throws std::invalid_argument for options out of range, a score of no nodes or more than MaxNodes, and a score or
  /// prior of the empty graph that is not finite.
  explicit BayesianNetwork(Score score, const BayesianNetworkOptions& options = {}, Prior prior = Prior())
      : score_(std::move(score)), prior_(std::move(prior)), options_(options), num_nodes_(score_.num_nodes()) {
    require(num_nodes_ >= 1 && num_nodes_ <= MaxNodes, "BayesianNetwork: the number of nodes is ", num_nodes_,
            ", it must be between 1 and ", MaxNodes);
    require(options.max_parents >= 0, "BayesianNetwork: max_parents is ", options.max_parents,
            ", it must be at least 0");
    for (int j = 0; j < num_nodes_; ++j) {
      empty_.push_back(local(j, 0));
      require(std::isfinite(empty_.back()), "BayesianNetwork: the score and log-prior of node ", j,
              " without parents sum to ", empty_.back(), ", which is not finite");
    }
  }

  const BayesianNetworkOptions& options() const { return options_; }
  const Score& score() const { return score_; }
  const Prior& prior() const { return prior_; }
  int num_nodes() const { return num_nodes_; }
  /// The action that adds, or takes away, an edge.
  Action edge_action(int parent, int child) const { return num_nodes_ * parent + child; }

  State initial_state() const { return State(num_nodes_); }
  int num_actions() const { return num_nodes_ * num_nodes_; }
  void legal_actions(const State& s, Mask legal) const {
    NodeSet open = 0;  // the nodes that may have one more parent
    for (int j = 0; j < num_nodes_; ++j)
      if (count_nodes(s.parents(j)) < options_.max_parents) open |= node_set(j);
    for (int i = 0; i < num_nodes_; ++i)
      for_each_node(open & ~s.ancestors(i), [&](int j) { legal[edge_action(i, j)] = !s.has_edge(i, j); });
  }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, Action a) const { s.add_edge(a / num_nodes_, a % num_nodes_); }
  void legal_undos(const State& s, Mask legal) const {
    for_each_edge(s, [&](Action a) { legal[a] = true; });
  }
  void undo(State& s, Action a) const { s.remove_edge(a / num_nodes_, a % num_nodes_); }

  double log_reward(const State& s) const {
    double sum = 0;
    for (int j = 0; j < num_nodes_; ++j) sum += local(j, s.parents(j)) - empty_[static_cast<std::size_t>(j)];
    return sum;
  }

  int num_features() const { return num_nodes_ * num_nodes_; }
  void encode(const State& s, Features out) const {
    for_each_edge(s, [&](Action a) { out.one(a); });
  }
  std::uint64_t hash(const State& s) const { return s.hash(); }

 private:
  double local(int node, NodeSet parents) const {
    return static_cast<double>(score_.local_score(node, parents)) +
           static_cast<double>(prior_.log_prior(node, parents, num_nodes_));
  }

  template <class Visit>
  void for_each_edge(const State& s, Visit&& visit) const {
    for (int j = 0; j < num_nodes_; ++j) for_each_node(s.parents(j), [&](int i) { visit(edge_action(i, j)); });
  }

  Score score_;
  Prior prior_;
  BayesianNetworkOptions options_;
  int num_nodes_;
  std::vector<double> empty_;  // the local scores of the empty graph, priors included
};

}  // namespace gfn
