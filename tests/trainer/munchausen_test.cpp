// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/nn/adam.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/prioritised_replay.hpp>
#include <gfn/trainer/munchausen_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

namespace {

using gfn::HyperGrid;
using gfn::MunchausenOptions;
using gfn::exact::StateGraph;
using tabular::Table;

/// Munchausen DQN on tables, after the formulas, on the same batches and the same random numbers. With alpha = 0 it is
/// soft DQN, and has neither temperature nor Munchausen term.
template <class E>
class Reference {
 public:
  Reference(const StateGraph<E>& graph, const Table<E>& q, const MunchausenOptions& options)
      : graph_(graph), options_(options), q_(q), target_(q.table()), replay_(options.replay) {
    adam_.add(q_.parameters(), {.learning_rate = options.learning_rate});
  }

  const Table<E>& q() const { return q_; }
  const std::vector<double>& targets() const { return y_; }

  /// Takes in a batch, and returns the loss of the update that follows.
  double step(const gfn::Batch<E>& batch, const gfn::Random& random) {
    for (const gfn::Step& step : batch.steps()) replay_.add(transition(batch, step));
    const std::uint64_t iteration = iteration_++;
    return iteration < static_cast<std::uint64_t>(options_.learning_starts) ? 0.0 : update(random, iteration);
  }

 private:
  struct Transition {
    int row;
    gfn::Action action;
    int child;  // none for the exit
    double reward;
  };
  Transition transition(const gfn::Batch<E>& batch, const gfn::Step& step) const {
    const int row = graph_.find(batch.table().state(step.row));
    if (step.child == gfn::none)
      return {row, step.action, gfn::none, graph_.log_rewards()[static_cast<std::size_t>(graph_.terminal_index(row))]};
    const int child = graph_.find(batch.table().state(step.child));
    return {row, step.action, child, -std::log(static_cast<double>(graph_.incoming(child).size()))};
  }
  double temperature() const { return options_.alpha == 0 ? 1.0 : 1 / (1 - options_.alpha); }
  /// τ log Σ exp(Q̄(s, a) / τ) over the legal a.
  double soft_value(int row) const {
    std::vector<double> outputs;
    for (const auto& edge : graph_.edges(row)) outputs.push_back(target_(row, edge.action));
    if (graph_.can_exit(row)) outputs.push_back(target_(row, graph_.environment().num_actions()));
    return temperature() * gfn::log_sum_exp(outputs);
  }
  double target(const Transition& t) const {
    double y = t.reward;
    if (t.child != gfn::none) y += soft_value(t.child);
    if (options_.alpha == 0) return y;
    const double log_policy = temperature() * target_(t.row, t.action) - soft_value(t.row);
    return y + options_.alpha * std::max(log_policy, options_.least_log_policy);
  }

  double update(const gfn::Random& random, std::uint64_t iteration) {
    gfn::Stream stream = random.stream(gfn::Purpose::replay, iteration);
    const double beta = std::min(1.0, static_cast<double>(iteration) / static_cast<double>(options_.beta_iterations));
    std::vector<std::size_t> drawn;
    double largest = 0;
    for (int k = 0; k < options_.transitions; ++k) {
      drawn.push_back(replay_.sample(stream));
      largest = std::max(largest, replay_.weight(drawn.back(), beta));
    }
    y_.clear();
    double loss = 0;
    std::vector<double> errors;
    for (const std::size_t i : drawn) {
      const Transition& t = replay_[i];
      y_.push_back(target(t));
      const double leaf = t.child == gfn::none ? options_.leaf_coefficient : 1.0;
      const double error = leaf * (temperature() * q_.table()(t.row, t.action) - y_.back());
      const double size = std::abs(error), delta = options_.huber;
      const double weight = replay_.weight(i, beta) / largest;
      loss += weight * (size <= delta ? error * error / 2 : delta * (size - delta / 2));
      q_.parameters().grad(0)(t.row, t.action) +=
          weight * std::clamp(error, -delta, delta) * leaf * temperature() / options_.transitions;
      errors.push_back(size);
    }
    for (std::size_t k = 0; k < drawn.size(); ++k) replay_.update(drawn[k], errors[k] + 1e-6);
    adam_.step();
    target_ += options_.target_rate * (q_.table() - target_);
    return loss / options_.transitions;
  }

  const StateGraph<E>& graph_;
  MunchausenOptions options_;
  Table<E> q_;
  gfn::Matrix<double> target_;
  gfn::PrioritisedReplay<Transition> replay_;
  gfn::Adam<double> adam_;
  std::vector<double> y_;
  std::uint64_t iteration_ = 0;
};

template <class E>
void check_training(const E& env, const MunchausenOptions& options) {
  const StateGraph graph(env);
  auto q = tabular::random_forward(graph, 1);
  auto target = tabular::random_forward(graph, 2);  // becomes a copy of q
  Reference<E> reference(graph, q, options);
  auto trainer = gfn::munchausen_trainer(env, q, target, options);
  const gfn::Random random{3};
  double total = 0;
  for (int i = 0; i < 12; ++i) {
    const auto report = trainer.step(random, 4);
    const double loss = reference.step(trainer.batch(), random);
    total += loss;
    CHECK(report.loss == Approx(loss).epsilon(1e-10));
    REQUIRE(trainer.targets().size() == reference.targets().size());
    double error = 0;
    for (std::size_t k = 0; k < trainer.targets().size(); ++k)
      error = std::max(error, std::abs(trainer.targets()[k] - reference.targets()[k]));
    CHECK(error < 1e-10);
    CHECK((q.table() - reference.q().table()).cwiseAbs().maxCoeff() < 1e-9);
  }
  CHECK(total > 0.1);
  CHECK((q.table() - tabular::random_forward(graph, 1).table()).cwiseAbs().maxCoeff() > 0.01);
}

/// The outputs Q / τ of the exact solution: log F*(s, a) − α log F*(s).
template <class E>
Table<E> exact_q(const StateGraph<E>& graph, double alpha) {
  auto backward = gfn::uniform_backward(graph.environment());
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  const auto flows = gfn::exact::log_flows(graph, log_b);
  gfn::exact::ForwardLogProbabilities outputs = gfn::exact::induced_forward(graph, log_b);
  for (std::size_t e = 0; e < graph.num_edges(); ++e)
    outputs.edges[e] += (1 - alpha) * flows[static_cast<std::size_t>(graph.edges()[e].source)];
  for (std::size_t x = 0; x < outputs.exits.size(); ++x)
    outputs.exits[x] += (1 - alpha) * flows[static_cast<std::size_t>(graph.terminal_rows()[x])];
  return tabular::forward_table(graph, outputs);
}

}  // namespace

TEST_CASE("Munchausen DQN does what its formulas say") {
  const MunchausenOptions plain{.transitions = 20, .learning_starts = 3, .learning_rate = 0.01};
  auto options = plain;
  SECTION("as it is by default") {}
  SECTION("soft DQN") { options.alpha = 0; }
  SECTION("a strong Munchausen term, cut off") {
    options.alpha = 0.6;
    options.least_log_policy = -0.5;
  }
  SECTION("a small Huber range, exits that count more, weights that take the bias out, a small buffer") {
    options.huber = 0.3;
    options.leaf_coefficient = 5;
    options.beta_iterations = 6;
    options.replay = {.capacity = 40, .alpha = 0.9};
    options.target_rate = 0.05;
  }
  check_training(HyperGrid{{.dimension = 2, .side = 3}}, options);
  check_training(environments::PrependAppend{}, options);
}

TEST_CASE("the targets of Munchausen DQN by hand") {
  // two cells in a row: at the first, go on or exit; at the second, exit
  const HyperGrid env{{.dimension = 1, .side = 2, .r0 = 1, .r1 = 1}};
  const StateGraph graph(env);
  const double log_reward = std::log(2.);  // of both
  Table<HyperGrid> q = gfn::tabular_policy<double>(env, graph.states()), target = q;
  q.modify() << std::log(2.), std::log(3.), 100, -0.4;  // Q / τ; the second cell has no way on
  const double alpha = 0.25, tau = 4. / 3;
  auto trainer = gfn::munchausen_trainer(env, q, target,
                                         {.alpha = alpha, .transitions = 50, .learning_starts = 0, .learning_rate = 0});
  trainer.step(gfn::Random{3}, 20);
  const double move = 0 + tau * -0.4 + alpha * tau * std::log(2. / 5);  // one parent: log π_B is 0
  const double exit_first = log_reward + alpha * tau * std::log(3. / 5);
  const double exit_second = log_reward;  // the only choice
  int moves = 0, first = 0, second = 0;
  for (const double y : trainer.targets()) {
    const bool is_move = std::abs(y - move) < 1e-12;
    const bool is_first = std::abs(y - exit_first) < 1e-12;
    const bool is_second = std::abs(y - exit_second) < 1e-12;
    CHECK(is_move + is_first + is_second == 1);
    moves += is_move, first += is_first, second += is_second;
  }
  CHECK(moves > 0);
  CHECK(first > 0);
  CHECK(second > 0);
  CHECK(trainer.log_z_estimate() == Approx(tau * std::log(5.)).epsilon(1e-13));
}

TEMPLATE_TEST_CASE("the exact solution leaves no error, and tells log Z*", "", HyperGrid, environments::PrependAppend) {
  TestType env;
  if constexpr (std::is_same_v<TestType, HyperGrid>) env = HyperGrid{{.dimension = 2, .side = 4}};
  const StateGraph graph(env);
  for (const double alpha : {0.0, 0.15, 0.7}) {
    auto q = exact_q(graph, alpha);
    auto target = q;
    // Adam would make steps of rounding errors
    auto trainer = gfn::munchausen_trainer(
        env, q, target, {.alpha = alpha, .transitions = 50, .learning_starts = 1, .learning_rate = 0});
    for (int i = 0; i < 10; ++i) {
      CHECK(trainer.step(gfn::Random{3}, 8).loss < 1e-24);
      CHECK(trainer.log_z_estimate() == Approx(gfn::exact::log_partition(graph)).epsilon(1e-13));
    }
    // its policy is in balance: it ends where the reward says
    const auto p = gfn::exact::terminating_distribution(graph, q);
    const auto target_p = gfn::exact::target_distribution(graph);
    for (std::size_t x = 0; x < p.size(); ++x) CHECK(p[x] == Approx(target_p[x]).epsilon(1e-12));
    q.modify()(0, 0) += 0.1;
    CHECK(trainer.step(gfn::Random{3}, 8).loss > 1e-6);
  }
}

TEST_CASE("Munchausen DQN: a reward of 0 needs a floor, and options out of range are refused") {
  const HyperGrid env{{.dimension = 2, .side = 3, .r0 = 0}};  // nothing in the middle
  const StateGraph graph(env);
  auto q = tabular::random_forward(graph, 1);
  auto target = tabular::random_forward(graph, 1);
  const auto step = [&](const MunchausenOptions& options) {
    gfn::munchausen_trainer(env, q, target, options).step(gfn::Random{3}, 30);
  };
  CHECK_THROWS_AS(step({.learning_starts = 0}), gfn::Error);
  CHECK_NOTHROW(step({.learning_starts = 0, .log_reward_floor = -10}));
  for (const double alpha : {-0.1, 1.0, std::nan("")}) CHECK_THROWS_AS(step({.alpha = alpha}), std::invalid_argument);
  for (const double rate : {-0.1, 1.1, std::nan("")})
    CHECK_THROWS_AS(step({.target_rate = rate}), std::invalid_argument);
  CHECK_THROWS_AS(step({.transitions = 0}), std::invalid_argument);
  CHECK_THROWS_AS(gfn::munchausen_trainer(env, q, q), std::invalid_argument);
  Table<HyperGrid> small(env, graph.states().first(1), 3);
  CHECK_THROWS_AS(gfn::munchausen_trainer(env, q, small), std::invalid_argument);
}
