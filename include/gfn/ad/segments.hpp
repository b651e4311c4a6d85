// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <span>

#include <gfn/ad/rows.hpp>
#include <gfn/ad/sum.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>

namespace gfn {

/// Sums of a column from the start of each segment, floats in double: for a segment of n entries the n + 1 numbers 0,
/// x₀, x₀ + x₁, …, so that y has `segments` entries more than x.
struct RunningSum {
  const int* offsets = nullptr;
  int segments = 0;

  Shape shape(Shape x) const {
    require(x.cols == 1 && x.rows == offsets[segments], "RunningSum: x is ", x.rows, " x ", x.cols, ", not ",
            offsets[segments], " x 1");
    return {x.rows + segments, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    add(y, x);
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T>, In<T> dx) const {
    add(dy, dx);
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T>, Out<T> gx) const {
    for (int s = 0; s < segments; ++s) {
      detail::SumOf<T> sum(0);
      for (Eigen::Index k = Eigen::Index(offsets[s + 1]) - 1; k >= offsets[s]; --k) {
        sum += gy.data()[k + s + 1];
        gx.data()[k] += static_cast<T>(sum);
      }
    }
  }

 private:
  template <class T>
  void add(Out<T> y, In<T> x) const {
    for (int s = 0; s < segments; ++s) {
      detail::SumOf<T> sum(0);
      for (Eigen::Index k = offsets[s]; k < offsets[s + 1]; ++k) {
        y.data()[k + s] = static_cast<T>(sum);
        sum += x.data()[k];
      }
      y.data()[offsets[s + 1] + s] = static_cast<T>(sum);
    }
  }
};

/// The logarithm of the sum of exponentials of each segment of a column; −∞ for an empty one. Special values as in
/// log_sum_exp.
struct SegmentLogSumExp {
  const int* offsets = nullptr;
  int segments = 0;

  Shape shape(Shape x) const {
    require(x.cols == 1 && x.rows == offsets[segments], "SegmentLogSumExp: x is ", x.rows, " x ", x.cols, ", not ",
            offsets[segments], " x 1");
    return {segments, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    for (int s = 0; s < segments; ++s) y.data()[s] = of_segment(x, s);
  }
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T> x, In<T> dx) const {
    dy.setZero();
    each_share(y, x, [&](int s, int k, const T& share) { dy.data()[s] += share * dx.data()[k]; });
  }
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T> x, Out<T> gx) const {
    each_share(y, x, [&](int s, int k, const T& share) { gx.data()[k] += share * gy.data()[s]; });
  }

 private:
  template <class T>
  T of_segment(const In<T>& x, int s) const {
    using std::exp, std::log, std::isnan, std::isinf;
    T high = minus_infinity<T>;
    for (int k = offsets[s]; k < offsets[s + 1]; ++k) {
      if (isnan(x.data()[k])) [[unlikely]]
        return x.data()[k];
      if (high < x.data()[k]) high = x.data()[k];
    }
    if (isinf(high)) return high;
    detail::SumOf<T> sum(0);
    for (int k = offsets[s]; k < offsets[s + 1]; ++k) sum += exp(x.data()[k] - high);
    return high + static_cast<T>(log(sum));
  }
  /// Calls visit(s, k, exp(x_k − y_s)) for the entries of all segments.
  template <class T, class Visit>
  void each_share(const In<T>& y, const In<T>& x, const Visit& visit) const {
    using std::exp;
    for (int s = 0; s < segments; ++s)
      for (int k = offsets[s]; k < offsets[s + 1]; ++k)
        if (x.data()[k] != minus_infinity<T>) visit(s, k, T(exp(x.data()[k] - y.data()[s])));
  }
};

/// How a pair of points i < j of a segment of n + 1 points weighs.
enum class PairWeights {
  short_first,  ///< λ^{j−i−1}: 1 for neighbours
  long_first,   ///< λ^{n−(j−i)}: 1 for the two ends
};

/// The sum over all pairs of points i < j of a segment, y = Σ w_{ij} (h_j − h_i)², for each segment
/// offsets[s] ≤ k < offsets[s + 1] of a column h; in time linear in the length. λ is in [0, 1].
///
/// With weights λ^{j−i−1}, the moments M_p(j) = Σ_{i<j} λ^{j−i−1} (h_j − h_i)^p follow each other: with d = h_{j+1} −
/// h_j, M₀ ← λ M₀ + 1, M₁ ← λ (M₁ + M₀ d) + d, M₂ ← λ (M₂ + 2 d M₁ + d² M₀) + d². The other weights are λ^{n−j} λ^i,
/// whose moments Σ_{i<j} λ^i (h_j − h_i)^p follow each other in the same way.
struct WeightedPairs {
  const int* offsets = nullptr;
  int segments = 0;
  double lambda = 1;
  PairWeights weights = PairWeights::short_first;

  Shape shape(Shape h) const {
    require(h.cols == 1 && h.rows == offsets[segments], "WeightedPairs: h is ", h.rows, " x ", h.cols, ", not ",
            offsets[segments], " x 1");
    require(lambda >= 0 && lambda <= 1, "WeightedPairs: lambda is ", lambda, ", not in [0, 1]");
    return {segments, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> h) const {
    for (int s = 0; s < segments; ++s) {
      detail::SumOf<T> sum(0);
      sweep(h, s, false, [&](Eigen::Index, const Moments<T>& m) { sum += m.second; });
      y(s, 0) = static_cast<T>(sum);
    }
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T> h, In<T> dh) const {
    for (int s = 0; s < segments; ++s) {
      detail::SumOf<T> sum(0);
      each_slope(h, s, [&](Eigen::Index k, const T& slope) { sum += slope * dh(k, 0); });
      dy(s, 0) = static_cast<T>(sum);
    }
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T> h, Out<T> gh) const {
    for (int s = 0; s < segments; ++s)
      each_slope(h, s, [&](Eigen::Index k, const T& slope) { gh(k, 0) += gy(s, 0) * slope; });
  }

 private:
  /// Weighted moments of the differences to all points passed so far.
  template <class T>
  struct Moments {
    T zeroth{0}, first{0}, second{0};

    void move(const T& d) {  // the reference point moves by d
      second += T(2) * d * first + d * d * zeroth;
      first += zeroth * d;
    }
    void scale(const T& factor) {
      zeroth *= factor;
      first *= factor;
      second *= factor;
    }
  };

  /// Calls visit(k, moments of the differences to all earlier points, weighted) at each point of a segment but the
  /// first; `back` runs from the last point to the first instead.
  template <class T, class Visit>
  void sweep(const In<T>& h, int s, bool back, const Visit& visit) const {
    const Eigen::Index first = offsets[s], last = Eigen::Index(offsets[s + 1]) - 1;
    const T ratio = static_cast<T>(lambda);
    Moments<T> m;
    if (weights == PairWeights::short_first) {
      for (Eigen::Index j = 0; j < last - first; ++j) {
        const Eigen::Index from = back ? last - j : first + j, to = back ? from - 1 : from + 1;
        m.scale(ratio);
        m.zeroth += T(1);  // the point just left, at distance 0 from itself
        m.move(h(to, 0) - h(from, 0));
        visit(to, m);
      }
      return;
    }
    T entering(1);  // λ^i of the point that enters
    for (Eigen::Index j = 0; j < last - first; ++j) {
      const Eigen::Index from = back ? last - j : first + j, to = back ? from - 1 : from + 1;
      m.zeroth += entering;
      m.move(h(to, 0) - h(from, 0));
      entering *= ratio;
      Moments<T> weighted = m;
      weighted.scale(static_cast<T>(std::pow(lambda, static_cast<double>(last - first - 1 - j))));
      visit(to, weighted);
    }
  }
  /// Calls visit(k, ∂y/∂h_k), in two parts per point: pairs with earlier and with later points.
  template <class T, class Visit>
  void each_slope(const In<T>& h, int s, const Visit& visit) const {
    for (const bool back : {false, true})
      sweep(h, s, back, [&](Eigen::Index k, const Moments<T>& m) { visit(k, T(2) * m.first); });
  }
};

/// Records the running sums of each segment of a column; here and below `offsets`, one more than there are segments,
/// must outlive the tape's next `clear`.
template <class T>
Var<T> running_sum(const Var<T>& x, std::span<const int> offsets) {
  return x.tape().apply(RunningSum{offsets.data(), detail::num_segments(offsets)}, x);
}
/// Records log Σ exp of each segment of a column.
template <class T>
Var<T> segment_log_sum_exp(const Var<T>& x, std::span<const int> offsets) {
  return x.tape().apply(SegmentLogSumExp{offsets.data(), detail::num_segments(offsets)}, x);
}
/// Records Σ_{i<j} w_{ij} (h_j − h_i)² for each segment of a column.
template <class T>
Var<T> weighted_pairs(const Var<T>& h, std::span<const int> offsets, double lambda, PairWeights weights) {
  return h.tape().apply(WeightedPairs{offsets.data(), detail::num_segments(offsets), lambda, weights}, h);
}

/// The sum of squared differences of all pairs of points a given distance apart, y = Σ_k w_k Σ (h_{i+k} − h_i)², over
/// all segments of a column: one weight per distance, weights[k − 1] for k = 1, …; quadratic in the length.
struct PairsByDistance {
  const int* offsets = nullptr;
  int segments = 0;
  const double* weights = nullptr;

  Shape shape(Shape h) const {
    require(h.cols == 1 && h.rows == offsets[segments], "PairsByDistance: h is ", h.rows, " x ", h.cols, ", not ",
            offsets[segments], " x 1");
    return {1, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> h) const {
    detail::SumOf<T> sum(0);
    each_pair([&](Eigen::Index i, Eigen::Index j, double w) {
      sum += static_cast<T>(w) * (h(j, 0) - h(i, 0)) * (h(j, 0) - h(i, 0));
    });
    y(0, 0) = static_cast<T>(sum);
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T> h, In<T> dh) const {
    detail::SumOf<T> sum(0);
    each_pair([&](Eigen::Index i, Eigen::Index j, double w) {
      sum += static_cast<T>(2 * w) * (h(j, 0) - h(i, 0)) * (dh(j, 0) - dh(i, 0));
    });
    dy(0, 0) = static_cast<T>(sum);
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T> h, Out<T> gh) const {
    each_pair([&](Eigen::Index i, Eigen::Index j, double w) {
      const T slope = static_cast<T>(2 * w) * gy(0, 0) * (h(j, 0) - h(i, 0));
      gh(j, 0) += slope;
      gh(i, 0) -= slope;
    });
  }

 private:
  template <class Visit>
  void each_pair(const Visit& visit) const {
    for (int s = 0; s < segments; ++s)
      for (Eigen::Index i = offsets[s]; i < offsets[s + 1]; ++i)
        for (Eigen::Index j = i + 1; j < offsets[s + 1]; ++j) visit(i, j, weights[j - i - 1]);
  }
};

/// Records the sum of squared differences weighted by distance; `weights` must outlive the tape's next `clear` too.
template <class T>
Var<T> pairs_by_distance(const Var<T>& h, std::span<const int> offsets, std::span<const double> weights) {
  return h.tape().apply(PairsByDistance{offsets.data(), detail::num_segments(offsets), weights.data()}, h);
}

}  // namespace gfn
