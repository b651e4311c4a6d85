// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <gfn/ad/rows.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/eigen.hpp>
#include <gfn/core/log_space.hpp>

namespace gfn {

namespace detail {

/// A row's mask, or null where everything is legal.
struct RowMask {
  const bool* legal = nullptr;

  RowMask from(int first) const { return {legal == nullptr ? nullptr : legal + first}; }
  /// to[j] = value(j) for legal j, else `fill`.
  template <class T, class Value>
  void select(T* to, int count, T fill, const Value& value) const {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(legal);  // g++ 12 vectorises no loop over bools
    if (legal == nullptr)
      for (int j = 0; j < count; ++j) to[j] = value(j);
    else
      for (int j = 0; j < count; ++j) {
        const T entry = value(j);
        to[j] = bytes[j] != 0 ? entry : fill;
      }
  }
};

/// A probability below this counts as 0. It is far below the rounding of a sum that holds a 1, but gradients that carry
/// it become subnormal, and dense products many times slower.
template <class T>
inline constexpr T vanishing = static_cast<T>(std::numeric_limits<T>::min_exponent < -200 ? 1e-215 : 1e-26);

GFN_VECTOR_CODE_BEGIN
/// A part of a row on the stack, in which only legal entries count. It is aligned and filled up to whole vector
/// registers, so that every entry goes through the same vector code; one that is shorter than a register goes entry by
/// entry. Either way, what becomes of an entry depends on its row alone, and not on where that stands.
template <class T>
class Piece {
 public:
  static constexpr int capacity = 128;

  /// The legal ones of `count` entries, and `fill` in place of the others.
  void load(const T* x, RowMask mask, int count, T fill) {
    count_ = count;
    select(x, mask, fill);
  }
  /// exp(x[j] − shift) for the legal ones, and 0 in place of the others and of what vanishes.
  void load_exp(const T* x, RowMask mask, int count, T shift) {
    load(x, mask, count, shift);
    array() = (array() - shift).exp();
    mask.select(entries_, count_, T(0), [this](int j) { return entries_[j] < vanishing<T> ? T(0) : entries_[j]; });
    std::fill(entries_ + count_, entries_ + padded(), T(0));
  }
  Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>, alignment> array() { return {entries_, padded()}; }
  const T* data() const { return entries_; }

 private:
  static constexpr int whole = std::max(4, static_cast<int>(Eigen::internal::packet_traits<T>::size));
  static_assert(capacity % whole == 0);

  int padded() const { return count_ < whole ? count_ : (count_ + whole - 1) / whole * whole; }
  void select(const T* x, RowMask mask, T fill) {
    mask.select(entries_, count_, fill, [x](int j) { return x[j]; });
    std::fill(entries_ + count_, entries_ + padded(), fill);
  }

  alignas(alignment) T entries_[capacity];
  int count_ = 0;
};

/// Calls visit(first, count) for the pieces of a row.
template <class T, class Visit>
void for_each_piece(int n, const Visit& visit) {
  for (int first = 0; first < n; first += Piece<T>::capacity) visit(first, std::min(Piece<T>::capacity, n - first));
}

/// The largest legal entry, or −∞ where there is none.
template <class T>
T legal_max(const T* x, RowMask mask, int n) {
  T high = minus_infinity<T>;
  Piece<T> piece;
  for_each_piece<T>(n, [&](int first, int count) {
    piece.load(x + first, mask.from(first), count, minus_infinity<T>);
    high = std::max(high, T(piece.array().maxCoeff()));
  });
  return high;
}

/// Σ of the legal entries.
template <class T>
T legal_sum(const T* x, RowMask mask, int n) {
  T sum(0);
  Piece<T> piece;
  for_each_piece<T>(n, [&](int first, int count) {
    piece.load(x + first, mask.from(first), count, T(0));
    sum += piece.array().sum();
  });
  return sum;
}
GFN_VECTOR_CODE_END

/// Masks, one row of `cols` entries each. Row i of a matrix has mask rows[i], or i where `rows` is null; where `legal`
/// is null everything is legal.
struct MaskRows {
  const bool* legal = nullptr;
  const int* rows = nullptr;

  RowMask of(Eigen::Index i, Eigen::Index cols) const {
    return {legal == nullptr ? nullptr : legal + row_of(rows, static_cast<int>(i)) * cols};
  }
};

}  // namespace detail

/// The logarithm of a softmax over the legal entries of one row: out[j] = logits[j] − log Σ exp(logits[k]) over legal
/// k, and −∞ for illegal j (never used in arithmetic here). One legal entry gives exactly 0, none gives −∞ throughout.
/// `legal` null: all are. Where a legal logit is NaN or +∞, all legal results are NaN.
template <class T>
void log_softmax_row(const T* logits, const bool* legal, int n, T* out) {
  using std::log;
  const detail::RowMask mask{legal};
  const T high = detail::legal_max(logits, mask, n);
  T sum(0);
  detail::Piece<T> p;
  detail::for_each_piece<T>(n, [&](int first, int count) {
    p.load_exp(logits + first, mask.from(first), count, high);
    sum += p.array().sum();
  });
  const T log_sum = log(sum);
  mask.select(out, n, minus_infinity<T>, [=](int j) { return (logits[j] - high) - log_sum; });
}

/// log_softmax_row for each row of x. `legal` points to rows of x.cols() masks, of which row i of x takes rows[i], or i
/// where `rows` is null. Illegal entries, and rows without a legal one, pass no gradient.
struct LogSoftmax {
  const bool* legal = nullptr;
  const int* rows = nullptr;

  Shape shape(Shape x) const { return x; }

  template <class T>
  void forward(Out<T> y, In<T> x) const {
    for (Eigen::Index i = 0; i < x.rows(); ++i) log_softmax_row(row(x, i), mask(x, i).legal, width(x), row(y, i));
  }
  /// dy = dx − Σ p dx.
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T>, In<T> dx) const {
    const int n = width(y);
    detail::Piece<T> p, tangent;
    for (Eigen::Index i = 0; i < y.rows(); ++i) {
      const detail::RowMask legal_here = mask(y, i);
      T mean(0);
      detail::for_each_piece<T>(n, [&](int first, int count) {
        p.load_exp(row(y, i) + first, legal_here.from(first), count, T(0));
        tangent.load(row(dx, i) + first, legal_here.from(first), count, T(0));
        mean += (p.array() * tangent.array()).sum();
      });
      const T* const from = row(dx, i);
      legal_here.select(row(dy, i), n, T(0), [=](int j) { return from[j] - mean; });
    }
  }
  /// gx += gy − p Σ gy.
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T>, Out<T> gx) const {
    const int n = width(y);
    detail::Piece<T> p, cotangent;
    for (Eigen::Index i = 0; i < y.rows(); ++i) {
      const detail::RowMask legal_here = mask(y, i);
      const T sum = detail::legal_sum<T>(row(gy, i), legal_here, n);
      detail::for_each_piece<T>(n, [&](int first, int count) {
        p.load_exp(row(y, i) + first, legal_here.from(first), count, T(0));
        cotangent.load(row(gy, i) + first, legal_here.from(first), count, T(0));
        p.array() = cotangent.array() - p.array() * sum;
        T* const out = row(gx, i) + first;
        for (int j = 0; j < count; ++j) out[j] += p.data()[j];
      });
    }
  }

 private:
  template <class M>
  detail::RowMask mask(const M& x, Eigen::Index i) const {
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

/// Records the log-softmax of each row of x over its legal entries; see LogSoftmax. The masks and `rows` must outlive
/// the tape's next `clear`.
template <class T>
Var<T> log_softmax(const Var<T>& x, const bool* legal = nullptr, const int* rows = nullptr) {
  return x.tape().apply(LogSoftmax{legal, rows}, x);
}

}  // namespace gfn
