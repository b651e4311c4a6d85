// SPDX-License-Identifier: MIT
#include <gfn/problems/bayesian_network.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/core/random.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/problems/bayesian_network_metrics.hpp>
#include <gfn/problems/structure_prior.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"

namespace {

using gfn::BayesianNetwork;
using gfn::Dag;
using gfn::NodeSet;

/// A user's score: nothing but numbers that tell all pairs of a node and its parents apart.
struct Score {
  int nodes = 5;
  double scale = 1;

  int num_nodes() const { return nodes; }
  double local_score(int node, NodeSet parents) const {
    return scale * std::sin(static_cast<double>(node) + 1.7 * static_cast<double>(parents));
  }
};

template <int MaxNodes>
Dag<MaxNodes> graph(int nodes, const std::vector<std::array<int, 2>>& edges) {
  Dag<MaxNodes> dag(nodes);
  for (const auto& [parent, child] : edges) dag.add_edge(parent, child);
  return dag;
}

/// Whether a path leads from one node to the other, by following edges.
template <int MaxNodes>
bool path_leads(const Dag<MaxNodes>& dag, int from, int to) {
  if (from == to) return true;
  for (int v = 0; v < dag.num_nodes(); ++v)
    if (dag.has_edge(from, v) && path_leads(dag, v, to)) return true;
  return false;
}

/// Whether the closure and the masks of a graph are those that its edges make.
template <class Env>
bool is_consistent(const Env& env, const typename Env::State& dag) {
  const int n = env.num_nodes();
  const auto legal = std::make_unique<bool[]>(static_cast<std::size_t>(n * n + 1));
  const auto undos = std::make_unique<bool[]>(static_cast<std::size_t>(n * n));
  gfn::fill_forward_mask(env, dag, {legal.get(), n * n + 1});
  gfn::fill_backward_mask(env, dag, {undos.get(), n * n});
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      const auto action = static_cast<std::size_t>(n * i + j);
      if (dag.reaches(i, j) != path_leads(dag, i, j)) return false;
      if (legal[action] != (!dag.has_edge(i, j) && !path_leads(dag, j, i))) return false;
      if (undos[action] != dag.has_edge(i, j)) return false;
    }
  return legal[static_cast<std::size_t>(n * n)];
}

template <class Env>
std::string refusal(const Env& make) {
  try {
    make();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

/// 8 nodes, so that states are small.
template <class Prior = gfn::UniformPrior>
using SmallNetwork = BayesianNetwork<Score, Prior, 8>;

}  // namespace

TEST_CASE("Dag keeps its closure through random additions and removals") {
  gfn::Stream stream = gfn::Random(1).stream(gfn::Purpose::user, 0);
  const SmallNetwork<> env(Score{.nodes = 6});
  int removals = 0;
  Dag<8> dag(6);
  for (int step = 0; step < 20000; ++step) {
    const int i = stream.below(6), j = stream.below(6);
    if (dag.has_edge(i, j)) {
      dag.remove_edge(i, j);
      ++removals;
    } else if (!path_leads(dag, j, i)) {
      dag.add_edge(i, j);
    } else {
      CHECK_THROWS_AS(dag.add_edge(i, j), std::invalid_argument);
    }
    if (!is_consistent(env, dag)) FAIL(gfn::describe(dag));
  }
  CHECK(removals > 3000);
}

TEST_CASE("Dag holds up to 64 nodes") {
  const BayesianNetwork<Score, gfn::UniformPrior, 64> env(Score{.nodes = 64});
  Dag<64> dag = env.initial_state();
  for (int v = 0; v + 1 < 64; ++v) dag.add_edge(v, v + 1);  // a chain, and every node reaches those behind it
  CHECK(dag.reaches(0, 63));
  CHECK(!dag.allows_edge(63, 0));
  dag.remove_edge(31, 32);
  CHECK(!dag.reaches(0, 63));
  CHECK(dag.reaches(32, 63));
  CHECK(dag.allows_edge(63, 0));
  CHECK(is_consistent(env, dag));
  STATIC_REQUIRE(sizeof(Dag<8>) < sizeof(Dag<32>));
}

TEST_CASE("Dag compares, hashes and describes its edges alone") {
  // 0->1->2 and 0->2, reached in two ways, one of them by a detour.
  const Dag<32> dag = graph<32>(4, {{0, 1}, {1, 2}, {0, 2}});
  Dag<32> detour = graph<32>(4, {{0, 2}, {3, 1}, {2, 3}});
  CHECK(!(detour == dag));
  detour.remove_edge(2, 3);
  detour.remove_edge(3, 1);
  detour.add_edge(1, 2);
  detour.add_edge(0, 1);
  CHECK(detour == dag);
  CHECK(detour.hash() == dag.hash());
  CHECK(dag.hash() != graph<32>(4, {{0, 1}, {1, 2}}).hash());
  CHECK(!(Dag<32>(4) == Dag<32>(5)));
  CHECK(gfn::describe(dag) == "{0->1, 0->2, 1->2}");
  CHECK(gfn::describe(Dag<32>(4)) == "{}");
  CHECK(dag.num_edges() == 3);
  CHECK(dag.parents(2) == 3);
  CHECK(dag.ancestors(2) == 7);
}

TEST_CASE("Dag refuses what is not a graph without cycles") {
  Dag<8> dag = graph<8>(3, {{0, 1}, {1, 2}});
  const auto add = [&](int i, int j) { return refusal([&] { dag.add_edge(i, j); }); };
  CHECK(add(2, 0) == "Dag: the edge 2->0 would close a cycle");
  CHECK(add(1, 1) == "Dag: the edge 1->1 would close a cycle");
  CHECK(add(0, 1) == "Dag: the edge 0->1 is there already");
  CHECK(add(0, 3) == "Dag: the edge 0->3 has a node outside of 0 ... 2");
  CHECK(add(-1, 0) == "Dag: the edge -1->0 has a node outside of 0 ... 2");
  CHECK(refusal([&] { dag.remove_edge(0, 2); }) == "Dag: the edge 0->2 is not there");
  CHECK(refusal([] { Dag<8>(9); }) == "Dag: the number of nodes is 9, it must be between 0 and 8");
  CHECK(dag == graph<8>(3, {{0, 1}, {1, 2}}));
}

TEST_CASE("BayesianNetwork keeps the laws of environments") {
  gfn::testing::check_environment_laws(SmallNetwork<>(Score{.nodes = 1}));
  gfn::testing::check_environment_laws(SmallNetwork<>(Score{.nodes = 2}));
  gfn::testing::check_environment_laws(SmallNetwork<>(Score{.nodes = 6}), gfn::Random(2), {.walks = 40});
  gfn::testing::check_environment_laws(BayesianNetwork(Score{.nodes = 6}, {.max_parents = 2}, gfn::FairPrior{}),
                                       gfn::Random(5), {.walks = 40});
  gfn::testing::check_environment_laws(BayesianNetwork(Score{.nodes = 20}), gfn::Random(3), {.walks = 2});
  gfn::testing::check_environment_laws(BayesianNetwork(Score{.nodes = 32}, {.max_parents = 2}), gfn::Random(4),
                                       {.walks = 2, .moves_per_state = 4});
}

TEST_CASE("BayesianNetwork has all directed acyclic graphs") {
  const auto num_graphs = [](int nodes, int max_parents) {
    const SmallNetwork<> env(Score{.nodes = nodes}, {.max_parents = max_parents});
    return gfn::exact::StateGraph(env).num_states();
  };
  CHECK(num_graphs(1, 8) == 1);
  CHECK(num_graphs(2, 8) == 3);
  CHECK(num_graphs(3, 8) == 25);
  CHECK(num_graphs(4, 8) == 543);
  CHECK(num_graphs(4, 3) == 543);
  CHECK(num_graphs(4, 1) == 125);  // forests of rooted trees, (n + 1)^(n − 1)
  CHECK(num_graphs(5, 1) == 1296);
  CHECK(num_graphs(5, 0) == 1);

  const SmallNetwork<> env(Score{.nodes = 5});
  const gfn::exact::StateGraph all(env);
  CHECK(all.num_states() == 29281);
  CHECK(all.num_edges() == 176320);
  CHECK(all.terminal_rows().size() == 29281);
  std::vector<int> profile(11);
  for (const Dag<8>& dag : all.states()) ++profile[static_cast<std::size_t>(dag.num_edges())];
  CHECK(profile == std::vector<int>{1, 20, 180, 940, 3050, 6180, 7960, 6540, 3330, 960, 120});
}

TEST_CASE("BayesianNetwork numbers edges by parent and child, and encodes the adjacency matrix") {
  const BayesianNetwork env(Score{.nodes = 3});
  CHECK(env.num_actions() == 9);
  CHECK(env.num_features() == 9);
  CHECK(env.edge_action(1, 2) == 5);
  auto dag = env.initial_state();
  env.apply(dag, 5);
  env.apply(dag, 6);
  CHECK(dag == graph<32>(3, {{1, 2}, {2, 0}}));
  std::array<bool, 10> legal{};
  gfn::fill_forward_mask(env, dag, {legal.data(), 10});
  CHECK(legal == std::array<bool, 10>{false, false, false, true, false, false, false, false, false, true});
  gfn::SparseRows rows;
  rows.clear(9);
  env.encode(dag, gfn::Features(rows));
  rows.finish_row();
  CHECK(std::vector<int>(rows.row(0).indices.begin(), rows.row(0).indices.end()) == std::vector<int>{6, 5});
  env.undo(dag, 5);
  CHECK(dag == graph<32>(3, {{2, 0}}));
}

TEST_CASE("BayesianNetwork's reward is the log odds against the empty graph, for any score and prior") {
  const Score score{.nodes = 4};
  const gfn::ErdosRenyiPrior prior(0.2);
  const BayesianNetwork env(score, {}, prior);
  const auto dag = graph<32>(4, {{0, 2}, {1, 2}, {3, 1}});
  CHECK(env.log_reward(env.initial_state()) == 0);
  const double expected = score.local_score(1, 8) - score.local_score(1, 0) + score.local_score(2, 3) -
                          score.local_score(2, 0) + 3 * std::log(0.2 / 0.8);
  CHECK(env.log_reward(dag) == Approx(expected).epsilon(1e-12));
}

TEST_CASE("Structure priors are the targets of a score that says nothing") {
  const Score nothing{.nodes = 3, .scale = 0};
  const auto target = [](const auto& env) {
    const gfn::exact::StateGraph all(env);
    return gfn::exact::target_distribution(all);
  };
  SECTION("uniform") {
    const BayesianNetwork env(nothing);
    for (const double p : target(env)) CHECK(p == Approx(1.0 / 25));
  }
  SECTION("Erdos and Renyi: independent edges, given that there is no cycle") {
    const double p = 0.3;
    const BayesianNetwork env(nothing, {}, gfn::ErdosRenyiPrior(p));
    const gfn::exact::StateGraph all(env);
    // 1, 6, 12 and 6 graphs with 0 to 3 edges, of 3 pairs that are joined or not.
    const auto mass = [&](int edges) { return std::pow(p, edges) * std::pow(1 - p, 3 - edges); };
    const double sum = mass(0) + 6 * mass(1) + 12 * mass(2) + 6 * mass(3);
    const std::vector<double> distribution = target(env);
    for (int row = 0; row < all.num_states(); ++row)
      CHECK(distribution[static_cast<std::size_t>(row)] == Approx(mass(all.state(row).num_edges()) / sum));
    CHECK(gfn::expected_num_edges(all.states(), distribution) ==
          Approx((6 * mass(1) + 24 * mass(2) + 18 * mass(3)) / sum));
  }
  SECTION("fair: over numbers of parents, then over sets") {
    const BayesianNetwork env(nothing, {}, gfn::FairPrior{});
    const gfn::exact::StateGraph all(env);
    double sum = 0;
    const auto mass = [](const Dag<32>& dag) {
      double product = 1;
      for (int j = 0; j < 3; ++j) product *= gfn::count_nodes(dag.parents(j)) == 1 ? 0.5 : 1.0;  // 1/C(2, k)
      return product;
    };
    for (const Dag<32>& dag : all.states()) sum += mass(dag);
    const std::vector<double> distribution = target(env);
    for (int row = 0; row < all.num_states(); ++row)
      CHECK(distribution[static_cast<std::size_t>(row)] == Approx(mass(all.state(row)) / sum));
    CHECK(gfn::FairPrior{}.log_prior(0, 0b1110, 7) == Approx(-std::log(20.0)));
    CHECK(gfn::FairPrior{}.log_prior(0, 0b111110, 11) == Approx(-std::log(252.0)));
  }
  SECTION("a user's: node 0 has no parents") {
    struct Root {
      double log_prior(int node, NodeSet parents, int) const {
        return node == 0 && parents != 0 ? -std::numeric_limits<double>::infinity() : 0.0;
      }
    };
    const BayesianNetwork env(nothing, {}, Root{});
    const gfn::exact::StateGraph all(env);
    const std::vector<double> distribution = target(env);
    for (int row = 0; row < all.num_states(); ++row)
      CHECK(distribution[static_cast<std::size_t>(row)] ==
            (all.state(row).parents(0) == 0 ? Approx(1.0 / 12) : Approx(0)));
  }
}

TEST_CASE("Summaries of a distribution over graphs") {
  const std::vector<Dag<8>> dags{graph<8>(3, {}), graph<8>(3, {{0, 1}}), graph<8>(3, {{0, 1}, {2, 1}, {2, 0}})};
  const std::vector<double> weights{2, 1, 5};
  const Eigen::MatrixXd marginals = gfn::edge_marginals(dags, weights);
  CHECK(marginals(0, 1) == Approx(6.0 / 8));
  CHECK(marginals(2, 1) == Approx(5.0 / 8));
  CHECK(marginals(2, 0) == Approx(5.0 / 8));
  CHECK(marginals.sum() == Approx(gfn::expected_num_edges(dags, weights)));
  CHECK(marginals.rows() == 3);
  CHECK(gfn::edge_marginals(dags)(0, 1) == Approx(2.0 / 3));
  CHECK(gfn::expected_num_edges(dags) == Approx(4.0 / 3));

  const Dag<8> truth = graph<8>(3, {{1, 0}, {2, 1}});
  CHECK(gfn::structural_hamming_distance(truth, truth) == 0);
  CHECK(gfn::structural_hamming_distance(dags[0], truth) == 2);  // insert two
  CHECK(gfn::structural_hamming_distance(dags[1], truth) == 2);  // flip one, insert one
  CHECK(gfn::structural_hamming_distance(dags[2], truth) == 2);  // flip one, delete one
  CHECK(gfn::structural_hamming_distance(truth, dags[2]) == 2);
  CHECK(gfn::structural_hamming_distance(dags[0], dags[2]) == 3);
  CHECK(gfn::expected_structural_hamming_distance(dags, dags[0], weights) == Approx((1 + 5 * 3) / 8.0));

  // Each edge is in 8 of the 25 graphs on three nodes.
  const BayesianNetwork env(Score{.nodes = 3, .scale = 0});
  const gfn::exact::StateGraph all(env);
  const Eigen::MatrixXd uniform = gfn::edge_marginals(all.states(), gfn::exact::target_distribution(all));
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) CHECK(uniform(i, j) == Approx(i == j ? 0.0 : 8.0 / 25));

  CHECK(refusal([&] { (void)gfn::edge_marginals(std::vector<Dag<8>>{}); }) ==
        "summary of graphs: 0 graphs and 0 weights, there must be at least one graph, and a weight for each or none");
  CHECK(refusal([&] {
          (void)gfn::edge_marginals(dags, std::vector<double>{1, 2});
        }) ==
        "summary of graphs: 3 graphs and 2 weights, there must be at least one graph, and a weight for each or none");
  CHECK(refusal([&] {
          (void)gfn::expected_num_edges(dags, std::vector<double>{1, -2, 3});
        }) == "summary of graphs: a weight is -2, it must be at least 0");
  CHECK(refusal([&] {
          (void)gfn::expected_num_edges(dags, std::vector<double>{0, 0, 0});
        }) == "summary of graphs: the weights sum to 0, which must be finite and above 0");
  CHECK(refusal([&] { (void)gfn::structural_hamming_distance(truth, Dag<8>(4)); }) ==
        "structural_hamming_distance: one graph has 3 nodes, the other 4");
  CHECK(refusal([&] {
          (void)gfn::edge_marginals(std::vector{Dag<8>(3), Dag<8>(4)});
        }) == "summary of graphs: one has 4 nodes, another 3");
}

TEST_CASE("BayesianNetwork refuses bad options, naming both numbers") {
  CHECK(refusal([] { SmallNetwork<> env(Score{.nodes = 9}); }) ==
        "BayesianNetwork: the number of nodes is 9, it must be between 1 and 8");
  CHECK(refusal([] { SmallNetwork<> env(Score{.nodes = 0}); }) ==
        "BayesianNetwork: the number of nodes is 0, it must be between 1 and 8");
  CHECK(refusal([] { SmallNetwork<> env(Score{}, {.max_parents = -1}); }) ==
        "BayesianNetwork: max_parents is -1, it must be at least 0");
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(SmallNetwork<>(Score{.nodes = 5, .scale = infinity}), std::invalid_argument);
  for (const double p : {0.0, 1.0, -0.5, 1.5}) CHECK_THROWS_AS(gfn::ErdosRenyiPrior(p), std::invalid_argument);
}
