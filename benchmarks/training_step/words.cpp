// SPDX-License-Identifier: MIT
#include <cstddef>
#include <span>
#include <vector>

#include <gfn/gfn.hpp>

#include "methods.hpp"
#include "scenario.hpp"

namespace training_step {

std::vector<Scenario> words() {
  const auto make_env = [] {
    // Each symbol should be as the one before it.
    const auto reward = [](std::span<const gfn::Symbol> word) {
      double log_reward = 0;
      for (std::size_t i = 1; i < word.size(); ++i) log_reward += word[i] == word[i - 1] ? 0.5 : -0.5;
      return log_reward;
    };
    return gfn::PrependAppendSequence({.length = 8, .alphabet_size = 4}, reward);
  };
  return {make_scenario("words", 128, 150, make_env, [](const auto&) { return gfn::Absent(); })};
}

}  // namespace training_step
