// SPDX-License-Identifier: MIT
#include <gfn/rollout/prioritised_replay.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"

namespace {

using Replay = gfn::PrioritisedReplay<std::string>;

/// χ² of the draws of a buffer against probabilities: as many degrees of freedom as there are items that can be drawn,
/// less one.
double chi_square(const Replay& replay, const std::vector<double>& probabilities, int draws) {
  gfn::Stream stream(4, gfn::Purpose::replay, 0, 0);
  std::vector<int> counts(probabilities.size(), 0);
  for (int i = 0; i < draws; ++i) ++counts.at(replay.sample(stream));
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = draws * probabilities[i];
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

/// A buffer of `count` items of which item i has the priority (i + 1)².
Replay squares(std::size_t count, double alpha) {
  Replay replay({.capacity = 100, .alpha = alpha});
  for (std::size_t i = 0; i < count; ++i) {
    replay.add(std::to_string(i));
    replay.update(i, static_cast<double>((i + 1) * (i + 1)));  // before the tree of sums grows
  }
  return replay;
}

/// What weight() tells of the probability of an item.
double probability(const Replay& replay, std::size_t i) {
  return 1 / (replay.weight(i, 1) * static_cast<double>(replay.size()));
}

}  // namespace

TEST_CASE("items are drawn in proportion to a power of their priority") {
  // a right buffer fails a bound of d + 5·√(2d) + 10 with a probability far below 1e-4; the seed is fixed
  for (const std::size_t count : {1, 5, 16, 17, 70})
    for (const double alpha : {0.0, 0.5, 1.0}) {
      const Replay replay = squares(count, alpha);
      std::vector<double> probabilities;
      double total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        probabilities.push_back(std::pow(static_cast<double>(i + 1), 2 * alpha));
        total += probabilities.back();
      }
      for (double& p : probabilities) p /= total;
      const double freedom = static_cast<double>(count - 1);
      const double x = chi_square(replay, probabilities, 100000);
      CHECK(x < freedom + 5 * std::sqrt(2 * freedom) + 10);
      if (count == 70) CHECK(x > 10);  // they were random
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(probability(replay, i) == Approx(probabilities[i]).epsilon(1e-12));
        CHECK(replay.weight(i, 0) == 1);
        CHECK(replay.weight(i, 0.4) ==
              Approx(std::pow(static_cast<double>(count) * probabilities[i], -0.4)).epsilon(1e-12));
      }
    }
}

TEST_CASE("a new item has the largest priority that was seen") {
  Replay replay({.capacity = 3});
  replay.add("a");
  replay.add("b");
  CHECK(probability(replay, 1) == Approx(0.5));  // nothing seen yet
  replay.update(0, 16);
  replay.update(0, 4);  // 16 was seen all the same
  replay.add("c");
  CHECK(probability(replay, 2) == Approx(4. / (2 + 1 + 4)));  // square roots, of 4, 1 and 16
}

TEST_CASE("the oldest item makes room, with its priority") {
  Replay replay({.capacity = 3, .alpha = 1});
  for (const char* item : {"a", "b", "c"}) replay.add(item);
  replay.update(0, 100);
  replay.update(1, 2);
  replay.add("d");  // in the place of a
  CHECK(replay.size() == 3);
  CHECK(replay[0] == "d");
  replay.update(0, 3);
  CHECK(chi_square(replay, {3. / 6, 2. / 6, 1. / 6}, 60000) < 20);
  for (const char* item : {"e", "f", "g"}) replay.add(item);
  CHECK(replay[0] == "g");
  CHECK(replay[1] == "e");
  CHECK(replay[2] == "f");
  CHECK(replay.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(probability(replay, i) == Approx(1. / 3));
}

TEST_CASE("an item may be written where it stays, over the oldest one") {
  Replay replay({.capacity = 2, .alpha = 1});
  for (const char* item : {"a", "b"}) {
    std::string& place = replay.next_place("blank");
    CHECK(place == "blank");
    place = item;
  }
  replay.update(0, 3);
  std::string& place = replay.next_place("blank");
  CHECK(place == "a");
  place += "c";
  CHECK(replay.size() == 2);
  CHECK(replay[0] == "ac");
  CHECK(replay[1] == "b");
  CHECK(probability(replay, 0) == Approx(3. / 4));  // the largest priority seen
  CHECK(replay.next_place("blank") == "b");
}

TEST_CASE("what a replay buffer cannot do is refused") {
  CHECK_THROWS_AS(Replay({.capacity = 0}), std::invalid_argument);
  for (const double alpha : {-0.1, 1.1, std::nan("")}) CHECK_THROWS_AS(Replay({.alpha = alpha}), std::invalid_argument);
  Replay replay;
  gfn::Stream stream(4, gfn::Purpose::replay, 0, 0);
  CHECK_THROWS_AS(replay.sample(stream), std::invalid_argument);
  replay.add("a");
  CHECK(replay.sample(stream) == 0);
  for (const double priority : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    CHECK_THROWS_AS(replay.update(0, priority), std::invalid_argument);
}
