// SPDX-License-Identifier: MIT
#include <gfn/problems/bit_sequence.hpp>

#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/environment/traits.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"

namespace {

using gfn::BitSequence;
using gfn::BitSequenceReward;
using gfn::SlotBitSequence;

std::string codebook_refusal(const gfn::BitCodebookOptions& options) {
  try {
    static_cast<void>(gfn::bit_codebook(options));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string reward_refusal(const std::vector<std::string>& codebook,
                           const gfn::BitSequenceRewardOptions& options = {}) {
  try {
    BitSequenceReward reward(codebook, options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

/// The sequence that is written so.
template <class Env>
typename Env::State sequence(const Env& env, const std::string& bits) {
  typename Env::State s = env.initial_state();
  const std::size_t width = bits.size() / static_cast<std::size_t>(env.length());
  for (int i = 0; i < env.length(); ++i)
    s[i] = static_cast<gfn::Symbol>(std::stoi(bits.substr(static_cast<std::size_t>(i) * width, width), nullptr, 2));
  return s;
}

}  // namespace

TEST_CASE("bit_codebook draws different modes from the blocks, the same for the same seed") {
  const std::vector<std::string> codebook = gfn::bit_codebook();
  CHECK(codebook.size() == 60);
  CHECK(std::set<std::string>(codebook.begin(), codebook.end()).size() == 60);
  const std::vector<std::string> blocks = gfn::BitCodebookOptions().blocks;
  std::set<std::string> seen;
  for (const std::string& mode : codebook) {
    REQUIRE(mode.size() == 120);
    for (std::size_t i = 0; i < 120; i += 8) seen.insert(mode.substr(i, 8));
  }
  CHECK(seen == std::set<std::string>(blocks.begin(), blocks.end()));
  CHECK(gfn::bit_codebook() == codebook);
  CHECK(gfn::bit_codebook({.seed = 1}) != codebook);
  // For ever: results with a codebook are compared between machines and years.
  CHECK(gfn::bit_codebook({.bits = 16, .modes = 2, .seed = 5}) ==
        std::vector<std::string>{"1111111111111111", "1111000000000000"});
  // All that there are.
  const std::vector<std::string> all = gfn::bit_codebook({.bits = 4, .modes = 4, .blocks = {"00", "01"}});
  CHECK(std::set<std::string>(all.begin(), all.end()) == std::set<std::string>{"0000", "0001", "0100", "0101"});
}

TEST_CASE("BitSequenceReward counts the wrong bits to the nearest mode") {
  const std::vector<std::string> codebook{"00001111", "11110000", "00000000"};
  for (const int word_size : {1, 2, 4, 8}) {
    const BitSequenceReward reward(codebook, {.word_size = word_size, .alpha = 0.5});
    const BitSequence env{reward};
    CAPTURE(word_size);
    CHECK(env.length() == 8 / word_size);
    CHECK(env.alphabet_size() == 1 << word_size);
    CHECK(gfn::log_reward(env, sequence(env, "11110000")) == 0);
    CHECK(gfn::log_reward(env, sequence(env, "11010001")) == -1);
    CHECK(gfn::log_reward(env, sequence(env, "11111111")) == -2);
    const auto near = [&](const std::string& bits) { return reward.nearest(env.symbols(sequence(env, bits))); };
    CHECK(near("11010001").mode == 1);
    CHECK(near("11010001").distance == 2);
    CHECK(near("11111111").mode == 0);  // the first of two
    CHECK(near("00100000").mode == 2);
    CHECK(near("00100000").distance == 1);
    const auto within = [&](const std::string& bits, int distance) {
      return reward.modes_within(env.symbols(sequence(env, bits)), distance);
    };
    CHECK(within("11111111", 3).empty());
    CHECK(within("11111111", 4) == std::vector<int>{0, 1});
    CHECK(within("11110000", 0) == std::vector<int>{1});
    CHECK(within("00100000", 8) == std::vector<int>{0, 1, 2});
  }
}

TEST_CASE("Bit sequences keep the laws of environments") {
  const gfn::testing::EnvironmentLawOptions few{.walks = 2, .moves_per_state = 4};
  const std::vector<std::string> codebook = gfn::bit_codebook({.bits = 24, .modes = 5});
  for (const int word_size : {1, 3, 8}) {
    const BitSequenceReward reward(codebook, {.word_size = word_size});
    gfn::testing::check_environment_laws(BitSequence(reward), gfn::Random(1), few);
    gfn::testing::check_environment_laws(SlotBitSequence(reward), gfn::Random(2), few);
  }
  const BitSequence paper{BitSequenceReward(gfn::bit_codebook(), {.word_size = 8})};
  CHECK(paper.length() == 15);
  CHECK(paper.num_actions() == 256);
  gfn::testing::check_environment_laws(paper, gfn::Random(3), few);
}

TEST_CASE("Bit sequences refuse bad options, naming both numbers") {
  CHECK(codebook_refusal({}) == "accepted");
  CHECK(codebook_refusal({.bits = 60}) == "bit_codebook: 60 bits can't be put together from blocks of 8");
  CHECK(codebook_refusal({.bits = 0}) == "bit_codebook: 0 bits can't be put together from blocks of 8");
  CHECK(codebook_refusal({.modes = 0}) ==
        "bit_codebook: 0 modes are asked for, 15 blocks of 5 kinds make 3.051757812e+10");
  CHECK(codebook_refusal({.bits = 4, .modes = 5, .blocks = {"00", "01"}}) ==
        "bit_codebook: 5 modes are asked for, 2 blocks of 2 kinds make 4");
  CHECK(codebook_refusal({.blocks = {}}) == "bit_codebook: there are no blocks");
  CHECK(codebook_refusal({.blocks = {"00", "1"}}) == "bit_codebook: the blocks 00 and 1 are not of one length");

  CHECK(reward_refusal({}) == "BitSequenceReward: the codebook is empty");
  CHECK(reward_refusal({"0101", "010"}) == "BitSequenceReward: the mode \"010\" must have 4 bits, 0 or 1");
  CHECK(reward_refusal({"0121"}) == "BitSequenceReward: the mode \"0121\" must have 4 bits, 0 or 1");
  CHECK(reward_refusal({"0101"}, {.word_size = 3}) ==
        "BitSequenceReward: the word size is 3, it must be between 1 and 14, and a divisor of 4 bits");
  CHECK(reward_refusal({"0101"}, {.word_size = 0}) ==
        "BitSequenceReward: the word size is 0, it must be between 1 and 14, and a divisor of 4 bits");
  CHECK(reward_refusal({"0101"}, {.alpha = -1}) == "BitSequenceReward: alpha is -1, it must be finite and at least 0");
}
