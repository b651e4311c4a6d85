// SPDX-License-Identifier: MIT
#include <gfn/ad/dual.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "catch.hpp"

using gfn::Dual;

TEST_CASE("every function of dual numbers carries its derivative") {
  using D = Dual<double>;
  using std::abs, std::cos, std::exp, std::expm1, std::log, std::log1p, std::max, std::min, std::sin, std::sqrt,
      std::tanh;
  const auto check = [](auto f) {
    const double h = 1e-5;
    for (const double x : {0.3, 1.0, 1.7}) {
      const D y = f(D(x, 2.0));
      CHECK(y.value == Approx(f(x)).epsilon(1e-14));  // clang fuses multiply-adds differently in the two
      CHECK(y.derivative == Approx(2.0 * (f(x + h) - f(x - h)) / (2.0 * h)).epsilon(1e-8));
    }
  };
  check([](auto x) { return exp(x); });
  check([](auto x) { return expm1(x); });
  check([](auto x) { return log(x); });
  check([](auto x) { return log1p(x); });
  check([](auto x) { return tanh(x); });
  check([](auto x) { return sin(x); });
  check([](auto x) { return cos(x); });
  check([](auto x) { return sqrt(x); });
  check([](auto x) { return abs(0.9 - x); });
  check([](auto x) { return x * x / (1.0 + x) - 3 * -x; });
  check([](auto x) {
    auto y = x;
    y += x * x;
    y -= 0.5;
    y *= x;
    y /= 2.0 + x;
    return y;
  });
  CHECK(max(D(1, 5), D(2, 6)).derivative == 6.0);
  CHECK(min(D(1, 5), D(2, 6)).derivative == 5.0);
}

TEST_CASE("dual numbers compare by their values and mix with plain ones") {
  using D = Dual<double>;
  CHECK(D(1, 2) == D(1, 3));
  CHECK(D(1, 2) < 2);
  CHECK(0.5 < D(1, 2));
  CHECK(D(1, 2) >= 1.0);
  CHECK(isfinite(D(1, 2)));
  CHECK_FALSE(isfinite(D(1, INFINITY)));
  CHECK(isnan(D(NAN)));
  CHECK(isinf(-std::numeric_limits<D>::infinity()));
  CHECK(static_cast<double>(D(3, 4)) == 3.0);
  std::ostringstream text;
  text << D(1.5, -2);
  CHECK(text.str() == "1.5 + -2 eps");
}

TEST_CASE("Eigen works on dual numbers, and they nest") {
  using D = Dual<double>;
  Eigen::Matrix<D, 2, 2> a;
  a << D(1, 1), D(2, 0), D(3, 0), D(4, 0);
  const Eigen::Matrix<D, 2, 2> square = a * a;
  CHECK(square(0, 0).value == 7.0);
  CHECK(square(0, 0).derivative == 2.0);
  CHECK(square(1, 0).derivative == 3.0);
  CHECK(a.array().exp().sum().derivative == std::exp(1.0));
  CHECK(a.squaredNorm().derivative == 2.0);

  using DD = Dual<D>;
  const DD x(D(0.7, 1.0), D(1.0, 0.0));
  const DD y = x * x * x;
  CHECK(y.derivative.derivative == Approx(6 * 0.7));  // the second derivative
}
