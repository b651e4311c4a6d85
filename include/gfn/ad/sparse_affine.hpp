// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <gfn/ad/affine.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/sparse_rows.hpp>

namespace gfn {

/// The first layer on sparse encodings: y[i] = f(b + Σₖ valueₖ w[indexₖ]) over the active features of row rows[i] of
/// `features` (row i where `rows` is null), with w: num_features × n, b: 1 × n. Sums of weight rows; nothing is ever
/// multiplied by the zeros of an encoding.
template <class F = Identity>
struct SparseDense {
  const SparseRows* features = nullptr;
  const int* rows = nullptr;
  int count = 0;
  F f{};

  Shape shape(Shape w, Shape b) const {
    require(features != nullptr, "SparseDense: there are no features");
    require(w.rows == features->num_features(), "SparseDense: w has ", w.rows, " rows, there are ",
            features->num_features(), " features");
    require(b == Shape{1, w.cols}, "SparseDense: b is ", b.rows, " x ", b.cols, ", not 1 x ", w.cols);
    detail::check_rows("SparseDense", rows, count, features->rows());
    return {count, w.cols};
  }
  template <class T>
    requires Activation<F, T>
  void forward(Out<T> y, In<T> w, In<T> b) const {
    add_weights(y, w, b);
    if constexpr (!std::is_same_v<F, Identity>)
      for (Eigen::Index i = 0; i < y.size(); ++i) y.data()[i] = static_cast<T>(f.value(y.data()[i]));
  }
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T>, In<T>, In<T> dw, In<T> db) const {
    add_weights(dy, dw, db);
    detail::push_through_activation(f, y, dy);
  }
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T>, In<T>, Out<T> gw, Out<T> gb) const {
    detail::pull_through_activation(f, y, gy, gb);
    if (!present(gw)) return;
    for_each_feature<T>([&](int i, int index, T value) { gw.row(index) += value * gy.row(i); },
                        [&](int i, int index) { gw.row(index) += gy.row(i); });
  }

 private:
  /// y[i] = b + Σₖ valueₖ w[indexₖ], where each of b and w may be absent.
  template <class T>
  void add_weights(Out<T> y, In<T> w, In<T> b) const {
    detail::fill_rows(y, b);
    if (!present(w)) return;
    for_each_feature<T>([&](int i, int index, T value) { y.row(i) += value * w.row(index); },
                        [&](int i, int index) { y.row(i) += w.row(index); });
  }
  /// Calls valued(i, index, value), or one(i, index) where encodings carry no values, in the order of the rows.
  template <class T, class Valued, class One>
  void for_each_feature(Valued&& valued, One&& one) const {
    for (int i = 0; i < count; ++i) {
      const SparseRows::Row row = features->row(detail::row_of(rows, i));
      if (features->has_values())
        for (std::size_t k = 0; k < row.indices.size(); ++k) valued(i, row.indices[k], static_cast<T>(row.values[k]));
      else
        for (const int index : row.indices) one(i, index);
    }
  }
};

/// Records f(b + Σₖ valueₖ w[indexₖ]) for the rows `rows` of `features`; both must outlive the tape's next `clear`.
template <class F, class T>
Var<T> sparse_dense(const F& f, const SparseRows& features, std::span<const int> rows, const Var<T>& w,
                    const Var<T>& b) {
  static_assert(Activation<F, T>, "sparse_dense: the activation needs `value(x)` and `slope_from_value(y)`");
  return w.tape().apply(SparseDense<F>{&features, rows.data(), require_int(rows.size(), "rows of a layer"), f}, w, b);
}
/// The same for all rows of `features`.
template <class F, class T>
Var<T> sparse_dense(const F& f, const SparseRows& features, const Var<T>& w, const Var<T>& b) {
  static_assert(Activation<F, T>, "sparse_dense: the activation needs `value(x)` and `slope_from_value(y)`");
  return w.tape().apply(SparseDense<F>{&features, nullptr, features.rows(), f}, w, b);
}
/// The same without an activation.
template <class T>
Var<T> sparse_affine(const SparseRows& features, std::span<const int> rows, const Var<T>& w, const Var<T>& b) {
  return sparse_dense(Identity{}, features, rows, w, b);
}
template <class T>
Var<T> sparse_affine(const SparseRows& features, const Var<T>& w, const Var<T>& b) {
  return sparse_dense(Identity{}, features, w, b);
}

}  // namespace gfn
