// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/core/random.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/exact/indexed_distribution.hpp>
#include <gfn/exact/state_graph.hpp>

namespace gfn::exact {

/// Draws `count` numbers, each i with the probability exp(log_weights[i]) / Σ exp(log_weights), independently. Calls
/// with the same seed and the same number `evaluation` give the same ones, apart from all random numbers of training.
/// O(n + count log count), without memory of the weights' size. Throws gfn::Error where all weights are 0, or one is
/// NaN or +∞.
[[nodiscard]] inline std::vector<std::size_t> sample_log_weights(std::span<const double> log_weights, int count,
                                                                 const Random& random, std::uint64_t evaluation = 0) {
  require(count >= 0, "sample_log_weights: the number of samples is ", count, ", it must be at least 0");
  double high = minus_infinity<>, total = 0;
  for (std::size_t i = 0; i < log_weights.size(); ++i) {
    if (!(log_weights[i] < -minus_infinity<>))
      fail("sample_log_weights: the logarithm of weight ", i, " is ", log_weights[i]);
    high = std::max(high, log_weights[i]);
  }
  if (high == minus_infinity<>) fail("sample_log_weights: all ", log_weights.size(), " weights are 0");
  for (const double w : log_weights) total += std::exp(w - high);

  // The draws in ascending order meet the cumulative sums in one pass.
  Stream stream = random.stream(Purpose::evaluation, evaluation, 2);  // sampled:: has the indices below
  std::vector<double> draws(static_cast<std::size_t>(count));
  for (double& draw : draws) draw = stream.uniform() * total;
  std::vector<std::size_t> order(draws.size()), samples(draws.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return draws[a] < draws[b]; });
  std::size_t next = 0, last = 0;
  double sum = 0;
  for (std::size_t i = 0; i < log_weights.size() && next < order.size(); ++i) {
    if (log_weights[i] == minus_infinity<>) continue;
    last = i;
    sum += std::exp(log_weights[i] - high);
    for (; next < order.size() && draws[order[next]] < sum; ++next) samples[order[next]] = i;
  }
  for (; next < order.size(); ++next) samples[order[next]] = last;  // a draw that was rounded up to the total
  return samples;
}

/// Independent samples of the target, P* = R/Z*: what sampled::evidence_upper_bound needs, for instance. See
/// sample_log_weights for the random numbers and the errors.
template <class E>
[[nodiscard]] std::vector<StateOf<E>> sample_target(const StateGraph<E>& graph, int count, const Random& random,
                                                    std::uint64_t evaluation = 0) {
  std::vector<StateOf<E>> samples;
  for (const std::size_t i : sample_log_weights(graph.log_rewards(), count, random, evaluation))
    samples.push_back(graph.state(graph.terminal_rows()[i]));
  return samples;
}

/// The same from the log-rewards of all objects by their numbers, such as TableReward::table(), without a graph.
template <NumberedObjects E>
[[nodiscard]] std::vector<StateOf<E>> sample_target(const E& env, std::span<const double> log_rewards, int count,
                                                    const Random& random, std::uint64_t evaluation = 0) {
  const auto objects = static_cast<std::int64_t>(env.num_objects());
  require(static_cast<std::int64_t>(log_rewards.size()) == objects, "sample_target: there are ", log_rewards.size(),
          " log-rewards, and ", objects, " objects");
  std::vector<StateOf<E>> samples;
  for (const std::size_t i : sample_log_weights(log_rewards, count, random, evaluation))
    samples.push_back(env.object(static_cast<std::int64_t>(i)));
  return samples;
}

}  // namespace gfn::exact
