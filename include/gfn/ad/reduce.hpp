// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/ad/sum.hpp>
#include <gfn/ad/tape.hpp>

namespace gfn {

namespace detail {

/// Σ x, entry after entry: the bits depend on neither addresses nor vector width. Floats are summed in double.
template <class T>
T sum_in_order(In<T> x) {
  SumOf<T> sum(0);
  for (Eigen::Index i = 0; i < x.size(); ++i) sum += x.data()[i];
  return static_cast<T>(sum);
}

}  // namespace detail

/// y = Σ x, 1 × 1.
struct Sum {
  Shape shape(Shape) const { return {1, 1}; }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    y(0) = detail::sum_in_order(x);
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T>, In<T> dx) const {
    dy(0) = detail::sum_in_order(dx);
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T>, Out<T> gx) const {
    gx.array() += gy(0);
  }
};

/// y = Σ x / (number of entries), 1 × 1; there must be one.
struct Mean {
  Shape shape(Shape x) const {
    require(x.size() > 0, "Mean: x is ", x.rows, " x ", x.cols, ", and nothing has no mean");
    return {1, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    y(0) = detail::sum_in_order(x) / static_cast<T>(x.size());
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T>, In<T> dx) const {
    dy(0) = detail::sum_in_order(dx) / static_cast<T>(dx.size());
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T>, Out<T> gx) const {
    gx.array() += gy(0) / static_cast<T>(gx.size());
  }
};

/// Records Σ x.
template <class T>
Var<T> sum(const Var<T>& x) {
  return x.tape().apply(Sum{}, x);
}
/// Records the mean of the entries of x.
template <class T>
Var<T> mean(const Var<T>& x) {
  return x.tape().apply(Mean{}, x);
}

}  // namespace gfn
