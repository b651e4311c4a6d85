// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/tape.hpp>

namespace gfn {

namespace detail {

/// Visits the entries of a result y of a and b, of which a row or a column of length 1 is repeated, in the order of y.
/// `visit` takes the three places; steps are constants in the inner loop, so that it can be vectorised.
template <class Visit>
void for_each_pair(Shape y, Shape a, Shape b, const Visit& visit) {
  if (a == y && b == y) a = b = y = {1, y.size()};
  const Eigen::Index a_step = a.rows == y.rows ? a.cols : 0, b_step = b.rows == y.rows ? b.cols : 0;
  const auto run = [&](auto a_moves, auto b_moves) {
    for (Eigen::Index i = 0; i < y.rows; ++i)
      for (Eigen::Index j = 0; j < y.cols; ++j)
        visit(i * y.cols + j, i * a_step + (a_moves ? j : 0), i * b_step + (b_moves ? j : 0));
  };
  constexpr std::true_type moves;
  constexpr std::false_type stays;
  if (a.cols == y.cols && b.cols == y.cols)
    run(moves, moves);
  else if (a.cols == y.cols)
    run(moves, stays);
  else if (b.cols == y.cols)
    run(stays, moves);
  else
    run(stays, stays);
}

inline Eigen::Index broadcast(Eigen::Index a, Eigen::Index b, Shape left, Shape right) {
  require(a == b || a == 1 || b == 1, "Binary: a is ", left.rows, " x ", left.cols, ", b is ", right.rows, " x ",
          right.cols);
  return a == 1 ? b : a;
}

}  // namespace detail

/// a + b.
struct Plus {
  template <class T>
  T value(T a, T b) const {
    return a + b;
  }
  template <class T>
  T left_slope(T, T) const {
    return T(1);
  }
  template <class T>
  T right_slope(T, T) const {
    return T(1);
  }
};

/// a − b.
struct Minus {
  template <class T>
  T value(T a, T b) const {
    return a - b;
  }
  template <class T>
  T left_slope(T, T) const {
    return T(1);
  }
  template <class T>
  T right_slope(T, T) const {
    return T(-1);
  }
};

/// a·b.
struct Times {
  template <class T>
  T value(T a, T b) const {
    return a * b;
  }
  template <class T>
  T left_slope(T, T b) const {
    return b;
  }
  template <class T>
  T right_slope(T a, T) const {
    return a;
  }
};

/// y = f(a, b), entry by entry, for a function of two numbers with its slopes in both. Where one of a and b has a
/// single row, or a single column, it is repeated to fit the other.
template <class F>
struct Binary {
  F f{};

  Shape shape(Shape a, Shape b) const {
    return {detail::broadcast(a.rows, b.rows, a, b), detail::broadcast(a.cols, b.cols, a, b)};
  }
  template <class T>
  void forward(Out<T> y, In<T> a, In<T> b) const {
    visit(y, a, b, [&](auto k, auto p, auto q) { y.data()[k] = f.value(a.data()[p], b.data()[q]); });
  }
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T> a, In<T> b, In<T> da, In<T> db) const {
    dy.setZero();
    if (present(da))
      visit(y, a, b,
            [&](auto k, auto p, auto q) { dy.data()[k] += f.left_slope(a.data()[p], b.data()[q]) * da.data()[p]; });
    if (present(db))
      visit(y, a, b,
            [&](auto k, auto p, auto q) { dy.data()[k] += f.right_slope(a.data()[p], b.data()[q]) * db.data()[q]; });
  }
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T> a, In<T> b, Out<T> ga, Out<T> gb) const {
    if (present(ga))
      visit(y, a, b,
            [&](auto k, auto p, auto q) { ga.data()[p] += f.left_slope(a.data()[p], b.data()[q]) * gy.data()[k]; });
    if (present(gb))
      visit(y, a, b,
            [&](auto k, auto p, auto q) { gb.data()[q] += f.right_slope(a.data()[p], b.data()[q]) * gy.data()[k]; });
  }

 private:
  template <class Y, class X, class Visit>
  static void visit(const Y& y, const X& a, const X& b, const Visit& visit) {
    detail::for_each_pair({y.rows(), y.cols()}, {a.rows(), a.cols()}, {b.rows(), b.cols()}, visit);
  }
};

/// Records f(a, b), entry by entry.
template <class F, class T>
Var<T> binary(const F& f, const Var<T>& a, const Var<T>& b) {
  return a.tape().apply(Binary<F>{f}, a, b);
}
/// Records a + b; here and below, a row, a column or a number (1 × 1) is repeated to fit the other.
template <class T>
Var<T> add(const Var<T>& a, const Var<T>& b) {
  return binary(Plus{}, a, b);
}
template <class T>
Var<T> subtract(const Var<T>& a, const Var<T>& b) {
  return binary(Minus{}, a, b);
}
/// Records the product entry by entry.
template <class T>
Var<T> multiply(const Var<T>& a, const Var<T>& b) {
  return binary(Times{}, a, b);
}
/// The same with constants, which are copied to the tape.
template <class T, class Derived>
Var<T> add(const Var<T>& a, const Eigen::DenseBase<Derived>& constants) {
  return add(a, a.tape().constant(constants));
}
template <class T, class Derived>
Var<T> subtract(const Var<T>& a, const Eigen::DenseBase<Derived>& constants) {
  return subtract(a, a.tape().constant(constants));
}
template <class T, class Derived>
Var<T> multiply(const Var<T>& a, const Eigen::DenseBase<Derived>& constants) {
  return multiply(a, a.tape().constant(constants));
}
/// Records factor·x.
template <class T>
Var<T> scale(const Var<T>& x, double factor) {
  return elementwise(Scale{factor}, x);
}

template <class T>
Var<T> operator+(const Var<T>& a, const Var<T>& b) {
  return add(a, b);
}
template <class T>
Var<T> operator-(const Var<T>& a, const Var<T>& b) {
  return subtract(a, b);
}
/// The product entry by entry.
template <class T>
Var<T> operator*(const Var<T>& a, const Var<T>& b) {
  return multiply(a, b);
}
template <class T>
Var<T> operator-(const Var<T>& x) {
  return scale(x, -1.0);
}
template <class T>
Var<T> operator+(const Var<T>& x, double offset) {
  return elementwise(Shift{offset}, x);
}
template <class T>
Var<T> operator+(double offset, const Var<T>& x) {
  return x + offset;
}
template <class T>
Var<T> operator-(const Var<T>& x, double offset) {
  return x + -offset;
}
template <class T>
Var<T> operator-(double number, const Var<T>& x) {
  return -x + number;
}
template <class T>
Var<T> operator*(const Var<T>& x, double factor) {
  return scale(x, factor);
}
template <class T>
Var<T> operator*(double factor, const Var<T>& x) {
  return scale(x, factor);
}

}  // namespace gfn
