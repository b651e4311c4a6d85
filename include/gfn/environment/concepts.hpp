// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include <gfn/core/action.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/sparse_rows.hpp>

namespace gfn {

/// One concept per member of an environment, so that a missing one can be named.
/// An environment is a const object; its states are values.
namespace member {

template <class E>
concept state = requires {
  typename E::State;
};

template <class E>
concept copyable_state = state<E> && std::is_object_v<typename E::State> &&
    std::copy_constructible<typename E::State> && std::is_copy_assignable_v<typename E::State>;

template <class E>
concept comparable_state = state<E> && std::equality_comparable<typename E::State>;

template <class T, class Value = std::remove_cvref_t<T>>
concept integer = std::same_as<Value, int>;

template <class E>
concept initial_state = state<E> && requires(const E& env) {
  { env.initial_state() } -> std::convertible_to<typename E::State>;
};

template <class E>
concept num_actions = requires(const E& env) {
  { env.num_actions() } -> integer;
};

template <class E>
concept legal_actions = state<E> && requires(const E& env, const typename E::State& s) {
  env.legal_actions(s, std::declval<Mask>());
};

template <class E>
concept can_exit = state<E> && requires(const E& env, const typename E::State& s) {
  { env.can_exit(s) } -> std::convertible_to<bool>;
};

template <class E>
concept apply = state<E> && requires(const E& env, typename E::State& s) {
  { env.apply(s, std::declval<Action>()) } -> std::same_as<void>;
};

template <class E>
concept log_reward = state<E> && requires(const E& env, const typename E::State& s) {
  { env.log_reward(s) } -> std::convertible_to<double>;
};

template <class E>
concept log_rewards = state<E> && requires(const E& env, std::span<const typename E::State> states) {
  env.log_rewards(states, std::declval<std::span<double>>());
};

template <class E>
concept legal_undos = state<E> && requires(const E& env, const typename E::State& s) {
  env.legal_undos(s, std::declval<Mask>());
};

template <class E>
concept undo = state<E> && requires(const E& env, typename E::State& s) {
  { env.undo(s, std::declval<Action>()) } -> std::same_as<void>;
};

template <class E>
concept num_backward_actions = requires(const E& env) {
  { env.num_backward_actions() } -> integer;
};

template <class E>
concept backward_action = state<E> && requires(const E& env, const typename E::State& s) {
  { env.backward_action(s, std::declval<Action>()) } -> integer;
};

template <class E>
concept forward_action = state<E> && requires(const E& env, const typename E::State& s) {
  { env.forward_action(s, std::declval<Action>()) } -> integer;
};

template <class E>
concept num_features = requires(const E& env) {
  { env.num_features() } -> integer;
};

template <class E>
concept encode = state<E> && requires(const E& env, const typename E::State& s) {
  env.encode(s, std::declval<Features>());
};

template <class E>
concept hash = state<E> && requires(const E& env, const typename E::State& s) {
  { env.hash(s) } -> std::integral;
};

// Optional members that are there, but perhaps with a wrong signature: these must not be passed over in silence.

// clang-format off
template <class E>
concept names_log_reward = log_reward<E> || requires { &E::log_reward; };
template <class E>
concept names_log_rewards = log_rewards<E> || requires { &E::log_rewards; };
template <class E>
concept names_undo = legal_undos<E> || undo<E> || requires { &E::legal_undos; } || requires { &E::undo; };
template <class E>
concept names_encode = num_features<E> || encode<E> || requires { &E::num_features; } || requires { &E::encode; };
template <class E>
concept names_hash = hash<E> || requires { &E::hash; };
template <class E>
concept names_backward_map = num_backward_actions<E> || backward_action<E> || forward_action<E> ||
    requires { &E::num_backward_actions; } || requires { &E::backward_action; } || requires { &E::forward_action; };
// clang-format on

/// log_reward or log_rewards or both, each callable where it is there.
template <class E>
concept rewards = (log_reward<E> || log_rewards<E>)&&(log_reward<E> || !names_log_reward<E>)&&(log_rewards<E> ||
                                                                                               !names_log_rewards<E>);

/// A callable hash, or none.
template <class E>
concept fitting_hash = hash<E> || !names_hash<E>;

/// The environment has backward actions of its own: their number and both maps.
template <class E>
concept backward_map = num_backward_actions<E> && backward_action<E> && forward_action<E>;

/// All three, or none.
template <class E>
concept fitting_backward_map = backward_map<E> || !names_backward_map<E>;

}  // namespace member

/// Enough for forward sampling and for rewards:
///
///     using State = …;                                        // a value: copied, assigned, compared with ==
///     State  initial_state() const;
///     int    num_actions() const;                             // without the exit, which is the library's
///     void   legal_actions(const State&, gfn::Mask) const;    // the mask arrives cleared, with num_actions() entries
///     bool   can_exit(const State&) const;
///     void   apply(State&, gfn::Action) const;
///     double log_reward(const State&) const;                  // of a state that can exit; −∞ allowed, +∞ and NaN not
///
/// Rewards may come in batches, instead of or beside log_reward:
/// `void log_rewards(std::span<const State>, std::span<double>) const`. Optional: `std::uint64_t hash(const State&)
/// const`, see gfn::hash_of. Const members may be called from several threads at once. States form an acyclic graph.
template <class E>
concept ForwardEnvironment = member::copyable_state<E> && member::comparable_state<E> && member::initial_state<E> &&
    member::num_actions<E> && member::legal_actions<E> && member::can_exit<E> && member::apply<E> &&
    member::rewards<E> && member::fitting_hash<E>;

/// The same as a value. A class that asserts it beside the check below is not looked into where the check has failed,
/// and compilers have nothing to explain about a value.
template <class E>
inline constexpr bool is_forward_environment = ForwardEnvironment<E>;

/// Enough for every objective. Adds:
///
///     void legal_undos(const State&, gfn::Mask) const;        // the moves that may have led here; none at the start
///     void undo(State&, gfn::Action) const;
///
/// A move is undone with its own number, unless the environment has backward actions of its own:
/// `int num_backward_actions() const`, `gfn::Action backward_action(const State&, gfn::Action) const` (the state before
/// the move) and `gfn::Action forward_action(const State&, gfn::Action) const` (the state before the undo).
template <class E>
concept Environment =
    ForwardEnvironment<E> && member::legal_undos<E> && member::undo<E> && member::fitting_backward_map<E>;

/// Enough for neural policies. Adds:
///
///     int  num_features() const;                              // the width of the encoding
///     void encode(const State&, gfn::Features) const;
template <class E>
concept EncodedEnvironment = ForwardEnvironment<E> && member::num_features<E> && member::encode<E>;

/// Stops the compiler with one sentence for each member that E lacks as a ForwardEnvironment:
/// `static_assert(gfn::check_forward_environment_concept<E>());`
template <class E>
consteval bool check_forward_environment_concept() {
  static_assert(member::state<E>, "Environment: needs a type `State`");
  static_assert(member::num_actions<E>, "Environment: needs `int num_actions() const`");
  if constexpr (member::state<E>) {  // without it every other sentence would follow
    static_assert(member::copyable_state<E>, "Environment: needs a `State` that can be copied and assigned");
    static_assert(member::comparable_state<E>,
                  "Environment: needs a `State` with `bool operator==(const State&, const State&)`");
    static_assert(member::initial_state<E>, "Environment: needs `State initial_state() const`");
    static_assert(member::legal_actions<E>, "Environment: needs `void legal_actions(const State&, gfn::Mask) const`");
    static_assert(member::can_exit<E>, "Environment: needs `bool can_exit(const State&) const`");
    static_assert(member::apply<E>, "Environment: needs `void apply(State&, gfn::Action) const`");
    static_assert(member::log_reward<E> || (member::log_rewards<E> && !member::names_log_reward<E>),
                  "Environment: needs `double log_reward(const State&) const` "
                  "(or `void log_rewards(std::span<const State>, std::span<double>) const`)");
    static_assert(member::log_rewards<E> || !member::names_log_rewards<E>,
                  "Environment: needs `void log_rewards(std::span<const State>, std::span<double>) const` "
                  "in just this form, where there is a `log_rewards`");
    static_assert(
        member::fitting_hash<E>,
        "Environment: needs `std::uint64_t hash(const State&) const` in just this form, where there is a `hash`");
  }
  return true;
}

/// The same for an Environment.
template <class E>
consteval bool check_environment_concept() {
  static_assert(check_forward_environment_concept<E>());
  if constexpr (member::state<E>) {
    static_assert(member::legal_undos<E>, "Environment: needs `void legal_undos(const State&, gfn::Mask) const`");
    static_assert(member::undo<E>, "Environment: needs `void undo(State&, gfn::Action) const`");
    static_assert(member::fitting_backward_map<E>,
                  "Environment: needs all three of `int num_backward_actions() const`, "
                  "`gfn::Action backward_action(const State&, gfn::Action) const` and "
                  "`gfn::Action forward_action(const State&, gfn::Action) const`, or none of them");
  }
  return true;
}

/// The same for the encoding of an EncodedEnvironment.
template <class E>
consteval bool check_encoding_concept() {
  static_assert(member::num_features<E>, "EncodedEnvironment: needs `int num_features() const`");
  static_assert(!member::state<E> || member::encode<E>,
                "EncodedEnvironment: needs `void encode(const State&, gfn::Features) const`");
  return true;
}

}  // namespace gfn
