// SPDX-License-Identifier: MIT
#include <Eigen/Core>
#include <algorithm>
#include <cstring>
#include <gfn/ad/product.hpp>
#include <limits>
#include <vector>

#include "catch.hpp"

namespace {

using Eigen::Index;

template <class T>
using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Random entries behind an odd offset, in rows with a gap: neither aligned nor contiguous.
template <class T>
struct Loose {
  Loose(Index rows, Index cols) : memory(Rows<T>::Random(rows + 1, cols + 4)), r(rows), c(cols) {}
  auto view() { return memory.block(1, 3, r, c); }
  Rows<T> memory;
  Index r, c;
};

/// The largest difference from `exact`, over what rounding may do to a sum of `terms` products below 1, with a margin.
template <class T>
double error(const Rows<T>& value, const Rows<double>& exact, Index terms) {
  if (value.size() == 0) return 0;
  return (value.template cast<double>() - exact).cwiseAbs().maxCoeff() /
         (4 * double(terms + 1) * double(std::numeric_limits<T>::epsilon()));
}

template <class T>
Rows<double> naive(const Rows<T>& a, const Rows<T>& b) {
  Rows<double> sum = Rows<double>::Zero(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index p = 0; p < a.cols(); ++p)
      for (Index j = 0; j < b.cols(); ++j) sum(i, j) += double(a(i, p)) * double(b(p, j));
  return sum;
}

template <class A, class B>
bool same_bits(const A& a, const B& b) {
  const Rows<typename A::Scalar> x = a, y = b;
  return x.rows() == y.rows() && x.cols() == y.cols() &&
         (x.size() == 0 || std::memcmp(x.data(), y.data(), std::size_t(x.size()) * sizeof(x(0, 0))) == 0);
}

/// The products against naive sums in double, for y: m x n and an inner size k.
template <class T>
void check_products(Index m, Index n, Index k) {
  CAPTURE(m, n, k);
  Loose<T> x(m, k), w(k, n), y(m, n), gy(m, n), gw(k, n), gx(m, k);
  const Rows<T> bias = Rows<T>::Random(1, n), x0 = x.view(), w0 = w.view(), gy0 = gy.view();
  const Rows<double> xw = naive<T>(x0, w0), affine = xw.rowwise() + bias.template cast<double>().row(0);
  const auto around_untouched = [](Loose<T>& a, const Rows<T>& before) {
    Rows<T> after = a.memory;
    after.block(1, 3, a.r, a.c) = before.block(1, 3, a.r, a.c);
    return same_bits(after, before);
  };

  Rows<T> before = y.memory;
  gfn::product<T>(y.view(), x.view(), w.view());
  CHECK(error<T>(y.view(), xw, k) < 1);
  CHECK(around_untouched(y, before));
  gfn::product<T>(y.view(), x.view(), w.view(), bias.data());
  CHECK(error<T>(y.view(), affine, k) < 1);
  gfn::product<T>(y.view(), x.view(), w.view(), bias.data(), [](T v) { return v > 0 ? v : T(0); });
  CHECK(error<T>(y.view(), affine.cwiseMax(0), k) < 1);
  before = y.memory;
  gfn::add_product<T>(y.view(), x.view(), w.view());
  CHECK(error<T>(y.view(), before.block(1, 3, m, n).template cast<double>() + xw, k) < 1);

  before = gw.memory;
  gfn::add_transposed_product<T>(gw.view(), x.view(), gy.view());
  CHECK(error<T>(gw.view(), before.block(1, 3, k, n).template cast<double>() + naive<T>(x0.transpose(), gy0), m) < 1);
  CHECK(around_untouched(gw, before));

  before = gx.memory;
  const Rows<double> exact = naive<T>(gy0, w0.transpose());
  gfn::add_product_transposed<T>(gx.view(), gy.view(), w.view());
  CHECK(error<T>(gx.view(), before.block(1, 3, m, k).template cast<double>() + exact, n) < 1);
  CHECK(around_untouched(gx, before));
  gfn::product_transposed<T>(gx.view(), gy.view(), w.view());
  CHECK(error<T>(gx.view(), exact, n) < 1);
}

/// A scalar without packets: a value and a derivative.
struct Dual {
  double value = 0, slope = 0;
  Dual() = default;
  Dual(double v, double s = 0) : value(v), slope(s) {}
  friend Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
  friend Dual operator*(Dual a, Dual b) { return {a.value * b.value, a.value * b.slope + a.slope * b.value}; }
};

}  // namespace

TEMPLATE_TEST_CASE("dense products agree with naive sums", "[ad][product]", float, double) {
  SECTION("small sizes, zero included") {
    for (const Index m : {0, 1, 2, 5, 6, 7, 8, 9, 13})
      for (const Index n : {0, 1, 3, 4, 15, 16, 17, 33, 64, 65})
        for (const Index k : {0, 1, 2, 17}) check_products<TestType>(m, n, k);
  }
  SECTION("packed panels, and sums in several blocks") {
    for (const Index m : {48, 131, 256, 259})
      for (const Index n : {1, 16, 109}) check_products<TestType>(m, n, 129);
    for (const Index n : {255, 256, 257}) check_products<TestType>(21, n, n + 1);
    check_products<TestType>(600, 7, 70);
    check_products<TestType>(300, 70, 300);
    check_products<TestType>(3, 2, 1100);
  }
}

TEMPLATE_TEST_CASE("a row has the same bits in every block", "[ad][product]", float, double) {
  using T = TestType;
  const Index m = 1024, k = 256;
  for (const Index n : {1, 7, 109, 256}) {
    CAPTURE(n);
    const Rows<T> x = Rows<T>::Random(m, k), w = Rows<T>::Random(k, n), gy = Rows<T>::Random(m, n);
    const Rows<T> bias = Rows<T>::Random(1, n), y_start = Rows<T>::Random(m, n);
    Rows<T> y(m, n), y_sum = y_start, gx(m, k);
    gfn::product<T>(y, x, w, bias.data());
    gfn::add_product<T>(y_sum, x, w);
    gfn::product_transposed<T>(gx, gy, w);
    for (const Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 100, 256})
      for (const Index first : {Index(0), Index(5), m - rows}) {
        CAPTURE(rows, first);
        Loose<T> part_x(rows, k), part_gy(rows, n), part_y(rows, n), part_sum(rows, n), part_gx(rows, k);
        part_x.view() = x.middleRows(first, rows);
        part_gy.view() = gy.middleRows(first, rows);
        part_sum.view() = y_start.middleRows(first, rows);
        gfn::product<T>(part_y.view(), part_x.view(), w, bias.data());
        gfn::add_product<T>(part_sum.view(), part_x.view(), w);
        gfn::product_transposed<T>(part_gx.view(), part_gy.view(), w);
        CHECK(same_bits(part_y.view(), y.middleRows(first, rows)));
        CHECK(same_bits(part_sum.view(), y_sum.middleRows(first, rows)));
        CHECK(same_bits(part_gx.view(), gx.middleRows(first, rows)));
      }
  }
}

TEMPLATE_TEST_CASE("a column has the same bits in every width", "[ad][product]", float, double) {
  using T = TestType;
  const Rows<T> x = Rows<T>::Random(9, 300), w = Rows<T>::Random(300, 130), gy = Rows<T>::Random(9, 130);
  Rows<T> y(9, 130), gw = Rows<T>::Zero(300, 130);
  gfn::product<T>(y, x, w);
  gfn::add_transposed_product<T>(gw, x, gy);
  for (const Index cols : {1, 5, 16, 63, 109})
    for (const Index first : {Index(0), Index(11), 130 - cols}) {
      CAPTURE(cols, first);
      const Rows<T> narrow = w.middleCols(first, cols);
      Rows<T> part(9, cols), part_gw = Rows<T>::Zero(300, cols);
      gfn::product<T>(part, x, w.middleCols(first, cols));
      CHECK(same_bits(part, y.middleCols(first, cols)));
      gfn::product<T>(part, x, narrow);
      CHECK(same_bits(part, y.middleCols(first, cols)));
      gfn::add_transposed_product<T>(part_gw, x, gy.middleCols(first, cols));
      CHECK(same_bits(part_gw, gw.middleCols(first, cols)));
    }
}

TEMPLATE_TEST_CASE("a weight gradient has the same bits when rows are added in parts", "[ad][product]", float, double) {
  using T = TestType;
  const Index m = 500;
  for (const Index n : {1, 109, 256}) {
    const Rows<T> x = Rows<T>::Random(m, 70), gy = Rows<T>::Random(m, n), start = Rows<T>::Random(70, n);
    Rows<T> whole = start, parts = start;
    gfn::add_transposed_product<T>(whole, x, gy);
    for (Index first = 0, rows = 1; first < m; first += rows, rows = std::min(2 * rows + 1, m - first))
      gfn::add_transposed_product<T>(parts, x.middleRows(first, rows), gy.middleRows(first, rows));
    CHECK(same_bits(whole, parts));
  }
}

TEMPLATE_TEST_CASE("both gradients of a product at once", "[ad][product]", float, double) {
  using T = TestType;
  const Index m = 500, k = 130;
  for (const Index n : {1, 3, 109, 256}) {
    CAPTURE(n);
    const Rows<T> x = Rows<T>::Random(m, k), w = Rows<T>::Random(k, n), gy = Rows<T>::Random(m, n);
    const Rows<T> gw_start = Rows<T>::Random(k, n), gx_start = Rows<T>::Random(m, k), twice = 2 * gy;
    Rows<T> gw = gw_start, gx = gx_start;
    gfn::add_transposed_product<T>(gw, x, twice);
    gfn::add_product_transposed<T>(gx, twice, w);
    for (const bool want_gw : {true, false})
      for (const bool want_gx : {true, false}) {
        Rows<T> here = gy, gw_here = gw_start, gx_here = gx_start;
        gfn::MatrixView<T> gw_view = gw_here, gx_view = gx_here;
        if (!want_gw) gw_view.data = nullptr;
        if (!want_gx) gx_view.data = nullptr;
        gfn::add_product_gradients<T>(gx_view, gw_view, x, here, w,
                                      [&](Index first, Index count) { here.middleRows(first, count) *= 2; });
        CHECK(same_bits(here, twice));
        CHECK(same_bits(gw_here, want_gw ? gw : gw_start));
        CHECK(same_bits(gx_here, want_gx ? gx : gx_start));
      }
  }
}

TEST_CASE("dense products take scalars without packets", "[ad][product]") {
  const Index m = 9, n = 5, k = 7;
  std::vector<Dual> x(m * k), w(k * n), y(m * n), gx(m * k), gw(k * n);
  for (Index i = 0; i < m * k; ++i) x[std::size_t(i)] = {0.1 * double(i % 13), 1};
  for (Index i = 0; i < k * n; ++i) w[std::size_t(i)] = {0.2 * double(i % 11) - 1, double(i % 3)};
  const gfn::MatrixView<const Dual> xs{x.data(), m, k}, ws{w.data(), k, n}, ys{y.data(), m, n};
  gfn::product<Dual>({y.data(), m, n}, xs, ws);
  gfn::product_transposed<Dual>({gx.data(), m, k}, ys, ws);
  gfn::add_transposed_product<Dual>({gw.data(), k, n}, xs, ys);
  const auto equal = [](Dual a, Dual b) { return a.value == Approx(b.value) && a.slope == Approx(b.slope); };
  const auto at = [](const auto& view, Index i, Index j) { return view.data[i * view.stride + j]; };
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      Dual sum;
      for (Index p = 0; p < k; ++p) sum = sum + at(xs, i, p) * at(ws, p, j);
      CHECK(equal(at(ys, i, j), sum));
    }
  for (Index i = 0; i < m; ++i)
    for (Index p = 0; p < k; ++p) {
      Dual sum;
      for (Index j = 0; j < n; ++j) sum = sum + at(ys, i, j) * at(ws, p, j);
      CHECK(equal(gx[std::size_t(i * k + p)], sum));
    }
  for (Index p = 0; p < k; ++p)
    for (Index j = 0; j < n; ++j) {
      Dual sum;
      for (Index i = 0; i < m; ++i) sum = sum + at(xs, i, p) * at(ys, i, j);
      CHECK(equal(gw[std::size_t(p * n + j)], sum));
    }
}
