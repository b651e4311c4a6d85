// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>

namespace gfn {

/// The states of an environment.
template <class E>
using StateOf = typename E::State;

/// The length of a forward mask: the actions, and the exit as the last.
template <ForwardEnvironment E>
[[nodiscard]] int num_forward_choices(const E& env) {
  return env.num_actions() + 1;
}

/// The length of a backward mask. By default every move is undone with its own number.
template <Environment E>
[[nodiscard]] int num_backward_actions(const E& env) {
  if constexpr (member::backward_map<E>) {
    return env.num_backward_actions();
  } else {
    return env.num_actions();
  }
}

/// The backward action that undoes the forward action `a`, taken in s (the state before the move).
template <Environment E>
[[nodiscard]] Action backward_action(const E& env, [[maybe_unused]] const StateOf<E>& s, Action a) {
  if constexpr (member::backward_map<E>) {
    return env.backward_action(s, a);
  } else {
    return a;
  }
}

/// The forward action that the backward action `b`, taken in s (the state before the undo), undoes.
template <Environment E>
[[nodiscard]] Action forward_action(const E& env, [[maybe_unused]] const StateOf<E>& s, Action b) {
  if constexpr (member::backward_map<E>) {
    return env.forward_action(s, b);
  } else {
    return b;
  }
}

/// Writes the legal forward choices of s to `legal`, num_forward_choices(env) entries, the exit last.
template <ForwardEnvironment E>
void fill_forward_mask(const E& env, const StateOf<E>& s, Mask legal) {
  const int exit = env.num_actions();
  GFN_ASSERT(legal.size() == exit + 1);
  legal.clear();
  env.legal_actions(s, Mask(legal.begin(), exit));
  legal[exit] = env.can_exit(s);
}

/// Writes the legal backward actions of s to `legal`, num_backward_actions(env) entries.
template <Environment E>
void fill_backward_mask(const E& env, const StateOf<E>& s, Mask legal) {
  GFN_ASSERT(legal.size() == num_backward_actions(env));
  legal.clear();
  env.legal_undos(s, legal);
}

namespace detail {

/// Throws gfn::Error for a log-reward that is none; describe_state() gives the state as text.
template <class DescribeState>
void require_log_reward(double value, const DescribeState& describe_state) {
  if (!(value < std::numeric_limits<double>::infinity())) [[unlikely]]  // catches NaN too
    fail("the log-reward of the state ", describe_state(), " is ", value, ", it must be a number below +infinity");
}

/// log_rewards without a look at what comes out.
template <class E>
void ask_log_rewards(const E& env, std::span<const StateOf<E>> states, std::span<double> out) {
  GFN_ASSERT(states.size() == out.size());
  if constexpr (member::log_rewards<E>) {
    if (!states.empty()) env.log_rewards(states, out);
  } else {
    for (std::size_t i = 0; i < states.size(); ++i) out[i] = static_cast<double>(env.log_reward(states[i]));
  }
}

}  // namespace detail

/// Writes log R of each state to `out` (as many entries), by one call of the environment's own log_rewards where it has
/// one. The states can exit. Throws gfn::Error that names the state for NaN and +∞; −∞ (a reward of 0) passes.
template <ForwardEnvironment E>
void log_rewards(const E& env, std::span<const StateOf<E>> states, std::span<double> out) {
  detail::ask_log_rewards(env, states, out);
  for (std::size_t i = 0; i < states.size(); ++i)
    detail::require_log_reward(out[i], [&] { return describe(states[i]); });
}

/// log R of one state, checked in the same way.
template <ForwardEnvironment E>
[[nodiscard]] double log_reward(const E& env, const StateOf<E>& s) {
  double value = 0;
  if constexpr (member::log_reward<E>) {
    value = static_cast<double>(env.log_reward(s));
    detail::require_log_reward(value, [&] { return describe(s); });
  } else {
    log_rewards(env, std::span<const StateOf<E>>(&s, 1), std::span<double>(&value, 1));
  }
  return value;
}

}  // namespace gfn
