// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gfn/exact/gradient.hpp>
#include <gfn/objective/guide.hpp>
#include <gfn/objective/replay_guide.hpp>
#include <gfn/problems/bayesian_network.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/problems/sequence.hpp>
#include <gfn/rollout/trajectories.hpp>
#include <gfn/trainer/coupled_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

namespace {

using gfn::HyperGrid;
using gfn::ReplayGuideOptions;
using gfn::exact::StateGraph;
using tabular::Table;
using Actions = std::vector<gfn::Action>;
using Slots = gfn::SlotSequence<environments::Wavy, 4>;
using Word = Slots::State;

Slots slots(int length, int alphabet) {
  return Slots({.length = length, .alphabet_size = alphabet}, environments::Wavy{});
}

/// A score of networks of three nodes: every set of parents is worth something else to a node.
struct Likings {
  int num_nodes() const { return 3; }
  double local_score(int node, gfn::NodeSet parents) const {
    return std::sin(1.0 + 5.0 * node + 2.0 * static_cast<double>(parents));
  }
};
using Networks = gfn::BayesianNetwork<Likings, gfn::UniformPrior, 4>;

Actions actions_of(std::span<const gfn::Step> steps) {
  Actions actions;
  for (const gfn::Step& step : steps) actions.push_back(step.action);
  return actions;
}

/// log π_G of every step of a batch, by a guide and the current policies.
template <class E, class G>
std::vector<double> scores(const gfn::Batch<E>& batch, G& guide, Table<E>& forward, Table<E>& backward) {
  using Evaluation = gfn::PolicyEvaluation<double, Table<E>, E>;
  Evaluation f(forward, batch.environment(), gfn::Direction::forward);
  Evaluation b(backward, batch.environment(), gfn::Direction::backward);
  f.evaluate(batch.table());
  b.evaluate(batch.table());
  std::vector<double> log_p(batch.steps().size(), std::nan(""));
  guide(gfn::RewardInput<E, Evaluation, Evaluation>{batch, f, b, 0.0}, std::span<double>(log_p));
  return log_p;
}

/// What ReplayGuide keeps sums of, object by object.
struct BruteForce {
  ReplayGuideOptions options;
  const Slots& env;
  std::deque<std::pair<Word, double>> seen{};

  void add(const Word& x, double reward) {
    if (!options.duplicates && holds(x)) return;
    seen.emplace_back(x, reward);
    if (seen.size() > options.capacity) seen.pop_front();
  }
  bool holds(const Word& x) const {
    return std::any_of(seen.begin(), seen.end(), [&](const auto& one) { return one.first == x; });
  }
  double score(const Word& pattern, const Word& x, int length) const {
    double sum = 0;
    int count = 0;
    for (const auto& [object, reward] : seen) {
      bool agrees = options.include_self || !(object == x);
      for (int i = 0; i < length; ++i) agrees = agrees && (pattern[i] == gfn::empty_place || pattern[i] == object[i]);
      sum += agrees ? reward : 0.0;
      count += agrees;
    }
    if (options.include_self && !holds(x)) {  // an object that was dropped still counts for itself
      sum += std::exp(env.log_reward(x));
      ++count;
    }
    return std::max(options.floor, count > 0 ? sum / count : 0.0);
  }
  /// log π_G of filling one more place of a pattern on the way to x.
  double log_share(const Word& pattern, int place, const Word& x, int length) const {
    double total = 0, own = 0;
    int choices = 0;
    for (int i = 0; i < length; ++i) {
      if (pattern[i] != gfn::empty_place) continue;
      Word child = pattern;
      child[i] = x[i];
      const double r = score(child, x, length);
      total += r;
      ++choices;
      if (i == place) own = r;
    }
    return total > 0 ? std::log(own / total) : -std::log(static_cast<double>(choices));
  }
};

std::vector<Word> objects_of(const StateGraph<Slots>& graph) {
  std::vector<Word> objects;
  for (const int row : graph.terminal_rows()) objects.push_back(graph.state(row));
  return objects;
}

/// Every score, and every share of every step of every trajectory, against brute force.
void check_replay(const StateGraph<Slots>& graph, gfn::ReplayGuide<Slots>& guide, const BruteForce& brute) {
  const Slots& env = graph.environment();
  REQUIRE(guide.size() == brute.seen.size());
  double error = 0;
  for (const Word& x : objects_of(graph))
    for (const Word& pattern : graph.states()) {
      bool part = !(pattern == env.initial_state());
      for (int i = 0; i < env.length(); ++i) part = part && (pattern[i] == gfn::empty_place || pattern[i] == x[i]);
      if (part) error = std::max(error, std::abs(guide.score(pattern, x) - brute.score(pattern, x, env.length())));
    }
  CHECK(error < 1e-12);

  const auto batch = gfn::batch_from_trajectories(env, gfn::exact::all_trajectories(graph));
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  const auto log_p = scores(batch, guide, forward, backward);
  std::map<std::pair<std::int64_t, std::int64_t>, std::map<int, double>> shares;  // by x and source, per place
  std::size_t k = 0;
  error = 0;
  for (int i = 0; i < batch.trajectories(); ++i) {
    const Word& x = batch.terminal_state(i);
    for (const gfn::Step& step : batch.steps(i)) {
      const double log_share = log_p[k++];
      if (step.child == gfn::none) {
        CHECK(log_share == 0);
        continue;
      }
      const Word& source = batch.table().state(step.row);
      const int place = step.action % env.length();
      error = std::max(error, std::abs(log_share - brute.log_share(source, place, x, env.length())));
      shares[{env.index(x), env.index(source)}][place] = std::exp(log_share);
    }
  }
  CHECK(error < 1e-10);
  for (const auto& [where, of_places] : shares) {
    double sum = 0;
    for (const auto& [place, share] : of_places) sum += share;
    if (std::abs(sum - 1) > 1e-12) FAIL_CHECK("the shares sum to " << sum);
  }
}

/// A guide as a user writes it: all ways on are equally likely, as many as there are empty places or open axes. It
/// counts what it is shown.
struct EvenGuide {
  int observed = 0;
  double log_rewards = 0;

  template <class B>
  void observe(const B& batch) {
    observed += batch.trajectories();
    for (int i = 0; i < batch.trajectories(); ++i) log_rewards += batch.log_reward(i);
  }
  template <class Input>
  void operator()(const Input& input, std::span<double> log_p) const {
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      const gfn::Step& step = input.batch.steps()[k];
      log_p[k] =
          step.child == gfn::none ? 0.0 : -std::log(static_cast<double>(input.batch.table().forward_choices(step.row)));
    }
  }
};

/// The steps' scores by a guide that caps the logit of the exit where poor(state), computed from the logits.
template <class E, class G, class Poor>
void check_capped_exits(const StateGraph<E>& graph, G& guide, double cap, const Poor& poor) {
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  const auto batch = gfn::batch_from_trajectories(graph.environment(), gfn::exact::all_trajectories(graph));
  const auto plain = gfn::exact::forward_log_probabilities(graph, forward);
  const auto log_p = scores(batch, guide, forward, backward);
  const int exit = graph.environment().num_actions();
  int capped = 0, elsewhere = 0, changed = 0;
  for (std::size_t k = 0; k < log_p.size(); ++k) {
    const gfn::Step& step = batch.steps()[k];
    if (step.child == gfn::none) {
      CHECK(log_p[k] == 0);
      continue;
    }
    const auto& s = batch.table().state(step.row);
    const int row = graph.find(s);
    std::size_t e = graph.first_edge(row);
    while (graph.edges()[e].action != step.action) ++e;
    if (!poor(s)) {
      ++elsewhere;
      CHECK(log_p[k] == Approx(plain.edges[e]).margin(1e-14));
      continue;
    }
    ++capped;
    std::vector<double> logits = {std::min(forward.table()(row, exit), cap)};
    for (const auto& edge : graph.edges(row)) logits.push_back(forward.table()(row, edge.action));
    CHECK(log_p[k] == Approx(forward.table()(row, step.action) - gfn::log_sum_exp(logits)).margin(1e-13));
    changed += std::abs(log_p[k] - plain.edges[e]) > 1e-3;
  }
  CHECK(capped > 0);
  CHECK(elsewhere > 0);
  CHECK((changed > 0) == (cap < 100));
}

/// Identity 5 for a guide: the expected gradient of the coupled trainer's backward half is that of
/// E_ρ KL(P_B(τ|x) ‖ P_G(τ|x)), P_G(τ|x) being proportional to the product of the guide's scores along τ.
template <class E, class G>
void check_guided_gradient(const StateGraph<E>& graph, G& guide) {
  const E& env = graph.environment();
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  auto critic = tabular::random_value(graph, 4);
  const auto rho = gfn::exact::terminating_distribution(graph, forward);
  const auto end_of = [&](const Actions& actions) { return gfn::exact::follow(graph, actions, [](std::size_t) {}); };

  const auto all = gfn::batch_from_trajectories(env, gfn::exact::all_trajectories(graph));
  const auto log_p = scores(all, guide, forward, backward);
  std::map<Actions, double> log_guide;
  std::map<int, double> sums;  // over the trajectories to x
  for (int i = 0; i < all.trajectories(); ++i) {
    double sum = 0;
    for (int k = all.offsets()[static_cast<std::size_t>(i)]; k < all.offsets()[static_cast<std::size_t>(i) + 1]; ++k)
      sum += log_p[static_cast<std::size_t>(k)];
    const Actions actions = actions_of(all.steps(i));
    log_guide[actions] = sum;
    sums[end_of(actions)] += std::exp(sum);
  }
  const auto divergence = [&] {
    const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
    return tabular::expectation(gfn::exact::trajectory_law(graph, rho, log_b), [&](const Actions& actions) {
      return gfn::exact::trajectory_log_probability(graph, actions, log_b) -
             (log_guide.at(actions) - std::log(sums.at(end_of(actions))));
    });
  };
  auto trainer = gfn::coupled_trainer(env, forward, backward, value, critic, {.backward = {.center = false}},
                                      gfn::GuidedBackwardReward(guide));
  const Eigen::VectorXd gradient =
      gfn::exact::expected_backward_gradient(
          graph, forward, backward, {}, [&](auto& batch) { trainer.backward_gradient(batch); }, backward.parameters())
          .mean;
  const Eigen::VectorXd expected = tabular::derivative(backward, divergence);
  CHECK((gradient - expected).cwiseAbs().maxCoeff() < 1e-10);
  CHECK(gradient.norm() > 1e-3);
}

}  // namespace

TEST_CASE("the guide that discourages exits is the policy with capped logits") {
  const double cap = GENERATE(std::log(1e-5), -0.2, 100.0);
  SECTION("on a grid, away from its corners") {
    const HyperGrid env{{.dimension = 2, .side = 4}};
    const StateGraph graph(env);
    const auto poor = [](const HyperGrid::State& s) {
      const bool corner = (s[0] == 0 || s[0] == 3) && (s[1] == 0 || s[1] == 3);  // where the reward is high
      return !corner;
    };
    auto by_state = gfn::discouraged_exit(env, cap);
    auto by_reward = gfn::discouraged_exit_below(env, std::log(0.01), cap);
    check_capped_exits(graph, by_state, cap, poor);
    check_capped_exits(graph, by_reward, cap, poor);
  }
  SECTION("on the networks of three nodes, by their rewards") {
    const Networks env{Likings{}};
    const StateGraph graph(env);
    auto guide = gfn::discouraged_exit_below(env, env.log_reward(env.initial_state()), cap);  // and at it
    check_capped_exits(graph, guide, cap, [&](const Networks::State& s) { return env.log_reward(s) <= 0; });
  }
}

TEST_CASE("a replay guide's scores are means over what it has seen") {
  const auto options = GENERATE(ReplayGuideOptions{}, ReplayGuideOptions{.duplicates = false},
                                ReplayGuideOptions{.include_self = false, .floor = 0.05},
                                ReplayGuideOptions{.duplicates = false, .include_self = false, .floor = 0.05},
                                ReplayGuideOptions{.floor = 1}, ReplayGuideOptions{.capacity = 5},
                                ReplayGuideOptions{.capacity = 5, .duplicates = false},
                                ReplayGuideOptions{.capacity = 1, .include_self = false, .floor = 0.05});
  const Slots env = slots(3, 2);
  const StateGraph graph(env);
  const auto objects = objects_of(graph);
  gfn::ReplayGuide<Slots> guide(env, options);
  BruteForce brute{options, env};
  check_replay(graph, guide, brute);  // nothing seen: even shares
  gfn::Stream stream(5, gfn::Purpose::user, 0, 0);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 7; ++i) {
      const Word& x = objects[static_cast<std::size_t>(stream.below(round < 3 ? 8 : 3))];
      const double reward = std::exp(env.log_reward(x));
      guide.add(x, reward);
      brute.add(x, reward);
    }
    check_replay(graph, guide, brute);
  }
}

TEST_CASE("a replay guide takes in the ends of the forward policy's trajectories, with their rewards") {
  const Slots env = slots(3, 2);
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  auto critic = tabular::random_value(graph, 4);
  gfn::ReplayGuide<Slots> guide(env);
  auto trainer = gfn::coupled_trainer(env, forward, backward, value, critic, {}, gfn::GuidedBackwardReward(guide));
  BruteForce brute{{}, env};
  for (int i = 0; i < 3; ++i) {
    trainer.step(gfn::Random{3}, 6);
    for (int k = 0; k < 6; ++k) {
      const Word& x = trainer.batch().terminal_state(k);
      brute.add(x, std::exp(env.log_reward(x)));
    }
    check_replay(graph, guide, brute);
  }
}

TEST_CASE("the guided backward gradient is that of the divergence from the guide, by enumeration") {
  SECTION("discouraged exits") {
    const HyperGrid env{{.dimension = 2, .side = 3}};
    auto guide = gfn::discouraged_exit(env);
    check_guided_gradient(StateGraph(env), guide);
  }
  SECTION("discouraged exits below a log-reward, of networks") {
    const Networks env{Likings{}};
    auto guide = gfn::discouraged_exit_below(env, 0.3, -3.0);
    check_guided_gradient(StateGraph(env), guide);
  }
  SECTION("replay") {
    const Slots env = slots(3, 2);
    const StateGraph graph(env);
    gfn::ReplayGuide<Slots> guide(env);
    for (const Word& x : objects_of(graph))
      if (env.index(x) % 3 != 0) guide.add(x, std::exp(env.log_reward(x)));
    for (const Word& x : objects_of(graph)) guide.add(x, 0.1);  // each for itself too
    check_guided_gradient(graph, guide);
  }
  SECTION("a user's own") {
    const HyperGrid env{{.dimension = 2, .side = 3}};
    EvenGuide guide;
    check_guided_gradient(StateGraph(env), guide);
    const environments::PrependAppend words;  // parallel edges
    check_guided_gradient(StateGraph(words), guide);
  }
}

TEST_CASE("a user's guide is shown each batch once, rewards included, before it is asked") {
  const HyperGrid env{{.dimension = 2, .side = 3}};
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  auto critic = tabular::random_value(graph, 4);
  EvenGuide guide;
  auto trainer = gfn::coupled_trainer(env, forward, backward, value, critic, {}, gfn::GuidedBackwardReward(guide));
  double expected = 0;
  for (int i = 0; i < 2; ++i) {
    trainer.step(gfn::Random{3}, 5);
    for (int k = 0; k < 5; ++k) expected += env.log_reward(trainer.batch().terminal_state(k));
  }
  CHECK(guide.observed == 10);
  CHECK(guide.log_rewards == Approx(expected).epsilon(1e-12));
}

TEST_CASE("what a replay guide cannot use is refused") {
  const Slots env = slots(3, 2);
  const auto make = [&](const ReplayGuideOptions& options) { gfn::ReplayGuide<Slots> guide(env, options); };
  CHECK_THROWS_AS(make({.capacity = 0}), std::invalid_argument);
  CHECK_THROWS_AS(make({.floor = -1}), std::invalid_argument);
  CHECK_THROWS_AS(make({.floor = std::nan("")}), std::invalid_argument);
  CHECK_THROWS_AS(make({.include_self = false}), std::invalid_argument);
  gfn::ReplayGuide<Slots> guide(env);
  Word x = env.initial_state();
  for (int i = 0; i < 3; ++i) x[i] = 1;
  for (const double reward : {-1.0, std::nan(""), HUGE_VAL})
    CHECK_THROWS_AS(guide.add(x, reward), std::invalid_argument);
  using Long = gfn::SlotSequence<environments::Wavy, 20>;
  const Long long_env({.length = 17, .alphabet_size = 2}, environments::Wavy{});
  CHECK_THROWS_AS(gfn::ReplayGuide<Long>(long_env), std::invalid_argument);
}
