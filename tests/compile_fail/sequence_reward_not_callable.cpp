// expect: SequenceReward: needs `double operator\(\)\(std::span<const gfn::Symbol>\) const`
// long
// SPDX-License-Identifier: MIT
#include <string>

#include <gfn/problems/sequence.hpp>

struct Reward {
  double operator()(const std::string&) const { return 0; }
};

gfn::SlotSequence env({.length = 3}, Reward());
