// SPDX-License-Identifier: MIT
#include <gfn/sampled/correlation.hpp>
#include <gfn/sampled/likelihood.hpp>
#include <gfn/sampled/objects.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/exact/sample_target.hpp>
#include <gfn/exact/trajectories.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/bit_sequence.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/problems/sequence.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

namespace {

using gfn::HyperGrid;
using gfn::exact::StateGraph;
using gfn::sampled::Estimate;
using Numbers = std::vector<double>;

template <class E>
std::vector<gfn::StateOf<E>> terminal_states(const StateGraph<E>& graph) {
  std::vector<gfn::StateOf<E>> states;
  for (const int row : graph.terminal_rows()) states.push_back(graph.state(row));
  return states;
}

/// Whether an estimate is as far from the truth as chance allows. The seeds are fixed: it is so or not, for ever.
void check_near(const Estimate& estimate, double truth) {
  INFO("estimate " << estimate.value << " +- " << estimate.standard_error << ", truth " << truth);
  CHECK(std::abs(estimate.value - truth) <= 4 * estimate.standard_error + 1e-12);
}

/// E[log R + log P_B(τ|x) − log P_F(τ)] under P_F, and under P* P_B, by enumeration.
struct Bounds {
  double lower = 0, upper = 0;
};
template <class E>
Bounds exact_bounds(const StateGraph<E>& graph, const gfn::exact::ForwardLogProbabilities& forward,
                    const gfn::exact::BackwardLogProbabilities& backward) {
  const double log_z = gfn::exact::log_partition(graph);
  Bounds bounds;
  for (const auto& actions : gfn::exact::all_trajectories(graph)) {
    const double log_pf = gfn::exact::trajectory_log_probability(graph, actions, forward);
    const double log_pb = gfn::exact::trajectory_log_probability(graph, actions, backward);
    const int x = graph.terminal_index(gfn::exact::follow(graph, actions, [](std::size_t) {}));
    const double log_r = graph.log_rewards()[static_cast<std::size_t>(x)];
    bounds.lower += std::exp(log_pf) * (log_r + log_pb - log_pf);
    bounds.upper += std::exp(log_r - log_z + log_pb) * (log_r + log_pb - log_pf);
  }
  return bounds;
}

template <class E>
void check_likelihoods(const E& env) {
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  const Numbers exact = gfn::exact::terminating_distribution(graph, forward);
  const auto objects = terminal_states(graph);
  const gfn::Random random(5);
  constexpr int evaluations = 300, walks = 7;  // not a divisor of the number that is sampled at once
  std::vector<Numbers> p(objects.size());
  Numbers covered;
  for (std::uint64_t evaluation = 0; evaluation < evaluations; ++evaluation) {
    const auto estimates = gfn::sampled::log_likelihoods(env, forward, backward, std::span(objects), random,
                                                         {.walks = walks, .evaluation = evaluation});
    REQUIRE(estimates.size() == objects.size());
    for (std::size_t x = 0; x < objects.size(); ++x) p[x].push_back(std::exp(estimates[x].value));
  }
  for (std::size_t x = 0; x < objects.size(); ++x) check_near(gfn::sampled::mean_estimate(p[x]), exact[x]);

  const auto sharp = gfn::sampled::log_likelihoods(env, forward, backward, std::span(objects), random, {.walks = 2000});
  for (std::size_t x = 0; x < objects.size(); ++x) check_near(sharp[x], std::log(exact[x]));
}

template <class E>
void check_bounds(const E& env) {
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  const double log_z = gfn::exact::log_partition(graph);
  const auto log_b = gfn::exact::backward_log_probabilities(graph, backward);
  const Bounds exact = exact_bounds(graph, gfn::exact::forward_log_probabilities(graph, forward), log_b);
  const gfn::Random random(6);
  const auto objects = gfn::exact::sample_target(graph, 3000, random);
  const Estimate lower = gfn::sampled::evidence_lower_bound(env, forward, backward, 3000, random);
  const Estimate upper = gfn::sampled::evidence_upper_bound(env, forward, backward, std::span(objects), random);
  check_near(lower, exact.lower);
  check_near(upper, exact.upper);
  CHECK(lower.value - 4 * lower.standard_error <= log_z);
  CHECK(upper.value + 4 * upper.standard_error >= log_z);

  auto balanced = tabular::forward_table(graph, gfn::exact::induced_forward(graph, log_b));
  const Estimate below = gfn::sampled::evidence_lower_bound(env, balanced, backward, 50, random);
  const Estimate above =
      gfn::sampled::evidence_upper_bound(env, balanced, backward, std::span(objects).first(50), random);
  CHECK(below.value == Approx(log_z).epsilon(1e-12));
  CHECK(above.value == Approx(log_z).epsilon(1e-12));
  CHECK(below.standard_error < 1e-12);
}

auto words() {
  return gfn::PrependAppendSequence(gfn::SequenceOptions{.length = 3, .alphabet_size = 2},
                                    [](std::span<const gfn::Symbol> x) { return std::sin(x[0] + 2.0 * x[1] + x[2]); });
}
auto slots() {
  return gfn::SlotSequence(gfn::SequenceOptions{.length = 3, .alphabet_size = 2},
                           [](std::span<const gfn::Symbol> x) { return std::sin(x[0] + 2.0 * x[1] + x[2]); });
}

}  // namespace

TEST_CASE("Likelihoods by importance sampling are unbiased, with the right error") {
  SECTION("grid") { check_likelihoods(HyperGrid{{.dimension = 2, .side = 3}}); }
  SECTION("sequences with parallel edges") { check_likelihoods(words()); }
  SECTION("sequences of slots") { check_likelihoods(slots()); }
}

TEST_CASE("The estimates of both bounds of log Z enclose it") {
  SECTION("grid") { check_bounds(HyperGrid{{.dimension = 2, .side = 3}}); }
  SECTION("sequences with parallel edges") { check_bounds(words()); }
  SECTION("sequences of slots") { check_bounds(slots()); }
}

TEST_CASE("Estimates of means") {
  const Numbers samples = {1, 2, 3, 6};
  const Estimate mean = gfn::sampled::mean_estimate(samples);
  CHECK(mean.value == Approx(3));
  CHECK(mean.standard_error == Approx(std::sqrt(14.0 / 3 / 4)));
  Numbers logs;
  for (const double x : samples) logs.push_back(std::log(x) - 1000);  // as far from 1 as likelihoods are
  const Estimate log_mean = gfn::sampled::log_mean_estimate(logs);
  CHECK(log_mean.value == Approx(std::log(3.0) - 1000));
  CHECK(log_mean.standard_error == Approx(mean.standard_error / 3));
  CHECK(std::isnan(gfn::sampled::mean_estimate(Numbers{2}).standard_error));
  CHECK(gfn::sampled::log_mean_estimate(Numbers(2, -std::numeric_limits<double>::infinity())).value ==
        -std::numeric_limits<double>::infinity());
  CHECK_THROWS_AS(gfn::sampled::mean_estimate({}), std::invalid_argument);
}

TEST_CASE("Correlations on hand data") {
  using gfn::sampled::pearson_correlation, gfn::sampled::spearman_correlation, gfn::sampled::ranks;
  CHECK(ranks(Numbers{3, 1, 3, 2}) == Numbers{3.5, 1, 3.5, 2});
  CHECK(ranks(Numbers{2, 2, 2}) == Numbers{2, 2, 2});
  const Numbers x = {1, 2, 3, 4}, y = {1, 3, 2, 4}, cubes = {1, 8, 27, 64}, down = {4, 3, 2, 1};
  CHECK(pearson_correlation(x, y) == Approx(0.8));
  CHECK(pearson_correlation(x, x) == Approx(1));
  CHECK(pearson_correlation(x, down) == Approx(-1));
  CHECK(pearson_correlation(x, cubes) == Approx(0.951369855));
  CHECK(spearman_correlation(x, cubes) == Approx(1));
  CHECK(spearman_correlation(x, Numbers{1, 2, 2, 3}) == Approx(4.5 / std::sqrt(22.5)));  // ranks 1, 2.5, 2.5, 4
  CHECK(std::isnan(pearson_correlation(Numbers{1, 2, 4}, Numbers{0.1, 0.1, 0.1})));
  CHECK_THROWS_AS(pearson_correlation(x, Numbers{1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(spearman_correlation(x, Numbers{1, 2, std::nan(""), 3}), std::invalid_argument);
}

TEST_CASE("Sampled objects follow the policy, and are the same for the same seed") {
  const HyperGrid env{{.dimension = 2, .side = 3}};
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  const Numbers exact = gfn::exact::terminating_distribution(graph, forward);
  constexpr int count = 5000;
  const auto objects = gfn::sampled::sample_objects(env, forward, count, gfn::Random(1));
  REQUIRE(objects.size() == count);
  Numbers seen(exact.size());
  for (const auto& x : objects) seen[static_cast<std::size_t>(graph.terminal_index(graph.find(x)))] += 1;
  for (std::size_t x = 0; x < exact.size(); ++x)
    CHECK(std::abs(seen[x] - count * exact[x]) <= 4 * std::sqrt(count * exact[x] * (1 - exact[x])));
  CHECK(objects == gfn::sampled::sample_objects(env, forward, count, gfn::Random(1)));
  CHECK(objects != gfn::sampled::sample_objects(env, forward, count, gfn::Random(2)));
  CHECK(objects != gfn::sampled::sample_objects(env, forward, count, gfn::Random(1), 1));
  auto uniform = gfn::uniform_forward(env);
  CHECK(gfn::sampled::sample_objects(env, uniform, 3, gfn::Random(1)).size() == 3);
}

TEST_CASE("The best objects, their mean reward and their diversity") {
  const auto env = slots();
  std::vector<gfn::StateOf<decltype(env)>> objects;
  for (const std::int64_t number : {26, 13, 14, 26, 13, 17}) objects.push_back(env.state(number));  // 222 111 112 222 …
  const auto top = gfn::sampled::top_objects(env, std::span<const gfn::StateOf<decltype(env)>>(objects), 3);
  REQUIRE(top.objects.size() == 3);  // log R: sin 4 < 0, sin 0, sin 1, sin 3
  CHECK(top.objects[0] == objects[2]);
  CHECK(top.objects[1] == objects[5]);
  CHECK(top.objects[2] == objects[1]);
  CHECK(top.log_rewards[0] == Approx(std::sin(1.0)));
  CHECK(gfn::sampled::mean_reward(top.log_rewards) ==
        Approx((std::exp(std::sin(1.0)) + std::exp(std::sin(3.0)) + 1) / 3));
  CHECK(gfn::sampled::mean_reward({}) == 0);
  const auto hamming = [&](const auto& a, const auto& b) {
    int distance = 0;
    for (int i = 0; i < env.length(); ++i) distance += a[i] != b[i];
    return distance;
  };
  CHECK(gfn::sampled::mean_pairwise_distance(std::span(top.objects), hamming) == Approx((1 + 2 + 1) / 3.0));
  CHECK(gfn::sampled::mean_pairwise_distance(std::span(top.objects).first(1), hamming) == 0);
}

TEST_CASE("Modes are counted once") {
  gfn::sampled::ModesFound modes({true, false, true, true});
  CHECK(modes.total() == 3);
  CHECK(modes.add(2));
  CHECK(!modes.add(2));
  CHECK(!modes.add(1));
  CHECK(modes.add(0));
  CHECK(modes.count() == 2);
  CHECK(std::vector<std::size_t>(modes.found().begin(), modes.found().end()) == std::vector<std::size_t>{2, 0});
  CHECK_THROWS_AS(modes.add(4), std::invalid_argument);
}

TEST_CASE("Modes of bit sequences are counted by the samples that come near to them") {
  const gfn::SlotBitSequence env(gfn::BitSequenceReward({"00000000", "00001111", "11111111"}, {.word_size = 2}));
  auto found = gfn::sampled::ModesFound::all(env.reward().codebook().size());
  CHECK(found.total() == 3);
  const auto add = [&](std::vector<gfn::Symbol> words, int distance) {
    std::vector<int> modes = env.reward().modes_within(words, distance);
    for (const int mode : modes) found.add(static_cast<std::size_t>(mode));
    return modes;
  };
  CHECK(add({0, 0, 1, 3}, 0).empty());  // 00000111
  CHECK(found.count() == 0);
  CHECK(add({0, 0, 1, 3}, 1) == std::vector<int>{1});
  CHECK(add({0, 0, 0, 3}, 2) == std::vector<int>{0, 1});  // two at once
  CHECK(found.count() == 2);
  CHECK(add({3, 3, 3, 3}, 0) == std::vector<int>{2});
  CHECK(found.count() == 3);

  // Samples of the target itself, and as many of the uniform policy, among 2^8.
  auto forward = gfn::uniform_forward(env);
  auto by_policy = gfn::sampled::ModesFound::all(3);
  for (const auto& x : gfn::sampled::sample_objects(env, forward, 2000, gfn::Random(1)))
    for (const int mode : env.reward().modes_within(env.symbols(x), 1)) by_policy.add(static_cast<std::size_t>(mode));
  CHECK(by_policy.count() == 3);
}
