// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include <gfn/ad/softmax.hpp>
#include <gfn/ad/tape.hpp>

namespace gfn {

/// Adds the Gauss–Newton product Jᵀ M J v to the gradients of the parameters below y: J is the Jacobian of y, v the
/// direction that stands in the parameters' tangents, and M a symmetric matrix for each row of y, by
/// `metric(row, y_row, u_row)`, which overwrites u_row (std::span<T>) with M times what is in it.
///
/// Takes no memory but the tangents and cotangents of the tape, once. The tangent of y is used as scratch, so y must be
/// the result of an operation, and reads M J v afterwards.
template <class T, class Metric>
void add_gauss_newton_product(const Var<T>& y, const Metric& metric) {
  static_assert(std::is_invocable_v<const Metric&, int, std::span<const T>, std::span<T>>,
                "add_gauss_newton_product: the metric is called as metric(row, std::span<const T>, std::span<T>)");
  y.tape().push_forward();
  const In<T> value = y.value();
  Out<T> tangent = y.tangent();
  const auto cols = static_cast<std::size_t>(y.cols());
  for (Eigen::Index i = 0; i < y.rows(); ++i)
    metric(static_cast<int>(i), std::span<const T>(value.data() + i * y.cols(), cols),
           std::span<T>(tangent.data() + i * y.cols(), cols));
  y.tape().pull_back(y, tangent);
}

/// The metric of masked softmax policies: weight·(diag(p) − p pᵀ), p the softmax over the legal logits of a row, masks
/// as in LogSoftmax.
template <class T>
struct FisherMetric {
  std::span<const T> weights;  ///< one per row
  const bool* legal = nullptr;
  const int* rows = nullptr;

  void operator()(int row, std::span<const T> logits, std::span<T> u) const {
    const auto n = static_cast<int>(logits.size());
    const detail::RowMask mask = detail::MaskRows{legal, rows}.of(row, n);
    const T high = detail::legal_max(logits.data(), mask, n);
    T sum(0), product(0);
    detail::Piece<T> p, direction;
    detail::for_each_piece<T>(n, [&](int first, int count) {
      p.load_exp(logits.data() + first, mask.from(first), count, high);
      direction.load(u.data() + first, mask.from(first), count, T(0));
      sum += p.array().sum();
      product += (p.array() * direction.array()).sum();
    });
    const bool some_legal = sum > T(0);
    const T mean = some_legal ? product / sum : T(0);
    const T scale = some_legal ? weights[static_cast<std::size_t>(row)] / sum : T(0);
    detail::for_each_piece<T>(n, [&](int first, int count) {
      p.load_exp(logits.data() + first, mask.from(first), count, high);
      direction.load(u.data() + first, mask.from(first), count, mean);
      p.array() *= scale * (direction.array() - mean);
      std::copy_n(p.data(), count, u.data() + first);
    });
  }
};

/// Adds F v to the gradients of the parameters below the logits, where v stands in the parameters' tangents and
/// F = Σ over rows of weight·Jᵀ (diag(p) − p pᵀ) J is the Fisher matrix of the masked softmax policy. With a row's
/// number of visits over N as its weight, F is the Hessian at θ' = θ of the mean KL(π_θ ‖ π_θ') over the visited states
/// (Schulman, Levine, Moritz, Jordan, Abbeel: "Trust region policy optimization", 2015, appendix C).
/// Masks as in LogSoftmax; a row with at most one legal entry adds nothing. The tangent of the logits is scratch.
template <class T>
void add_fisher_product(const Var<T>& logits, std::type_identity_t<std::span<const T>> weights,
                        const bool* legal = nullptr, const int* rows = nullptr) {
  require(static_cast<Eigen::Index>(weights.size()) == logits.rows(), "add_fisher_product: there are ", weights.size(),
          " weights for ", logits.rows(), " rows of logits");
  add_gauss_newton_product(logits, FisherMetric<T>{weights, legal, rows});
}

}  // namespace gfn
