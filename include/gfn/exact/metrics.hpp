// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include <gfn/core/error.hpp>

namespace gfn {

namespace detail {

inline void require_same_size(const char* name, std::size_t p, std::size_t q) {
  require(p == q, name, ": the first argument has ", p, " entries, the second ", q);
}

}  // namespace detail

/// D_TV = ½ Σ |p − q|, in [0, 1] for distributions.
[[nodiscard]] inline double total_variation(std::span<const double> p, std::span<const double> q) {
  detail::require_same_size("total_variation", p.size(), q.size());
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::abs(p[i] - q[i]);
  return sum / 2;
}

/// D_KL(p ‖ q) = Σ p log(p/q), natural logarithm; +∞ where q = 0 < p.
[[nodiscard]] inline double kl_divergence(std::span<const double> p, std::span<const double> q) {
  detail::require_same_size("kl_divergence", p.size(), q.size());
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (p[i] > 0) sum += p[i] * (std::log(p[i]) - std::log(q[i]));  // p/q may overflow where q is tiny
  return sum;
}

/// D_JSD = ½ D_KL(p ‖ m) + ½ D_KL(q ‖ m), m = (p + q)/2, natural logarithm: in [0, log 2] for distributions.
[[nodiscard]] inline double jensen_shannon(std::span<const double> p, std::span<const double> q) {
  detail::require_same_size("jensen_shannon", p.size(), q.size());
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double m = (p[i] + q[i]) / 2;
    if (p[i] > 0) sum += p[i] * std::log(p[i] / m);
    if (q[i] > 0) sum += q[i] * std::log(q[i] / m);
  }
  return sum / 2;
}

/// E_p[R] / E_{P*}[R] with E_{P*}[R] = Σ R² / Σ R: 1 where p = P*, above 1 for a p that keeps to high rewards.
/// Log-rewards may be of any size; NaN where every reward is 0.
[[nodiscard]] inline double mean_reward_ratio(std::span<const double> p, std::span<const double> log_rewards) {
  detail::require_same_size("mean_reward_ratio", p.size(), log_rewards.size());
  require(!p.empty(), "mean_reward_ratio: there are no states");
  const double high = *std::max_element(log_rewards.begin(), log_rewards.end());
  double mean = 0, sum = 0, sum_of_squares = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double reward = std::exp(log_rewards[i] - high);
    mean += p[i] * reward;
    sum += reward;
    sum_of_squares += reward * reward;
  }
  return mean * sum / sum_of_squares;
}

/// The mean-reward accuracy of Niu et al. 2024: mean_reward_ratio, cut to [0, 1].
[[nodiscard]] inline double mean_reward_accuracy(std::span<const double> p, std::span<const double> log_rewards) {
  return std::clamp(mean_reward_ratio(p, log_rewards), 0.0, 1.0);
}

}  // namespace gfn
