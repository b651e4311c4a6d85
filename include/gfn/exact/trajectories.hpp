// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/exact/state_graph.hpp>

namespace gfn::exact {

/// The number of complete trajectories of a graph. Grows fast: a floating-point number.
template <class E>
[[nodiscard]] double num_trajectories(const StateGraph<E>& graph) {
  std::vector<double> paths(graph.states().size());  // from each row to an exit
  for (int row = graph.num_states() - 1; row >= 0; --row) {
    double count = graph.can_exit(row) ? 1 : 0;
    for (const Edge& edge : graph.edges(row)) count += paths[static_cast<std::size_t>(edge.child)];
    paths[static_cast<std::size_t>(row)] = count;
  }
  return paths[0];
}

/// All complete trajectories, as lists of forward actions with the exit as the last: what batch_from_trajectories
/// takes. Throws gfn::Error if there are more than `max_trajectories`.
template <class E>
[[nodiscard]] std::vector<std::vector<Action>> all_trajectories(const StateGraph<E>& graph,
                                                                std::int64_t max_trajectories = 1'000'000) {
  const double count = num_trajectories(graph);
  if (count > static_cast<double>(max_trajectories))
    fail("all_trajectories: there are ", count, " trajectories, max_trajectories is ", max_trajectories);
  std::vector<std::vector<Action>> result;
  result.reserve(static_cast<std::size_t>(count));
  std::vector<Action> actions;
  const auto visit = [&](const auto& self, int row) -> void {
    for (const Edge& edge : graph.edges(row)) {
      actions.push_back(edge.action);
      self(self, edge.child);
      actions.pop_back();
    }
    if (!graph.can_exit(row)) return;
    result.push_back(actions);
    result.back().push_back(graph.environment().num_actions());
  };
  visit(visit, 0);
  return result;
}

/// Calls on_edge(e) with the number of each edge that a complete trajectory takes, in order, and returns its terminal
/// row. Throws std::invalid_argument for actions that the graph does not have, naming the state.
template <class E, class OnEdge>
int follow(const StateGraph<E>& graph, std::span<const Action> actions, const OnEdge& on_edge) {
  require(!actions.empty() && actions.back() == graph.environment().num_actions(),
          "a complete trajectory ends with the exit, action ", graph.environment().num_actions());
  int row = 0;
  for (const Action action : actions.first(actions.size() - 1)) {
    const auto edges = graph.edges(row);
    const auto edge = std::lower_bound(edges.begin(), edges.end(), action,
                                       [](const Edge& one, Action wanted) { return one.action < wanted; });
    if (edge == edges.end() || edge->action != action)
      require(false, "no edge has action ", action, " at state ", graph.describe_row(row));
    on_edge(graph.first_edge(row) + static_cast<std::size_t>(edge - edges.begin()));
    row = edge->child;
  }
  if (!graph.can_exit(row))
    require(false, "a trajectory exits at state ", graph.describe_row(row), ", which cannot exit");
  return row;
}

/// log P_F(τ) = Σ log π_F(s_t, a_t) of a complete trajectory, the exit included.
template <class E>
[[nodiscard]] double trajectory_log_probability(const StateGraph<E>& graph, std::span<const Action> actions,
                                                const ForwardLogProbabilities& forward) {
  double sum = 0;
  const int last = follow(graph, actions, [&](std::size_t e) { sum += forward.edges[e]; });
  return sum + forward.exits[static_cast<std::size_t>(graph.terminal_index(last))];
}

/// log P_B(τ|x) = Σ log π_B(s_{t+1}, a_t) of a complete trajectory.
template <class E>
[[nodiscard]] double trajectory_log_probability(const StateGraph<E>& graph, std::span<const Action> actions,
                                                const BackwardLogProbabilities& backward) {
  double sum = 0;
  follow(graph, actions, [&](std::size_t e) { sum += backward.edges[e]; });
  return sum;
}

}  // namespace gfn::exact
