// SPDX-License-Identifier: MIT
#include <gfn/ad/affine.hpp>
#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/dual.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/softmax.hpp>
#include <gfn/ad/sparse_affine.hpp>
#include <gfn/testing/operations.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace gfn;
using gfn::testing::check_operation;
using gfn::testing::OperationCheckOptions;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T = double>
Matrix<T> matrix(Eigen::Index rows, Eigen::Index cols, std::initializer_list<double> entries) {
  Matrix<T> result(rows, cols);
  Eigen::Index i = 0;
  for (const double entry : entries) result.data()[i++] = static_cast<T>(entry);
  return result;
}

/// The message of the exception that f throws.
template <class Exception, class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const Exception& e) {
    return e.what();
  }
  return {};
}

bool mentions(const std::string& text, const std::string& word) { return text.find(word) != std::string::npos; }

/// Masks in a row, as an environment's tables have them.
struct Masks {
  explicit Masks(std::initializer_list<int> bits) {
    std::size_t i = 0;
    for (const int bit : bits) legal[i++] = bit != 0;
  }
  bool legal[64] = {};
};

/// A smooth activation of a user's own, fit for layers.
struct Softsign {
  double value(double x) const { return x / (1.0 + std::abs(x)); }
  double slope_from_value(double y) const { return (1.0 - std::abs(y)) * (1.0 - std::abs(y)); }
};
/// One whose slope needs x.
struct Sine {
  template <class T>
  T value(T x) const {
    using std::sin;
    return sin(x);
  }
  template <class T>
  T slope(T x, T) const {
    using std::cos;
    return cos(x);
  }
};
/// A function of two numbers.
struct Ratio {
  template <class T>
  T value(T a, T b) const {
    return a / b;
  }
  template <class T>
  T left_slope(T, T b) const {
    return T(1) / b;
  }
  template <class T>
  T right_slope(T a, T b) const {
    return -a / (b * b);
  }
};

}  // namespace

TEST_CASE("elementwise operations pass the examination") {
  const OperationCheckOptions positive{.low = 0.3, .high = 2.0};
  check_operation(Elementwise<Identity>{}, {{4, 3}});
  check_operation(Elementwise<Relu>{}, {{4, 3}});
  check_operation(Elementwise<LeakyRelu>{}, {{4, 3}});
  check_operation(Elementwise<Tanh>{}, {{4, 3}});
  check_operation(Elementwise<Exp>{}, {{4, 3}});
  check_operation(Elementwise<Log>{}, {{4, 3}}, positive);
  check_operation(Elementwise<Square>{}, {{4, 3}});
  check_operation(Elementwise<Huber>{{.delta = 0.7}}, {{4, 3}});
  check_operation(Elementwise<Scale>{{.factor = -1.5}}, {{4, 3}});
  check_operation(Elementwise<Shift>{{.offset = 3.0}}, {{4, 3}});
  check_operation(Elementwise<Sine>{}, {{4, 3}});
}

TEST_CASE("elementwise functions have the values and slopes of the books") {
  Tape<double> tape;
  const Var<double> x = tape.variable(matrix(1, 4, {-2.0, -0.5, 0.0, 3.0}));
  CHECK(relu(x).value() == matrix(1, 4, {0.0, 0.0, 0.0, 3.0}));
  CHECK(leaky_relu(x, 0.5).value() == matrix(1, 4, {-1.0, -0.25, 0.0, 3.0}));
  CHECK(square(x).value() == matrix(1, 4, {4.0, 0.25, 0.0, 9.0}));
  CHECK(huber(x).value() == matrix(1, 4, {1.5, 0.125, 0.0, 2.5}));
  CHECK(huber(x, 0.25).value()(3) == Approx(0.25 * (3.0 - 0.125)));
  CHECK(tanh(x).value()(0) == std::tanh(-2.0));
  CHECK(log(exp(x)).value().isApprox(x.value()));
  CHECK((2.0 - x * 3.0).value() == matrix(1, 4, {8.0, 3.5, 2.0, -7.0}));
  CHECK((-x + 1.0).value() == (1.0 - x).value());
  tape.backward(sum(relu(x)));
  CHECK(Matrix<double>(x.grad()) == matrix(1, 4, {0.0, 0.0, 0.0, 1.0}));  // the slope at the kink is 0
  CHECK(std::isnan(Relu{}.value(std::nan(""))));
}

TEST_CASE("layers pass the examination") {
  check_operation(Dense<>{}, {{5, 3}, {3, 4}, {1, 4}});
  check_operation(Dense<Relu>{}, {{5, 3}, {3, 4}, {1, 4}});
  check_operation(Dense<LeakyRelu>{{.negative_slope = 0.3}}, {{7, 2}, {2, 33}, {1, 33}});
  check_operation(Dense<Tanh>{}, {{5, 3}, {3, 1}, {1, 1}});
  check_operation(Dense<Softsign>{}, {{5, 3}, {3, 4}, {1, 4}}, {.float_tolerance = 1e-5});
}

TEST_CASE("an affine layer has the value that it has on paper") {
  Tape<double> tape;
  const auto x = tape.variable(matrix(2, 2, {1.0, 2.0, -1.0, 0.5}));
  const auto w = tape.variable(matrix(2, 3, {1.0, 0.0, 2.0, -1.0, 3.0, 0.5}));
  const auto b = tape.variable(matrix(1, 3, {0.5, -10.0, 0.0}));
  CHECK(affine(x, w, b).value() == matrix(2, 3, {-0.5, -4.0, 3.0, -1.0, -8.5, -1.75}));
  const auto y = dense(Relu{}, x, w, b);
  CHECK(y.value() == matrix(2, 3, {0.0, 0.0, 3.0, 0.0, 0.0, 0.0}));
  tape.backward(sum(y));
  CHECK(Matrix<double>(x.grad()) == matrix(2, 2, {2.0, 0.5, 0.0, 0.0}));
  CHECK(Matrix<double>(w.grad()) == matrix(2, 3, {0.0, 0.0, 1.0, 0.0, 0.0, 2.0}));
  CHECK(Matrix<double>(b.grad()) == matrix(1, 3, {0.0, 0.0, 1.0}));
}

TEST_CASE("the sparse layer is the dense one on the encodings written out") {
  const bool with_values = GENERATE(false, true);
  SparseRows features;
  features.clear(5);
  const auto encode = [&](std::initializer_list<int> active) {
    for (const int index : active)
      if (with_values)
        features.add(index, 0.5 + index);
      else
        features.add(index);
    features.finish_row();
  };
  encode({0, 3});
  encode({});
  encode({4, 2, 2});  // a feature that is named twice adds up
  encode({1});
  const std::vector<int> rows{2, 0, 2, 1};

  Matrix<double> x = Matrix<double>::Zero(4, 5);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = features.row(rows[i]);
    for (std::size_t k = 0; k < row.indices.size(); ++k)
      x(static_cast<Eigen::Index>(i), row.indices[k]) += with_values ? row.values[k] : 1.0;
  }

  check_operation(SparseDense<>{&features, rows.data(), 4}, {{5, 3}, {1, 3}});
  check_operation(SparseDense<Tanh>{&features, rows.data(), 4}, {{5, 3}, {1, 3}});
  check_operation(SparseDense<Relu>{&features, nullptr, 3}, {{5, 3}, {1, 3}});
  check_operation(SparseDense<Relu>{&features, rows.data(), 0}, {{5, 3}, {1, 3}});

  Tape<double> tape;
  const Matrix<double> weights = Matrix<double>::Random(5, 3), biases = Matrix<double>::Random(1, 3);
  const auto w = tape.variable(weights), b = tape.variable(biases);
  const auto dense_w = tape.variable(weights), dense_b = tape.variable(biases);
  const auto sparse = sparse_dense(Tanh{}, features, rows, w, b);
  const auto full = dense(Tanh{}, tape.constant(x), dense_w, dense_b);
  CHECK(sparse.value().isApprox(full.value(), 1e-14));
  tape.backward(sum(square(sparse)) + sum(square(full)));
  CHECK(w.grad().isApprox(dense_w.grad(), 1e-14));
  CHECK(b.grad().isApprox(dense_b.grad(), 1e-14));
  CHECK(sparse_affine(features, w, b).rows() == 4);
  CHECK(sparse_affine(features, w, b).value().row(2) == sparse_affine(features, rows, w, b).value().row(0));
}

TEST_CASE("arithmetic passes the examination in every pair of shapes that fit") {
  const auto [a, b] = GENERATE(std::pair<Shape, Shape>{{3, 4}, {3, 4}}, std::pair<Shape, Shape>{{3, 4}, {1, 4}},
                               std::pair<Shape, Shape>{{1, 4}, {3, 4}}, std::pair<Shape, Shape>{{3, 4}, {3, 1}},
                               std::pair<Shape, Shape>{{3, 1}, {3, 4}}, std::pair<Shape, Shape>{{3, 4}, {1, 1}},
                               std::pair<Shape, Shape>{{1, 1}, {3, 4}}, std::pair<Shape, Shape>{{3, 1}, {1, 4}},
                               std::pair<Shape, Shape>{{1, 1}, {1, 1}}, std::pair<Shape, Shape>{{5, 1}, {1, 1}});
  check_operation(Binary<Plus>{}, {a, b});
  check_operation(Binary<Minus>{}, {a, b});
  check_operation(Binary<Times>{}, {a, b});
  check_operation(Binary<Ratio>{}, {a, b}, {.low = 0.5, .high = 2.0});
}

TEST_CASE("arithmetic repeats rows, columns and numbers") {
  Tape<double> tape;
  const auto x = tape.variable(matrix(2, 3, {1, 2, 3, 4, 5, 6}));
  const auto row = tape.variable(matrix(1, 3, {10, 20, 30}));
  const auto column = tape.variable(matrix(2, 1, {1, -1}));
  CHECK((x + row).value() == matrix(2, 3, {11, 22, 33, 14, 25, 36}));
  CHECK((row - x).value() == matrix(2, 3, {9, 18, 27, 6, 15, 24}));
  CHECK((column * x).value() == matrix(2, 3, {1, 2, 3, -4, -5, -6}));
  CHECK((column * row).value() == matrix(2, 3, {10, 20, 30, -10, -20, -30}));
  CHECK(multiply(x, Eigen::Vector2f(2, 0)).value() == matrix(2, 3, {2, 4, 6, 0, 0, 0}));
  CHECK(subtract(add(x, matrix(1, 1, {0.5})), matrix(1, 1, {0.5})).value() == x.value());
  tape.backward(sum(row * x));
  CHECK(Matrix<double>(row.grad()) == matrix(1, 3, {5, 7, 9}));
  tape.backward(sum(x * x));  // both inputs are one variable
  CHECK(Matrix<double>(x.grad()) == 2.0 * x.value());
}

TEST_CASE("log-softmax passes the examination") {
  const Masks masks{1, 0, 1, 1, 0,   // some
                    0, 0, 0, 0, 0,   // none
                    0, 0, 0, 1, 0,   // one
                    1, 1, 1, 1, 1};  // all
  const std::vector<int> rows{3, 0, 1, 2, 0};
  check_operation(LogSoftmax{}, {{4, 5}});
  check_operation(LogSoftmax{}, {{3, 19}});
  check_operation(LogSoftmax{masks.legal}, {{4, 5}});
  check_operation(LogSoftmax{masks.legal, rows.data()}, {{5, 5}});
}

TEST_CASE("log-softmax is −∞ at illegal entries and a distribution on the others") {
  const Masks masks{1, 0, 1, 0, 0, 0, 0, 1, 0};
  const Matrix<double> logits = matrix(3, 3, {1.0, 7.0, 2.0, 5.0, 5.0, 5.0, -3.0, 0.7, 9.0});
  Tape<double> tape;
  const auto x = tape.variable(logits);
  const auto y = log_softmax(x, masks.legal);
  CHECK(std::exp(y.value()(0, 0)) + std::exp(y.value()(0, 2)) == Approx(1.0));
  CHECK(y.value()(0, 2) - y.value()(0, 0) == Approx(1.0));
  CHECK(y.value()(0, 1) == -infinity);
  CHECK((y.value().row(1).array() == -infinity).all());
  CHECK(y.value()(2, 1) == 0.0);
  tape.pull_back(y, Matrix<double>::Constant(3, 3, 2.0));
  CHECK(x.grad()(0, 1) == 0.0);
  CHECK(x.grad().row(1).isZero(0.0));
  CHECK(x.grad().row(2).isZero(0.0));
  CHECK(x.grad()(0, 0) == Approx(2.0 - 4.0 * std::exp(y.value()(0, 0))));
  tape.push_forward();
  CHECK(y.tangent().isZero(0.0));
}

TEMPLATE_TEST_CASE("log-softmax is stable, and alarms are not lost", "", float, double, Dual<double>) {
  using T = TestType;
  using std::log;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const Masks first_three{1, 1, 1, 0};
  T y[4];
  const auto run = [&](std::initializer_list<T> logits) {
    log_softmax_row(std::data(logits), first_three.legal, 4, y);
  };
  run({T(1e30), T(-1e30), T(1e30), T(0)});
  CHECK(y[0] == -log(T(2)));
  CHECK(y[2] == y[0]);
  CHECK(static_cast<double>(y[1]) == Approx(-2e30));
  CHECK(y[3] == -inf);
  run({T(-1e30), T(-1e30), T(-1e30), T(1e30)});
  CHECK(y[1] == -log(T(3)));
  run({T(-200), T(-100), T(-1000), nan});  // what stands in an illegal entry is nobody's business
  CHECK(y[0] == T(-100));
  CHECK(y[1] == T(0));
  CHECK(y[2] == T(-900));
  for (int place = 0; place < 3; ++place)
    for (const T bad : {nan, inf}) {
      T logits[4] = {T(1), T(2), T(3), T(0)};
      logits[place] = bad;
      log_softmax_row(logits, first_three.legal, 4, y);
      CHECK(y[0] != y[0]);
      CHECK(y[1] != y[1]);
      CHECK(y[2] != y[2]);
      CHECK(y[3] == -inf);
    }
  for (const double logit : {0.0, 1e30, -1e30, 3.3, -87.5}) {
    const Masks one{0, 0, 1, 0};
    const T logits[4] = {T(5), T(1e30), T(logit), T(-7)};
    log_softmax_row(logits, one.legal, 4, y);
    CHECK(y[2] == T(0));
  }
}

TEMPLATE_TEST_CASE("a row of log-softmax has the same bits wherever it stands", "", float, double) {
  using T = TestType;
  constexpr Eigen::Index n = 13;
  const Matrix<T> logits = Matrix<T>::Random(9, n) * T(4);
  Tape<T> tape;
  const Var<T> y = log_softmax(tape.constant(logits));
  std::vector<T> moved(static_cast<std::size_t>(n) + 5), out(static_cast<std::size_t>(n) + 3);
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    std::copy_n(logits.data() + i * n, n, moved.data() + 5);
    log_softmax_row(moved.data() + 5, nullptr, static_cast<int>(n), out.data() + 3);
    for (Eigen::Index j = 0; j < n; ++j) CHECK(out[static_cast<std::size_t>(j) + 3] == y.value()(i, j));
  }
}

TEST_CASE("operations on rows pass the examination") {
  const std::vector<int> rows{2, none, 0, 2}, cols{1, 0, 2, 1}, offsets{0, 2, 2, 5};
  check_operation(Pick{rows.data(), cols.data(), 4}, {{3, 3}});
  check_operation(Pick{nullptr, cols.data(), 3}, {{3, 3}});
  check_operation(Pick{nullptr, nullptr, 0}, {{3, 3}});
  check_operation(GatherRows{rows.data(), 4}, {{3, 2}});
  check_operation(ScatterAddRows{rows.data(), 4, 5}, {{4, 2}});
  check_operation(ScatterAddRows{nullptr, 0, 3}, {{0, 2}});
  check_operation(SegmentSum{offsets.data(), 3}, {{5, 1}});
}

TEST_CASE("operations on rows do what they say") {
  const std::vector<int> rows{1, none, 0, 1}, cols{2, 9, 0, 2}, offsets{0, 1, 1, 4};
  Tape<double> tape;
  const auto x = tape.variable(matrix(2, 3, {1, 2, 3, 4, 5, 6}));
  const auto picked = pick(x, rows, cols);
  CHECK(picked.value() == matrix(4, 1, {6, 0, 1, 6}));
  CHECK(segment_sum(picked, offsets).value() == matrix(3, 1, {6, 0, 7}));
  const auto gathered = gather_rows(x, rows);
  CHECK(gathered.value() == matrix(4, 3, {4, 5, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6}));
  CHECK(scatter_add_rows(gathered, rows, 3).value() == matrix(3, 3, {1, 2, 3, 8, 10, 12, 0, 0, 0}));
  tape.backward(sum(picked));
  CHECK(Matrix<double>(x.grad()) == matrix(2, 3, {1, 0, 0, 0, 0, 2}));
  tape.backward(sum(gathered));
  CHECK(Matrix<double>(x.grad()) == matrix(2, 3, {1, 1, 1, 2, 2, 2}));
  const std::vector<int> first{2, 0};
  CHECK(pick(x, first).value() == matrix(2, 1, {3, 4}));
}

TEST_CASE("sums pass the examination") {
  check_operation(Sum{}, {{4, 3}});
  check_operation(Mean{}, {{4, 3}});
  Tape<double> tape;
  const auto x = tape.variable(matrix(2, 2, {1, 2, 3, 5}));
  CHECK(sum(x).scalar() == 11.0);
  CHECK(mean(x).scalar() == 2.75);
  CHECK(sum(tape.constant(Matrix<double>(0, 4))).scalar() == 0.0);
}

TEST_CASE("a float sum keeps what double would keep") {
  Tape<float> tape;
  const auto x = tape.constant(Matrix<float>::Constant(1 << 20, 1, 0.1f));
  CHECK(sum(x).scalar() == Approx(0.1 * (1 << 20)).epsilon(1e-7));
}

TEST_CASE("shapes that do not fit are refused with both numbers") {
  Tape<double> tape;
  const auto var = [&](Eigen::Index rows, Eigen::Index cols) {
    return tape.variable(Matrix<double>::Zero(rows, cols));
  };
  const auto refused = [](auto&& f, const std::string& one, const std::string& other) {
    const std::string text = message<std::invalid_argument>(f);
    return mentions(text, one) && mentions(text, other);
  };
  SparseRows features;
  features.clear(7);
  features.finish_row();
  const std::vector<int> rows{0, 5}, cols{0, 9}, offsets{0, 12};
  CHECK(refused([&] { affine(var(2, 3), var(4, 5), var(1, 5)); }, "3 columns", "4 rows"));
  CHECK(refused([&] { affine(var(2, 4), var(4, 5), var(1, 6)); }, "1 x 6", "1 x 5"));
  CHECK(refused([&] { affine(var(2, 4), var(4, 5), var(2, 5)); }, "2 x 5", "1 x 5"));
  CHECK(refused([&] { sparse_affine(features, var(4, 5), var(1, 5)); }, "4 rows", "7 features"));
  CHECK(refused([&] { sparse_affine(features, var(7, 5), var(1, 4)); }, "1 x 4", "1 x 5"));
  CHECK(refused([&] { sparse_affine(features, rows, var(7, 5), var(1, 5)); }, "row 5", "1"));
  CHECK(refused([&] { var(2, 3) + var(3, 3); }, "2 x 3", "3 x 3"));
  CHECK(refused([&] { var(0, 3) * var(2, 3); }, "0 x 3", "2 x 3"));
  CHECK(refused([&] { pick(var(2, 3), rows, cols); }, "row 5", "2"));
  CHECK(refused([&] { pick(var(6, 3), rows, cols); }, "column 9", "3"));
  CHECK(refused([&] { pick(var(6, 3), rows, std::span(cols).first(1)); }, "2 rows", "1 columns"));
  CHECK(refused([&] { gather_rows(var(2, 3), rows); }, "row 5", "2"));
  CHECK(refused([&] { scatter_add_rows(var(3, 3), rows, 6); }, "3 rows", "2"));
  CHECK(refused([&] { scatter_add_rows(var(2, 3), rows, 4); }, "row 5", "4"));
  CHECK(refused([&] { segment_sum(var(8, 1), offsets); }, "to 12", "8 rows"));
  CHECK(refused([&] { segment_sum(var(12, 2), offsets); }, "2 columns", "1"));
  CHECK(refused([&] { mean(var(0, 3)); }, "0 x 3", "mean"));
}
