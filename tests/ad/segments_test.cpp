// SPDX-License-Identifier: MIT
#include <gfn/ad/dual.hpp>
#include <gfn/ad/segments.hpp>
#include <gfn/core/random.hpp>
#include <gfn/testing/operations.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <stdexcept>
#include <vector>

#include "catch.hpp"

using namespace gfn;
using gfn::testing::check_operation;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double lambdas[] = {0.0, 0.1, 0.5, 0.9, 0.99, 1.0};
constexpr PairWeights both_weights[] = {PairWeights::short_first, PairWeights::long_first};

Matrix<double> column(std::initializer_list<double> entries) {
  Matrix<double> result(static_cast<Eigen::Index>(entries.size()), 1);
  std::copy(entries.begin(), entries.end(), result.data());
  return result;
}
Matrix<double> random_column(int rows, std::uint64_t seed) {
  Stream stream(seed, Purpose::user, 0, 0);
  Matrix<double> result(rows, 1);
  for (Eigen::Index i = 0; i < rows; ++i) result(i, 0) = stream.normal();
  return result;
}

/// The entries of a column, to be compared with a list of numbers.
std::vector<double> entries(const In<double>& x) { return {x.data(), x.data() + x.size()}; }

struct Sums {
  std::vector<double> value;  // per segment
  Matrix<double> gradient;    // of the sum of all of them
};

/// Σ w(i, j, n) (h_j − h_i)² over the pairs of each segment, pair by pair; n is the number of points less one.
template <class W>
Sums direct_pairs(const Matrix<double>& h, const std::vector<int>& offsets, const W& w) {
  Sums sums{{}, Matrix<double>::Zero(h.rows(), 1)};
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const int first = offsets[s], n = offsets[s + 1] - first - 1;
    double sum = 0;
    for (int i = 0; i <= n; ++i)
      for (int j = i + 1; j <= n; ++j) {
        const double d = h(first + j, 0) - h(first + i, 0), weight = w(j - i, n);
        sum += weight * d * d;
        sums.gradient(first + j, 0) += 2 * weight * d;
        sums.gradient(first + i, 0) -= 2 * weight * d;
      }
    sums.value.push_back(sum);
  }
  return sums;
}

void check_sums(const Sums& expected, const Var<double>& y, const Var<double>& h) {
  REQUIRE(y.rows() == static_cast<Eigen::Index>(expected.value.size()));
  for (Eigen::Index s = 0; s < y.rows(); ++s)
    CHECK(y.value()(s, 0) == Approx(expected.value[static_cast<std::size_t>(s)]).epsilon(1e-12).margin(1e-12));
  h.tape().pull_back(y, Matrix<double>::Ones(y.rows(), 1));
  CHECK((h.grad() - expected.gradient).lpNorm<Eigen::Infinity>() <=
        1e-12 * (1 + expected.gradient.lpNorm<Eigen::Infinity>()));
}

void check_weighted_pairs(const std::vector<int>& offsets, std::uint64_t seed) {
  const Matrix<double> numbers = random_column(offsets.back(), seed);
  for (const double lambda : lambdas)
    for (const PairWeights weights : both_weights) {
      Tape<double> tape;
      const auto h = tape.variable(numbers);
      check_sums(direct_pairs(numbers, offsets,
                              [&](int k, int n) {
                                return std::pow(lambda, weights == PairWeights::short_first ? k - 1 : n - k);
                              }),
                 weighted_pairs(h, offsets, lambda, weights), h);
    }
}

}  // namespace

TEST_CASE("the operations on segments have the derivatives that they claim") {
  const std::vector<int> offsets = {0, 3, 4, 4, 9};  // an empty one, and one of a single entry
  check_operation(RunningSum{offsets.data(), 4}, {{9, 1}});
  check_operation(SegmentLogSumExp{offsets.data(), 4}, {{9, 1}});
  for (const double lambda : lambdas)
    for (const PairWeights weights : both_weights) {
      check_operation(WeightedPairs{offsets.data(), 4, lambda, weights}, {{9, 1}});
      // where two neighbours, and the two ends, are equal
      check_operation(WeightedPairs{offsets.data(), 4, lambda, weights}, {column({1, 1, 2, 0, 3, -1, 0, 0, 3})});
    }
  const std::vector<double> by_distance = {1, .5, 0, 2};
  check_operation(PairsByDistance{offsets.data(), 4, by_distance.data()}, {{9, 1}});
  const std::vector<int> nothing = {0};
  check_operation(RunningSum{nothing.data(), 0}, {{0, 1}});
  check_operation(SegmentLogSumExp{nothing.data(), 0}, {{0, 1}});
  check_operation(WeightedPairs{nothing.data(), 0, .5}, {{0, 1}});
  check_operation(PairsByDistance{nothing.data(), 0, nullptr}, {{0, 1}});
}

TEST_CASE("running sums by hand") {
  const std::vector<int> offsets = {0, 3, 3, 4};
  Tape<double> tape;
  const auto x = tape.variable(column({1, 2, 4, 8}));
  const auto y = running_sum(x, offsets);
  CHECK(entries(y.value()) == std::vector<double>{0, 1, 3, 7, 0, 0, 8});
  tape.pull_back(y, column({100, 1, 10, 1000, 7, 7, 3}));
  CHECK(entries(In<double>(x.grad().data(), 4, 1)) == std::vector<double>{1011, 1010, 1000, 3});
}

TEST_CASE("the logarithm of sums of exponentials by hand") {
  const std::vector<int> offsets = {0, 2, 2, 3, 5, 7};
  Tape<double> tape;
  const auto x = tape.variable(column({std::log(1.), std::log(3.), -2, -infinity, -infinity, 1000, -infinity}));
  const auto y = segment_log_sum_exp(x, offsets);
  CHECK(y.value()(0, 0) == Approx(std::log(4.)).epsilon(1e-15));
  CHECK(y.value()(1, 0) == -infinity);
  CHECK(y.value()(2, 0) == -2);
  CHECK(y.value()(3, 0) == -infinity);
  CHECK(y.value()(4, 0) == 1000);
  tape.pull_back(y, column({8, 1, 2, 1, 5}));
  const std::vector<double> shares = {2, 6, 2, 0, 0, 5, 0};
  for (Eigen::Index k = 0; k < 7; ++k)
    CHECK(x.grad()(k, 0) == Approx(shares[static_cast<std::size_t>(k)]).epsilon(1e-14));
}

TEST_CASE("weighted pairs by hand") {
  const std::vector<int> offsets = {0, 3, 4};
  Tape<double> tape;
  const auto h = tape.variable(column({0, 1, 3, 5}));
  // differences: neighbours 1 and 2, the ends 3
  CHECK(entries(weighted_pairs(h, offsets, .5, PairWeights::short_first).value()) ==
        std::vector<double>{1 + 4 + .5 * 9, 0});
  CHECK(entries(weighted_pairs(h, offsets, .5, PairWeights::long_first).value()) ==
        std::vector<double>{.5 * (1 + 4) + 9, 0});
  CHECK(entries(weighted_pairs(h, offsets, 0, PairWeights::short_first).value()) == std::vector<double>{5, 0});
  CHECK(entries(weighted_pairs(h, offsets, 0, PairWeights::long_first).value()) == std::vector<double>{9, 0});
  CHECK(pairs_by_distance(h, offsets, std::vector<double>{2, 10}).scalar() == 2 * 5 + 10 * 9);
}

TEST_CASE("weighted pairs in linear time are the direct sums") {
  check_weighted_pairs({0, 1, 3, 8, 9, 30, 30 + 17}, 1);
  check_weighted_pairs({0, 2}, 2);
}

TEST_CASE("weighted pairs of long segments: powers too small for a number lose nothing") {
  check_weighted_pairs({0, 500, 501, 1001}, 3);
  // nothing to see but at far ends: 0, …, 0, 1 has one pair of weight 1, then 10⁻ᵏ
  const std::vector<int> offsets = {0, 500};
  Matrix<double> step = Matrix<double>::Zero(500, 1);
  step(499, 0) = 1;
  Tape<double> tape;
  CHECK(weighted_pairs(tape.variable(step), offsets, .1, PairWeights::long_first).scalar() ==
        Approx(10. / 9).epsilon(1e-14));
  step.setConstant(1);
  step(0, 0) = 0;
  CHECK(weighted_pairs(tape.variable(step), offsets, .1, PairWeights::long_first).scalar() ==
        Approx(10. / 9).epsilon(1e-14));
  // in single precision too, whose powers end at 10⁻⁴⁵
  Tape<float> single;
  const Matrix<float> narrow = step.cast<float>();
  CHECK(weighted_pairs(single.variable(narrow), offsets, .1, PairWeights::long_first).scalar() ==
        Approx(10. / 9).epsilon(1e-6));
}

TEST_CASE("pairs by distance are the direct sum") {
  const std::vector<int> offsets = {0, 1, 3, 3, 10, 14};
  const std::vector<double> weights = {.3, 1, 0, 2, .1, 4};
  const Matrix<double> numbers = random_column(14, 4);
  Tape<double> tape;
  const auto h = tape.variable(numbers);
  Sums expected = direct_pairs(numbers, offsets, [&](int k, int) { return weights[static_cast<std::size_t>(k - 1)]; });
  double total = 0;
  for (const double x : expected.value) total += x;
  expected.value.assign(1, total);
  check_sums(expected, pairs_by_distance(h, offsets, weights), h);
}

TEST_CASE("operations on segments refuse columns of another length, and a lambda out of range") {
  const std::vector<int> offsets = {0, 2, 5};
  const std::vector<double> weights = {1, 1};
  Tape<double> tape;
  const auto right = tape.variable(random_column(5, 1)), short_by_one = tape.variable(random_column(4, 1));
  const auto wide = tape.variable(Matrix<double>::Zero(5, 2));
  for (const auto& x : {short_by_one, wide}) {
    CHECK_THROWS_AS(running_sum(x, offsets), std::invalid_argument);
    CHECK_THROWS_AS(segment_log_sum_exp(x, offsets), std::invalid_argument);
    CHECK_THROWS_AS(weighted_pairs(x, offsets, .5, PairWeights::short_first), std::invalid_argument);
    CHECK_THROWS_AS(pairs_by_distance(x, offsets, weights), std::invalid_argument);
  }
  for (const double lambda : {-.1, 1.1, std::nan("")})
    CHECK_THROWS_AS(weighted_pairs(right, offsets, lambda, PairWeights::short_first), std::invalid_argument);
}

TEST_CASE("special values in the log-sum-exp of segments") {
  constexpr double inf = -gfn::minus_infinity<>, nan = std::numeric_limits<double>::quiet_NaN();
  gfn::Matrix<double> x(8, 1);
  x << 1, nan, nan, nan, inf, 1, -inf, -inf;
  const int offsets[] = {0, 2, 4, 6, 8, 8};
  gfn::Tape<double> tape;
  const auto y = gfn::segment_log_sum_exp(tape.variable(x), offsets);
  CHECK(std::isnan(y.value()(0)));
  CHECK(std::isnan(y.value()(1)));  // nothing but NaN
  CHECK(y.value()(2) == inf);
  CHECK(y.value()(3) == -inf);
  CHECK(y.value()(4) == -inf);  // empty
}

TEST_CASE("lists longer than an int can count are refused before they are read") {
  gfn::Tape<double> tape;
  const auto x = tape.variable(gfn::Matrix<double>::Zero(1, 1));
  const int* nowhere = nullptr;
  const std::span<const int> endless(nowhere, std::size_t{1} << 31);
  CHECK_THROWS_AS(gfn::pick(x, endless, endless), gfn::Error);
  CHECK_THROWS_AS(gfn::gather_rows(x, endless), gfn::Error);
  CHECK_THROWS_AS(gfn::scatter_add_rows(x, endless, 1), gfn::Error);
  const std::span<const int> offsets(nowhere, (std::size_t{1} << 31) + 1);
  CHECK_THROWS_AS(gfn::segment_sum(x, offsets), gfn::Error);
  CHECK_THROWS_AS(gfn::running_sum(x, offsets), gfn::Error);
  CHECK_THROWS_AS(gfn::segment_log_sum_exp(x, offsets), gfn::Error);
}

TEST_CASE("floats are summed in double over segments") {
  const int n = 20000, offsets[] = {0, n};
  const gfn::Matrix<float> x = gfn::Matrix<float>::Constant(n, 1, 0.1F);
  gfn::Tape<float> tape;
  const auto v = tape.variable(x);
  const float exact = static_cast<float>(n * static_cast<double>(0.1F));
  const auto sums = gfn::running_sum(v, offsets);
  CHECK(gfn::segment_sum(v, offsets).scalar() == exact);
  CHECK(sums.value()(n, 0) == exact);
  tape.pull_back(sums, gfn::Matrix<float>::Constant(n + 1, 1, 0.1F));
  CHECK(v.grad()(0, 0) == exact);
  CHECK(gfn::segment_log_sum_exp(v, offsets).scalar() == Approx(0.1F + std::log(20000.0)).epsilon(1e-7));
}
