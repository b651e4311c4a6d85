// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include <gfn/core/hash_index.hpp>
#include <gfn/core/random.hpp>

#include "catch.hpp"

namespace {

/// Numbers with an index over them, under a hash that the test chooses.
struct Numbers {
  std::vector<std::uint64_t> rows;
  gfn::HashIndex index;

  int find(std::uint64_t hash, std::uint64_t x) {
    return index.find(hash, [&](int row) { return rows[static_cast<std::size_t>(row)] == x; });
  }
  /// The row of x, new or old.
  int add(std::uint64_t hash, std::uint64_t x) {
    const int next = static_cast<int>(rows.size());
    const int row = index.find_or_insert(hash, next, [&](int old) { return rows[static_cast<std::size_t>(old)] == x; });
    if (row != gfn::none) return row;
    rows.push_back(x);
    return next;
  }
  void clear() {
    rows.clear();
    index.clear();
  }
};

}  // namespace

TEST_CASE("a hash index agrees with a map, through growth and clearing, however many hashes collide") {
  const int kind = GENERATE(0, 1, 2, 3);
  const auto hash = [&](std::uint64_t x) -> std::uint64_t {
    if (kind == 0) return x;
    if (kind == 1) return x % 7;    // long runs of equal hashes
    if (kind == 2) return x << 48;  // no low bits
    return 0;
  };
  const int count = kind == 3 ? 300 : 3000;
  Numbers numbers;
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  for (int round = 0; round < 4; ++round) {
    std::map<std::uint64_t, int> expected;
    bool good = true;
    for (int i = 0; i < count; ++i) {
      const auto x = static_cast<std::uint64_t>(stream.below(count));
      const auto [entry, fresh] = expected.try_emplace(x, static_cast<int>(expected.size()));
      good = good && numbers.find(hash(x), x) == (fresh ? gfn::none : entry->second);
      good = good && numbers.add(hash(x), x) == entry->second;
      good = good && numbers.find(hash(x), x) == entry->second;
    }
    for (int x = 0; x < count; ++x) {
      const auto key = static_cast<std::uint64_t>(x);
      const auto entry = expected.find(key);
      good = good && numbers.find(hash(key), key) == (entry == expected.end() ? gfn::none : entry->second);
    }
    CHECK(good);
    CHECK(numbers.rows.size() == expected.size());
    numbers.clear();
    for (const auto& [x, row] : expected) good = good && numbers.find(hash(x), x) == gfn::none;
    CHECK(good);
  }
}

TEST_CASE("equality is asked of entries with the same hash alone") {
  gfn::HashIndex index;
  const auto never = [](int) { return false; };
  for (int row = 0; row < 100; ++row)
    CHECK(index.find_or_insert(static_cast<std::uint64_t>(row), row, never) == gfn::none);
  std::set<int> asked;
  const auto note = [&](int row) {
    asked.insert(row);
    return false;
  };
  CHECK(index.find(42, note) == gfn::none);
  CHECK(asked == std::set<int>{42});
  asked.clear();
  CHECK(index.find(1000, note) == gfn::none);
  CHECK(asked.empty());
}

TEST_CASE("stirring bits is one to one, and moves every bit") {
  CHECK(gfn::mix_bits(0) == 0);
  // the first numbers of SplitMix64 (Steele, Lea, Flood 2014) from seed 0, which stirs multiples of the golden ratio
  const std::uint64_t golden = 0x9E3779B97F4A7C15;
  CHECK(gfn::mix_bits(golden) == 0xE220A8397B1DCDAF);
  CHECK(gfn::mix_bits(2 * golden) == 0x6E789E6AA1B965F4);
  CHECK(gfn::mix_bits(3 * golden) == 0x06C45D188009454F);
  std::set<std::uint64_t> images;
  for (std::uint64_t x = 0; x < 10000; ++x) images.insert(gfn::mix_bits(x));
  CHECK(images.size() == 10000);
  // a changed bit changes each bit of the image half of the time (z-tests; 4096 of them at a level below 1e-7 each)
  gfn::Stream stream(2, gfn::Purpose::user, 0, 0);
  const int draws = 1000;
  std::vector<int> changes(64 * 64);
  for (int i = 0; i < draws; ++i) {
    const std::uint64_t x = stream();
    for (std::size_t in = 0; in < 64; ++in) {
      const std::uint64_t difference = gfn::mix_bits(x) ^ gfn::mix_bits(x ^ (std::uint64_t{1} << in));
      for (std::size_t out = 0; out < 64; ++out) changes[in * 64 + out] += static_cast<int>((difference >> out) & 1);
    }
  }
  double worst = 0;
  for (const int n : changes) worst = std::max(worst, std::abs(n - draws / 2.0) / std::sqrt(draws / 4.0));
  CHECK(worst < 6);
  CHECK(worst > 1);
}
