// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/product.hpp>
#include <gfn/ad/tape.hpp>

namespace gfn {

namespace detail {

/// gy ← gy ∘ f'(x) with the slopes from y = f(x); the column sums of that are added to gb, row after row, where gb is
/// present.
template <class F, class T>
void pull_through_activation(const F& f, In<T> y, Out<T> gy, Out<T> gb) {
  const Eigen::Index cols = y.cols();
  for (Eigen::Index i = 0; i < y.rows(); ++i) {
    T* const g = gy.data() + i * cols;
    if constexpr (!std::is_same_v<F, Identity>) {
      const T* const value = y.data() + i * cols;
      for (Eigen::Index j = 0; j < cols; ++j) g[j] *= static_cast<T>(f.slope_from_value(value[j]));
    }
    if (!present(gb)) continue;
    T* const sum = gb.data();
    for (Eigen::Index j = 0; j < cols; ++j) sum[j] += g[j];
  }
}

/// dy ← dy ∘ f'(x) with the slopes from y = f(x).
template <class F, class T>
void push_through_activation(const F& f, In<T> y, Out<T> dy) {
  if constexpr (!std::is_same_v<F, Identity>)
    for (Eigen::Index i = 0; i < y.size(); ++i) dy.data()[i] *= static_cast<T>(f.slope_from_value(y.data()[i]));
}

/// Sets each row of y to the 1 × n bias, or to zero where there is none.
template <class T>
void fill_rows(Out<T> y, In<T> bias) {
  if (!present(bias))
    y.setZero();
  else
    for (Eigen::Index i = 0; i < y.rows(); ++i) std::copy_n(bias.data(), y.cols(), y.data() + i * y.cols());
}

}  // namespace detail

/// A layer: y = f(x w + b), with x: m × k, w: k × n, b: 1 × n.
template <class F = Identity>
struct Dense {
  F f{};

  Shape shape(Shape x, Shape w, Shape b) const {
    require(x.cols == w.rows, "Dense: x has ", x.cols, " columns, w has ", w.rows, " rows");
    require(b == Shape{1, w.cols}, "Dense: b is ", b.rows, " x ", b.cols, ", not 1 x ", w.cols);
    return {x.rows, w.cols};
  }
  template <class T>
    requires Activation<F, T>
  void forward(Out<T> y, In<T> x, In<T> w, In<T> b) const {
    if constexpr (std::is_same_v<F, Identity>)
      product<T>(y, x, w, b.data());
    else
      product<T>(y, x, w, b.data(), [f = f](T sum) { return static_cast<T>(f.value(sum)); });
  }
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T> x, In<T> w, In<T>, In<T> dx, In<T> dw, In<T> db) const {
    detail::fill_rows(dy, db);
    if (present(dx)) add_product<T>(dy, dx, w);
    if (present(dw)) add_product<T>(dy, x, dw);
    detail::push_through_activation(f, y, dy);
  }
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T> x, In<T> w, In<T>, Out<T> gx, Out<T> gw, Out<T> gb) const {
    add_product_gradients<T>(gx, gw, x, gy, w, [&](Eigen::Index first, Eigen::Index count) {
      const Eigen::Index start = first * y.cols();
      detail::pull_through_activation(f, In<T>(y.data() + start, count, y.cols()),
                                      Out<T>(gy.data() + start, count, y.cols()), gb);
    });
  }
};

/// Records f(x w + b).
template <class F, class T>
Var<T> dense(const F& f, const Var<T>& x, const Var<T>& w, const Var<T>& b) {
  static_assert(Activation<F, T>, "dense: the activation needs `value(x)` and `slope_from_value(y)`");
  return x.tape().apply(Dense<F>{f}, x, w, b);
}
/// Records x w + b.
template <class T>
Var<T> affine(const Var<T>& x, const Var<T>& w, const Var<T>& b) {
  return dense(Identity{}, x, w, b);
}

}  // namespace gfn
