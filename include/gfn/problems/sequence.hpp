// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/problems/sequence_reward.hpp>
#include <gfn/problems/sequence_state.hpp>

namespace gfn {

namespace detail {

/// What the sequence environments have in common.
template <class Reward, int Capacity>
class SequenceEnvironment {
  static_assert(check_sequence_reward_concept<Reward>());

 public:
  using State = SequenceState<Capacity>;

  const SequenceOptions& options() const { return options_; }
  int length() const { return options_.length; }
  int alphabet_size() const { return options_.alphabet_size; }
  const Reward& reward() const { return reward_; }

  State initial_state() const {
    State s;
    s.places.fill(no_place);
    std::fill_n(s.places.begin(), length(), empty_place);
    return s;
  }

  double log_reward(const State& s) const requires member::sequence_log_reward<Reward> { return reward_(symbols(s)); }
  void log_rewards(std::span<const State> states,
                   std::span<double> out) const requires member::sequence_log_rewards<Reward> {
    reward_.log_rewards(SequenceRows(states, length()), out);
  }

  int num_features() const { return length() * alphabet_size(); }
  void encode(const State& s, Features out) const {
    for (int i = 0; i < length(); ++i)
      if (s[i] >= 0) out.one(i * alphabet_size() + s[i]);
  }

  /// The places of a state, as many as the environment's length.
  std::span<const Symbol> symbols(const State& s) const {
    return std::span<const Symbol>(s.places).first(static_cast<std::size_t>(length()));
  }
  /// kᴸ, the number of complete sequences. Throws gfn::Error where that is 2⁶³ or more.
  std::int64_t num_objects() const { return power(alphabet_size(), length()); }
  /// The number of a complete sequence in lexicographic order, 0 to num_objects() − 1.
  std::int64_t object_index(const State& s) const {
    return static_cast<std::int64_t>(sequence_index(symbols(s), alphabet_size()));
  }
  /// The complete sequence of that number.
  State object(std::int64_t index) const {
    State s = initial_state();
    for (int i = length() - 1; i >= 0; --i, index /= alphabet_size())
      s[i] = static_cast<Symbol>(index % alphabet_size());
    return s;
  }

 protected:
  SequenceEnvironment(const SequenceOptions& options, Reward function)
      : options_(options), reward_(std::move(function)) {
    require(length() >= 1 && length() <= Capacity, "sequences: the length is ", length(),
            ", it must be between 1 and the capacity ", Capacity);
    require(alphabet_size() >= 1 && alphabet_size() <= std::numeric_limits<Symbol>::max(),
            "sequences: the size of the alphabet is ", alphabet_size(), ", it must be between 1 and ",
            std::numeric_limits<Symbol>::max());
    if constexpr (member::sequence_options<Reward>) {
      const SequenceOptions expected = reward_.sequence_options();
      require(expected == options, "sequences: the reward is one of ", expected.length, " symbols of ",
              expected.alphabet_size, ", the environment has ", length(), " symbols of ", alphabet_size());
    }
  }

  static std::int64_t power(std::int64_t base, int exponent) {
    std::int64_t result = 1;
    for (int i = 0; i < exponent; ++i) {
      if (result > std::numeric_limits<std::int64_t>::max() / base)
        fail("sequences: their number, ", base, " to the power of ", exponent, ", is 2^63 or more");
      result *= base;
    }
    return result;
  }

 private:
  SequenceOptions options_;
  Reward reward_;
};

/// Sequences that grow from nothing at their ends: words, left-aligned.
template <class Reward, int Capacity>
class WordEnvironment : public SequenceEnvironment<Reward, Capacity> {
 public:
  using State = SequenceState<Capacity>;

  bool can_exit(const State& s) const { return s[this->length() - 1] >= 0; }

  /// Σ kⁿ for n = 0 … L, the number of words. Throws gfn::Error where that is 2⁶³ or more.
  std::int64_t num_states() const {
    std::int64_t count = 0;
    for (int n = 0; n <= this->length(); ++n) {
      const std::int64_t more = this->power(this->alphabet_size(), n);
      if (more > std::numeric_limits<std::int64_t>::max() - count)
        fail("sequences: the number of words of ", this->length(), " symbols of ", this->alphabet_size(),
             " or fewer is 2^63 or more");
      count += more;
    }
    return count;
  }
  /// The number of a word, 0 to num_states() − 1: shorter words first, then in lexicographic order.
  std::int64_t index(const State& s) const {
    std::uint64_t index = 0;
    for (int i = 0; i < this->length() && s[i] >= 0; ++i)
      index = index * static_cast<std::uint64_t>(this->alphabet_size()) + static_cast<std::uint64_t>(s[i] + 1);
    return static_cast<std::int64_t>(index);
  }
  /// The word of that number.
  State state(std::int64_t index) const {
    State s = this->initial_state();
    int size = 0;
    for (; index > 0; index = (index - 1) / this->alphabet_size())
      s[size++] = static_cast<Symbol>((index - 1) % this->alphabet_size());
    std::reverse(s.places.begin(), s.places.begin() + size);
    return s;
  }

 protected:
  using SequenceEnvironment<Reward, Capacity>::SequenceEnvironment;

  int size(const State& s) const {
    int size = 0;
    while (size < this->length() && s[size] >= 0) ++size;
    return size;
  }
  void append(State& s, int symbol) const { s[size(s)] = static_cast<Symbol>(symbol); }
  void prepend(State& s, int symbol) const {
    for (int i = this->length() - 1; i > 0; --i) s[i] = s[i - 1];
    s[0] = static_cast<Symbol>(symbol);
  }
  void drop_last(State& s) const { s[size(s) - 1] = empty_place; }
  void drop_first(State& s) const {
    for (int i = 1; i < this->length(); ++i) s[i - 1] = s[i];
    s[this->length() - 1] = empty_place;
  }
  Symbol last(const State& s) const { return s[size(s) - 1]; }
};

}  // namespace detail

/// Sequences whose places are filled in any order. Action a < kL puts the symbol a ÷ L (an integer) into the empty
/// place a mod L; the number that fills a place also empties it. Only a complete sequence can exit, and each has L!
/// trajectories. Encoding: one one-hot of width k per place, nothing for an empty one. Niu et al. 2024.
template <class Reward, int Capacity = 16>
class SlotSequence : public detail::SequenceEnvironment<Reward, Capacity> {
 public:
  using State = SequenceState<Capacity>;
  /// The number of a state is the sum of what its places add to it: what ReplayGuide builds upon.
  static constexpr bool fills_any_place = true;

  /// Throws std::invalid_argument for options out of range, or other than the reward's.
  SlotSequence(const SequenceOptions& options, Reward function)
      : detail::SequenceEnvironment<Reward, Capacity>(options, std::move(function)) {}
  /// The length and the alphabet are the reward's.
  explicit SlotSequence(Reward function) requires member::sequence_options<Reward>
      : SlotSequence{SequenceOptions(function.sequence_options()), std::move(function)} {}  // braces: in this order

  int num_actions() const { return this->alphabet_size() * this->length(); }
  void legal_actions(const State& s, Mask legal) const {
    for (int i = 0; i < this->length(); ++i)
      if (s[i] == empty_place)
        for (int a = i; a < num_actions(); a += this->length()) legal[a] = true;
  }
  bool can_exit(const State& s) const {
    const auto symbols = this->symbols(s);
    return std::find(symbols.begin(), symbols.end(), empty_place) == symbols.end();
  }
  void apply(State& s, Action a) const { s[a % this->length()] = static_cast<Symbol>(a / this->length()); }
  void legal_undos(const State& s, Mask legal) const {
    for (int i = 0; i < this->length(); ++i)
      if (s[i] != empty_place) legal[s[i] * this->length() + i] = true;
  }
  void undo(State& s, Action a) const { s[a % this->length()] = empty_place; }

  /// (k + 1)ᴸ. Throws gfn::Error where that is 2⁶³ or more.
  std::int64_t num_states() const { return this->power(this->alphabet_size() + 1, this->length()); }
  /// The number of a state, 0 to num_states() − 1, big-endian to the base k + 1 with 0 for an empty place: parents come
  /// before their children.
  std::int64_t index(const State& s) const {
    std::uint64_t index = 0;
    for (const Symbol symbol : this->symbols(s))
      index = index * static_cast<std::uint64_t>(this->alphabet_size() + 1) + static_cast<std::uint64_t>(symbol + 1);
    return static_cast<std::int64_t>(index);
  }
  /// The state of that number.
  State state(std::int64_t index) const {
    State s = this->initial_state();
    for (int i = this->length() - 1; i >= 0; --i, index /= this->alphabet_size() + 1)
      s[i] = static_cast<Symbol>(index % (this->alphabet_size() + 1) - 1);
    return s;
  }
};

/// Sequences that grow at both ends. Actions 0 … k − 1 append a symbol, k … 2k − 1 prepend one; backward action 0 drops
/// the last symbol, 1 the first. So two edges lead from the empty word to each word of one symbol, and two back. Only a
/// complete sequence can exit. Encoding: left-aligned, one one-hot of width k per symbol. Shen et al. 2023.
template <class Reward, int Capacity = 16>
class PrependAppendSequence : public detail::WordEnvironment<Reward, Capacity> {
 public:
  using State = SequenceState<Capacity>;

  /// Throws std::invalid_argument for options out of range, or other than the reward's.
  PrependAppendSequence(const SequenceOptions& options, Reward function)
      : detail::WordEnvironment<Reward, Capacity>(options, std::move(function)) {}
  /// The length and the alphabet are the reward's.
  explicit PrependAppendSequence(Reward function) requires member::sequence_options<Reward>
      : PrependAppendSequence{SequenceOptions(function.sequence_options()), std::move(function)} {
  }  // braces: in this order

  int num_actions() const { return 2 * this->alphabet_size(); }
  void legal_actions(const State& s, Mask legal) const { std::fill(legal.begin(), legal.end(), !this->can_exit(s)); }
  void apply(State& s, Action a) const {
    if (a < this->alphabet_size())
      this->append(s, a);
    else
      this->prepend(s, a - this->alphabet_size());
  }

  int num_backward_actions() const { return 2; }
  void legal_undos(const State& s, Mask legal) const { legal[0] = legal[1] = s[0] >= 0; }
  void undo(State& s, Action b) const {
    if (b == 0)
      this->drop_last(s);
    else
      this->drop_first(s);
  }
  Action backward_action(const State&, Action a) const { return a < this->alphabet_size() ? 0 : 1; }
  Action forward_action(const State& s, Action b) const {
    return b == 0 ? this->last(s) : this->alphabet_size() + s[0];
  }
};

/// Sequences that grow at their end: action a appends the symbol a, and the one backward action, 0, drops the last. The
/// states form a tree. Only a complete sequence can exit. Encoding: one one-hot of width k per symbol.
template <class Reward, int Capacity = 16>
class AppendSequence : public detail::WordEnvironment<Reward, Capacity> {
 public:
  using State = SequenceState<Capacity>;

  /// Throws std::invalid_argument for options out of range, or other than the reward's.
  AppendSequence(const SequenceOptions& options, Reward function)
      : detail::WordEnvironment<Reward, Capacity>(options, std::move(function)) {}
  /// The length and the alphabet are the reward's.
  explicit AppendSequence(Reward function) requires member::sequence_options<Reward>
      : AppendSequence{SequenceOptions(function.sequence_options()), std::move(function)} {}  // braces: in this order

  int num_actions() const { return this->alphabet_size(); }
  void legal_actions(const State& s, Mask legal) const { std::fill(legal.begin(), legal.end(), !this->can_exit(s)); }
  void apply(State& s, Action a) const { this->append(s, a); }

  int num_backward_actions() const { return 1; }
  void legal_undos(const State& s, Mask legal) const { legal[0] = s[0] >= 0; }
  void undo(State& s, Action) const { this->drop_last(s); }
  Action backward_action(const State&, Action) const { return 0; }
  Action forward_action(const State& s, Action) const { return this->last(s); }
};

}  // namespace gfn
