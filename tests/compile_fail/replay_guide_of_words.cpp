// expect: ReplayGuide: needs an environment that fills places in any order, like SlotSequence
// SPDX-License-Identifier: MIT
#include <span>

#include <gfn/objective/replay_guide.hpp>

double log_reward(std::span<const gfn::Symbol>) { return 0; }
const gfn::AppendSequence words({.length = 4, .alphabet_size = 2}, &log_reward);
const gfn::ReplayGuide guide(words);
