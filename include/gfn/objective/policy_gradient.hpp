// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/objective/advantage.hpp>
#include <gfn/rollout/batch.hpp>
#include <gfn/rollout/policy_evaluation.hpp>

namespace gfn {

/// The policy-gradient surrogate (Niu et al. 2024; everything is minimised)
///
///     L_A = (1/N) Σ_i Σ_t Â_{i,t} log π(s_{i,t}, a_{i,t}),
///
/// whose gradient is the estimate of ∇J; its value means nothing. The acting policy's evaluation is on the batch.
template <class T, class P, class E>
Var<T> policy_gradient_loss(Tape<T>& tape, PolicyEvaluation<T, P, E>& policy, const Batch<E>& batch,
                            std::span<const double> advantage) {
  auto [weights, w] = tape.constant(Shape{static_cast<Eigen::Index>(advantage.size()), 1});
  const double per_trajectory = 1.0 / batch.trajectories();
  for (std::size_t k = 0; k < advantage.size(); ++k)
    w(static_cast<Eigen::Index>(k), 0) = static_cast<T>(advantage[k] * per_trajectory);
  return sum(policy.record(tape, batch) * weights);
}

/// The value function's loss on a batch, L_V = (1/N) Σ_i Σ_t (target_{i,t} − V(s_{i,t}))². `offset` is added to what
/// the function gives: V = offset + v(s). Along backward walks the states are the children of the steps, and V(s₀) = 0
/// is not fitted. `all_rows` lists the rows 0, 1, … of the batch's table.
template <class T, class V, class E>
Var<T> value_loss(Tape<T>& tape, V& value, const Batch<E>& batch, Direction direction, std::span<const double> target,
                  std::span<const int> all_rows, double offset = 0) {
  int* rows = tape.template allocate<int>(target.size());
  double* wanted = tape.template allocate<double>(target.size());
  std::size_t count = 0;
  for (std::size_t k = 0; k < target.size(); ++k) {
    const Step& step = batch.steps()[k];
    const int row = direction == Direction::forward ? step.row : step.child;
    if (row == none) continue;
    rows[count] = row;
    wanted[count++] = target[k] - offset;
  }
  const Var<T> values = gather_rows(value.record(tape, batch.table().block(all_rows)), {rows, count});
  const Var<T> error = subtract(values, Eigen::Map<const Vector<double>>(wanted, static_cast<Eigen::Index>(count)));
  return scale(sum(square(error)), 1.0 / batch.trajectories());
}

}  // namespace gfn
