// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>

#include <gfn/problems/sequence_state.hpp>

namespace gfn {

/// Sequences of a fixed length.
struct SequenceOptions {
  int length = 8;         ///< L, the number of symbols of a complete sequence, 1 to the environment's capacity
  int alphabet_size = 4;  ///< k, the number of symbols, 1 to 32767

  friend bool operator==(const SequenceOptions&, const SequenceOptions&) = default;
};

namespace member {

template <class R>
concept sequence_log_reward = requires(const R& reward, std::span<const Symbol> sequence) {
  { reward(sequence) } -> std::convertible_to<double>;
};

template <class R>
concept sequence_log_rewards = requires(const R& reward, SequenceRows sequences, std::span<double> out) {
  reward.log_rewards(sequences, out);
};

// clang-format off
template <class R>
concept names_sequence_log_rewards = sequence_log_rewards<R> || requires { &R::log_rewards; };
// clang-format on

template <class R>
concept some_sequence_reward = sequence_log_reward<R> || sequence_log_rewards<R>;

/// A callable log_rewards, or none.
template <class R>
concept fitting_sequence_log_rewards = sequence_log_rewards<R> || !names_sequence_log_rewards<R>;

/// The reward says which sequences it is for.
template <class R>
concept sequence_options = requires(const R& reward) {
  { reward.sequence_options() } -> std::convertible_to<SequenceOptions>;
};

}  // namespace member

/// The reward of a sequence environment: a function of complete sequences, as symbols 0 … k − 1,
///
///     double operator()(std::span<const gfn::Symbol>) const;          // log R; −∞ allowed, +∞ and NaN not
///
/// or one of many at once, or both:
///
///     void log_rewards(gfn::SequenceRows, std::span<double>) const;   // as many entries as rows
///
/// So a lambda is one. Optional: `gfn::SequenceOptions sequence_options() const`, which sequences it is for.
template <class R>
concept SequenceReward = member::some_sequence_reward<R> && member::fitting_sequence_log_rewards<R>;

/// Stops the compiler with a sentence where R is not a SequenceReward.
template <class R>
consteval bool check_sequence_reward_concept() {
  static_assert(member::some_sequence_reward<R>,
                "SequenceReward: needs `double operator()(std::span<const gfn::Symbol>) const`, the log-reward of a "
                "complete sequence (or `void log_rewards(gfn::SequenceRows, std::span<double>) const`)");
  static_assert(member::fitting_sequence_log_rewards<R>,
                "SequenceReward: needs `void log_rewards(gfn::SequenceRows, std::span<double>) const` in just this "
                "form, where there is a `log_rewards`");
  return true;
}

}  // namespace gfn
