// SPDX-License-Identifier: MIT
#include <gfn/exact/sample_target.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/data/sequence_table.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/problems/sequence.hpp>

#include "catch.hpp"

namespace {

using Numbers = std::vector<double>;

/// Pearson's Σ (seen − expected)²/expected, over what has a chance.
double chi_square(const Numbers& seen, const Numbers& probabilities, int count) {
  double sum = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double expected = count * probabilities[i];
    if (expected > 0) sum += (seen[i] - expected) * (seen[i] - expected) / expected;
  }
  return sum;
}

std::string refusal(const Numbers& log_weights, int count) {
  try {
    static_cast<void>(gfn::exact::sample_log_weights(log_weights, count, gfn::Random(1)));
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("Numbers are drawn by their weights, each on its own") {
  // Weights of any size, and none for the first, the fifth and the last.
  const Numbers p{0, 0.1, 0.05, 0.3, 0, 0.25, 0.2, 0.1, 0};
  Numbers log_weights;
  for (const double x : p) log_weights.push_back(std::log(x) + 1000);
  constexpr int count = 20000;
  const auto samples = gfn::exact::sample_log_weights(log_weights, count, gfn::Random(1));
  REQUIRE(samples.size() == count);
  Numbers seen(p.size()), pairs(p.size() * p.size()), pair_p;
  for (const std::size_t i : samples) ++seen.at(i);
  CHECK(seen[0] + seen[4] + seen[8] == 0);
  CHECK(chi_square(seen, p, count) < 20.52);  // 5 degrees of freedom, level 0.001

  // Neighbours in the order of the samples are independent: they are not sorted.
  for (std::size_t i = 0; i + 1 < samples.size(); i += 2) ++pairs[samples[i] * p.size() + samples[i + 1]];
  for (const double x : p)
    for (const double y : p) pair_p.push_back(x * y);
  CHECK(chi_square(pairs, pair_p, count / 2) < 66.62);  // 35 degrees of freedom, level 0.001

  CHECK(samples == gfn::exact::sample_log_weights(log_weights, count, gfn::Random(1)));
  CHECK(samples != gfn::exact::sample_log_weights(log_weights, count, gfn::Random(2)));
  CHECK(samples != gfn::exact::sample_log_weights(log_weights, count, gfn::Random(1), 1));
}

TEST_CASE("Weights that no number can be drawn by are refused") {
  CHECK(refusal({-infinity, 0}, 3) == "accepted");
  CHECK(refusal({0}, 0) == "accepted");
  CHECK(refusal({-infinity, -infinity}, 3) == "sample_log_weights: all 2 weights are 0");
  CHECK(refusal({}, 3) == "sample_log_weights: all 0 weights are 0");
  CHECK(refusal({0, infinity}, 3) == "sample_log_weights: the logarithm of weight 1 is inf");
  CHECK(refusal({0, 1, std::nan("")}, 3).find("sample_log_weights: the logarithm of weight 2 is") == 0);
  CHECK(refusal({0}, -1) == "sample_log_weights: the number of samples is -1, it must be at least 0");
}

TEST_CASE("Samples of the target follow it") {
  constexpr int count = 20000;
  const gfn::HyperGrid grid{{.dimension = 2, .side = 4}};
  const gfn::exact::StateGraph graph(grid);
  Numbers seen(16);
  for (const auto& x : gfn::exact::sample_target(graph, count, gfn::Random(1)))
    ++seen[static_cast<std::size_t>(graph.terminal_index(graph.find(x)))];
  CHECK(chi_square(seen, gfn::exact::target_distribution(graph), count) < 37.70);  // 15 degrees of freedom, level 0.001

  const gfn::SequenceTable table{gfn::Alphabet("abc"), 2, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {}};
  const gfn::AppendSequence env{gfn::TableReward(table)};
  seen.assign(9, 0);
  for (const auto& x : gfn::exact::sample_target(env, env.reward().table(), count, gfn::Random(1)))
    ++seen[static_cast<std::size_t>(env.object_index(x))];
  CHECK(chi_square(seen, gfn::exact::target_distribution(env.reward().table()), count) < 26.12);  // 8, level 0.001
  CHECK_THROWS_AS(gfn::exact::sample_target(env, env.reward().table().first(8), 1, gfn::Random(1)),
                  std::invalid_argument);
}
