// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace gfn {

/// Philox 4x32 with 10 rounds: the block function of a counter-based generator.
/// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
[[nodiscard]] inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                         std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// What a stream of random numbers is for; streams of different purposes never meet.
enum class Purpose : std::uint8_t { initialisation, forward_rollout, backward_rollout, evaluation, replay, user };

/// A stream of random numbers, with the library's own draws: the same on every standard library.
/// Satisfies std::uniform_random_bit_generator.
class Stream {
 public:
  using result_type = std::uint64_t;

  Stream(std::uint64_t seed, Purpose purpose, std::uint64_t iteration, std::uint32_t index)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        counter_{
            0, index, static_cast<std::uint32_t>(iteration),
            (static_cast<std::uint32_t>(purpose) << 24) | (static_cast<std::uint32_t>(iteration >> 32) & 0xFFFFFFu)} {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }

  /// 64 uniform bits.
  result_type operator()() {
    if (!half_left_) {
      block_ = philox(counter_, key_);
      ++counter_[0];
    }
    half_left_ = !half_left_;
    const std::size_t first = half_left_ ? 0 : 2;
    return std::uint64_t{block_[first]} | (std::uint64_t{block_[first + 1]} << 32);
  }
  /// Uniform on [0, 1), a multiple of 2⁻⁵³.
  double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }
  /// Uniform on {0, …, n − 1}, n ≥ 1 (bias below n·2⁻⁵³).
  int below(int n) { return static_cast<int>(uniform() * n); }
  /// Standard normal (Box and Muller; one of the pair is dropped, so a draw takes a fixed number of bits).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  bool half_left_ = false;
};

/// The root of all randomness of a run: a seed, from which every consumer gets a stream of its own. Results depend on
/// the seed, the iteration, the trajectory and the order in which networks are made, on no other order.
class Random {
 public:
  explicit Random(std::uint64_t seed = 0) : seed_(seed) {}

  std::uint64_t seed() const { return seed_; }
  /// The stream of trajectory `index` in `iteration`; iterations are counted modulo 2⁵⁶.
  Stream stream(Purpose purpose, std::uint64_t iteration, std::uint32_t index = 0) const {
    return Stream(seed_, purpose, iteration, index);
  }
  /// A stream for the next thing to initialise: two networks made one after the other start differently.
  Stream next_initialisation() { return stream(Purpose::initialisation, initialised_++); }

  /// Visits all state that a checkpoint must hold.
  template <class Archive>
  void visit_state(Archive&& archive) {
    archive("seed", &seed_, std::size_t{1});
    archive("networks initialised", &initialised_, std::size_t{1});
  }

 private:
  std::uint64_t seed_;
  std::uint64_t initialised_ = 0;
};

}  // namespace gfn
