// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <vector>

#include <gfn/core/log_space.hpp>

#include "catch.hpp"

TEST_CASE("sums in log space are those of plain numbers where these exist") {
  const double numbers[] = {1e-300, 1e-20, 0.1, 1, 3, 1e20, 1e300};
  for (const double a : numbers)
    for (const double b : numbers) {
      const double expected = std::log(a + b);
      CHECK(gfn::log_add_exp(std::log(a), std::log(b)) == Approx(expected).epsilon(1e-14).margin(1e-14));
      CHECK(gfn::log_add_exp(std::log(a), std::log(b)) == gfn::log_add_exp(std::log(b), std::log(a)));
    }
  const std::vector<double> x{std::log(1), std::log(2), std::log(3), gfn::minus_infinity<>};
  CHECK(gfn::log_sum_exp(x) == Approx(std::log(6)).epsilon(1e-15));
}

TEST_CASE("sums in log space do not overflow, and lose nothing small") {
  CHECK(gfn::log_add_exp(1e10, 1e10) == Approx(1e10 + std::log(2)).epsilon(1e-16));
  CHECK(gfn::log_add_exp(-1e10, -1e10) == Approx(-1e10 + std::log(2)).epsilon(1e-16));
  CHECK(gfn::log_sum_exp(std::vector<double>{5000, 5000, 5000}) == Approx(5000 + std::log(3)).epsilon(1e-15));
  CHECK(gfn::log_sum_exp(std::vector<double>{-5000, -5000, -1e300}) == Approx(-5000 + std::log(2)).epsilon(1e-15));
  CHECK(gfn::log_add_exp(0, -40) == std::log1p(std::exp(-40)));  // and not 0
}

TEST_CASE("nothing is neutral in log space") {
  constexpr double nothing = gfn::minus_infinity<>;
  CHECK(gfn::log_add_exp(nothing, nothing) == nothing);
  CHECK(gfn::log_add_exp(nothing, -3) == -3);
  CHECK(gfn::log_add_exp(-3, nothing) == -3);
  CHECK(gfn::log_sum_exp({}) == nothing);
  CHECK(gfn::log_sum_exp(std::vector<double>{nothing, nothing}) == nothing);
  CHECK(gfn::log_sum_exp(std::vector<double>{nothing, 2}) == 2);
}

TEST_CASE("special values in log space") {
  constexpr double inf = -gfn::minus_infinity<>, nan = std::numeric_limits<double>::quiet_NaN();
  struct Row {
    double a, b, sum;
  };
  for (const Row row : {Row{1, nan, nan}, Row{nan, nan, nan}, Row{-inf, nan, nan}, Row{inf, nan, nan}, Row{inf, 1, inf},
                        Row{inf, inf, inf}, Row{inf, -inf, inf}, Row{-inf, -inf, -inf}, Row{-inf, 1, 1}}) {
    const auto same = [&](double result) { return std::isnan(row.sum) ? std::isnan(result) : result == row.sum; };
    CHECK(same(gfn::log_add_exp(row.a, row.b)));
    CHECK(same(gfn::log_add_exp(row.b, row.a)));
    CHECK(same(gfn::log_sum_exp(std::vector<double>{row.a, row.b})));
    CHECK(same(gfn::log_sum_exp(std::vector<double>{row.b, row.a})));
    CHECK(same(gfn::log_sum_exp(std::vector<double>{row.a, -inf, row.b, -inf})));
  }
}
