// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <memory>

#include <gfn/policy/neural.hpp>
#include <gfn/trainer/objective_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"

// Forward and backward policy as two heads on one trunk: one set of parameters, one step of the optimiser.

namespace {

using environments::PrependAppend;

constexpr double rate = 3e-3, log_z_rate = 0.05;

/// Two heads on one trunk, and the trainer of both.
struct Setting {
  const PrependAppend& env;
  gfn::Random random{5};
  std::shared_ptr<gfn::Mlp<double, gfn::Tanh>> trunk =
      gfn::mlp_trunk<double, gfn::Tanh>(env, {.hidden = {6, 5}}, random);
  gfn::NeuralFunction<double, gfn::Tanh> forward = gfn::policy_head(env, trunk);
  gfn::NeuralFunction<double, gfn::Tanh> backward = gfn::backward_policy_head(env, trunk);
  gfn::ObjectiveTrainer<PrependAppend, gfn::TrajectoryBalance, gfn::NeuralFunction<double, gfn::Tanh>,
                        gfn::NeuralFunction<double, gfn::Tanh>>
      trainer =
          gfn::trajectory_balance_trainer(env, forward, backward, {.learning_rate = rate, .log_z_rate = log_z_rate});
};

/// Adam as it is printed (Kingma and Ba 2015, algorithm 1).
struct Textbook {
  double alpha;
  Eigen::VectorXd m, v;
  int t = 0;

  Textbook(double step_size, Eigen::Index n)
      : alpha(step_size), m(Eigen::VectorXd::Zero(n)), v(Eigen::VectorXd::Zero(n)) {}
  Eigen::VectorXd step(const Eigen::VectorXd& theta, const Eigen::VectorXd& g) {
    ++t;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g.cwiseAbs2();
    const Eigen::VectorXd m_hat = m / (1 - std::pow(0.9, t)), v_hat = v / (1 - std::pow(0.999, t));
    return theta - alpha * (m_hat.array() / (v_hat.array().sqrt() + 1e-8)).matrix();
  }
};

}  // namespace

TEST_CASE("two heads on one trunk are trained as one set of parameters") {
  const PrependAppend env;
  Setting trained{env}, by_hand{env};
  auto& parameters = by_hand.trunk->parameters();
  auto& log_z = by_hand.trainer.log_z().parameters();
  REQUIRE(&by_hand.forward.parameters() == &by_hand.backward.parameters());
  REQUIRE(parameters.value() == trained.trunk->parameters().value());
  const Eigen::VectorXd start = parameters.value();
  Textbook adam(rate, parameters.size()), adam_of_log_z(log_z_rate, log_z.size());
  const gfn::Random random{6};
  for (int i = 0; i < 20; ++i) {
    const auto report = trained.trainer.step(random, 16);
    gfn::Batch<PrependAppend> batch = trained.trainer.batch();
    CHECK(report.loss == Approx(by_hand.trainer.gradient(batch)).epsilon(1e-12));
    parameters.modify() = adam.step(parameters.value(), parameters.grad());
    log_z.modify() = adam_of_log_z.step(log_z.value(), log_z.grad());
    parameters.zero_grad();
    log_z.zero_grad();
    CHECK((parameters.value() - trained.trunk->parameters().value()).lpNorm<Eigen::Infinity>() < 1e-10);
    CHECK(log_z.value()[0] == Approx(trained.trainer.log_z().parameters().value()[0]).epsilon(1e-11));
  }
  CHECK((parameters.value() - start).lpNorm<Eigen::Infinity>() > 5 * rate);  // and they went somewhere
}

TEST_CASE("two heads on one trunk: the trunk's gradient is that of both together") {
  const PrependAppend env;
  Setting s{env};
  s.trainer.step(gfn::Random{6}, 16);
  gfn::Batch<PrependAppend> batch = s.trainer.batch();
  auto& parameters = s.trunk->parameters();
  parameters.zero_grad();
  s.trainer.gradient(batch);
  const Eigen::VectorXd gradient = parameters.grad();
  const double h = 1e-5;
  double worst = 0;
  for (Eigen::Index i = 0; i < parameters.size(); ++i) {
    const double x = parameters.value()[i];
    const auto loss_at = [&](double moved) {
      parameters.modify()[i] = moved;
      return s.trainer.gradient(batch);
    };
    const double difference = (loss_at(x + h) - loss_at(x - h)) / (2 * h);
    parameters.modify()[i] = x;
    worst = std::max(worst, std::abs(difference - gradient[i]));
  }
  CHECK(worst < 1e-7 * gradient.lpNorm<Eigen::Infinity>());
}
