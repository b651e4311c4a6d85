// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/segments.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/objective/flow_terms.hpp>
#include <gfn/objective/rewards.hpp>

namespace gfn {

/// How the sub-trajectories of length k weigh; n is the number of actions of their trajectory, N that of trajectories.
/// `detailed_balance`, `equal` and `geometric` divide by numbers of the whole batch: where lengths differ, their
/// gradient is a ratio of two random sums, biased by O(1/N); that of the others is a mean over trajectories, unbiased.
enum class SubtrajectoryWeights {
  detailed_balance,               ///< k = 1 only: the mean over all steps of the batch
  modified_detailed_balance,      ///< k = 1 only: the mean over each trajectory's steps, then over trajectories
  trajectory_balance,             ///< k = n only
  equal,                          ///< the mean over all sub-trajectories of the batch
  equal_within,                   ///< the mean over each trajectory's sub-trajectories, then over trajectories
  geometric,                      ///< the mean over all of length k in the batch, these weighted ∝ λ^{k−1}
  geometric_within,               ///< λ^{k−1}, normalised in each trajectory
  geometric_within_unnormalised,  ///< λ^{k−1}
  geometric_within_long_first,    ///< λ^{n−k}, normalised in each trajectory
};

/// Sub-trajectory balance (Madan et al., "Learning GFlowNets from partial episodes for improved convergence and
/// stability", ICML 2023): a weighted sum of Δ_{ij}² over 0 ≤ i < j ≤ n,
///
///     Δ_{ij} = log F(s_i) + Σ_{i≤t<j} (log π_F − log π_B) − log F(s_j),   log R(x) in place of log F(s_n).
///
/// With h_t = Σ_{l<t} (log π_F − log π_B) − log F(s_t), Δ_{ij} = h_j − h_i: so the geometric weights and the equal ones
/// take time linear in the length (`geometric`: quadratic). Holds for trajectories from any source. Needs both policies
/// and a state flow; log Z is log F(s₀).
struct SubtrajectoryBalance {
  SubtrajectoryWeights weights = SubtrajectoryWeights::geometric_within;
  double lambda = 0.9;                         ///< in [0, 1]
  double log_reward_floor = minus_infinity<>;  ///< log R is not taken below it; −∞: as it is

  std::string description() const {
    return detail::concatenate("sub-trajectory balance of weights ", static_cast<int>(weights), ", lambda ", lambda);
  }

  template <class T, class Input>
    requires FlowInput<Input> Var<T>
  operator()(Tape<T>& tape, const Input& input) const {
    require(lambda >= 0 && lambda <= 1, "SubtrajectoryBalance: lambda is ", lambda, ", not in [0, 1]");
    const auto& batch = input.batch;
    const Var<T> h = potentials(tape, input);
    const std::span<const int> points = point_offsets(tape, batch);
    using enum SubtrajectoryWeights;
    if (weights == geometric) return pairs_by_distance(h, points, geometric_weights(tape, batch));
    const bool neighbours = weights == detailed_balance || weights == modified_detailed_balance;
    const bool long_first = weights == trajectory_balance || weights == geometric_within_long_first;
    const bool equal_pairs = weights == equal || weights == equal_within;
    const double ratio = neighbours || weights == trajectory_balance ? 0.0 : equal_pairs ? 1.0 : lambda;
    const Var<T> sums =
        weighted_pairs(h, points, ratio, long_first ? PairWeights::long_first : PairWeights::short_first);
    return sum(multiply(sums, normalisers(tape, batch, ratio)));
  }
  template <class Input>
  double log_z(const Input& input) const {
    return log_flow_at_start(input);
  }

 private:
  /// h_t of all points of all trajectories: one more per trajectory than it has steps.
  template <class T, class Input>
  Var<T> potentials(Tape<T>& tape, const Input& input) const {
    const auto& batch = input.batch;
    const std::size_t count = batch.steps().size() + static_cast<std::size_t>(batch.trajectories());
    require_int(count, "points of trajectories");
    int* rows = tape.template allocate<int>(count);
    auto [log_rewards, r] = tape.constant(Shape{static_cast<Eigen::Index>(count), 1});
    r.setZero();
    std::size_t k = 0;
    for (int i = 0; i < batch.trajectories(); ++i) {
      for (const Step& step : batch.steps(i)) rows[k++] = step.row;
      r(static_cast<Eigen::Index>(k), 0) = static_cast<T>(training_log_reward(batch, i, log_reward_floor));
      rows[k++] = none;
    }
    const Var<T> flow = record_flow(tape, input);  // first: it is asked at all rows, policies where there is a choice
    const Var<T> log_ratio = input.forward.record(tape, batch) - input.backward.record(tape, batch);
    return running_sum(log_ratio, batch.offsets()) - pick_rows(flow, {rows, count}) - log_rewards;
  }
  template <class T, class E>
  static std::span<const int> point_offsets(Tape<T>& tape, const Batch<E>& batch) {
    const std::size_t count = batch.offsets().size();
    int* points = tape.template allocate<int>(count);
    for (std::size_t i = 0; i < count; ++i) points[i] = batch.offsets()[i] + static_cast<int>(i);
    return {points, count};
  }
  /// What the sum of each trajectory is multiplied with; `ratio` is the λ that its pairs were weighted by.
  template <class T, class E>
  auto normalisers(Tape<T>& tape, const Batch<E>& batch, double ratio) const {
    using enum SubtrajectoryWeights;
    const int count = batch.trajectories();
    double* factors = tape.template allocate<double>(static_cast<std::size_t>(count));
    double pairs = 0;
    for (int i = 0; i < count; ++i) {
      const double n = static_cast<double>(batch.steps(i).size());
      pairs += n * (n + 1) / 2;
      factors[i] = 1.0 / count;
      if (weights == detailed_balance) factors[i] = 1.0 / batch.num_steps();
      if (weights == modified_detailed_balance) factors[i] /= n;
      if (weights == equal_within) factors[i] /= n * (n + 1) / 2;
      if (weights == geometric_within) factors[i] /= total_weight(batch.steps(i).size(), ratio, false);
      if (weights == geometric_within_long_first) factors[i] /= total_weight(batch.steps(i).size(), ratio, true);
    }
    if (weights == equal) std::fill(factors, factors + count, 1.0 / pairs);
    return Eigen::Map<const Vector<double>>(factors, count);
  }
  /// Σ_k (n − k + 1) λ^{k−1}, or with λ^{n−k}: directly, since the closed form divides by (1 − λ)².
  static double total_weight(std::size_t n, double lambda, bool long_first) {
    double total = 0, power = 1;
    for (std::size_t k = 0; k < n; ++k, power *= lambda)
      total += power * static_cast<double>(long_first ? k + 1 : n - k);
    return total;
  }
  /// w_k / (number of sub-trajectories of length k in the batch), w_k = λ^{k−1} / Σ_l λ^{l−1}, for k = 1 … longest n.
  template <class T, class E>
  std::span<const double> geometric_weights(Tape<T>& tape, const Batch<E>& batch) const {
    std::size_t longest = 0;
    for (int i = 0; i < batch.trajectories(); ++i) longest = std::max(longest, batch.steps(i).size());
    double* w = tape.template allocate<double>(longest);
    double total = 0, power = 1;
    for (std::size_t k = 0; k < longest; ++k, power *= lambda) total += w[k] = power;
    for (std::size_t k = 0; k < longest; ++k) {
      double count = 0;
      for (int i = 0; i < batch.trajectories(); ++i)
        count += std::max(0.0, static_cast<double>(batch.steps(i).size()) - static_cast<double>(k));
      w[k] /= total * count;
    }
    return {w, longest};
  }
};

}  // namespace gfn
