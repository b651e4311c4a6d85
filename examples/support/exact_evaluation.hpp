// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <gfn/gfn.hpp>

namespace examples {

/// How far a distribution is from the target.
struct Distances {
  double total_variation = std::nan("");
  double jensen_shannon = std::nan("");
  double mean_reward_ratio = std::nan("");
};

/// The target of an environment that can be enumerated, and the distance of distributions from it.
template <class E>
class ExactEvaluation {
 public:
  explicit ExactEvaluation(const E& env)
      : graph_(env), target_(gfn::exact::target_distribution(graph_)), log_z_(gfn::exact::log_partition(graph_)) {}

  const gfn::exact::StateGraph<E>& graph() const { return graph_; }
  const std::vector<double>& target() const { return target_; }
  double log_z() const { return log_z_; }

  template <class Policy>
  std::vector<double> learned(Policy& forward) const {
    return gfn::exact::terminating_distribution(graph_, forward);
  }
  std::vector<double> uniform() const {
    return std::vector<double>(target_.size(), 1 / static_cast<double>(target_.size()));
  }
  Distances distances(const std::vector<double>& p) const {
    return {.total_variation = gfn::total_variation(p, target_),
            .jensen_shannon = gfn::jensen_shannon(p, target_),
            .mean_reward_ratio = gfn::mean_reward_ratio(p, graph_.log_rewards())};
  }

 private:
  gfn::exact::StateGraph<E> graph_;
  std::vector<double> target_;
  double log_z_;
};

}  // namespace examples
