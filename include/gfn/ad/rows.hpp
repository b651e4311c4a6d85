// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <gfn/ad/sum.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/action.hpp>

namespace gfn {

namespace detail {

/// The i-th of a list of rows; null stands for the list 0, 1, 2, …
inline int row_of(const int* rows, int i) { return rows == nullptr ? i : rows[i]; }

/// Refuses row numbers below `lowest` (0, or `none` where that is allowed) or from `limit` on.
inline void check_rows(const char* name, const int* rows, int count, Eigen::Index limit, int lowest = 0) {
  if (rows == nullptr)
    require(count <= limit, name, ": ", count, " rows are asked for, there are ", limit);
  else
    for (int i = 0; i < count; ++i)
      require(rows[i] >= lowest && rows[i] < limit, name, ": entry ", i, " asks for row ", rows[i], ", there are ",
              limit);
}

/// How many segments some offsets, one number more, are for.
inline int num_segments(std::span<const int> offsets) {
  require(!offsets.empty(), "segments: the offsets of n segments are n + 1 numbers, not 0");
  return require_int(offsets.size() - 1, "segments");
}

}  // namespace detail

/// One entry of x per item: y[k] = x(rows[k], cols[k]), or 0 where rows[k] is none; y is count × 1.
/// `rows` null stands for 0, 1, 2, …
struct Pick {
  const int* rows = nullptr;
  const int* cols = nullptr;
  int count = 0;

  Shape shape(Shape x) const {
    detail::check_rows("Pick", rows, count, x.rows, none);
    for (int k = 0; k < count; ++k)
      require(detail::row_of(rows, k) == none || (cols[k] >= 0 && cols[k] < x.cols), "Pick: entry ", k,
              " asks for column ", cols[k], ", there are ", x.cols);
    return {count, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    read(y, x);
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T>, In<T> dx) const {
    read(dy, dx);
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T>, Out<T> gx) const {
    for (int k = 0; k < count; ++k) {
      const int row = detail::row_of(rows, k);
      if (row != none) gx(row, cols[k]) += gy.data()[k];
    }
  }

 private:
  template <class T>
  void read(Out<T> y, In<T> x) const {
    for (int k = 0; k < count; ++k) {
      const int row = detail::row_of(rows, k);
      y.data()[k] = row == none ? T(0) : x(row, cols[k]);
    }
  }
};

/// Rows of x: y[k] = x[rows[k]], or zeros where rows[k] is none; y is count × n.
struct GatherRows {
  const int* rows = nullptr;
  int count = 0;

  Shape shape(Shape x) const {
    detail::check_rows("GatherRows", rows, count, x.rows, none);
    return {count, x.cols};
  }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    read(y, x);
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T>, In<T> dx) const {
    read(dy, dx);
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T>, Out<T> gx) const {
    for (int k = 0; k < count; ++k)
      if (const int row = detail::row_of(rows, k); row != none) gx.row(row) += gy.row(k);
  }

 private:
  template <class T>
  void read(Out<T> y, In<T> x) const {
    for (int k = 0; k < count; ++k)
      if (const int row = detail::row_of(rows, k); row == none)
        y.row(k).setZero();
      else
        y.row(k) = x.row(row);
  }
};

/// The transpose of that: y[r] = Σ x[k] over the k with rows[k] = r, in the order of k; items with rows[k] none are
/// left out. x has `count` rows, y `num_rows`.
struct ScatterAddRows {
  const int* rows = nullptr;
  int count = 0;
  int num_rows = 0;

  Shape shape(Shape x) const {
    require(x.rows == count, "ScatterAddRows: x has ", x.rows, " rows, the list ", count);
    detail::check_rows("ScatterAddRows", rows, count, num_rows, none);
    return {num_rows, x.cols};
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
    for (int k = 0; k < count; ++k)
      if (const int row = detail::row_of(rows, k); row != none) gx.row(k) += gy.row(row);
  }

 private:
  template <class T>
  void add(Out<T> y, In<T> x) const {
    y.setZero();
    for (int k = 0; k < count; ++k)
      if (const int row = detail::row_of(rows, k); row != none) y.row(row) += x.row(k);
  }
};

/// Sums over runs of a column: y[i] = Σ x[k] over offsets[i] ≤ k < offsets[i + 1], in the order of k, floats in double.
/// x is m × 1, y is count × 1, and `offsets` has count + 1 entries, ascending from 0 or more to m or less.
struct SegmentSum {
  const int* offsets = nullptr;
  int count = 0;

  Shape shape(Shape x) const {
    require(x.cols == 1, "SegmentSum: x has ", x.cols, " columns, not 1");
    for (int i = 0; i < count; ++i)
      require(offsets[i] >= 0 && offsets[i] <= offsets[i + 1] && offsets[i + 1] <= x.rows, "SegmentSum: segment ", i,
              " goes from ", offsets[i], " to ", offsets[i + 1], ", x has ", x.rows, " rows");
    return {count, 1};
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
    for (int i = 0; i < count; ++i)
      for (int k = offsets[i]; k < offsets[i + 1]; ++k) gx.data()[k] += gy.data()[i];
  }

 private:
  template <class T>
  void add(Out<T> y, In<T> x) const {
    for (int i = 0; i < count; ++i) {
      detail::SumOf<T> sum(0);
      for (int k = offsets[i]; k < offsets[i + 1]; ++k) sum += x.data()[k];
      y.data()[i] = static_cast<T>(sum);
    }
  }
};

// The lists below must outlive the tape's next `clear`.

/// Records y[k] = x(rows[k], cols[k]), or 0 where rows[k] is none.
template <class T>
Var<T> pick(const Var<T>& x, std::span<const int> rows, std::span<const int> cols) {
  require(rows.size() == cols.size(), "pick: there are ", rows.size(), " rows and ", cols.size(), " columns");
  return x.tape().apply(Pick{rows.data(), cols.data(), require_int(rows.size(), "entries of a pick")}, x);
}
/// Records y[k] = x(k, cols[k]).
template <class T>
Var<T> pick(const Var<T>& x, std::span<const int> cols) {
  return x.tape().apply(Pick{nullptr, cols.data(), require_int(cols.size(), "entries of a pick")}, x);
}
/// Records y[k] = x[rows[k]], or zeros where rows[k] is none.
template <class T>
Var<T> gather_rows(const Var<T>& x, std::span<const int> rows) {
  return x.tape().apply(GatherRows{rows.data(), require_int(rows.size(), "rows to gather")}, x);
}
/// Records y[r] = Σ x[k] over the k with rows[k] = r.
template <class T>
Var<T> scatter_add_rows(const Var<T>& x, std::span<const int> rows, int num_rows) {
  return x.tape().apply(ScatterAddRows{rows.data(), require_int(rows.size(), "rows to scatter"), num_rows}, x);
}
/// Records y[i] = Σ x[k] over offsets[i] ≤ k < offsets[i + 1].
template <class T>
Var<T> segment_sum(const Var<T>& x, std::span<const int> offsets) {
  return x.tape().apply(SegmentSum{offsets.data(), detail::num_segments(offsets)}, x);
}

}  // namespace gfn
