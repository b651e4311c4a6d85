// expect: SequenceReward: needs `void log_rewards\(gfn::SequenceRows, std::span<double>\) const` in just this form
// long
// SPDX-License-Identifier: MIT
#include <span>

#include <gfn/problems/sequence.hpp>

struct Reward {
  double operator()(std::span<const gfn::Symbol>) const { return 0; }
  void log_rewards(gfn::SequenceRows, std::span<double>) {}  // not const: would never be called
};

gfn::AppendSequence env({.length = 3}, Reward());
