// SPDX-License-Identifier: MIT
#include <gfn/exact/state_graph.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "messages.hpp"

namespace {

using gfn::exact::Edge;
using gfn::exact::StateGraph;

/// The numbers 0 … last; action a adds jumps[a], and jumps beyond the last number are illegal.
struct Jumps {
  using State = int;
  int last = 6;
  std::vector<int> jumps = {3, 2, 1};

  int jump(gfn::Action a) const { return jumps[static_cast<std::size_t>(a)]; }
  State initial_state() const { return 0; }
  int num_actions() const { return static_cast<int>(jumps.size()); }
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int a = 0; a < legal.size(); ++a) legal[a] = s + jump(a) <= last;
  }
  bool can_exit(const State& s) const { return s == last; }
  void apply(State& s, gfn::Action a) const { s += jump(a); }
  void legal_undos(const State& s, gfn::Mask legal) const {
    for (int a = 0; a < legal.size(); ++a) legal[a] = s >= jump(a);
  }
  void undo(State& s, gfn::Action a) const { s -= jump(a); }
  double log_reward(const State&) const { return 0; }
};

/// A Jumps that goes round and round from `bend` on.
struct Round : Jumps {
  int bend = 3;
  void legal_actions(const State&, gfn::Mask legal) const { legal[0] = true; }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, gfn::Action) const { s = s == last ? bend : s + 1; }
};

/// Has no undo, and rewards in batches only.
struct ForwardOnly {
  using State = int;
  double at_two = 0;
  State initial_state() const { return 0; }
  int num_actions() const { return 2; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = legal[1] = s < 3; }
  bool can_exit(const State& s) const { return s >= 2; }
  void apply(State& s, gfn::Action a) const { s += a + 1; }
  void log_rewards(std::span<const State> states, std::span<double> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = states[i] == 2 ? at_two : states[i];
  }
};

struct DeadEnd : Jumps {
  bool can_exit(const State&) const { return false; }
};
struct TooManyUndos : Jumps {
  void legal_undos(const State& s, gfn::Mask legal) const { legal[2] = s >= 1, legal[1] = legal[0] = s >= 2; }
};
struct TooFewUndos : Jumps {
  void legal_undos(const State& s, gfn::Mask legal) const { legal[2] = s >= 1; }
};

/// Every edge is a move, and its way back; both lists of edges hold the same; rows are in order, and found.
template <class E>
void check_graph(const StateGraph<E>& graph) {
  const E& env = graph.environment();
  CHECK(graph.state(0) == env.initial_state());
  std::size_t e = 0, incoming = 0;
  bool ordered = true, moves = true, ways_back = true, found = true, grouped = true;
  for (int row = 0; row < graph.num_states(); ++row) {
    found = found && graph.find(graph.state(row)) == row;
    grouped = grouped && graph.first_edge(row) == e;
    for (const Edge& edge : graph.edges(row)) {
      grouped = grouped && edge.source == row && &edge == &graph.edges()[e++];
      ordered = ordered && edge.child > row;
      auto s = graph.state(row);
      env.apply(s, edge.action);
      moves = moves && s == graph.state(edge.child);
      env.undo(s, edge.backward_action);
      ways_back = ways_back && s == graph.state(row);
    }
    for (const std::uint32_t into : graph.incoming(row)) {
      grouped = grouped && graph.edges()[into].child == row;
      ++incoming;
    }
    CHECK(graph.can_exit(row) == env.can_exit(graph.state(row)));
  }
  CHECK(ordered);
  CHECK(moves);
  CHECK(ways_back);
  CHECK(found);
  CHECK(grouped);
  CHECK(e == graph.num_edges());
  CHECK(incoming == graph.num_edges());
  for (std::size_t i = 0; i < graph.terminal_rows().size(); ++i) {
    const int row = graph.terminal_rows()[i];
    CHECK(graph.terminal_index(row) == static_cast<int>(i));
    CHECK(graph.log_rewards()[i] == env.log_reward(graph.state(row)));
  }
}

}  // namespace

TEST_CASE("state graphs of grids have the right size") {
  for (const int dimension : {1, 2, 3}) {
    const gfn::HyperGrid env{{.dimension = dimension, .side = 8}};
    const StateGraph graph(env);
    const int states = 1 << (3 * dimension);
    CHECK(graph.num_states() == states);
    CHECK(graph.num_edges() == static_cast<std::size_t>(dimension * states / 8 * 7));
    CHECK(graph.terminal_rows().size() == static_cast<std::size_t>(states));
    check_graph(graph);
  }
}

TEST_CASE("state graphs hold parallel edges, and states that cannot exit") {
  const environments::PrependAppend env;  // 1 + 2 + 4 + 8 words
  const StateGraph graph(env);
  CHECK(graph.num_states() == 15);
  CHECK(graph.num_edges() == 28);
  CHECK(graph.terminal_rows().size() == 8);
  check_graph(graph);

  const environments::Subsets subsets{.n = 6, .k = 3};
  const StateGraph cube(subsets);
  CHECK(cube.num_states() == 1 + 6 + 15 + 20);
  CHECK(cube.num_edges() == 6 + 6 * 5 + 15 * 4);
  CHECK(cube.terminal_rows().size() == 20);
  check_graph(cube);
}

TEST_CASE("rows are in a topological order, also where breadth first gives another") {
  const Jumps env;
  const StateGraph graph(env);
  CHECK(graph.num_states() == 7);
  CHECK(graph.num_edges() == 4 + 5 + 6);
  for (int row = 0; row < 7; ++row) CHECK(graph.state(row) == row);  // the only order there is
  check_graph(graph);
}

TEST_CASE("an environment without undo, with rewards in batches, has a state graph") {
  const ForwardOnly env;
  const StateGraph graph(env);
  CHECK(graph.num_states() == 5);
  CHECK(graph.edges()[0].backward_action == gfn::none);
  CHECK(graph.terminal_rows().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const int s = graph.state(graph.terminal_rows()[i]);
    CHECK(graph.log_rewards()[i] == (s == 2 ? 0 : s));
  }
}

TEST_CASE("one state is a state graph") {
  const gfn::HyperGrid env{{.side = 1}};
  const StateGraph graph(env);
  CHECK(graph.num_states() == 1);
  CHECK(graph.num_edges() == 0);
  CHECK(graph.incoming(0).empty());
  CHECK(graph.terminal_rows().size() == 1);
}

TEST_CASE("more states than the limit are refused with both numbers") {
  const gfn::HyperGrid env{{.dimension = 2, .side = 8}};
  CHECK(StateGraph(env, {.max_states = 64}).num_states() == 64);
  const std::string message = message_of<gfn::Error>([&] { StateGraph(env, {.max_states = 63}); });
  CHECK(contains(message, "63"));
  CHECK(contains(message, "64"));
  CHECK_THROWS_AS(StateGraph(env, {.max_states = 0}), std::invalid_argument);
  CHECK_THROWS_AS(StateGraph(env, {.max_states = std::int64_t{1} << 40}), std::invalid_argument);
}

TEST_CASE("a cycle is refused, naming a state on it") {
  Round env;
  env.last = 5;
  env.jumps = {1};
  const std::string message = message_of<gfn::Error>([&] { StateGraph graph(env); });
  CHECK(contains(message, "cycle"));
  CHECK((contains(message, " 3") || contains(message, " 4") || contains(message, " 5")));
  env.bend = 0;  // through the initial state
  CHECK(contains(message_of<gfn::Error>([&] { StateGraph graph(env); }), "cycle"));
  env.last = 0;  // a move that goes nowhere
  CHECK(contains(message_of<gfn::Error>([&] { StateGraph graph(env); }), "cycle through state 0"));
}

TEST_CASE("what a state graph cannot use is refused, naming the state") {
  CHECK(contains(message_of<gfn::Error>([] {
                   DeadEnd env;
                   StateGraph graph(env);
                 }),
                 "no action and no exit at state 6"));
  CHECK(contains(message_of<gfn::Error>([] {
                   TooManyUndos env;
                   StateGraph graph(env);
                 }),
                 "undo 0 is legal at state 2"));
  CHECK(contains(message_of<gfn::Error>([] {
                   TooFewUndos env;
                   StateGraph graph(env);
                 }),
                 "leads to 2"));
  for (const double reward : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const ForwardOnly env{.at_two = reward};
    CHECK(contains(message_of<gfn::Error>([&] { StateGraph graph(env); }), "state 2"));
  }
  const ForwardOnly zero{.at_two = -std::numeric_limits<double>::infinity()};
  CHECK(StateGraph(zero).log_rewards()[0] == zero.at_two);
}
