// SPDX-License-Identifier: MIT
#include <gfn/ad/affine.hpp>
#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/dual.hpp>
#include <gfn/ad/fisher.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/softmax.hpp>
#include <gfn/ad/sparse_affine.hpp>
#include <gfn/core/random.hpp>

#include <cmath>
#include <span>
#include <stdexcept>
#include <vector>

#include "catch.hpp"

using namespace gfn;

namespace {

constexpr int num_actions = 6, num_rows = 5;

/// A policy of a sparse and two dense layers, on masks of which one row has a single legal action and one has none.
template <class T>
struct Policy {
  Parameters<T> parameters;
  SparseRows features;
  bool legal[4][num_actions] = {{true, true, false, true, true, false},
                                {false, false, true, false, false, false},
                                {false, false, false, false, false, false},
                                {true, true, true, true, true, true}};
  std::vector<int> mask_rows{0, 3, 1, 2, 0};
  std::vector<T> weights{T(0.25), T(2), T(1), T(3), T(0.125)};

  Policy() {
    parameters.add("w1", 4, 7);
    parameters.add("b1", 1, 7);
    parameters.add("w2", 7, 5);
    parameters.add("b2", 1, 5);
    parameters.add("w3", 5, num_actions);
    parameters.add("b3", 1, num_actions);
    features.clear(4);
    for (int row = 0; row < num_rows; ++row) {
      features.add(row % 4);
      features.add((row + 1) % 4, 0.5 * row);
      features.finish_row();
    }
  }
  /// Calls f(entry, a random number, another) for each weight of the network.
  template <class F>
  void initialise(F&& f) {
    Stream stream(11, Purpose::user, 0, 0);
    for (int block = 0; block < 6; ++block) {
      Out<T> value = parameters.modify(block), tangent = parameters.tangent(block);
      for (Eigen::Index i = 0; i < value.size(); ++i) {
        const double number = stream.normal(), direction = stream.normal();
        f(value.data()[i], tangent.data()[i], number, direction);
      }
    }
  }
  Var<T> logits(Tape<T>& tape) {
    const auto p = [&](int block) { return tape.parameter(parameters, block); };
    const auto h = sparse_dense(Tanh{}, features, p(0), p(1));
    return affine(dense(LeakyRelu{}, h, p(2), p(3)), p(4), p(5));
  }
  const bool* masks() const { return &legal[0][0]; }
};

/// The exact product of the Hessian of Σ weight·KL(π_old ‖ π_θ') with the direction, at π_old = π_θ: the derivative of
/// the gradient on dual numbers.
Vector<double> exact_product() {
  Policy<Dual<double>> policy;
  policy.initialise([](Dual<double>& value, Dual<double>&, double number, double direction) {
    value = {number, direction};
  });
  Tape<Dual<double>> tape;
  const auto log_p = log_softmax(policy.logits(tape), policy.masks(), policy.mask_rows.data());
  std::vector<int> rows, cols;
  std::vector<double> factors;  // of log π_θ' in the divergence; π_old carries no derivative
  for (int i = 0; i < num_rows; ++i)
    for (int a = 0; a < num_actions; ++a) {
      if (!policy.legal[policy.mask_rows[static_cast<std::size_t>(i)]][a]) continue;
      rows.push_back(i);
      cols.push_back(a);
      factors.push_back(-policy.weights[static_cast<std::size_t>(i)].value * std::exp(log_p.value()(i, a).value));
    }
  const Eigen::Map<const Vector<double>> column(factors.data(), static_cast<Eigen::Index>(factors.size()));
  tape.backward(sum(multiply(pick(log_p, rows, cols), column)));
  Vector<double> result(policy.parameters.size());
  result.setZero();
  Eigen::Index next = 0;
  for (int block = 0; block < 6; ++block)
    for (const Dual<double>& entry : policy.parameters.grad(block).reshaped<Eigen::RowMajor>())
      result(next++) = entry.derivative;
  return result.head(next);
}

template <class T>
Vector<double> blocks(Policy<T>& policy) {
  Vector<double> result(policy.parameters.size());
  Eigen::Index next = 0;
  for (int block = 0; block < 6; ++block)
    for (const T& entry : policy.parameters.grad(block).template reshaped<Eigen::RowMajor>())
      result(next++) = static_cast<double>(entry);
  return result.head(next);
}
template <class T>
void initialise(Policy<T>& policy) {
  policy.initialise([](T& value, T& tangent, double number, double direction) {
    value = static_cast<T>(number);
    tangent = static_cast<T>(direction);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("the Fisher product is the Hessian of the divergence times the direction", "", float, double) {
  using T = TestType;
  Policy<T> policy;
  initialise(policy);
  Tape<T> tape;
  const auto logits = policy.logits(tape);
  add_fisher_product(logits, policy.weights, policy.masks(), policy.mask_rows.data());
  const Vector<double> product = blocks(policy), exact = exact_product();
  REQUIRE(product.size() == exact.size());
  CHECK(exact.norm() > 0.1);
  CHECK((product - exact).norm() / exact.norm() < (std::is_same_v<T, float> ? 1e-5 : 1e-14));

  // again on the same tape, and on the log-probabilities, whose metric is diag(p)
  policy.parameters.zero_grad();
  add_fisher_product(logits, policy.weights, policy.masks(), policy.mask_rows.data());
  CHECK(blocks(policy) == product);
  policy.parameters.zero_grad();
  const auto log_p = log_softmax(logits, policy.masks(), policy.mask_rows.data());
  add_gauss_newton_product(log_p, [&](int row, std::span<const T> y, std::span<T> u) {
    for (std::size_t j = 0; j < y.size(); ++j) u[j] *= policy.weights[static_cast<std::size_t>(row)] * std::exp(y[j]);
  });
  CHECK((blocks(policy) - exact).norm() / exact.norm() < (std::is_same_v<T, float> ? 1e-5 : 1e-14));
}

TEST_CASE("the Fisher product is symmetric and never negative") {
  Policy<double> policy;
  initialise(policy);
  Tape<double> tape;
  const auto logits = policy.logits(tape);
  const auto product = [&](const Vector<double>& direction) {
    policy.parameters.tangent() = direction;
    policy.parameters.zero_grad();
    add_fisher_product(logits, policy.weights, policy.masks(), policy.mask_rows.data());
    return Vector<double>(policy.parameters.grad());
  };
  const Vector<double> u = policy.parameters.tangent(), v = policy.parameters.value();
  CHECK(u.dot(product(v)) == Approx(v.dot(product(u))).epsilon(1e-12));
  CHECK(u.dot(product(u)) > 0.0);
}

TEST_CASE("the Gauss-Newton product is Jᵀ M J times the direction") {
  Parameters<double> parameters;
  const int block = parameters.add("w", 2, 2);
  parameters.modify(block) << 1.0, -2.0, 0.5, 3.0;
  parameters.tangent(block) << 0.1, 0.2, -0.3, 0.4;
  Tape<double> tape;
  const auto y = square(tape.parameter(parameters, block));
  add_gauss_newton_product(y, [](int row, std::span<const double> value, std::span<double> u) {
    const double all = u[0] + u[1];  // M = a matrix of ones, times row + 1
    CHECK(value[0] == (row == 0 ? 1.0 : 0.25));
    u[0] = u[1] = (row + 1) * all;
  });
  const double first = 2 * 0.1 - 4 * 0.2, second = 1 * -0.3 + 6 * 0.4;
  CHECK(parameters.grad(block)(0, 0) == Approx(2 * first));
  CHECK(parameters.grad(block)(0, 1) == Approx(-4 * first));
  CHECK(parameters.grad(block)(1, 0) == Approx(2 * second));
  CHECK(parameters.grad(block)(1, 1) == Approx(2 * 6 * second));
}

TEST_CASE("the Fisher product wants a weight for every row") {
  Policy<double> policy;
  Tape<double> tape;
  policy.weights.pop_back();
  CHECK_THROWS_AS(add_fisher_product(policy.logits(tape), policy.weights, policy.masks(), policy.mask_rows.data()),
                  std::invalid_argument);
}
