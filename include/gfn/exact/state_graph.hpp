// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>

namespace gfn::exact {

/// Options of the enumeration.
struct StateGraphOptions {
  std::int64_t max_states = 20'000'000;  ///< an environment with more states is refused
};

/// One move between two states.
struct Edge {
  int source;              ///< the row in which the move is made
  Action action;           ///< forward action
  int child;               ///< the row that it leads to
  Action backward_action;  ///< what takes the child back to the source; none for environments without undo
};

/// All states of an environment that can be reached from the initial one, found by `apply` alone, and all moves between
/// them. Rows are in a topological order: row 0 is the initial state, and every edge leads from a lower row to a higher
/// one. Built once, used for any number of evaluations. Refers to the environment.
template <class E>
class StateGraph {
  static_assert(check_forward_environment_concept<E>() && is_forward_environment<E>);
  static_assert(has_state_hash<E>,
                "StateGraph: needs states that can be hashed: give the environment "
                "`std::uint64_t hash(const State&) const`");

 public:
  using State = StateOf<E>;

  explicit StateGraph(const E&&, const StateGraphOptions& = {}) = delete;  // a temporary would be gone after this line
  /// Enumerates the states. Throws gfn::Error for more states than `max_states`; and, naming the state, for a cycle,
  /// for a state that leaves no choice, for a log-reward that is NaN or +∞, and for legal undos that are not just the
  /// ways back along the edges.
  explicit StateGraph(const E& env, const StateGraphOptions& options = {}) : env_(&env) {
    require(options.max_states >= 1 && options.max_states < std::numeric_limits<int>::max(),
            "StateGraph: max_states is ", options.max_states, ", it must be between 1 and ",
            std::numeric_limits<int>::max() - 1);
    discover(options.max_states);
    group_by_child();
    if (!in_order_) {
      sort_topologically();
      group_by_child();
    }
    if constexpr (Environment<E>) check_undos();
    compute_rewards();
  }

  const E& environment() const { return *env_; }
  int num_states() const { return static_cast<int>(states_.size()); }
  std::size_t num_edges() const { return edges_.size(); }
  std::span<const State> states() const { return states_; }
  const State& state(int row) const { return states_[at(row)]; }
  /// The state of a row as text, for messages: as describe() has it or, where it can't be printed, by the actions of a
  /// way there.
  [[gnu::cold, gnu::noinline]] std::string describe_row(int row) const {
    if constexpr (is_describable<State>) {
      return describe(state(row));
    } else {
      std::vector<Action> actions;
      while (!(state(row) == env_->initial_state())) {
        const auto leads_here = [&](const Edge& edge) { return edge.child == row; };
        const auto edge = std::find_if(edges_.begin(), edges_.end(), leads_here);
        if (edge == edges_.end() || actions.size() > edges_.size()) return describe(state(row));
        actions.push_back(edge->action);
        row = edge->source;
      }
      std::reverse(actions.begin(), actions.end());
      return describe_actions(actions);
    }
  }
  /// The row of an equal state, or none.
  int find(const State& s) const { return index_.find(hash_state(*env_, s), equal_to(s)); }

  /// All edges, by ascending source and then action. Numbers per edge are kept in this order.
  std::span<const Edge> edges() const { return edges_; }
  /// The edges out of a state; the first has the number first_edge(row).
  std::span<const Edge> edges(int row) const {
    return std::span<const Edge>(edges_).subspan(first_edge(row), first_edges_[at(row) + 1] - first_edge(row));
  }
  std::size_t first_edge(int row) const { return first_edges_[at(row)]; }
  /// The numbers of the edges into a state, by ascending source.
  std::span<const std::uint32_t> incoming(int row) const {
    return std::span<const std::uint32_t>(incoming_).subspan(first_incoming_[at(row)],
                                                             first_incoming_[at(row) + 1] - first_incoming_[at(row)]);
  }

  /// The rows that can exit, ascending. Distributions over terminating states have one entry for each, in this order.
  std::span<const int> terminal_rows() const { return terminal_rows_; }
  /// Where a row stands among the terminal rows, or none.
  int terminal_index(int row) const { return terminal_index_[at(row)]; }
  bool can_exit(int row) const { return terminal_index(row) != none; }
  /// log R of the terminal rows; −∞ for a reward of 0.
  std::span<const double> log_rewards() const { return log_rewards_; }

 private:
  static std::size_t at(int row) { return static_cast<std::size_t>(row); }
  auto equal_to(const State& s) const {
    return [this, &s](int row) { return states_[at(row)] == s; };
  }

  /// Breadth first: rows in the order of discovery, edges by source.
  void discover(std::int64_t max_states) {
    State s = env_->initial_state();
    find_or_add(s, 0, max_states);
    AlignedBuffer<bool> legal(static_cast<std::size_t>(num_forward_choices(*env_)));
    const Action exit = env_->num_actions();
    first_edges_.push_back(0);
    for (int row = 0; row < num_states(); ++row) {
      const Mask mask(legal.data(), exit + 1);
      fill_forward_mask(*env_, state(row), mask);
      if (count_legal(legal) == 0) fail("the environment allows no action and no exit at state ", describe_row(row));
      for (Action a = 0; a < exit; ++a)
        if (mask[a]) add_edge(row, a, s, max_states);
      first_edges_.push_back(edges_.size());
      terminal_index_.push_back(mask[exit] ? 0 : none);
    }
  }
  void add_edge(int row, Action a, State& s, std::int64_t max_states) {
    s = state(row);
    Action back = none;
    if constexpr (Environment<E>) back = backward_action(*env_, s, a);
    env_->apply(s, a);
    const int child = find_or_add(s, row, max_states);
    in_order_ = in_order_ && child > row;
    if (edges_.size() == std::numeric_limits<std::uint32_t>::max())
      fail("StateGraph: more than ", edges_.size(), " edges, found at ", row, " of ", num_states(), " states");
    edges_.push_back({row, a, child, back});
  }
  int find_or_add(const State& s, int row, std::int64_t max_states) {
    const int found = index_.find_or_insert(hash_state(*env_, s), num_states(), equal_to(s));
    if (found != none) return found;
    if (num_states() == max_states)
      fail("StateGraph: the environment has more states than max_states = ", max_states, ": at least ", max_states + 1,
           ", found from the first ", row + 1, " of them");
    states_.push_back(s);
    return num_states() - 1;
  }

  void group_by_child() {
    first_incoming_.assign(states_.size() + 1, 0);
    incoming_.resize(edges_.size());
    for (const Edge& edge : edges_) ++first_incoming_[at(edge.child) + 1];
    for (std::size_t i = 1; i < first_incoming_.size(); ++i) first_incoming_[i] += first_incoming_[i - 1];
    std::vector<std::size_t> next(first_incoming_.begin(), first_incoming_.end() - 1);
    for (std::size_t e = 0; e < edges_.size(); ++e)
      incoming_[next[at(edges_[e].child)]++] = static_cast<std::uint32_t>(e);
  }

  /// Kahn's algorithm, and the rows renumbered after it.
  void sort_topologically() {
    std::vector<int> parents(states_.size()), order;  // parents: how many are not in order yet
    for (int row = 0; row < num_states(); ++row) parents[at(row)] = static_cast<int>(incoming(row).size());
    order.reserve(states_.size());
    if (parents[0] == 0) order.push_back(0);  // the only row that may have none
    for (std::size_t i = 0; i < order.size(); ++i)
      for (const Edge& edge : edges(order[i]))
        if (--parents[at(edge.child)] == 0) order.push_back(edge.child);
    if (order.size() < states_.size()) refuse_cycle(parents);
    renumber(order);
  }
  void renumber(const std::vector<int>& order) {
    std::vector<int> rank(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) rank[at(order[i])] = static_cast<int>(i);
    std::vector<Edge> sorted;
    sorted.reserve(edges_.size());
    std::vector<std::size_t> first = {0};
    std::vector<State> states;
    states.reserve(states_.size());
    std::vector<int> terminal;
    for (const int row : order) {
      for (const Edge& edge : edges(row))
        sorted.push_back({rank[at(row)], edge.action, rank[at(edge.child)], edge.backward_action});
      first.push_back(sorted.size());
      states.push_back(std::move(states_[at(row)]));
      terminal.push_back(terminal_index_[at(row)]);
    }
    edges_.swap(sorted);
    first_edges_.swap(first);
    states_.swap(states);
    terminal_index_.swap(terminal);
    index_.clear();
    for (int row = 0; row < num_states(); ++row)
      index_.find_or_insert(hash_state(*env_, state(row)), row, equal_to(state(row)));
  }
  /// Rows whose parents never came in order lie on a cycle or behind one: going from parent to parent ends on one.
  [[noreturn]] void refuse_cycle(const std::vector<int>& parents) const {
    int row = 0;
    while (parents[at(row)] == 0) ++row;
    for (int i = 0; i < num_states(); ++i)
      for (const std::uint32_t e : incoming(row))
        if (parents[at(edges_[e].source)] > 0) {
          row = edges_[e].source;
          break;
        }
    fail("StateGraph: the environment has a cycle through state ", describe_row(row));
  }

  /// The legal undos of a state are the backward actions of the edges into it, each once.
  void check_undos() const {
    AlignedBuffer<bool> legal(static_cast<std::size_t>(num_backward_actions(*env_)));
    const Mask mask(legal.data(), static_cast<int>(legal.size()));
    for (int row = 0; row < num_states(); ++row) {
      fill_backward_mask(*env_, state(row), mask);
      for (const std::uint32_t e : incoming(row)) {
        const Edge& edge = edges_[e];
        const Action back = edge.backward_action;
        if (back < 0 || back >= mask.size() || !mask[back])
          fail("StateGraph: action ", edge.action, " at state ", describe_row(edge.source), " leads to ",
               describe_row(row), ", where its backward action ", back, " is not legal, or undoes another action too");
        mask[back] = false;
      }
      for (Action back = 0; back < mask.size(); ++back)
        if (mask[back])
          fail("StateGraph: the undo ", back, " is legal at state ", describe_row(row),
               ", but no action leads there that it would undo");
    }
  }

  void compute_rewards() {
    for (int row = 0; row < num_states(); ++row) {
      if (terminal_index_[at(row)] == none) continue;
      terminal_index_[at(row)] = static_cast<int>(terminal_rows_.size());
      terminal_rows_.push_back(row);
    }
    log_rewards_.resize(terminal_rows_.size());
    constexpr std::size_t chunk = 4096;
    std::vector<State> some;
    for (std::size_t first = 0; first < terminal_rows_.size(); first += chunk) {
      const std::size_t end = std::min(first + chunk, terminal_rows_.size());
      some.clear();
      for (std::size_t i = first; i < end; ++i) some.push_back(state(terminal_rows_[i]));
      gfn::detail::ask_log_rewards(*env_, std::span<const State>(some),
                                   std::span(log_rewards_).subspan(first, end - first));
      for (std::size_t i = first; i < end; ++i)
        gfn::detail::require_log_reward(log_rewards_[i], [&] { return describe_row(terminal_rows_[i]); });
    }
  }

  const E* env_;
  std::vector<State> states_;
  HashIndex index_;
  std::vector<Edge> edges_;
  std::vector<std::size_t> first_edges_;  // per row, and the end
  std::vector<std::uint32_t> incoming_;
  std::vector<std::size_t> first_incoming_;
  std::vector<int> terminal_rows_;
  std::vector<int> terminal_index_;
  std::vector<double> log_rewards_;
  bool in_order_ = true;
};

}  // namespace gfn::exact
