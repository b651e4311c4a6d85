// SPDX-License-Identifier: MIT
#include <cmath>
#include <string>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/flow_matching.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/munchausen_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>
#include <gfn/trainer/train.hpp>

#include "catch.hpp"
#include "messages.hpp"

// Log-rewards have an origin: what is learned does not depend on a number that is added to all of them and to
// initial_log_z.

namespace {

/// The grid with all log-rewards shifted. Its own lie on multiples of 2⁻¹⁰, so that the shift loses nothing in double.
struct Shifted : gfn::HyperGrid {
  double shift;
  explicit Shifted(double by) : gfn::HyperGrid({.dimension = 2, .side = 5}), shift(by) {}
  double log_reward(const State& s) const { return std::round(gfn::HyperGrid::log_reward(s) * 1024) / 1024 + shift; }
};

/// What 12 iterations of a method make of the forward policy, and what log Z is then less the shift.
struct Outcome {
  gfn::Vector<float> policy;
  double log_z;
};

template <class MakeTrainer>
Outcome train(double shift, const MakeTrainer& make_trainer) {
  const Shifted env(shift);
  gfn::Random random{1};
  const gfn::MlpOptions small{.hidden = {16}};
  auto forward = gfn::mlp_policy<float>(env, small, random);
  auto backward = gfn::mlp_backward<float>(env, small, random);
  auto one = gfn::mlp_value<float>(env, small, random);
  auto two = gfn::mlp_value<float>(env, small, random);
  auto target = gfn::mlp_policy<float>(env, small, random);
  auto trainer = make_trainer(env, forward, backward, one, two, target, shift);
  gfn::train(trainer, {.iterations = 30, .batch = 8}, random);
  return {forward.parameters().value(), trainer.log_z_estimate() - shift};
}

template <class MakeTrainer>
void check(const MakeTrainer& make_trainer) {
  const Outcome plain = train(0, make_trainer);
  for (const double shift : {-16777216.0, 1024.0, 16777216.0}) {
    const Outcome shifted = train(shift, make_trainer);
    CHECK((plain.policy - shifted.policy).norm() == 0);
    CHECK(shifted.log_z == Approx(plain.log_z).margin(1e-6));
  }
}

std::vector<std::string> notices;

}  // namespace

TEST_CASE("what is learned does not depend on the origin of log-rewards") {
  SECTION("trajectory balance") {
    check([](auto& env, auto& f, auto& b, auto&, auto&, auto&, double c) {
      return gfn::trajectory_balance_trainer(env, f, b, {.initial_log_z = c});
    });
  }
  SECTION("detailed balance") {
    check([](auto& env, auto& f, auto& b, auto& flow, auto&, auto&, double c) {
      return gfn::objective_trainer(env, gfn::DetailedBalance{}, f, b, flow, {.initial_log_z = c});
    });
  }
  SECTION("modified detailed balance") {
    check([](auto& env, auto& f, auto& b, auto&, auto&, auto&, double c) {
      return gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, f, b, {.initial_log_z = c});
    });
  }
  SECTION("sub-trajectory balance") {
    check([](auto& env, auto& f, auto& b, auto& flow, auto&, auto&, double c) {
      return gfn::objective_trainer(env, gfn::SubtrajectoryBalance{}, f, b, flow, {.initial_log_z = c});
    });
  }
  SECTION("flow matching") {
    check([](auto& env, auto& f, auto& b, auto&, auto&, auto&, double c) {
      return gfn::objective_trainer(env, gfn::FlowMatching{}, f, b, {.initial_log_z = c});
    });
  }
  SECTION("policy gradients") {
    const bool on_log_z = GENERATE(false, true);
    check([&](auto& env, auto& f, auto& b, auto& value, auto&, auto&, double c) {
      return gfn::policy_gradient_trainer(env, f, b, value, {.value_on_log_z = on_log_z, .initial_log_z = c});
    });
  }
  SECTION("coupled policy gradients") {
    const auto loss = GENERATE(gfn::BackwardLoss::policy_gradient, gfn::BackwardLoss::squared);
    check([&](auto& env, auto& f, auto& b, auto& value, auto& back, auto&, double c) {
      return gfn::coupled_trainer(env, f, b, value, back,
                                  {.forward = {.initial_log_z = c}, .backward = {.loss = loss}});
    });
  }
  SECTION("Munchausen DQN") {
    check([](auto& env, auto& f, auto&, auto&, auto&, auto& target, double c) {
      return gfn::munchausen_trainer(env, f, target, {.initial_log_z = c});
    });
  }
}

TEST_CASE("log Z of an annealed reward has its origin annealed with it") {
  const Shifted env(1000);
  gfn::Random random{1};
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {8}}, random);
  auto trainer = gfn::trajectory_balance_trainer(
      env, forward, gfn::UniformPolicy{},
      {.log_z_rate = 0, .initial_log_z = 1000, .reward_exponent = {.start = 0.5, .iterations = 2}});
  CHECK(trainer.step(random, 4).log_z == 500);
  CHECK(trainer.step(random, 4).log_z == 750);
  CHECK(trainer.step(random, 4).log_z == 1000);
}

TEST_CASE("log-rewards that float can't tell apart are spoken of, once") {
  notices.clear();
  const auto before = gfn::set_notice_handler([](const std::string& sentence) { notices.push_back(sentence); });
  const Shifted env(-1e7);
  gfn::Random random{1};
  const auto run = [&](auto scalar, double origin) {
    auto forward = gfn::mlp_policy<decltype(scalar)>(env, {.hidden = {8}}, random);
    auto trainer = gfn::trajectory_balance_trainer(env, forward, gfn::UniformPolicy{}, {.initial_log_z = origin});
    gfn::train(trainer, {.iterations = 3, .batch = 4}, random);
  };
  run(0.0F, -1e7);
  run(0.0, 0);
  CHECK(notices.empty());
  run(0.0F, 0);
  REQUIRE(notices.size() == 1);
  CHECK(contains(notices[0], "away from initial_log_z, where float has few digits left"));
  gfn::set_notice_handler(before);
}
