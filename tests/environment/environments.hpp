// SPDX-License-Identifier: MIT
#pragma once

#include <bitset>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include <gfn/core/action.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/problems/sequence_state.hpp>

/// Environments as users write them, for the tests.
namespace environments {

// clang-format off
struct Subsets {                                    // choose exactly k of n items
  using State = std::bitset<20>;
  int n = 20, k = 5;

  State initial_state() const { return {}; }
  int  num_actions() const { return n; }            // the exit action is the library's, not the user's
  int  num_features() const { return n; }           // the width of encode
  void legal_actions(const State& s, gfn::Mask legal) const { for (int i = 0; i < n; ++i) legal[i] = int(s.count()) < k && !s[i]; }
  bool can_exit(const State& s) const { return int(s.count()) == k; }
  void apply(State& s, gfn::Action a) const { s.set(a); }
  void legal_undos(const State& s, gfn::Mask legal) const { for (int i = 0; i < n; ++i) legal[i] = s[i]; }
  void undo(State& s, gfn::Action a) const { s.reset(a); }
  double log_reward(const State& s) const { double sum = 0; for (int i = 0; i < n; ++i) sum += s[i] * std::sin(i); return sum; }
  void encode(const State& s, gfn::Features out) const { for (int i = 0; i < n; ++i) if (s[i]) out.one(i); }
};
// clang-format on

/// Words of `length` letters 0 … letters − 1, grown at either end: actions 0 … letters − 1 append a letter, the next
/// `letters` prepend one. Backward actions are 0 "drop last" and 1 "drop first", so that two edges join the empty word
/// and each word of one letter.
struct PrependAppend {
  using State = std::string;
  int letters = 2, length = 3;

  State initial_state() const { return {}; }
  int num_actions() const { return 2 * letters; }
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int a = 0; a < num_actions(); ++a) legal[a] = !can_exit(s);
  }
  bool can_exit(const State& s) const { return static_cast<int>(s.size()) == length; }
  void apply(State& s, gfn::Action a) const { s.insert(a < letters ? s.end() : s.begin(), letter(a % letters)); }

  int num_backward_actions() const { return 2; }
  void legal_undos(const State& s, gfn::Mask legal) const { legal[0] = legal[1] = !s.empty(); }
  void undo(State& s, gfn::Action b) const { s.erase(b == 0 ? s.end() - 1 : s.begin()); }
  gfn::Action backward_action(const State&, gfn::Action a) const { return a < letters ? 0 : 1; }
  gfn::Action forward_action(const State& s, gfn::Action b) const {
    return b == 0 ? number(s.back()) : letters + number(s.front());
  }

  double log_reward(const State& s) const {
    double sum = 0;
    for (std::size_t i = 0; i < s.size(); ++i) sum += std::sin(1.0 + 2.0 * static_cast<double>(i) + 3.0 * number(s[i]));
    return sum;
  }
  int num_features() const { return letters * length; }
  void encode(const State& s, gfn::Features out) const {
    for (int i = 0; i < static_cast<int>(s.size()); ++i) out.one(i * letters + number(s[static_cast<std::size_t>(i)]));
  }

 private:
  static char letter(int number) { return static_cast<char>('a' + number); }
  static int number(char letter) { return letter - 'a'; }
};

/// A log-reward of sequences in which every place and every symbol counts for something else.
struct Wavy {
  double operator()(std::span<const gfn::Symbol> x) const {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::sin(1.0 + 2.0 * static_cast<double>(i) + 3.0 * x[i]);
    return sum;
  }
};

}  // namespace environments
