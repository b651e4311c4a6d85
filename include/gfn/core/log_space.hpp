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

/// log(eᵃ + eᵇ), without overflow. −∞ is the neutral element; +∞ beside any number is +∞; a NaN gives NaN.
[[nodiscard]] inline double log_add_exp(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) [[unlikely]]
    return std::numeric_limits<double>::quiet_NaN();
  const double high = std::max(a, b);
  if (std::isinf(high)) return high;
  return high + std::log1p(std::exp(std::min(a, b) - high));
}

/// log Σ eˣ, without overflow; −∞ for an empty range or one of nothing but −∞, +∞ where there is a +∞ and no NaN, NaN
/// where there is one.
[[nodiscard]] inline double log_sum_exp(std::span<const double> x) {
  double high = minus_infinity<>;
  for (const double value : x) {
    if (std::isnan(value)) [[unlikely]]
      return value;
    high = std::max(high, value);
  }
  if (std::isinf(high)) return high;
  double sum = 0;
  for (const double value : x) sum += std::exp(value - high);
  return high + std::log(sum);
}

}  // namespace gfn
