// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/environment/hypergrid.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/exact/metrics.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"

// Every method on environments and rewards at the edge of what is allowed.

namespace {

using gfn::HyperGrid;

/// A line of cells 0 … last with one action, "go on"; exits everywhere, or at the end only, where nothing is left to
/// choose at all.
struct Line {
  using State = int;
  int last = 3;
  bool exits_everywhere = true;
  double log_r = 0;  ///< of the last cell; 0 elsewhere
  State initial_state() const { return 0; }
  int num_actions() const { return 1; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = s < last; }
  bool can_exit(const State& s) const { return exits_everywhere || s == last; }
  void apply(State& s, gfn::Action) const { ++s; }
  void legal_undos(const State& s, gfn::Mask legal) const { legal[0] = s > 0; }
  void undo(State& s, gfn::Action) const { --s; }
  double log_reward(const State& s) const { return s == last ? log_r : 0; }
  int num_features() const { return last + 1; }
  void encode(const State& s, gfn::Features out) const { out.one(s); }
};

/// The words of PrependAppend, with rewards of enormous range.
struct Extreme : environments::PrependAppend {
  double log_reward(const State& s) const { return s.front() == 'a' ? 1000 : -1000; }
};

bool finite(const gfn::Parameters<float>& p) { return p.value().allFinite(); }

struct Result {
  double tb_u = 0, tb_b = 0, rl_u = 0, rl_b = 0;  ///< log Z in the end
  gfn::IterationReport last;                      ///< of RL-B
};

/// Trains by TB-U, TB-B, RL-U and RL-B for some steps, and checks that every number stays finite.
template <class E>
Result train_all(const E& env, double lambda = 0.99, double floor = gfn::minus_infinity<>, int steps = 3) {
  gfn::Random random{1};
  const gfn::MlpOptions options{.hidden = {8}};
  const auto run = [&](auto& trainer) {
    gfn::IterationReport report;
    for (int i = 0; i < steps; ++i) {
      report = trainer.step(random, 8);
      CHECK(std::isfinite(report.loss));
      CHECK(std::isfinite(report.value_loss));
      CHECK(std::isfinite(report.backward_loss));
      CHECK(std::isfinite(report.log_z));
    }
    return report;
  };
  Result result;
  auto uniform = gfn::uniform_backward(env);
  {
    auto forward = gfn::mlp_policy<float>(env, options, random);
    auto trainer = gfn::trajectory_balance_trainer(env, forward, uniform, {}, {.log_reward_floor = floor});
    result.tb_u = run(trainer).log_z;
    CHECK(finite(forward.parameters()));
  }
  {
    auto forward = gfn::mlp_policy<float>(env, options, random);
    auto backward = gfn::mlp_backward<float>(env, options, random);
    auto trainer = gfn::trajectory_balance_trainer(env, forward, backward, {}, {.log_reward_floor = floor});
    result.tb_b = run(trainer).log_z;
    CHECK(finite(forward.parameters()));
    CHECK(finite(backward.parameters()));
  }
  {
    auto forward = gfn::mlp_policy<float>(env, options, random);
    auto value = gfn::mlp_value<float>(env, options, random);
    auto trainer =
        gfn::policy_gradient_trainer(env, forward, uniform, value, {.lambda = lambda, .log_reward_floor = floor});
    result.rl_u = run(trainer).log_z;
    CHECK(finite(forward.parameters()));
    CHECK(finite(value.parameters()));
  }
  {
    auto forward = gfn::mlp_policy<float>(env, options, random);
    auto backward = gfn::mlp_backward<float>(env, options, random);
    auto value = gfn::mlp_value<float>(env, options, random);
    auto backward_value = gfn::mlp_value<float>(env, options, random);
    auto trainer = gfn::coupled_trainer(
        env, forward, backward, value, backward_value,
        {.forward = {.lambda = lambda, .log_reward_floor = floor}, .backward = {.lambda = lambda}});
    result.last = run(trainer);
    result.rl_b = result.last.log_z;
    CHECK(finite(forward.parameters()));
    CHECK(finite(backward.parameters()));
    CHECK(finite(value.parameters()));
    CHECK(finite(backward_value.parameters()));
  }
  return result;
}

template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const gfn::Error& error) {
    return error.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("one state: every trajectory is the exit, every way back is empty, and log Z is learned") {
  const HyperGrid env{{.dimension = 2, .side = 1}};
  const double log_r = env.log_reward(env.initial_state());
  for (const double lambda : {0.0, 0.99, 1.0}) {
    const Result result = train_all(env, lambda, gfn::minus_infinity<>, 400);
    for (const double log_z : {result.tb_u, result.tb_b, result.rl_u, result.rl_b})
      CHECK(log_z == Approx(log_r).margin(0.02));
    CHECK(result.last.transitions == 8);
    CHECK(result.last.distinct_states == 1);
    CHECK(result.last.backward_loss == 0);
  }
}

TEST_CASE("one action: with a choice to exit, and with no choice at all") {
  train_all(Line{});
  const Line forced{.last = 3, .exits_everywhere = false, .log_r = 1.5};
  const Result result = train_all(forced, 0.99, gfn::minus_infinity<>, 400);
  for (const double log_z : {result.tb_u, result.tb_b, result.rl_u, result.rl_b})
    CHECK(log_z == Approx(1.5).margin(0.02));
  CHECK(result.last.transitions == 8 * 4);
  CHECK(result.last.backward_loss == 0);
  train_all(Line{.last = 0});
}

TEST_CASE("lambda may be 0 and 1, and nothing outside") {
  const environments::PrependAppend env;
  train_all(env, 0);
  train_all(env, 1);
  CHECK_THROWS_AS(train_all(env, 1.01), std::invalid_argument);
  CHECK_THROWS_AS(train_all(env, -0.01), std::invalid_argument);
  CHECK_THROWS_AS(train_all(env, std::nan("")), std::invalid_argument);
}

TEST_CASE("log-rewards of plus and minus a thousand train in float") {
  const Extreme env{{.letters = 2, .length = 3}};
  train_all(env, 0.99, gfn::minus_infinity<>, 20);
  const auto target = gfn::exact::target_distribution(env);
  double sum = 0;
  for (const double p : target) sum += p;
  CHECK(sum == Approx(1).epsilon(1e-12));
}

TEST_CASE("a reward of 0 stops training, naming the state, unless there is a floor") {
  const Line env{.last = 1, .exits_everywhere = false, .log_r = gfn::minus_infinity<>};
  gfn::Random random{1};
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {8}}, random);
  auto value = gfn::mlp_value<float>(env, {.hidden = {8}}, random);
  auto uniform = gfn::uniform_backward(env);
  auto balance = gfn::trajectory_balance_trainer(env, forward, uniform);
  auto policy_gradient = gfn::policy_gradient_trainer(env, forward, uniform, value);
  for (const std::string& message :
       {error_of([&] { (void)balance.step(random, 8); }), error_of([&] { (void)policy_gradient.step(random, 8); })}) {
    CHECK(contains(message, "state 1"));
    CHECK(contains(message, "log_reward_floor"));
  }
  const Result result = train_all(env, 0.99, -12, 800);
  for (const double log_z : {result.tb_u, result.tb_b, result.rl_u, result.rl_b})
    CHECK(log_z == Approx(-12).margin(0.05));
}

TEST_CASE("a reward that is NaN or infinite stops training, naming the state, floor or not") {
  for (const double log_r : {std::nan(""), std::numeric_limits<double>::infinity()})
    for (const double floor : {-12.0, gfn::minus_infinity<>})
      CHECK(contains(error_of([&] { train_all(Line{.last = 1, .exits_everywhere = false, .log_r = log_r}, 1, floor); }),
                     "state 1"));
}
