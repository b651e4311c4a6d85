// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include <gfn/gfn.hpp>

namespace examples {

/// How far a distribution is from the target.
struct Distances {
  double total_variation = std::nan("");
  double jensen_shannon = std::nan("");
  double mean_reward_ratio = std::nan("");
};

/// The target of an environment that can be enumerated, and the distance of distributions from it. Distributions are
/// aligned with log_rewards().
template <class E>
class ExactEvaluation {
 public:
  explicit ExactEvaluation(const E& env) : env_(env), graph_(env), log_rewards_(graph_->log_rewards()) {}
  /// By the numbers of the states, with the log-rewards of all objects by theirs, which must stay where they are. That
  /// takes so much time that it is done in the end only.
  ExactEvaluation(const E& env, std::span<const double> log_rewards) : env_(env), log_rewards_(log_rewards) {}
  ExactEvaluation(const ExactEvaluation&) = delete;
  ExactEvaluation& operator=(const ExactEvaluation&) = delete;

  bool only_in_the_end() const { return !graph_; }
  /// Only where this is not by numbers.
  const gfn::exact::StateGraph<E>& graph() const { return *graph_; }
  std::span<const double> log_rewards() const { return log_rewards_; }
  const std::vector<double>& target() const { return target_; }
  double log_z() const { return log_z_; }

  template <class Policy>
  std::vector<double> learned(Policy& forward) const {
    if constexpr (gfn::exact::IndexedEnvironment<E> && gfn::exact::NumberedObjects<E>)
      if (!graph_) return gfn::exact::indexed_terminating_distribution(env_, forward);
    return gfn::exact::terminating_distribution(*graph_, forward);
  }
  std::vector<double> uniform() const {
    return std::vector<double>(target_.size(), 1 / static_cast<double>(target_.size()));
  }
  Distances distances(const std::vector<double>& p) const {
    return {.total_variation = gfn::total_variation(p, target_),
            .jensen_shannon = gfn::jensen_shannon(p, target_),
            .mean_reward_ratio = gfn::mean_reward_ratio(p, log_rewards_)};
  }

 private:
  const E& env_;
  std::optional<gfn::exact::StateGraph<E>> graph_;
  std::span<const double> log_rewards_;
  std::vector<double> target_ = gfn::exact::target_distribution(log_rewards_);
  double log_z_ = gfn::log_sum_exp(log_rewards_);
};

}  // namespace examples
