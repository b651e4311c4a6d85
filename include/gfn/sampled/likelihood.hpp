// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/core/random.hpp>
#include <gfn/sampled/objects.hpp>

namespace gfn::sampled {

/// A number found by sampling, with its standard error (NaN for fewer than two samples).
struct Estimate {
  double value = 0;
  double standard_error = 0;
};

/// The mean of independent samples.
[[nodiscard]] inline Estimate mean_estimate(std::span<const double> samples) {
  require(!samples.empty(), "mean_estimate: there are no samples");
  const auto n = static_cast<double>(samples.size());
  double mean = 0, squares = 0;
  for (const double x : samples) mean += x / n;
  for (const double x : samples) squares += (x - mean) * (x - mean);
  return {mean, samples.size() < 2 ? std::nan("") : std::sqrt(squares / (n - 1) / n)};
}

/// log of the mean of independent weights, given as logarithms. exp(value) is unbiased for the mean; value itself is
/// low by about half its squared standard error, which is the relative one of the mean. −∞ where all weights are 0.
[[nodiscard]] inline Estimate log_mean_estimate(std::span<const double> log_weights) {
  require(!log_weights.empty(), "log_mean_estimate: there are no samples");
  const auto n = static_cast<double>(log_weights.size());
  const double log_mean = log_sum_exp(log_weights) - std::log(n);
  if (log_mean == minus_infinity<>) return {log_mean, std::nan("")};
  double squares = 0;
  for (const double w : log_weights) squares += std::expm1(w - log_mean) * std::expm1(w - log_mean);
  return {log_mean, log_weights.size() < 2 ? std::nan("") : std::sqrt(squares / (n - 1) / n)};
}

namespace detail {

/// Walks back from each object `walks` times by the backward policy, and calls visit(object's number, log P_F(τ|s₀),
/// log P_B(τ|x), log R(x)) for each trajectory τ; those of one object come one after the other. log R is 0 where
/// `rewards` is off.
template <class E, class F, class B, class Visit>
void for_each_walk_back(const E& env, F& forward, B& backward, std::span<const StateOf<E>> objects, int walks,
                        bool rewards, const Random& random, std::uint64_t evaluation, const Visit& visit) {
  require(walks >= 1, "sampled evaluation: ", walks, " trajectories for each object");
  Batch<E> batch(env);
  BackwardSampler<E> sampler(env);
  Evaluation<F, E> pf(forward, env, Direction::forward);
  Evaluation<B, E> pb(backward, env, Direction::backward, Sampling::yes);
  const Random own = evaluation_random(random, evaluation);
  const auto total = static_cast<std::int64_t>(objects.size()) * walks;
  for (std::int64_t first = 0; first < total; first += trajectories_at_once) {
    const auto count = static_cast<int>(std::min<std::int64_t>(trajectories_at_once, total - first));
    const auto object = [&](int i) { return static_cast<std::size_t>((first + i) / walks); };
    sampler.sample(
        batch, pb, count, [&](int i) -> const auto& { return objects[object(i)]; }, own,
        static_cast<std::uint64_t>(first));
    if (rewards) batch.compute_rewards();
    pf.evaluate(batch.table());
    for (int i = 0; i < count; ++i) {
      double log_pf = 0, log_pb = 0;
      for (const Step& step : batch.steps(i)) {
        log_pf += pf.log_probability(step);
        log_pb += pb.log_probability(step);
      }
      visit(object(i), log_pf, log_pb, rewards ? batch.log_reward(i) : 0.0);
    }
  }
}

}  // namespace detail

struct LikelihoodOptions {
  int walks = 100;               ///< trajectories back from each object, K
  std::uint64_t evaluation = 0;  ///< evaluations with other numbers draw other random numbers
};

/// Estimates log P_F^⊤(x) of each object by importance sampling along backward trajectories (Zhang, Malkin, Liu,
/// Volokhova, Courville, Bengio: "Generative flow networks for discrete probabilistic modeling", ICML 2022):
///
///     P_F^⊤(x) = E_{τ ~ P_B(·|x)} [P_F(τ|s₀) / P_B(τ|x)] ≈ (1/K) Σ_k P_F(τ_k|s₀) / P_B(τ_k|x).
///
/// The estimate of P_F^⊤ is unbiased, for any backward policy that gives every way back a chance; the error is smallest
/// where P_B(·|x) is near P_F(·|x). See log_mean_estimate for the bias of the logarithm.
template <class E, class F, class B>
  requires Policy<F, StateOf<E>> && Policy<B, StateOf<E>>
[[nodiscard]] std::vector<Estimate> log_likelihoods(const E& env, F& forward, B& backward,
                                                    std::span<const StateOf<E>> objects, const Random& random,
                                                    const LikelihoodOptions& options = {}) {
  std::vector<Estimate> estimates;
  std::vector<double> weights;
  detail::for_each_walk_back(env, forward, backward, objects, options.walks, false, random, options.evaluation,
                             [&](std::size_t, double log_pf, double log_pb, double) {
                               weights.push_back(log_pf - log_pb);
                               if (weights.size() < static_cast<std::size_t>(options.walks)) return;
                               estimates.push_back(log_mean_estimate(weights));
                               weights.clear();
                             });
  return estimates;
}

/// The evidence lower bound: log Z* ≥ E_{τ ~ P_F} [log R(x) + log P_B(τ|x) − log P_F(τ|s₀)], with equality where both
/// policies are in balance. From `count` new trajectories.
template <class E, class F, class B>
  requires Policy<F, StateOf<E>> && Policy<B, StateOf<E>>
[[nodiscard]] Estimate evidence_lower_bound(const E& env, F& forward, B& backward, int count, const Random& random,
                                            std::uint64_t evaluation = 0) {
  detail::Evaluation<B, E> pb(backward, env, Direction::backward);
  std::vector<double> samples;
  detail::for_each_rollout(env, forward, count, random, evaluation, [&](Batch<E>& batch, const auto& pf) {
    batch.compute_rewards();
    pb.evaluate(batch.table());
    for (int i = 0; i < batch.trajectories(); ++i) {
      double sum = batch.log_reward(i);
      for (const Step& step : batch.steps(i)) sum += pb.log_probability(step) - pf.log_probability(step);
      samples.push_back(sum);
    }
  });
  return mean_estimate(samples);
}

/// The evidence upper bound: log Z* ≤ E_{x ~ P*, τ ~ P_B(·|x)} [log R(x) + log P_B(τ|x) − log P_F(τ|s₀)] (Blessing,
/// Jia, Esslinger, Vargas, Neumann: "Beyond ELBOs", ICML 2024). The objects must be samples of the target P* = R/Z*;
/// from other objects it is no bound. One trajectory back from each.
template <class E, class F, class B>
  requires Policy<F, StateOf<E>> && Policy<B, StateOf<E>>
[[nodiscard]] Estimate evidence_upper_bound(const E& env, F& forward, B& backward,
                                            std::span<const StateOf<E>> samples_of_target, const Random& random,
                                            std::uint64_t evaluation = 0) {
  std::vector<double> samples;
  detail::for_each_walk_back(env, forward, backward, samples_of_target, 1, true, random, evaluation,
                             [&](std::size_t, double log_pf, double log_pb, double log_reward) {
                               samples.push_back(log_reward + log_pb - log_pf);
                             });
  return mean_estimate(samples);
}

}  // namespace gfn::sampled
