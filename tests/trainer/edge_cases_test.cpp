// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/exact/metrics.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/flow_matching.hpp>
#include <gfn/objective/guide.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/munchausen_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "messages.hpp"

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

/// log Z in the end, of every method that ran; 0 where a method does not take the environment.
struct Result {
  double tb_u = 0, tb_b = 0, db = 0, mdb = 0, subtb = 0, fm = 0, rl_u = 0, rl_t = 0, rl_b = 0, rl_g = 0, q_much = 0;
  gfn::IterationReport last;  ///< of RL-B
};

/// Options of train_all.
struct Training {
  double lambda = 0.99;
  double floor = gfn::minus_infinity<>;
  int steps = 3;
};

/// A trainer's steps, of which every number must be finite.
template <class Trainer>
gfn::IterationReport run(const char* method, Trainer&& trainer, int steps) {
  CAPTURE(method);
  gfn::IterationReport report;
  for (int i = 0; i < steps; ++i) {
    report = trainer.step(gfn::Random{1}, 8);
    CHECK(std::isfinite(report.loss));
    CHECK(std::isfinite(report.value_loss));
    CHECK(std::isfinite(report.backward_loss));
    CHECK(std::isfinite(report.log_z));
  }
  return report;
}

/// New networks of all kinds for each method.
template <class E>
struct Networks {
  explicit Networks(const E& e) : env(e) {}
  ~Networks() {
    for (const auto* function : {&forward, &target, &backward, &value, &backward_value, &flow})
      CHECK(function->parameters().value().allFinite());
  }
  Networks(const Networks&) = delete;
  Networks& operator=(const Networks&) = delete;

  const E& env;
  gfn::Random random{1};
  gfn::MlpOptions options{.hidden = {8}};
  gfn::NeuralFunction<float> forward = gfn::mlp_policy<float>(env, options, random);
  gfn::NeuralFunction<float> target = gfn::mlp_policy<float>(env, options, random);
  gfn::NeuralFunction<float> backward = gfn::mlp_backward<float>(env, options, random);
  gfn::NeuralFunction<float> value = gfn::mlp_value<float>(env, options, random);
  gfn::NeuralFunction<float> backward_value = gfn::mlp_value<float>(env, options, random);
  gfn::NeuralFunction<float> flow = gfn::mlp_flow<float>(env, options, random);
  gfn::UniformPolicy uniform = gfn::uniform_backward(env);
};

/// Methods with one objective.
template <class E>
void train_by_objectives(const E& env, const Training& training, Result& result) {
  const double floor = training.floor;
  {
    Networks n(env);
    auto trainer = gfn::trajectory_balance_trainer(env, n.forward, n.uniform, {}, {.log_reward_floor = floor});
    result.tb_u = run("tb-u", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    auto trainer = gfn::trajectory_balance_trainer(env, n.forward, n.backward, {}, {.log_reward_floor = floor});
    result.tb_b = run("tb-b", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    const gfn::DetailedBalance objective{.log_reward_floor = floor};
    auto trainer = gfn::objective_trainer(env, objective, n.forward, n.backward, n.flow, {.learning_rate = 0.01});
    result.db = run("db-b", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    const gfn::SubtrajectoryBalance objective{.log_reward_floor = floor};
    auto trainer = gfn::objective_trainer(env, objective, n.forward, n.backward, n.flow, {.learning_rate = 0.01});
    result.subtb = run("subtb-b", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    const gfn::FlowMatching objective(floor);
    auto trainer = gfn::objective_trainer(env, objective, n.forward, n.uniform, {.learning_rate = 0.01});
    result.fm = run("fm", trainer, training.steps).log_z;
  }
  if (env.can_exit(env.initial_state())) {  // as modified DB needs everywhere
    Networks n(env);
    const gfn::ModifiedDetailedBalance objective{.log_reward_floor = floor};
    auto trainer = gfn::objective_trainer(env, objective, n.forward, n.backward, {.learning_rate = 0.01});
    result.mdb = run("mdb-b", trainer, training.steps).log_z;
  }
}

/// Methods of reinforcement learning.
template <class E>
void train_by_rewards(const E& env, const Training& training, Result& result) {
  const gfn::PolicyGradientOptions forward{.lambda = training.lambda, .log_reward_floor = training.floor};
  const gfn::CoupledOptions both{.forward = forward, .backward = {.lambda = training.lambda}};
  {
    Networks n(env);
    auto trainer = gfn::policy_gradient_trainer(env, n.forward, n.uniform, n.value, forward);
    result.rl_u = run("rl-u", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    auto trainer = gfn::trust_region_trainer(env, n.forward, n.uniform, n.value, forward);
    result.rl_t = run("rl-t", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    auto trainer = gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value, both);
    result.last = run("rl-b", trainer, training.steps);
    result.rl_b = result.last.log_z;
  }
  {
    Networks n(env);
    gfn::DiscouragedExit guide([](const auto&) { return true; }, -2.0);
    auto trainer = gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value, both,
                                        gfn::GuidedBackwardReward(guide));
    result.rl_g = run("rl-g", trainer, training.steps).log_z;
  }
  {
    Networks n(env);
    auto trainer = gfn::munchausen_trainer(
        env, n.forward, n.target,
        {.transitions = 32, .learning_starts = 1, .learning_rate = 0.01, .log_reward_floor = training.floor});
    result.q_much = run("q-much", trainer, training.steps).log_z;
  }
}

/// Trains by every method that takes the environment for some steps, and checks that every number stays finite.
template <class E>
Result train_all(const E& env, const Training& training = {}) {
  Result result;
  train_by_objectives(env, training, result);
  train_by_rewards(env, training, result);
  return result;
}

/// Every method that ran found log Z.
void check_log_z(const Result& r, double log_z, double margin, bool modified) {
  const std::vector<std::pair<const char*, double>> found = {
      {"tb-u", r.tb_u}, {"tb-b", r.tb_b}, {"db-b", r.db},   {"subtb-b", r.subtb}, {"fm", r.fm},
      {"rl-u", r.rl_u}, {"rl-t", r.rl_t}, {"rl-b", r.rl_b}, {"rl-g", r.rl_g},     {"q-much", r.q_much}};
  for (const auto& [method, value] : found) {
    CAPTURE(method);
    CHECK(value == Approx(log_z).margin(margin));
  }
  if (modified) CHECK(r.mdb == Approx(log_z).margin(margin));
}

}  // namespace

TEST_CASE("one state: every trajectory is the exit, every way back is empty, and log Z is learned") {
  const HyperGrid env{{.dimension = 2, .side = 1}};
  const double log_r = env.log_reward(env.initial_state());
  for (const double lambda : {0.0, 0.99, 1.0}) {
    const Result result = train_all(env, {.lambda = lambda, .steps = 400});
    check_log_z(result, log_r, 0.02, true);
    CHECK(result.last.transitions == 8);
    CHECK(result.last.distinct_states == 1);
    CHECK(result.last.backward_loss == 0);
  }
}

TEST_CASE("one action: with a choice to exit, and with no choice at all") {
  train_all(Line{});
  const Line forced{.last = 3, .exits_everywhere = false, .log_r = 1.5};
  const Result result = train_all(forced, {.steps = 1200});
  check_log_z(result, 1.5, 0.02, false);
  CHECK(result.last.transitions == 8 * 4);
  CHECK(result.last.backward_loss == 0);
  train_all(Line{.last = 0});
}

TEST_CASE("lambda may be 0 and 1, and nothing outside") {
  const environments::PrependAppend env;
  train_all(env, {.lambda = 0});
  train_all(env, {.lambda = 1});
  for (const double lambda : {1.01, -0.01, std::nan("")})
    CHECK_THROWS_AS(train_all(env, {.lambda = lambda}), std::invalid_argument);
}

TEST_CASE("log-rewards of plus and minus a thousand train in float") {
  const Extreme env{{.letters = 2, .length = 3}};
  train_all(env, {.steps = 20});
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
  for (const std::string& message : {message_of<gfn::Error>([&] { (void)balance.step(random, 8); }),
                                     message_of<gfn::Error>([&] { (void)policy_gradient.step(random, 8); })}) {
    CHECK(contains(message, "state 1"));
    CHECK(contains(message, "log_reward_floor"));
  }
  check_log_z(train_all(env, {.floor = -12, .steps = 800}), -12, 0.05, false);
}

TEST_CASE("a reward that is NaN or infinite stops training, naming the state, floor or not") {
  for (const double log_r : {std::nan(""), std::numeric_limits<double>::infinity()})
    for (const double floor : {-12.0, gfn::minus_infinity<>}) {
      const Line env{.last = 1, .exits_everywhere = false, .log_r = log_r};
      Result result;
      const Training training{.lambda = 1, .floor = floor};
      CHECK(contains(message_of<gfn::Error>([&] { train_by_objectives(env, training, result); }), "state 1"));
      CHECK(contains(message_of<gfn::Error>([&] { train_by_rewards(env, training, result); }), "state 1"));
    }
}
