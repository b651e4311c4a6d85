// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/random.hpp>
#include <gfn/problems/sequence.hpp>
#include <gfn/problems/sequence_reward.hpp>
#include <gfn/problems/sequence_state.hpp>

namespace gfn {

/// A random codebook; the defaults are those of Malkin et al. 2022.
struct BitCodebookOptions {
  int bits = 120;          ///< the length of a mode, a multiple of the blocks' length
  int modes = 60;          ///< how many
  std::uint64_t seed = 0;  ///< the same seed gives the same modes everywhere
  /// What modes are put together from, drawn with equal probabilities; all of one length, in 0 and 1.
  std::vector<std::string> blocks = {"00000000", "11111111", "11110000", "00001111", "00111100"};
};

/// Draws the modes of a codebook, all different, each as text in 0 and 1. Throws std::invalid_argument for options out
/// of range, or where there are not that many modes.
[[nodiscard]] inline std::vector<std::string> bit_codebook(const BitCodebookOptions& options = {}) {
  require(!options.blocks.empty() && !options.blocks[0].empty(), "bit_codebook: there are no blocks");
  const std::size_t width = options.blocks[0].size();
  for (const std::string& block : options.blocks)
    require(block.size() == width, "bit_codebook: the blocks ", options.blocks[0], " and ", block,
            " are not of one length");
  require(options.bits >= 1 && static_cast<std::size_t>(options.bits) % width == 0, "bit_codebook: ", options.bits,
          " bits can't be put together from blocks of ", width);
  const int blocks = options.bits / static_cast<int>(width);
  const int choices = static_cast<int>(options.blocks.size());
  require(options.modes >= 1 && options.modes <= std::pow(choices, blocks), "bit_codebook: ", options.modes,
          " modes are asked for, ", blocks, " blocks of ", choices, " kinds make ", std::pow(choices, blocks));
  std::vector<std::string> codebook;
  Stream stream = Random(options.seed).stream(Purpose::initialisation, 0, 1);  // networks have the index 0
  while (static_cast<int>(codebook.size()) < options.modes) {
    std::string mode;
    for (int i = 0; i < blocks; ++i) mode += options.blocks[static_cast<std::size_t>(stream.below(choices))];
    if (std::find(codebook.begin(), codebook.end(), mode) == codebook.end()) codebook.push_back(mode);
  }
  return codebook;
}

struct BitSequenceRewardOptions {
  int word_size = 1;  ///< bits per symbol, 1 to 14, a divisor of the number of bits; the first bit is the highest
  double alpha = 1;   ///< what one wrong bit costs in log R, at least 0
};

/// log R(x) = −α·min over the modes m of the Hamming distance of x and m, for sequences of words of `word_size` bits.
class BitSequenceReward {
 public:
  /// A mode, and its distance from a sequence.
  struct Nearest {
    int mode;
    int distance;
  };

  /// Throws std::invalid_argument for options out of range and for a codebook that is empty, of several lengths, or not
  /// in 0 and 1.
  explicit BitSequenceReward(std::vector<std::string> codebook, const BitSequenceRewardOptions& options = {})
      : options_(options), codebook_(std::move(codebook)) {
    require(!codebook_.empty() && !codebook_[0].empty(), "BitSequenceReward: the codebook is empty");
    require(options.word_size >= 1 && options.word_size <= 14 && codebook_[0].size() % word_size() == 0,
            "BitSequenceReward: the word size is ", options.word_size,
            ", it must be between 1 and 14, and a divisor of ", codebook_[0].size(), " bits");
    require(std::isfinite(options.alpha) && options.alpha >= 0, "BitSequenceReward: alpha is ", options.alpha,
            ", it must be finite and at least 0");
    for (const std::string& mode : codebook_) add_words(mode);
  }

  const std::vector<std::string>& codebook() const { return codebook_; }
  double alpha() const { return options_.alpha; }
  SequenceOptions sequence_options() const {
    return {.length = static_cast<int>(codebook_[0].size() / word_size()), .alphabet_size = 1 << options_.word_size};
  }

  double operator()(std::span<const Symbol> words) const { return -options_.alpha * nearest(words).distance; }

  /// The mode that is nearest to a complete sequence, the first of several.
  Nearest nearest(std::span<const Symbol> words) const {
    Nearest best{0, static_cast<int>(codebook_[0].size()) + 1};
    for (int mode = 0; mode < static_cast<int>(codebook_.size()); ++mode)
      if (const int distance = this->distance(words, mode); distance < best.distance) best = {mode, distance};
    return best;
  }

  /// The numbers of the modes within a Hamming distance of a complete sequence. With sampled::ModesFound this counts
  /// the modes that samples have come near to, as there are too many sequences to number those:
  ///
  ///     auto found = gfn::sampled::ModesFound::all(reward.codebook().size());
  ///     for (const auto& x : gfn::sampled::sample_objects(env, forward, 1000, random))
  ///       for (const int mode : reward.modes_within(env.symbols(x), 28)) found.add(mode);
  std::vector<int> modes_within(std::span<const Symbol> words, int distance) const {
    std::vector<int> modes;
    for (int mode = 0; mode < static_cast<int>(codebook_.size()); ++mode)
      if (this->distance(words, mode) <= distance) modes.push_back(mode);
    return modes;
  }

 private:
  std::size_t word_size() const { return static_cast<std::size_t>(options_.word_size); }

  /// The Hamming distance of a sequence from a mode, in bits.
  int distance(std::span<const Symbol> words, int mode) const {
    int distance = 0;
    const std::size_t first = static_cast<std::size_t>(mode) * words.size();
    for (std::size_t i = 0; i < words.size(); ++i)
      distance += std::popcount(static_cast<unsigned>(words[i] ^ words_[first + i]));
    return distance;
  }

  void add_words(const std::string& mode) {
    require(mode.size() == codebook_[0].size() && mode.find_first_not_of("01") == std::string::npos,
            "BitSequenceReward: the mode \"", mode, "\" must have ", codebook_[0].size(), " bits, 0 or 1");
    for (std::size_t i = 0; i < mode.size(); i += word_size()) {
      int word = 0;
      for (std::size_t j = i; j < i + word_size(); ++j) word = 2 * word + (mode[j] == '1');
      words_.push_back(static_cast<Symbol>(word));
    }
  }

  BitSequenceRewardOptions options_;
  std::vector<std::string> codebook_;
  std::vector<Symbol> words_;  // of all modes, one after the other
};

/// Bit sequences that grow at their end, a word at a time, as in Malkin et al. 2022.
using BitSequence = AppendSequence<BitSequenceReward, 128>;

/// Bit sequences whose words are filled in any order, as in Tiapkin et al. 2024.
using SlotBitSequence = SlotSequence<BitSequenceReward, 128>;

}  // namespace gfn
