// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <gfn/exact/metrics.hpp>

#include "catch.hpp"

// Metrics of distributions with subnormal probabilities, whose ratios are not finite in double.

namespace {

using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("divergences are right where the ratio of two probabilities overflows") {
  for (const double tiny : {1e-316, std::numeric_limits<double>::denorm_min(), 1e-305}) {
    const Numbers p{tiny, 1 - tiny}, q{1e-5, 1 - 1e-5};
    REQUIRE((tiny == 1e-305 || std::isinf(q[0] / p[0])));
    // all terms with p₀ as a factor are below 1e-300: what is left is the divergence from p = (0, 1)
    const double jsd =
        (-std::log((2 - 1e-5) / 2) + 1e-5 * std::log(2) - (1 - 1e-5) * std::log1p(1e-5 / (2 - 2e-5))) / 2;
    CHECK(std::isfinite(gfn::jensen_shannon(p, q)));
    CHECK(gfn::jensen_shannon(p, q) == Approx(jsd).epsilon(1e-9).margin(0));
    CHECK(gfn::jensen_shannon(q, p) == Approx(jsd).epsilon(1e-9).margin(0));
    CHECK(gfn::kl_divergence(p, q) == Approx(-std::log1p(-1e-5)).epsilon(1e-9).margin(0));
    const double kl = 1e-5 * (std::log(1e-5) - std::log(tiny)) + (1 - 1e-5) * std::log1p(-1e-5);
    CHECK(gfn::kl_divergence(q, p) == Approx(kl).epsilon(1e-9).margin(0));
  }
}

TEST_CASE("divergences of subnormal probabilities of one size") {
  const double tiny = 1e-316;
  const Numbers p{tiny, 1}, q{3 * tiny, 1}, zero{0, 1};
  for (const Numbers* other : {&p, &q, &zero}) {
    CHECK(std::abs(gfn::jensen_shannon(p, *other)) < 1e-300);
    CHECK(std::abs(gfn::kl_divergence(*other, p)) < 1e-300);
  }
  CHECK(gfn::kl_divergence(p, zero) == std::numeric_limits<double>::infinity());
}

TEST_CASE("a Jensen-Shannon divergence is symmetric, zero on the diagonal and at most log 2") {
  const Numbers p{.1, .2, .7, 0}, q{.4, 0, .6, 0}, r{0, 0, 0, 1};
  CHECK(gfn::jensen_shannon(p, q) == Approx(gfn::jensen_shannon(q, p)).epsilon(1e-14).margin(0));
  CHECK(std::abs(gfn::jensen_shannon(p, p)) < 1e-15);
  CHECK(gfn::jensen_shannon(p, r) == Approx(std::log(2)).epsilon(1e-14).margin(0));
  // by the definition
  Numbers m(4);
  for (std::size_t i = 0; i < 4; ++i) m[i] = (p[i] + q[i]) / 2;
  CHECK(gfn::jensen_shannon(p, q) ==
        Approx((gfn::kl_divergence(p, m) + gfn::kl_divergence(q, m)) / 2).epsilon(1e-13).margin(0));
}
