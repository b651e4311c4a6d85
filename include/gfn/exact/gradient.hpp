// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/ad/parameters.hpp>
#include <gfn/core/error.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/exact/trajectories.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/rollout/batch.hpp>
#include <gfn/rollout/trajectories.hpp>

namespace gfn::exact {

/// Options of an exact expectation over batches.
struct ExpectedGradientOptions {
  int batch = 1;  ///< trajectories a batch; more than one matters where they are coupled (centred advantages)
  std::int64_t max_batches = 1'000'000;  ///< more are refused; there are (number of trajectories)^batch
};

/// Mean and covariance of a gradient estimate over all batches. Entries are those of the parameters' flat vectors, one
/// after the other, padding (which is 0) included.
struct GradientMoments {
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
};

/// A trajectory law: each complete trajectory of a graph, with its probability.
struct TrajectoryLaw {
  std::vector<std::vector<Action>> trajectories;
  std::vector<double> probabilities;
};

/// P_F(τ), the law of forward rollouts. Throws gfn::Error for more than `max_trajectories`.
template <class E>
[[nodiscard]] TrajectoryLaw trajectory_law(const StateGraph<E>& graph, const ForwardLogProbabilities& forward,
                                           std::int64_t max_trajectories = 1'000'000) {
  TrajectoryLaw law{all_trajectories(graph, max_trajectories), {}};
  for (const auto& actions : law.trajectories)
    law.probabilities.push_back(std::exp(trajectory_log_probability(graph, actions, forward)));
  return law;
}
/// ρ(x) P_B(τ|x), the law of backward rollouts from terminating states that follow ρ (aligned with
/// graph.terminal_rows()).
template <class E>
[[nodiscard]] TrajectoryLaw trajectory_law(const StateGraph<E>& graph, std::span<const double> rho,
                                           const BackwardLogProbabilities& backward,
                                           std::int64_t max_trajectories = 1'000'000) {
  TrajectoryLaw law{all_trajectories(graph, max_trajectories), {}};
  for (const auto& actions : law.trajectories) {
    double log_p = 0;
    const int x = follow(graph, actions, [&](std::size_t e) { log_p += backward.edges[e]; });
    law.probabilities.push_back(rho[static_cast<std::size_t>(graph.terminal_index(x))] * std::exp(log_p));
  }
  return law;
}

namespace detail {

/// Running mean and covariance of weighted vectors (West, "Updating mean and variance estimates", 1979).
class Moments {
 public:
  explicit Moments(Eigen::Index size)
      : moments_{Eigen::VectorXd::Zero(size), Eigen::MatrixXd::Zero(size, size)}, step_(size) {}

  void add(const Eigen::VectorXd& x, double weight) {
    const double before = total_;
    total_ += weight;
    step_ = x - moments_.mean;
    moments_.mean += step_ * (weight / total_);
    moments_.covariance.selfadjointView<Eigen::Lower>().rankUpdate(step_, weight * before / total_);
  }
  GradientMoments result() const {
    return {moments_.mean, Eigen::MatrixXd(moments_.covariance.selfadjointView<Eigen::Lower>()) / total_};
  }

 private:
  GradientMoments moments_;
  Eigen::VectorXd step_;
  double total_ = 0;
};

/// Steps to the next tuple of numbers below `limit`; false after the last.
inline bool next_tuple(std::vector<std::size_t>& tuple, std::size_t limit) {
  for (std::size_t& i : tuple) {
    if (++i < limit) return true;
    i = 0;
  }
  return false;
}

}  // namespace detail

/// The exact expectation and covariance of a gradient estimate over all batches of independent trajectories of a law.
/// add_gradient(Batch<E>&) adds the estimate from one batch to the gradients of the parameters (and perhaps of others):
/// for instance `[&](auto& batch) { trainer.gradient(batch); }`, for policy gradients after
/// `batch.assume_on_policy(forward)` (the functions below do that). The parameters' gradients are left zero. For
/// environments with few trajectories and policies with few parameters: the work is batches × parameters².
template <class E, class AddGradient, class... T>
[[nodiscard]] GradientMoments expected_gradient(const E& env, const TrajectoryLaw& law,
                                                const ExpectedGradientOptions& options, AddGradient&& add_gradient,
                                                Parameters<T>&... parameters) {
  require(options.batch >= 1, "expected_gradient: a batch of ", options.batch, " trajectories");
  const double count = std::pow(static_cast<double>(law.trajectories.size()), options.batch);
  if (count > static_cast<double>(options.max_batches))
    fail("expected_gradient: there are ", count, " batches of ", options.batch, " out of ", law.trajectories.size(),
         " trajectories, max_batches is ", options.max_batches);
  Eigen::VectorXd gradient((parameters.size() + ... + 0));
  detail::Moments moments(gradient.size());
  Batch<E> batch(env);
  std::vector<std::size_t> tuple(static_cast<std::size_t>(options.batch), 0);
  std::vector<std::vector<Action>> trajectories(tuple.size());
  (parameters.zero_grad(), ...);
  do {
    double probability = 1;
    for (std::size_t k = 0; k < tuple.size(); ++k) {
      trajectories[k] = law.trajectories[tuple[k]];
      probability *= law.probabilities[tuple[k]];
    }
    if (probability == 0) continue;
    fill_batch(batch, trajectories);
    add_gradient(batch);
    Eigen::Index first = 0;
    const auto take = [&](auto& p) {
      gradient.segment(first, p.size()) = p.grad().template cast<double>();
      first += p.size();
      p.zero_grad();
    };
    (take(parameters), ...);
    moments.add(gradient, probability);
  } while (detail::next_tuple(tuple, law.trajectories.size()));
  return moments.result();
}

/// The same under P_F, for estimates from forward rollouts.
template <class E, class P, class AddGradient, class... T>
  requires Policy<P, StateOf<E>>
[[nodiscard]] GradientMoments expected_gradient(const StateGraph<E>& graph, P& forward,
                                                const ExpectedGradientOptions& options, AddGradient&& add_gradient,
                                                Parameters<T>&... parameters) {
  const auto add = [&](Batch<E>& batch) {
    batch.assume_on_policy(forward);  // which is what its probability says
    add_gradient(batch);
  };
  return expected_gradient(graph.environment(),
                           trajectory_law(graph, forward_log_probabilities(graph, forward), options.max_batches),
                           options, add, parameters...);
}

/// The same under P_F^⊤(x) P_B(τ|x), for estimates from backward rollouts that start where forward ones ended.
template <class E, class P, class B, class AddGradient, class... T>
  requires Policy<P, StateOf<E>> && Policy<B, StateOf<E>>
[[nodiscard]] GradientMoments expected_backward_gradient(const StateGraph<E>& graph, P& forward, B& backward,
                                                         const ExpectedGradientOptions& options,
                                                         AddGradient&& add_gradient, Parameters<T>&... parameters) {
  const auto add = [&](Batch<E>& batch) {
    batch.assume_walked_back_by(backward);
    add_gradient(batch);
  };
  return expected_gradient(graph.environment(),
                           trajectory_law(graph, terminating_distribution(graph, forward),
                                          backward_log_probabilities(graph, backward), options.max_batches),
                           options, add, parameters...);
}

}  // namespace gfn::exact
