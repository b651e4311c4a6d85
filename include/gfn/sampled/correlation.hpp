// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>

namespace gfn::sampled {

/// Pearson's correlation coefficient, in [−1, 1]; NaN where one of the variables does not vary, or is not finite.
[[nodiscard]] inline double pearson_correlation(std::span<const double> x, std::span<const double> y) {
  require(x.size() == y.size() && x.size() >= 2, "correlation: ", x.size(), " and ", y.size(),
          " numbers, there must be as many of both, at least 2");
  const auto mean = [](std::span<const double> z) {
    return std::accumulate(z.begin(), z.end(), 0.0) / static_cast<double>(z.size());
  };
  const double mean_x = mean(x), mean_y = mean(y);
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  const auto varies = [](std::span<const double> z) {  // xx and yy may be above 0 by rounding alone
    return std::any_of(z.begin(), z.end(), [&](double number) { return number != z[0]; });
  };
  const double r = xy / (std::sqrt(xx) * std::sqrt(yy));
  return varies(x) && varies(y) && !std::isnan(r) ? std::clamp(r, -1.0, 1.0) : std::nan("");
}

/// The ranks of numbers, from 1; those that are equal share the mean of their ranks.
[[nodiscard]] inline std::vector<double> ranks(std::span<const double> x) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] < x[b]; });
  std::vector<double> ranks(x.size());
  for (std::size_t first = 0, end; first < order.size(); first = end) {
    for (end = first + 1; end < order.size() && x[order[end]] == x[order[first]];) ++end;
    for (std::size_t i = first; i < end; ++i) ranks[order[i]] = static_cast<double>(first + end + 1) / 2;
  }
  return ranks;
}

/// Spearman's rank correlation: Pearson's of the ranks. Throws std::invalid_argument for NaN, which has no rank.
[[nodiscard]] inline double spearman_correlation(std::span<const double> x, std::span<const double> y) {
  for (const auto& z : {x, y})
    for (const double number : z) require(!std::isnan(number), "spearman_correlation: a number is NaN");
  return pearson_correlation(ranks(x), ranks(y));
}

}  // namespace gfn::sampled
