// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/ad/tape.hpp>
#include <gfn/nn/adam.hpp>
#include <gfn/nn/conjugate_gradient.hpp>
#include <gfn/rollout/batch.hpp>
#include <gfn/rollout/policy_evaluation.hpp>

namespace gfn {

/// How a policy is changed once its gradient stands in its parameters: update(tape, policy, batch, advantage), where
/// the tape holds the surrogate of that gradient.
///
/// This one makes a step of Adam.
template <class T>
class AdamUpdate {
 public:
  AdamUpdate(Parameters<T>& parameters, const AdamOptions& options) { adam_.add(parameters, options); }

  template <class P, class E>
  void operator()(Tape<T>&, PolicyEvaluation<T, P, E>&, const Batch<E>&, std::span<const double>) {
    adam_.step();
  }
  template <class Archive>
  void visit_state(Archive&& archive) {
    adam_.visit_state(archive);
  }

 private:
  Adam<T> adam_;
};

/// Options of the trust region.
struct TrustRegionOptions {
  double max_kl = 0.01;  ///< δ: the largest mean over trajectories of Σ_t KL(π_θ(·|s_t) ‖ π_θ'(·|s_t))
  ConjugateGradientOptions conjugate_gradient{};  ///< iterations, tolerance and damping
  int halvings = 20;  ///< the steps tried are 1, ½, ¼, … of the one that the quadratic model gives
};

/// What a trust-region update did.
struct TrustRegionReport {
  bool accepted = false;            ///< if not, the parameters are as they were
  int trials = 0;                   ///< points of the line search that were tried
  double step = 0;                  ///< the fraction of the full step that was taken
  double kl = 0;                    ///< of the last point that was tried, in the measure of max_kl
  double expected_improvement = 0;  ///< of the surrogate at that point, by its gradient
  double improvement = 0;           ///< of the surrogate there
  ConjugateGradientReport conjugate_gradient;
};

/// Makes a natural-gradient step inside a trust region (Schulman et al., "Trust region policy optimization", ICML 2015;
/// RL-T of Niu et al. 2024): with g the gradient of the surrogate L(θ') = (1/N) Σ_i Σ_t (π_θ' / π_θ) Â_t and F the
/// Fisher matrix, which is the Hessian of
///
///     K(θ') = (1/N) Σ_i Σ_t KL(π_θ(·|s_t) ‖ π_θ'(·|s_t)),
///
/// it solves F s = g by conjugate gradients, and tries θ' = θ − 2⁻ᵏ β s, β = √(2δ / s·g), for k = 0, 1, … until L has
/// become smaller and K(θ') ≤ δ: the same K in the model and in the test. If no step will do, or the curvature is not
/// positive, the parameters stay, and the report says so; they stay too where something is thrown on the way.
template <class T>
class TrustRegionUpdate {
 public:
  TrustRegionUpdate(Parameters<T>& parameters, const TrustRegionOptions& options)
      : parameters_(&parameters), options_(options) {
    require(std::isfinite(options.max_kl) && options.max_kl > 0, "max_kl is ", options.max_kl,
            ", a positive number is needed");
    require(std::isfinite(options.conjugate_gradient.damping) && options.conjugate_gradient.damping >= 0, "damping is ",
            options.conjugate_gradient.damping, ", a number that is not negative is needed");
    require(options.conjugate_gradient.iterations >= 1, "conjugate gradients: ", options.conjugate_gradient.iterations,
            " iterations, at least 1 is needed");
    parameters.mark_in_use();
    require(options.halvings >= 0, "halvings is ", options.halvings, ", at least 0 is needed");
  }

  template <class P, class E>
  void operator()(Tape<T>& tape, PolicyEvaluation<T, P, E>& policy, const Batch<E>& batch,
                  std::span<const double> advantage) {
    report_ = {};
    const double slope = solve(tape, policy, batch);
    if (std::isfinite(slope) && slope > 0) {
      old_value_ = parameters_->value();
      try {
        search(tape, policy, batch, advantage, std::sqrt(2 * options_.max_kl / slope));
      } catch (...) {
        parameters_->modify() = old_value_;
        throw;
      }
    }
    parameters_->zero_grad();
  }
  const TrustRegionReport& report() const { return report_; }

  /// There is no state beside the parameters.
  template <class Archive>
  void visit_state(Archive&&) {}

 private:
  /// s = F⁻¹ g; returns s·g.
  template <class P, class E>
  double solve(Tape<T>& tape, PolicyEvaluation<T, P, E>& policy, const Batch<E>& batch) {
    gradient_ = parameters_->grad();
    count_visits(policy, batch);
    report_.conjugate_gradient = solver_.solve(
        parameters_->tangent(), parameters_->grad(), [&] { policy.add_fisher_product(tape, weights_); },
        options_.conjugate_gradient);
    return ConjugateGradient<T>::dot(solver_.solution(), gradient_);
  }
  /// The weight of each evaluated row in K: its visits over N.
  template <class P, class E>
  void count_visits(const PolicyEvaluation<T, P, E>& policy, const Batch<E>& batch) {
    visits_.assign(static_cast<std::size_t>(batch.table().rows()), 0);
    for (const Step& step : batch.steps()) {
      const int row = policy.acting_row(step);
      if (row != none) ++visits_[static_cast<std::size_t>(row)];
    }
    weights_.clear();
    for (const int row : policy.rows())
      weights_.push_back(static_cast<T>(visits_[static_cast<std::size_t>(row)]) / static_cast<T>(batch.trajectories()));
  }

  template <class P, class E>
  void search(Tape<T>& tape, PolicyEvaluation<T, P, E>& policy, const Batch<E>& batch,
              std::span<const double> advantage, double full_step) {
    const Var<T> log_p = policy.record_rows(tape);
    const In<T> old_log_p = tape.constant(log_p.value()).value();
    const double expected = full_step * ConjugateGradient<T>::dot(solver_.solution(), gradient_);
    double fraction = 1;
    for (int k = 0; k <= options_.halvings; ++k, fraction /= 2) {
      ++report_.trials;
      parameters_->modify() = old_value_ - static_cast<T>(fraction * full_step) * solver_.solution();
      tape.replay();
      report_.improvement = surrogate_decrease(policy, batch, advantage, log_p.value(), old_log_p);
      report_.kl = mean_kl(log_p.value(), old_log_p);
      report_.expected_improvement = fraction * expected;
      if (report_.improvement > 0 && report_.kl <= options_.max_kl) {
        report_.accepted = true;
        report_.step = fraction;
        return;
      }
    }
    parameters_->modify() = old_value_;
  }
  /// L(θ) − L(θ').
  template <class P, class E>
  double surrogate_decrease(const PolicyEvaluation<T, P, E>& policy, const Batch<E>& batch,
                            std::span<const double> advantage, const In<T>& log_p, const In<T>& old_log_p) const {
    double sum = 0;
    for (std::size_t k = 0; k < advantage.size(); ++k) {
      const auto [position, action] = policy.entry(batch.steps()[k]);
      if (position == none) continue;
      const double change =
          static_cast<double>(log_p(position, action)) - static_cast<double>(old_log_p(position, action));
      sum -= std::expm1(change) * advantage[k];
    }
    return sum / batch.trajectories();
  }
  /// K(θ').
  double mean_kl(const In<T>& log_p, const In<T>& old_log_p) const {
    double sum = 0;
    for (Eigen::Index i = 0; i < log_p.rows(); ++i) {
      double kl = 0;
      for (Eigen::Index a = 0; a < log_p.cols(); ++a) {
        const double before = static_cast<double>(old_log_p(i, a));
        if (before != minus_infinity<>) kl += std::exp(before) * (before - static_cast<double>(log_p(i, a)));
      }
      sum += static_cast<double>(weights_[static_cast<std::size_t>(i)]) * kl;
    }
    return sum;
  }

  Parameters<T>* parameters_;
  TrustRegionOptions options_;
  TrustRegionReport report_;
  ConjugateGradient<T> solver_;
  Vector<T> gradient_, old_value_;
  std::vector<int> visits_;
  std::vector<T> weights_;
};

}  // namespace gfn
