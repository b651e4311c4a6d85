// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>
#include <vector>

#include <gfn/ad/rows.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/policy/concepts.hpp>

namespace gfn {

/// A table with one row of numbers per state, all zero at first: the state function without a network. Refers to the
/// environment, for its hash.
template <class T, class E>
class TabularFunction {
 public:
  using Scalar = T;
  using State = StateOf<E>;

  /// A table over the given, distinct states (for instance the states of an exact::StateGraph).
  TabularFunction(const E&&, std::span<const State>, int) = delete;  // a temporary would be gone after this line
  TabularFunction(const E& env, std::span<const State> states, int outputs)
      : env_(&env), states_(states.begin(), states.end()), outputs_(outputs) {
    static_assert(has_state_hash<E>,
                  "TabularFunction: needs states that can be hashed: give the environment "
                  "`std::uint64_t hash(const State&) const`");
    parameters_.add("table", static_cast<Eigen::Index>(states.size()), outputs);
    for (std::size_t i = 0; i < states_.size(); ++i)
      if (index_.find_or_insert(hash_state(env, states_[i]), static_cast<int>(i), equal_to(states_[i])) != none)
        fail("TabularFunction: state ", describe(states_[i]), " is given twice");
  }

  int outputs() const { return outputs_; }
  std::string description() const { return "table"; }
  Parameters<T>& parameters() { return parameters_; }
  const Parameters<T>& parameters() const { return parameters_; }

  /// The table, one row per state in the order in which the states were given.
  Out<T> modify() { return parameters_.modify(0); }
  In<T> table() const { return parameters_.value(0); }
  /// The row of a state. Throws gfn::Error for one that the table does not hold.
  int row(const State& s) const {
    const int found = index_.find(hash_state(*env_, s), equal_to(s));
    if (found == none) fail("TabularFunction: the table has no row for state ", describe(s));
    return found;
  }

  Var<T> record(Tape<T>& tape, const StateBlock<State>& block) {
    const std::size_t count = block.rows.size();
    int* rows = tape.template allocate<int>(count);
    for (std::size_t i = 0; i < count; ++i) rows[i] = row(block.states[static_cast<std::size_t>(block.rows[i])]);
    return gather_rows(tape.parameter(parameters_, 0), std::span<const int>(rows, count));
  }

 private:
  auto equal_to(const State& s) const {
    return [this, &s](int row) { return states_[static_cast<std::size_t>(row)] == s; };
  }

  const E* env_;
  std::vector<State> states_;
  HashIndex index_;
  int outputs_;
  Parameters<T> parameters_;
};

/// A tabular forward policy: one logit per action, the exit last.
template <class T, class E>
TabularFunction<T, E> tabular_policy(const E& env, std::span<const StateOf<E>> states) {
  return {env, states, env.num_actions() + 1};
}
/// A tabular backward policy.
template <class T, class E>
TabularFunction<T, E> tabular_backward(const E& env, std::span<const StateOf<E>> states) {
  return {env, states, num_backward_actions(env)};
}
/// A tabular value, or logarithm of a flow.
template <class T, class E>
TabularFunction<T, E> tabular_value(const E& env, std::span<const StateOf<E>> states) {
  return {env, states, 1};
}
// A temporary environment would be gone after the line.
template <class T, class E>
void tabular_policy(const E&&, std::span<const StateOf<E>>) = delete;
template <class T, class E>
void tabular_backward(const E&&, std::span<const StateOf<E>>) = delete;
template <class T, class E>
void tabular_value(const E&&, std::span<const StateOf<E>>) = delete;

}  // namespace gfn
