// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace gfn {

/// log 0.
template <class T = double>
inline constexpr T minus_infinity = -std::numeric_limits<T>::infinity();

/// log(eᵃ + eᵇ), without overflow; −∞ is the neutral element.
[[nodiscard]] inline double log_add_exp(double a, double b) {
  const double high = std::max(a, b);
  if (high == minus_infinity<>) return high;
  return high + std::log1p(std::exp(std::min(a, b) - high));
}

/// log Σ eˣ, without overflow; −∞ for an empty range or one of nothing but −∞.
[[nodiscard]] inline double log_sum_exp(std::span<const double> x) {
  const double high = x.empty() ? minus_infinity<> : *std::max_element(x.begin(), x.end());
  if (high == minus_infinity<>) return high;
  double sum = 0;
  for (const double value : x) sum += std::exp(value - high);
  return high + std::log(sum);
}

}  // namespace gfn
