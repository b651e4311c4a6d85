// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/core/state_block.hpp>
#include <gfn/core/unique_number.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/policy/output_rows.hpp>

namespace gfn::exact {

/// A forward policy on a whole state graph.
struct ForwardLogProbabilities {
  std::vector<double> edges;  ///< log π_F(s, a), aligned with graph.edges()
  std::vector<double> exits;  ///< log π_F(x, exit), aligned with graph.terminal_rows()
};

/// A backward policy on a whole state graph.
struct BackwardLogProbabilities {
  std::vector<double> edges;  ///< log π_B(s', b) of the way back along each edge, aligned with graph.edges()
};

/// Evaluates a state function, in its own scalar, at the rows for which wanted(row) holds, and calls
/// visit(row, outputs) for each of them in order. States are encoded and evaluated some at a time, so that memory stays
/// small, whatever the graph.
template <class E, class F, class Wanted, class Visit>
void for_each_output(const StateGraph<E>& graph, F& function, const Wanted& wanted, const Visit& visit) {
  using State = StateOf<E>;
  static_assert(StateFunction<F, State>);
  constexpr int chunk = 1024;
  OutputRows<F, State> outputs(function);
  SparseRows features;
  std::vector<int> rows;
  for (int first = 0; first < graph.num_states(); first += chunk) {
    const int count = std::min(chunk, graph.num_states() - first);
    rows.clear();
    if constexpr (EncodedEnvironment<E>) features.clear(graph.environment().num_features());
    for (int i = 0; i < count; ++i) {
      if (wanted(first + i)) {
        rows.push_back(i);
        if constexpr (EncodedEnvironment<E>) graph.environment().encode(graph.state(first + i), Features(features));
      }
      if constexpr (EncodedEnvironment<E>) features.finish_row();
    }
    if (rows.empty()) continue;
    const auto states = graph.states().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    outputs.extend(StateBlock<State>{states, &features, rows, {&features, unique_number()}});
    for (const int i : rows) visit(first + i, outputs.output(i));
  }
}

namespace detail {

/// Brings log-probabilities up to a constant to a sum of one.
template <class E>
void normalise(std::span<double> logits, const char* policy, const StateGraph<E>& graph, int row) {
  const double log_sum = log_sum_exp(logits);
  if (!std::isfinite(log_sum)) fail(policy, " gives logits that are not finite at state ", graph.describe_row(row));
  for (double& x : logits) x -= log_sum;
}

inline void require_outputs(const char* policy, int outputs, int choices, const char* what) {
  require(outputs == choices, policy, " has ", outputs, " outputs, the environment has ", choices, what);
}

}  // namespace detail

/// log π_F on all edges and exits. A state with one choice is forced, and the policy is not asked there. Throws
/// gfn::Error, naming the state, for legal logits that are NaN, +∞ or all −∞.
template <class E, class P>
  requires Policy<P, StateOf<E>>
[[nodiscard]] ForwardLogProbabilities forward_log_probabilities(const StateGraph<E>& graph, P& policy) {
  ForwardLogProbabilities result{std::vector<double>(graph.num_edges()),
                                 std::vector<double>(graph.terminal_rows().size())};
  const auto choices = [&](int row) { return graph.edges(row).size() + (graph.can_exit(row) ? 1u : 0u); };
  std::vector<double> log_p;  // of one row: its edges, then the exit
  const auto write = [&](int row) {
    const std::size_t edges = graph.edges(row).size();
    std::copy_n(log_p.begin(), edges, result.edges.begin() + static_cast<std::ptrdiff_t>(graph.first_edge(row)));
    if (graph.can_exit(row)) result.exits[static_cast<std::size_t>(graph.terminal_index(row))] = log_p[edges];
  };
  if constexpr (UniformPolicyLike<P>) {
    for (int row = 0; row < graph.num_states(); ++row) {
      log_p.assign(choices(row), -std::log(static_cast<double>(choices(row))));
      write(row);
    }
  } else {
    constexpr const char* name = "the forward policy";
    const Action exit = graph.environment().num_actions();
    detail::require_outputs(name, policy.outputs(), exit + 1, " forward choices (the exit included)");
    for_each_output(
        graph, policy, [&](int row) { return choices(row) > 1; },
        [&](int row, const auto* logits) {
          log_p.clear();
          for (const Edge& edge : graph.edges(row)) log_p.push_back(static_cast<double>(logits[edge.action]));
          if (graph.can_exit(row)) log_p.push_back(static_cast<double>(logits[exit]));
          detail::normalise(std::span(log_p), name, graph, row);
          write(row);
        });
  }
  return result;
}

/// log π_B on all edges, in the same way.
template <class E, class P>
  requires Policy<P, StateOf<E>>
[[nodiscard]] BackwardLogProbabilities backward_log_probabilities(const StateGraph<E>& graph, P& policy) {
  static_assert(check_environment_concept<E>());
  BackwardLogProbabilities result{std::vector<double>(graph.num_edges())};
  if constexpr (UniformPolicyLike<P>) {
    for (int row = 0; row < graph.num_states(); ++row)
      for (const std::uint32_t e : graph.incoming(row))
        result.edges[e] = -std::log(static_cast<double>(graph.incoming(row).size()));
  } else {
    constexpr const char* name = "the backward policy";
    detail::require_outputs(name, policy.outputs(), num_backward_actions(graph.environment()), " backward actions");
    std::vector<double> log_p;
    for_each_output(
        graph, policy, [&](int row) { return graph.incoming(row).size() > 1; },
        [&](int row, const auto* logits) {
          const auto incoming = graph.incoming(row);
          log_p.clear();
          for (const std::uint32_t e : incoming)
            log_p.push_back(static_cast<double>(logits[graph.edges()[e].backward_action]));
          detail::normalise(std::span(log_p), name, graph, row);
          for (std::size_t i = 0; i < incoming.size(); ++i) result.edges[incoming[i]] = log_p[i];
        });
  }
  return result;
}

/// The values of a state function with one output (a critic, the logarithm of a flow), one per row.
template <class E, class F>
[[nodiscard]] std::vector<double> state_values(const StateGraph<E>& graph, F& function) {
  require(function.outputs() == 1, "state_values: the function has ", function.outputs(), " outputs, 1 is needed");
  std::vector<double> values(graph.states().size());
  for_each_output(
      graph, function, [](int) { return true; },
      [&](int row, const auto* output) { values[static_cast<std::size_t>(row)] = static_cast<double>(output[0]); });
  return values;
}

}  // namespace gfn::exact
