// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <gfn/core/random.hpp>

#include "catch.hpp"

// Statistical tests here have a level below 1e-5 each; the seeds are fixed, so a pass stays a pass.

namespace {

using Words = std::array<std::uint32_t, 4>;

/// The quantile of the chi-square distribution at 1 − 1e-5 (Wilson and Hilferty's approximation).
double chi_square_limit(std::size_t freedom) {
  const double a = 2.0 / (9.0 * static_cast<double>(freedom));
  const double root = 1 - a + 4.2649 * std::sqrt(a);
  return static_cast<double>(freedom) * root * root * root;
}

/// Counts of outcomes that ought to be equally likely.
void check_uniform(const std::vector<int>& counts) {
  double total = 0, statistic = 0;
  for (const int n : counts) total += n;
  const double expected = total / static_cast<double>(counts.size());
  REQUIRE(expected >= 20);
  for (const int n : counts) statistic += (n - expected) * (n - expected) / expected;
  CHECK(statistic < chi_square_limit(counts.size() - 1));
  CHECK(statistic > 0);  // counts are counts, and not the expectation
}

}  // namespace

TEST_CASE("the block function has the known answers of its authors' library") {
  CHECK(gfn::philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(gfn::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(gfn::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream's numbers are the blocks of its counter, low words first") {
  const std::uint64_t seed = 0x0123456789abcdef, iteration = 0x00fedcba98765432;
  gfn::Stream stream(seed, gfn::Purpose::evaluation, iteration, 0x13572468);
  const std::uint32_t purpose = static_cast<std::uint32_t>(gfn::Purpose::evaluation) << 24;
  for (std::uint32_t block = 0; block < 5; ++block) {
    const Words words = gfn::philox({block, 0x13572468, 0x98765432, purpose | 0xfedcba}, {0x89abcdef, 0x01234567});
    CHECK(stream() == (words[0] | std::uint64_t{words[1]} << 32));
    CHECK(stream() == (words[2] | std::uint64_t{words[3]} << 32));
  }
}

TEST_CASE("draws are what they are made of") {
  gfn::Stream draws(5, gfn::Purpose::user, 1, 2), bits = draws;
  for (int i = 0; i < 1000; ++i) {
    const double u = static_cast<double>(bits() >> 11) / 9007199254740992.0;  // 2⁵³
    switch (i % 3) {
      case 0:
        CHECK(draws.uniform() == u);
        break;
      case 1:
        CHECK(draws.below(7) == static_cast<int>(7 * u));
        break;
      default: {
        const double angle = 2 * 3.14159265358979323846 * (static_cast<double>(bits() >> 11) / 9007199254740992.0);
        CHECK(draws.normal() == Approx(std::sqrt(-2 * std::log(1 - u)) * std::cos(angle)).epsilon(1e-12).margin(1e-12));
      }
    }
  }
}

TEST_CASE("uniform draws are uniform, within a stream and across streams") {
  const int n = 200000;
  bool inside = true;
  std::vector<int> within(256), across(256), low(256), pairs(256), neighbours(256);
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  for (int i = 0; i < n; ++i) {
    const double u = stream.uniform(), v = stream.uniform();
    inside = inside && u >= 0 && u < 1;
    if (!inside) break;
    ++within[static_cast<std::size_t>(u * 256)];
    ++low[static_cast<std::size_t>(std::fmod(u * 0x1p40, 256.0))];
    ++pairs[static_cast<std::size_t>(u * 16) * 16 + static_cast<std::size_t>(v * 16)];
    // the first draws of the streams of neighbouring trajectories, and of neighbouring iterations
    const auto k = static_cast<std::uint32_t>(i);
    const double one = gfn::Stream(1, gfn::Purpose::forward_rollout, 7, k).uniform();
    const double next = gfn::Stream(1, gfn::Purpose::forward_rollout, 7, k + 1).uniform();
    const double later = gfn::Stream(1, gfn::Purpose::forward_rollout, 8 + k, 0).uniform();
    ++across[static_cast<std::size_t>(later * 256)];
    ++neighbours[static_cast<std::size_t>(one * 16) * 16 + static_cast<std::size_t>(next * 16)];
  }
  REQUIRE(inside);
  check_uniform(within);
  check_uniform(low);
  check_uniform(pairs);
  check_uniform(across);
  check_uniform(neighbours);
}

TEST_CASE("whole numbers below a limit are uniform") {
  for (const int limit : {1, 2, 3, 7, 100, 1000}) {
    gfn::Stream stream(2, gfn::Purpose::user, 0, static_cast<std::uint32_t>(limit));
    std::vector<int> counts(static_cast<std::size_t>(limit));
    bool inside = true;
    for (int i = 0; i < 100 * limit + 1000; ++i) {
      const int k = stream.below(limit);
      inside = inside && k >= 0 && k < limit;
      if (inside) ++counts[static_cast<std::size_t>(k)];
    }
    CHECK(inside);
    if (limit > 1) check_uniform(counts);
  }
}

TEST_CASE("normal draws follow the normal distribution") {
  gfn::Stream stream(3, gfn::Purpose::user, 0, 0);
  std::vector<int> counts(64);
  double sum = 0, sum_of_squares = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = stream.normal();
    sum += x;
    sum_of_squares += x * x;
    const double p = std::erfc(-x / std::sqrt(2.0)) / 2;  // uniform
    ++counts[std::min<std::size_t>(63, static_cast<std::size_t>(p * 64))];
  }
  check_uniform(counts);
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(sum_of_squares / n - 1) < 5 * std::sqrt(2.0 / n));
}

TEST_CASE("streams that differ in anything do not meet") {
  std::set<std::uint64_t> seen;
  std::size_t drawn = 0;
  const auto draw = [&](gfn::Stream stream) {
    for (int i = 0; i < 4; ++i, ++drawn) seen.insert(stream());
  };
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32})
    for (int purpose = 0; purpose <= static_cast<int>(gfn::Purpose::user); ++purpose)
      for (const std::uint64_t iteration :
           {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32, (std::uint64_t{1} << 56) - 1})
        for (const std::uint32_t index : {0u, 1u, 2u, 0xffffffffu})
          draw(gfn::Random(seed).stream(static_cast<gfn::Purpose>(purpose), iteration, index));
  CHECK(drawn == 3 * 6 * 4 * 4 * 4);
  CHECK(seen.size() == drawn);
  // an iteration beyond 2⁵⁶ starts anew, and does not become another purpose
  gfn::Stream first(1, gfn::Purpose::user, 5, 0), again(1, gfn::Purpose::user, 5 + (std::uint64_t{1} << 56), 0);
  CHECK(first() == again());
}

TEST_CASE("each network's stream is its own, and the root's state is all that there is") {
  gfn::Random random{7};
  CHECK(random.seed() == 7);
  gfn::Stream one = random.next_initialisation(), two = random.next_initialisation();
  CHECK(one() == gfn::Stream(7, gfn::Purpose::initialisation, 0, 0)());
  CHECK(two() == gfn::Stream(7, gfn::Purpose::initialisation, 1, 0)());
  std::set<std::uint64_t> state;
  random.visit_state([&](const char*, const std::uint64_t* data, std::size_t size) {
    CHECK(size == 1);
    state.insert(*data);
  });
  CHECK(state == std::set<std::uint64_t>{2, 7});  // how many there were, and the seed
}

TEST_CASE("a stream is a generator of the standard's kind") {
  STATIC_REQUIRE(std::uniform_random_bit_generator<gfn::Stream>);
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  std::uniform_int_distribution<int> die(1, 6);
  for (int i = 0; i < 100; ++i) {
    const int k = die(stream);
    CHECK((k >= 1 && k <= 6));
  }
}
