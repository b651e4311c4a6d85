// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include <gfn/core/random.hpp>
#include <gfn/nn/adam.hpp>
#include <gfn/nn/sgd.hpp>

#include "catch.hpp"

namespace {

/// Parameters in blocks of odd sizes, so that there is padding after each.
template <class T>
gfn::Parameters<T> make_parameters(std::uint64_t seed) {
  gfn::Parameters<T> parameters;
  parameters.add("weights", 3, 7);
  parameters.add("biases", 1, 5);
  gfn::Stream stream(seed, gfn::Purpose::user, 0, 0);
  for (int block = 0; block < 2; ++block) {
    gfn::Out<T> value = parameters.modify(block);
    for (Eigen::Index i = 0; i < value.size(); ++i) value.data()[i] = static_cast<T>(stream.normal());
  }
  return parameters;
}

/// Adds a gradient to the blocks, of a size that differs by orders of magnitude from entry to entry.
template <class T>
void add_gradient(gfn::Parameters<T>& parameters, gfn::Stream& stream) {
  for (int block = 0; block < 2; ++block) {
    gfn::Out<T> grad = parameters.grad(block);
    for (Eigen::Index i = 0; i < grad.size(); ++i)
      grad.data()[i] += static_cast<T>(stream.normal() * std::pow(10.0, static_cast<double>(i % 9 - 4)));
  }
}

/// Adam, number by number, as it is printed (Kingma and Ba 2015, algorithm 1).
struct TextbookAdam {
  gfn::AdamOptions options;
  Eigen::VectorXd theta, m, v;
  int t = 0;

  TextbookAdam(const gfn::AdamOptions& o, const Eigen::VectorXd& start)
      : options(o), theta(start), m(Eigen::VectorXd::Zero(start.size())), v(Eigen::VectorXd::Zero(start.size())) {}
  void step(const Eigen::VectorXd& g) {
    ++t;
    for (Eigen::Index i = 0; i < theta.size(); ++i) {
      m[i] = options.beta1 * m[i] + (1 - options.beta1) * g[i];
      v[i] = options.beta2 * v[i] + (1 - options.beta2) * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(options.beta1, t));
      const double v_hat = v[i] / (1 - std::pow(options.beta2, t));
      theta[i] -= options.learning_rate * m_hat / (std::sqrt(v_hat) + options.epsilon);
    }
  }
};

template <class T>
double distance(const gfn::Parameters<T>& parameters, const Eigen::VectorXd& expected) {
  return (parameters.value().template cast<double>() - expected).template lpNorm<Eigen::Infinity>();
}

/// Whether value and gradient are zero between and after the blocks.
template <class T>
bool padding_is_zero(const gfn::Parameters<T>& parameters) {
  Eigen::VectorXd value = parameters.value().template cast<double>();
  Eigen::VectorXd grad = parameters.grad().template cast<double>();
  for (const auto& block : parameters.blocks()) {
    value.segment(static_cast<Eigen::Index>(block.offset), block.shape.size()).setZero();
    grad.segment(static_cast<Eigen::Index>(block.offset), block.shape.size()).setZero();
  }
  return parameters.size() > 26 && value.isZero(0.0) && grad.isZero(0.0);
}

}  // namespace

TEMPLATE_TEST_CASE("Adam is that of the book over many steps, for groups with options of their own", "", float,
                   double) {
  // Each step adds at most a few roundings of a number near 1 to a parameter.
  const double tolerance = 50 * 8 * static_cast<double>(std::numeric_limits<TestType>::epsilon());
  auto one = make_parameters<TestType>(1), two = make_parameters<TestType>(2);
  const gfn::AdamOptions slow{}, fast{.learning_rate = 0.05, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3};
  gfn::Adam<TestType> adam;
  adam.add(one, slow);
  adam.add(two, fast);
  adam.add(one, fast);  // has a group already, and keeps it
  TextbookAdam book_one(slow, one.value().template cast<double>()), book_two(fast, two.value().template cast<double>());
  gfn::Stream stream(3, gfn::Purpose::user, 0, 0);
  for (int i = 0; i < 50; ++i) {
    if (i == 30) {
      adam.set_learning_rate(two, 0.01);
      book_two.options.learning_rate = 0.01;
    }
    if (i != 10) {  // a step without a gradient still moves, by what is left of the mean
      add_gradient(one, stream);
      add_gradient(two, stream);
    }
    book_one.step(one.grad().template cast<double>());
    book_two.step(two.grad().template cast<double>());
    const auto version = one.version();
    adam.step();
    CHECK(distance(one, book_one.theta) < tolerance);
    CHECK(distance(two, book_two.theta) < tolerance);
    CHECK(one.grad().isZero(0));
    CHECK(two.grad().isZero(0));
    CHECK(one.version() > version);
  }
  CHECK(padding_is_zero(one));
  CHECK(padding_is_zero(two));
  // the gradients differed in size by eight orders of magnitude, and everything moved by about the rates
  const Eigen::VectorXd moved =
      one.value().template cast<double>() - make_parameters<TestType>(1).value().template cast<double>();
  CHECK(moved.lpNorm<Eigen::Infinity>() > 2e-3);
}

TEST_CASE("Adam's first step is the rate against the sign of the gradient") {
  auto parameters = make_parameters<double>(1);
  const Eigen::VectorXd start = parameters.value();
  gfn::Adam<double> adam;
  adam.add(parameters, {.learning_rate = 0.25, .epsilon = 0});
  gfn::Stream stream(3, gfn::Purpose::user, 0, 0);
  add_gradient(parameters, stream);
  const Eigen::VectorXd gradient = parameters.grad();
  adam.step();
  for (Eigen::Index i = 0; i < start.size(); ++i)
    if (gradient[i] != 0) CHECK(parameters.value()[i] - start[i] == Approx(gradient[i] > 0 ? -0.25 : 0.25));
}

TEST_CASE("optimisers refuse rates that are no rates") {
  gfn::Parameters<double> parameters;
  parameters.add("x", 1, 1);
  gfn::Adam<double> adam;
  gfn::Sgd<double> sgd;
  for (const double rate : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(adam.add(parameters, {.learning_rate = rate}), std::invalid_argument);
    CHECK_THROWS_AS(adam.set_learning_rate(parameters, rate), std::invalid_argument);
    CHECK_THROWS_AS(sgd.add(parameters, {.learning_rate = rate}), std::invalid_argument);
  }
  CHECK_THROWS_AS(adam.add(parameters, {.beta1 = 1}), std::invalid_argument);
  CHECK_THROWS_AS(adam.add(parameters, {.beta2 = -0.1}), std::invalid_argument);
}

TEMPLATE_TEST_CASE("gradient descent takes the rate times the gradient", "", float, double) {
  const double tolerance = 8 * static_cast<double>(std::numeric_limits<TestType>::epsilon());
  auto one = make_parameters<TestType>(1), two = make_parameters<TestType>(2);
  gfn::Sgd<TestType> sgd;
  sgd.add(one);
  sgd.add(two, {.learning_rate = 0.5});
  sgd.add(two, {.learning_rate = 7});  // has a group already, and keeps it
  gfn::Stream stream(3, gfn::Purpose::user, 0, 0);
  for (int i = 0; i < 10; ++i) {
    add_gradient(one, stream);
    add_gradient(two, stream);
    const Eigen::VectorXd expected_one =
        one.value().template cast<double>() - 0.01 * one.grad().template cast<double>();
    const Eigen::VectorXd expected_two = two.value().template cast<double>() - 0.5 * two.grad().template cast<double>();
    const auto version = one.version();
    sgd.step();
    CHECK(distance(one, expected_one) <= tolerance * expected_one.template lpNorm<Eigen::Infinity>());
    CHECK(distance(two, expected_two) <= tolerance * expected_two.template lpNorm<Eigen::Infinity>());
    CHECK(one.grad().isZero(0));
    CHECK(two.grad().isZero(0));
    CHECK(one.version() > version);
  }
  CHECK(padding_is_zero(one));
  CHECK(padding_is_zero(two));
  int visited = 0;
  sgd.visit_state([&](const char*, const auto*, std::size_t) { ++visited; });
  CHECK(visited == 0);
}

TEST_CASE("gradient descent finds the minimum of a parabola") {
  gfn::Parameters<double> x;
  x.add("x", 1, 1);
  gfn::Sgd<double> sgd;
  sgd.add(x, {.learning_rate = 0.25});
  for (int i = 0; i < 60; ++i) {
    x.grad(0)(0, 0) = 2 * (x.value(0)(0, 0) - 3);
    sgd.step();
  }
  CHECK(x.value(0)(0, 0) == Approx(3).epsilon(1e-14));
}
