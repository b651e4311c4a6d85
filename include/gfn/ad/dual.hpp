// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/eigen.hpp>

#include <cmath>
#include <compare>
#include <limits>
#include <ostream>
#include <type_traits>

namespace gfn {

/// A dual number: a value and its derivative in one direction. A program that runs on Dual<double> carries exact
/// directional derivatives; a tape on it (Tape<Dual<double>>) gives exact products of second derivatives with a vector.
/// Slow, since nothing is vectorised: for tests, and where no better rule is at hand. Comparisons see the value alone.
template <class T>
struct Dual {
  T value{};
  T derivative{};

  constexpr Dual() = default;
  constexpr Dual(T v, T d) : value(v), derivative(d) {}
  template <class U>
    requires std::is_arithmetic_v<U>
  constexpr Dual(U number) : value(static_cast<T>(number)) {}  // NOLINT(google-explicit-constructor): a constant

  /// The value, without its derivative.
  constexpr explicit operator T() const { return value; }

  friend constexpr Dual operator+(Dual a) { return a; }
  friend constexpr Dual operator-(Dual a) { return {-a.value, -a.derivative}; }
  friend constexpr Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.derivative + b.derivative}; }
  friend constexpr Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.derivative - b.derivative}; }
  friend constexpr Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
  }
  friend constexpr Dual operator/(Dual a, Dual b) {
    const T ratio = a.value / b.value;
    return {ratio, (a.derivative - ratio * b.derivative) / b.value};
  }
  constexpr Dual& operator+=(Dual b) { return *this = *this + b; }
  constexpr Dual& operator-=(Dual b) { return *this = *this - b; }
  constexpr Dual& operator*=(Dual b) { return *this = *this * b; }
  constexpr Dual& operator/=(Dual b) { return *this = *this / b; }

  friend constexpr bool operator==(Dual a, Dual b) { return a.value == b.value; }
  friend constexpr auto operator<=>(Dual a, Dual b) { return a.value <=> b.value; }

  friend Dual exp(Dual a) {
    using std::exp;
    const T y = exp(a.value);
    return {y, y * a.derivative};
  }
  friend Dual expm1(Dual a) {
    using std::expm1;
    const T y = expm1(a.value);
    return {y, (y + T(1)) * a.derivative};
  }
  friend Dual log(Dual a) {
    using std::log;
    return {log(a.value), a.derivative / a.value};
  }
  friend Dual log1p(Dual a) {
    using std::log1p;
    return {log1p(a.value), a.derivative / (T(1) + a.value)};
  }
  friend Dual tanh(Dual a) {
    using std::tanh;
    const T y = tanh(a.value);
    return {y, (T(1) - y * y) * a.derivative};
  }
  friend Dual sin(Dual a) {
    using std::cos;
    using std::sin;
    return {sin(a.value), cos(a.value) * a.derivative};
  }
  friend Dual cos(Dual a) {
    using std::cos;
    using std::sin;
    return {cos(a.value), -sin(a.value) * a.derivative};
  }
  friend Dual sqrt(Dual a) {
    using std::sqrt;
    const T y = sqrt(a.value);
    return {y, a.derivative / (T(2) * y)};
  }
  friend constexpr Dual abs(Dual a) { return a.value < T(0) ? -a : a; }
  friend constexpr Dual max(Dual a, Dual b) { return a.value < b.value ? b : a; }
  friend constexpr Dual min(Dual a, Dual b) { return b.value < a.value ? b : a; }
  friend bool isfinite(Dual a) {
    using std::isfinite;
    return isfinite(a.value) && isfinite(a.derivative);
  }
  friend bool isnan(Dual a) {
    using std::isnan;
    return isnan(a.value) || isnan(a.derivative);
  }
  friend bool isinf(Dual a) {
    using std::isinf;
    return isinf(a.value);
  }
  friend std::ostream& operator<<(std::ostream& out, Dual a) {
    return out << a.value << " + " << a.derivative << " eps";
  }
};

}  // namespace gfn

template <class T>
struct std::numeric_limits<gfn::Dual<T>> : std::numeric_limits<T> {
  static constexpr gfn::Dual<T> min() { return {std::numeric_limits<T>::min(), T(0)}; }
  static constexpr gfn::Dual<T> max() { return {std::numeric_limits<T>::max(), T(0)}; }
  static constexpr gfn::Dual<T> lowest() { return {std::numeric_limits<T>::lowest(), T(0)}; }
  static constexpr gfn::Dual<T> epsilon() { return {std::numeric_limits<T>::epsilon(), T(0)}; }
  static constexpr gfn::Dual<T> infinity() { return {std::numeric_limits<T>::infinity(), T(0)}; }
  static constexpr gfn::Dual<T> quiet_NaN() { return {std::numeric_limits<T>::quiet_NaN(), T(0)}; }
};

template <class T>
struct Eigen::NumTraits<gfn::Dual<T>> : Eigen::NumTraits<T> {
  using Real = gfn::Dual<T>;
  using NonInteger = gfn::Dual<T>;
  using Nested = gfn::Dual<T>;
  using Literal = gfn::Dual<T>;
  enum { RequireInitialization = 1, ReadCost = 2, AddCost = 2, MulCost = 4 };
};
