// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <gfn/core/random.hpp>
#include <gfn/nn/initialisers.hpp>
#include <gfn/nn/mlp.hpp>

#include "catch.hpp"

namespace {

/// z-tests of the mean and the mean square of numbers that ought to be U(±bound), and a chi-square test of their law in
/// 16 bins. Each has a level below 6e-7; the seed is fixed, so a pass stays a pass.
template <class T>
void check_uniform(const T* numbers, Eigen::Index count, double bound) {
  const double n = static_cast<double>(count);
  std::vector<double> bins(16, 0.0);
  double sum = 0, sum_of_squares = 0;
  bool inside = true;
  for (Eigen::Index i = 0; i < count; ++i) {
    const double u = static_cast<double>(numbers[i]) / bound;
    inside = inside && std::abs(u) <= 1;
    sum += u;
    sum_of_squares += u * u;
    ++bins[std::min<std::size_t>(15, static_cast<std::size_t>((u + 1) * 8))];
  }
  REQUIRE(inside);
  CHECK(std::abs(sum / n) < 5 * std::sqrt(1.0 / 3 / n));
  CHECK(std::abs(sum_of_squares / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));  // Var u² = 1/5 − 1/9
  double statistic = 0;
  for (const double bin : bins) statistic += (bin - n / 16) * (bin - n / 16) / (n / 16);
  CHECK(statistic < 60.0);  // chi-square with 15 degrees of freedom
}

}  // namespace

TEMPLATE_TEST_CASE("weights and biases start uniform within one over the root of the number of inputs", "", float,
                   double) {
  const int inputs = GENERATE(1, 10, 400);
  const int outputs = 40000 / inputs;
  gfn::Parameters<TestType> parameters;
  const int w = parameters.add("weights", inputs, outputs), b = parameters.add("biases", 1, outputs);
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  gfn::initialise(gfn::Initialiser::uniform_fan_in, parameters, w, b, stream);
  check_uniform(parameters.value(w).data(), parameters.value(w).size(), 1 / std::sqrt(inputs));
  check_uniform(parameters.value(b).data(), parameters.value(b).size(), 1 / std::sqrt(inputs));
}

TEST_CASE("a layer may start at zero, whatever stood there") {
  gfn::Parameters<double> parameters;
  const int w = parameters.add("weights", 3, 4), b = parameters.add("biases", 1, 4);
  parameters.modify(w).setConstant(2);
  parameters.modify(b).setConstant(2);
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  gfn::initialise(gfn::Initialiser::zero, parameters, w, b, stream);
  CHECK(parameters.value().isZero(0.0));
  // a layer without inputs has no weights, and biases of zero
  gfn::Parameters<double> empty;
  const int none = empty.add("weights", 0, 4), biases = empty.add("biases", 1, 4);
  gfn::initialise(gfn::Initialiser::uniform_fan_in, empty, none, biases, stream);
  CHECK(empty.value().isZero(0.0));
}

TEST_CASE("every layer of a perceptron has the bound of its own inputs, and heads an initialiser of their own") {
  gfn::Random random{2};
  gfn::Mlp<float> network(100, {.hidden = {200, 300}, .head_initialiser = gfn::Initialiser::zero}, random);
  network.add_head("head", 7);
  const auto& parameters = network.parameters();
  REQUIRE(parameters.blocks().size() == 6);
  check_uniform(parameters.value(0).data(), 100 * 200, 1 / std::sqrt(100));
  check_uniform(parameters.value(1).data(), 200, 1 / std::sqrt(100));
  check_uniform(parameters.value(2).data(), 200 * 300, 1 / std::sqrt(200));
  check_uniform(parameters.value(3).data(), 300, 1 / std::sqrt(200));
  CHECK(parameters.value(4).isZero(0.0f));
  CHECK(parameters.value(5).isZero(0.0f));
}

TEST_CASE("networks made one after the other start differently, and the same from the same seed") {
  const gfn::MlpOptions options{.hidden = {20}};
  gfn::Random first{2}, second{2}, third{3};
  const gfn::Mlp<double> a(10, options, first), b(10, options, first);
  const gfn::Mlp<double> c(10, options, second), d(10, options, third);
  CHECK(a.parameters().value() == c.parameters().value());
  CHECK((a.parameters().value() - b.parameters().value()).norm() > 0.1);
  CHECK((a.parameters().value() - d.parameters().value()).norm() > 0.1);
}
