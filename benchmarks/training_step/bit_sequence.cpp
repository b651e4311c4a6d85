// SPDX-License-Identifier: MIT
#include <vector>

#include <gfn/gfn.hpp>

#include "methods.hpp"
#include "scenario.hpp"

namespace training_step {

std::vector<Scenario> bit_sequences() {
  // 120 bits in words of eight, filled in any order: Tiapkin et al. 2024. Too many states for a replay guide.
  const auto make_env = [] {
    return gfn::SlotBitSequence{gfn::BitSequenceReward(gfn::bit_codebook(), {.word_size = 8})};
  };
  return {make_scenario("bits", 16, 30, make_env, [](const auto&) { return gfn::Absent(); })};
}

}  // namespace training_step
