// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <string>

#include <gfn/ad/tape.hpp>
#include <gfn/core/error.hpp>

namespace gfn {

/// A function of one number whose slope follows from its value alone: `value(x)` and `slope_from_value(y)`, y =
/// value(x). Such a function can be fused into a layer (Dense, SparseDense), which keeps no other trace of x.
template <class F, class T>
concept Activation = requires(const F f, const T number) {
  { f.value(number) } -> std::convertible_to<T>;
  { f.slope_from_value(number) } -> std::convertible_to<T>;
};

/// A function of one number with its slope: an Activation, or `value(x)` and `slope(x, y)`, y = value(x).
template <class F, class T>
concept ScalarFunction = Activation<F, T> || requires(const F f, const T number) {
  { f.value(number) } -> std::convertible_to<T>;
  { f.slope(number, number) } -> std::convertible_to<T>;
};

namespace detail {
template <class F, class T>
T slope(const F& f, [[maybe_unused]] const T& x, const T& y) {
  if constexpr (Activation<F, T>)
    return static_cast<T>(f.slope_from_value(y));
  else
    return static_cast<T>(f.slope(x, y));
}
}  // namespace detail

/// x.
struct Identity {
  static std::string description() { return "identity"; }
  template <class T>
  T value(T x) const {
    return x;
  }
  template <class T>
  T slope_from_value(T) const {
    return T(1);
  }
};

/// max(x, 0); the slope at 0 is 0. A NaN passes through.
struct Relu {
  static std::string description() { return "ReLU"; }
  template <class T>
  T value(T x) const {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  T slope_from_value(T y) const {
    return y > T(0) ? T(1) : T(0);
  }
};

/// x where it is positive, else negative_slope·x, with negative_slope ≥ 0.
struct LeakyRelu {
  double negative_slope = 0.01;
  std::string description() const { return detail::concatenate("leaky ReLU of slope ", negative_slope); }
  template <class T>
  T value(T x) const {
    return x > T(0) ? x : T(negative_slope) * x;
  }
  template <class T>
  T slope_from_value(T y) const {
    return y > T(0) ? T(1) : T(negative_slope);
  }
};

struct Tanh {
  static std::string description() { return "tanh"; }
  template <class T>
  T value(T x) const {
    return Eigen::numext::tanh(x);  // for float a rational function that compilers vectorise, for others std::tanh
  }
  template <class T>
  T slope_from_value(T y) const {
    return T(1) - y * y;
  }
};

struct Exp {
  static std::string description() { return "exp"; }
  template <class T>
  T value(T x) const {
    using std::exp;
    return exp(x);
  }
  template <class T>
  T slope_from_value(T y) const {
    return y;
  }
};

/// log x, for x > 0.
struct Log {
  template <class T>
  T value(T x) const {
    using std::log;
    return log(x);
  }
  template <class T>
  T slope(T x, T) const {
    return T(1) / x;
  }
};

/// x².
struct Square {
  template <class T>
  T value(T x) const {
    return x * x;
  }
  template <class T>
  T slope(T x, T) const {
    return T(2) * x;
  }
};

/// x²/2 for |x| ≤ delta, else delta·(|x| − delta/2) (Huber 1964).
struct Huber {
  double delta = 1.0;
  template <class T>
  T value(T x) const {
    const T clipped = slope(x, x);
    return clipped * (x - T(0.5) * clipped);
  }
  template <class T>
  T slope(T x, T) const {
    return x > T(delta) ? T(delta) : x < T(-delta) ? T(-delta) : x;
  }
};

/// factor·x.
struct Scale {
  double factor = 1.0;
  template <class T>
  T value(T x) const {
    return T(factor) * x;
  }
  template <class T>
  T slope_from_value(T) const {
    return T(factor);
  }
};

/// x + offset.
struct Shift {
  double offset = 0.0;
  template <class T>
  T value(T x) const {
    return x + T(offset);
  }
  template <class T>
  T slope_from_value(T) const {
    return T(1);
  }
};

/// y = f(x), entry by entry. A new one is a struct with two small functions: see ScalarFunction.
template <class F>
struct Elementwise {
  F f{};

  Shape shape(Shape x) const { return x; }

  template <class T>
    requires ScalarFunction<F, T>
  void forward(Out<T> y, In<T> x) const {
    for (Eigen::Index i = 0; i < y.size(); ++i) y.data()[i] = static_cast<T>(f.value(x.data()[i]));
  }
  template <class T>
  void jvp(In<T> y, Out<T> dy, In<T> x, In<T> dx) const {
    for (Eigen::Index i = 0; i < y.size(); ++i)
      dy.data()[i] = detail::slope(f, x.data()[i], y.data()[i]) * dx.data()[i];
  }
  template <class T>
  void vjp(In<T> y, Out<T> gy, In<T> x, Out<T> gx) const {
    for (Eigen::Index i = 0; i < y.size(); ++i)
      gx.data()[i] += detail::slope(f, x.data()[i], y.data()[i]) * gy.data()[i];
  }
};

/// Records f(x), entry by entry.
template <class F, class T>
Var<T> elementwise(const F& f, const Var<T>& x) {
  static_assert(ScalarFunction<F, T>,
                "elementwise: the function needs `value(x)`, and `slope_from_value(y)` or `slope(x, y)`");
  return x.tape().apply(Elementwise<F>{f}, x);
}
template <class T>
Var<T> relu(const Var<T>& x) {
  return elementwise(Relu{}, x);
}
template <class T>
Var<T> leaky_relu(const Var<T>& x, double negative_slope = 0.01) {
  require(negative_slope >= 0, "leaky_relu: negative_slope is ", negative_slope, ", it must be at least 0");
  return elementwise(LeakyRelu{negative_slope}, x);
}
template <class T>
Var<T> tanh(const Var<T>& x) {
  return elementwise(Tanh{}, x);
}
template <class T>
Var<T> exp(const Var<T>& x) {
  return elementwise(Exp{}, x);
}
template <class T>
Var<T> log(const Var<T>& x) {
  return elementwise(Log{}, x);
}
template <class T>
Var<T> square(const Var<T>& x) {
  return elementwise(Square{}, x);
}
template <class T>
Var<T> huber(const Var<T>& x, double delta = 1.0) {
  return elementwise(Huber{delta}, x);
}

}  // namespace gfn
