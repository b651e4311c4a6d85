// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <gfn/ad/matrix.hpp>
#include <gfn/core/error.hpp>

namespace gfn {

/// Options of the conjugate-gradient method.
struct ConjugateGradientOptions {
  int iterations = 10;
  double tolerance = 1e-5;  ///< stop when ‖r‖² is below it
  double damping = 0;       ///< multiples of the identity added to the matrix
};

/// How a solution by conjugate gradients ended.
struct ConjugateGradientReport {
  int iterations = 0;
  double residual = 0;              ///< ‖r‖² at the end
  bool negative_curvature = false;  ///< a p with p·(H + damping)p ≤ 0, or NaN, stopped the iteration before its step
};

/// Solves (H + damping·1) x = b for a symmetric positive definite H (Hestenes and Stiefel 1952), from x = 0. Vectors
/// are as long as a network has parameters, so beside multiply() each iteration passes over them three times and no
/// more, four times with damping.
template <class T>
class ConjugateGradient {
 public:
  using VectorMap = Eigen::Map<Vector<T>>;

  /// Solves for the b that stands in `product`. Before each call of multiply() the direction p stands in `direction`
  /// and `product` is zero; multiply() adds H p to it. Leaves `product` zero.
  template <class Multiply>
  ConjugateGradientReport solve(VectorMap direction, VectorMap product, const Multiply& multiply,
                                const ConjugateGradientOptions& options = {}) {
    x_.setZero(product.size());
    r_ = product;
    direction = product;
    product.setZero();
    ConjugateGradientReport report;
    report.residual = dot(r_, r_);
    while (report.iterations < options.iterations && !(report.residual < options.tolerance)) {
      multiply();
      if (options.damping > 0) product += static_cast<T>(options.damping) * direction;
      const double curvature = dot(direction, product);
      if (!(curvature > 0)) {  // also when it is not a number
        report.negative_curvature = true;
        product.setZero();
        break;
      }
      const double residual = step(static_cast<T>(report.residual / curvature), direction, product);
      direction = r_ + static_cast<T>(residual / report.residual) * direction;
      report.residual = residual;
      ++report.iterations;
    }
    return report;
  }
  const Vector<T>& solution() const { return x_; }

  /// The inner product, summed in double over blocks of fixed length.
  template <class A, class B>
  static double dot(const A& a, const B& b) {
    double sum = 0;
    for (Eigen::Index i = 0; i < a.size(); i += block) {
      const Eigen::Index n = std::min(block, a.size() - i);
      sum += static_cast<double>(a.segment(i, n).dot(b.segment(i, n)));
    }
    return sum;
  }

 private:
  static constexpr Eigen::Index block = 1024;

  /// x += step·p and r −= step·Hp; clears Hp, and returns ‖r‖².
  double step(T step, const VectorMap& direction, VectorMap& product) {
    double sum = 0;
    for (Eigen::Index i = 0; i < x_.size(); i += block) {
      const Eigen::Index n = std::min(block, x_.size() - i);
      x_.segment(i, n) += step * direction.segment(i, n);
      r_.segment(i, n) -= step * product.segment(i, n);
      product.segment(i, n).setZero();
      sum += static_cast<double>(r_.segment(i, n).squaredNorm());
    }
    return sum;
  }

  Vector<T> x_, r_;
};

}  // namespace gfn
