// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <gfn/ad/rows.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/log_space.hpp>

namespace gfn {

namespace detail {

/// Exponentials are taken this many at a time. Each goes through the vector code, the last ones of a row too: so the
/// result for an entry depends on that entry alone, not on the row's length or place.
template <class T>
inline constexpr int exp_chunk = std::max(4, static_cast<int>(Eigen::internal::packet_traits<T>::size));

template <class T>
using ExpChunk = Eigen::Array<T, exp_chunk<T>, 1>;

inline bool is_legal(const bool* legal, int j) { return legal == nullptr || legal[j]; }

/// Exponents below this one count as −∞. Their exponentials are far below the rounding of a sum that holds a 1, but
/// gradients that carry them become subnormal, and dense products many times slower.
template <class T>
inline constexpr T least_exponent = static_cast<T>(0.7 * std::numbers::ln2 * std::numeric_limits<T>::min_exponent);

/// exp(x[j] − shift) for j from `first` on, and 0 for illegal entries and past the end.
template <class T>
ExpChunk<T> masked_exp(const T* x, const bool* legal, int first, int n, T shift) {
  ExpChunk<T> chunk;
  const int count = std::min(exp_chunk<T>, n - first);
  bool vanishes[exp_chunk<T>];
  for (int j = 0; j < exp_chunk<T>; ++j) {
    const bool counts = j < count && is_legal(legal, first + j);
    chunk[j] = counts ? x[first + j] - shift : T(0);
    vanishes[j] = !counts || chunk[j] < least_exponent<T>;
  }
  chunk = chunk.exp().eval();
  for (int j = 0; j < exp_chunk<T>; ++j)
    if (vanishes[j]) chunk[j] = T(0);
  return chunk;
}

/// Calls visit(j, exp(x[j] − shift)) for the legal j, in order.
template <class T, class Visit>
void for_each_exp(const T* x, const bool* legal, int n, T shift, const Visit& visit) {
  for (int first = 0; first < n; first += exp_chunk<T>) {
    const ExpChunk<T> chunk = masked_exp(x, legal, first, n, shift);
    for (int j = first; j < std::min(first + exp_chunk<T>, n); ++j)
      if (is_legal(legal, j)) visit(j, chunk[j - first]);
  }
}

/// The largest legal entry, or −∞ where there is none.
template <class T>
T masked_max(const T* x, const bool* legal, int n) {
  T high = minus_infinity<T>;
  for (int j = 0; j < n; ++j)
    if (is_legal(legal, j) && x[j] > high) high = x[j];
  return high;
}

/// Σ of the legal entries, in order.
template <class T>
T masked_sum(const T* x, const bool* legal, int n) {
  T sum(0);
  for (int j = 0; j < n; ++j)
    if (is_legal(legal, j)) sum += x[j];
  return sum;
}

/// Masks, one row of `cols` entries each. Row i of a matrix has mask rows[i], or i where `rows` is null; where `legal` is
/// null everything is legal.
struct MaskRows {
  const bool* legal = nullptr;
  const int* rows = nullptr;

  const bool* of(Eigen::Index i, Eigen::Index cols) const {
    return legal == nullptr ? nullptr : legal + row_of(rows, static_cast<int>(i)) * cols;
  }
};

}  // namespace detail

/// The logarithm of a softmax over the legal entries of one row: out[j] = logits[j] − log Σ exp(logits[k]) over legal k,
/// and −∞ for illegal j (never used in arithmetic here). One legal entry gives exactly 0, none gives −∞ throughout.
/// `legal` null: all are. Where a legal logit is NaN or +∞, all legal results are NaN.
template <class T>
void log_softmax_row(const T* logits, const bool* legal, int n, T* out) {
  using std::log;
  const T high = detail::masked_max(logits, legal, n);
  T sum(0);
  for (int first = 0; first < n; first += detail::exp_chunk<T>)
    sum += detail::masked_exp(logits, legal, first, n, high).sum();
  const T log_sum = log(sum);
  for (int j = 0; j < n; ++j) out[j] = detail::is_legal(legal, j) ? (logits[j] - high) - log_sum : minus_infinity<T>;
}

/// log_softmax_row for each row of x. `legal` points to rows of x.cols() masks, of which row i of x takes rows[i], or i
/// where `rows` is null. Illegal entries, and rows without a legal one, pass no gradient.
struct LogSoftmax {
  const bool* legal = nullptr;
  const int* rows = nullptr;

  Shape shape(Shape x) const { return x; }

  template <class T>
  void forward(Out<T> y, In<T> x) const {
    for (Eigen::Index i = 0; i < x.rows(); ++i) log_softmax_row(row(x, i), mask(x, i), width(x), row(y, i));
  }
  /// dy = dx − Σ p dx.
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T>, In<T> dx) const {
    const int n = width(y);
    for (Eigen::Index i = 0; i < y.rows(); ++i) {
      const bool* const allowed = mask(y, i);
      const T* const tangent = row(dx, i);
      T mean(0);
      detail::for_each_exp(row(y, i), allowed, n, T(0), [&](int j, T p) { mean += p * tangent[j]; });
      T* const out = row(dy, i);
      for (int j = 0; j < n; ++j) out[j] = detail::is_legal(allowed, j) ? tangent[j] - mean : T(0);
    }
  }
  /// gx += gy − p Σ gy.
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T>, Out<T> gx) const {
    const int n = width(y);
    for (Eigen::Index i = 0; i < y.rows(); ++i) {
      const bool* const allowed = mask(y, i);
      const T* const cotangent = row(gy, i);
      const T sum = detail::masked_sum(cotangent, allowed, n);
      T* const out = row(gx, i);
      detail::for_each_exp(row(y, i), allowed, n, T(0), [&](int j, T p) { out[j] += cotangent[j] - p * sum; });
    }
  }

 private:
  template <class M>
  const bool* mask(const M& x, Eigen::Index i) const {
    return detail::MaskRows{legal, rows}.of(i, x.cols());
  }
  template <class M>
  static auto* row(M& x, Eigen::Index i) {
    return x.data() + i * x.cols();
  }
  template <class M>
  static int width(const M& x) {
    return static_cast<int>(x.cols());
  }
};

/// Records the log-softmax of each row of x over its legal entries; see LogSoftmax. The masks and `rows` must outlive the
/// tape's next `clear`.
template <class T>
Var<T> log_softmax(const Var<T>& x, const bool* legal = nullptr, const int* rows = nullptr) {
  return x.tape().apply(LogSoftmax{legal, rows}, x);
}

}  // namespace gfn
