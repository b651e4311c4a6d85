// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <type_traits>

#include <gfn/core/error.hpp>
#include <gfn/environment/state_hash.hpp>

namespace gfn {

/// A set of nodes of a graph: bit v is node v. The types below hold up to 64 nodes.
using NodeSet = std::uint64_t;

/// The set of one node.
[[nodiscard]] constexpr NodeSet node_set(int node) { return NodeSet{1} << node; }

[[nodiscard]] constexpr int count_nodes(NodeSet set) { return std::popcount(set); }

/// Calls visit(node) for the nodes of a set, in ascending order.
template <class Visit>
constexpr void for_each_node(NodeSet set, Visit&& visit) {
  for (; set != 0; set &= set - 1) visit(std::countr_zero(set));
}

/// A directed acyclic graph on nodes 0 … n − 1, n ≤ MaxNodes: the parents of each node as a bit set, and the transitive
/// closure beside them (each node's ancestors), so that a cycle is refused by looking at one bit. A value without heap
/// memory: 2·MaxNodes words of the smallest type that has MaxNodes bits. Equality, hash and text are those of the
/// edges.
template <int MaxNodes>
class Dag {
  static_assert(MaxNodes >= 1 && MaxNodes <= 64, "Dag: the maximum number of nodes is between 1 and 64");

 public:
  /// The empty graph. Throws std::invalid_argument for a number of nodes outside of 0 … MaxNodes.
  explicit Dag(int num_nodes = 0) : num_nodes_(num_nodes) {
    require(num_nodes >= 0 && num_nodes <= MaxNodes, "Dag: the number of nodes is ", num_nodes,
            ", it must be between 0 and ", MaxNodes);
    for (int v = 0; v < MaxNodes; ++v) ancestors_[index(v)] = word(node_set(v));
  }

  int num_nodes() const { return num_nodes_; }
  int num_edges() const {
    int count = 0;
    for (const Word set : parents_) count += std::popcount(set);
    return count;
  }
  NodeSet parents(int child) const { return parents_[index(child)]; }
  /// The nodes from which a path leads to `node`, and the node itself.
  NodeSet ancestors(int node) const { return ancestors_[index(node)]; }

  bool has_edge(int parent, int child) const { return contains(parents(child), parent); }
  /// Whether a path leads from one node to the other; every node reaches itself.
  bool reaches(int from, int to) const { return contains(ancestors(to), from); }
  /// Whether the edge is new and closes no cycle.
  bool allows_edge(int parent, int child) const { return !has_edge(parent, child) && !reaches(child, parent); }

  /// Throws std::invalid_argument unless both nodes exist and the graph allows the edge.
  void add_edge(int parent, int child) {
    require_nodes(parent, child);
    require(allows_edge(parent, child), "Dag: the edge ", parent, "->", child,
            has_edge(parent, child) ? " is there already" : " would close a cycle");
    parents_[index(child)] |= word(node_set(parent));
    const Word gained = ancestors_[index(parent)];
    for (int v = 0; v < num_nodes_; ++v)
      if (reaches(child, v)) ancestors_[index(v)] |= gained;
  }

  /// Throws std::invalid_argument unless the edge is there.
  void remove_edge(int parent, int child) {
    require_nodes(parent, child);
    require(has_edge(parent, child), "Dag: the edge ", parent, "->", child, " is not there");
    parents_[index(child)] &= word(~node_set(parent));
    const NodeSet before = ancestors(child);
    NodeSet stale = 0;
    for (int v = 0; v < num_nodes_; ++v)
      if (v != child && reaches(child, v)) stale |= node_set(v);
    collect_ancestors(child);
    if (ancestors(child) == before) return;  // another path leads to the same nodes
    while (stale != 0)                       // below the child, parents before their children
      for_each_node(stale, [&](int v) {
        if ((parents(v) & stale) != 0) return;
        collect_ancestors(v);
        stale &= ~node_set(v);
      });
  }

  /// Equal graphs have equal hashes, in every program and on every machine of the same byte order.
  std::uint64_t hash() const { return detail::hash_bytes(parents_.data(), index(num_nodes_) * sizeof(Word)); }

  friend bool operator==(const Dag& a, const Dag& b) {
    return a.num_nodes_ == b.num_nodes_ && a.parents_ == b.parents_;
  }
  /// The edges by parent, then by child: {0->1, 0->2, 2->1}.
  friend std::ostream& operator<<(std::ostream& out, const Dag& dag) {
    const char* separator = "";
    out << '{';
    for (int i = 0; i < dag.num_nodes_; ++i)
      for (int j = 0; j < dag.num_nodes_; ++j)
        if (dag.has_edge(i, j)) {
          out << separator << i << "->" << j;
          separator = ", ";
        }
    return out << '}';
  }

 private:
  // clang-format off
  using Word = std::conditional_t<MaxNodes <= 8, std::uint8_t, std::conditional_t<MaxNodes <= 16, std::uint16_t,
               std::conditional_t<MaxNodes <= 32, std::uint32_t, std::uint64_t>>>;
  // clang-format on

  static constexpr Word word(NodeSet set) { return static_cast<Word>(set); }
  static constexpr std::size_t index(int node) { return static_cast<std::size_t>(node); }
  static constexpr bool contains(NodeSet set, int node) { return ((set >> node) & 1) != 0; }

  void require_nodes(int parent, int child) const {
    require(parent >= 0 && parent < num_nodes_ && child >= 0 && child < num_nodes_, "Dag: the edge ", parent, "->",
            child, " has a node outside of 0 ... ", num_nodes_ - 1);
  }

  /// From those of the node's parents, which must be right.
  void collect_ancestors(int node) {
    Word set = word(node_set(node));
    for_each_node(parents(node), [&](int parent) { set |= ancestors_[index(parent)]; });
    ancestors_[index(node)] = set;
  }

  int num_nodes_;
  std::array<Word, std::size_t{MaxNodes}> parents_{};
  std::array<Word, std::size_t{MaxNodes}> ancestors_{};
};

}  // namespace gfn
