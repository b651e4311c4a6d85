// SPDX-License-Identifier: MIT
#include <gfn/problems/bge_score.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gfn/core/random.hpp>
#include <gfn/data/edge_list.hpp>
#include <gfn/data/numeric_table.hpp>
#include <gfn/data/table_reader.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/exact/metrics.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/bayesian_network.hpp>
#include <gfn/problems/bayesian_network_metrics.hpp>
#include <gfn/testing/environment_laws.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#ifdef GFN_TEST_GZIP
#include <gfn/data/gzip.hpp>
#endif

#include "catch.hpp"

namespace {

using gfn::BayesianNetwork;
using gfn::BgeScore;
using gfn::Dag;
using gfn::NodeSet;

const std::filesystem::path examples = GFN_EXAMPLE_DATA_DIR;
const std::filesystem::path data = GFN_DATA_DIR;

gfn::NumericTable er5() { return gfn::read_numeric_table(examples / "er5_lingauss_seed0.tsv"); }

/// Samples of a random chain of variables.
Eigen::MatrixXd chain(int rows, int columns) {
  gfn::Stream stream = gfn::Random(7).stream(gfn::Purpose::user, 0);
  Eigen::MatrixXd x(rows, columns);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) x(i, j) = stream.normal() + (j > 0 ? 0.8 * x(i, j - 1) : 1.0);
  return x;
}

/// The score of a whole graph.
template <int MaxNodes>
double score_of(const BgeScore& score, const Dag<MaxNodes>& dag) {
  double sum = 0;
  for (int j = 0; j < dag.num_nodes(); ++j) sum += score.local_score(j, dag.parents(j));
  return sum;
}

template <class Function>
std::string refusal(const Function& make) {
  try {
    make();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("BgeScore has the reference values of er5") {
  const gfn::NumericTable table = er5();
  REQUIRE(table.values.rows() == 100);
  REQUIRE(table.names == std::vector<std::string>{"A", "B", "C", "D", "E"});
  const BgeScore score(table.values);
  CHECK(score.options().alpha_w == 7.0);
  CHECK(score.options().t == 0.5);
  CHECK(std::abs(score_of(score, Dag<8>(5)) - 232.5130920194) < 1e-9);

  const BayesianNetwork<BgeScore, gfn::UniformPrior, 8> env(score);
  const auto single_edge = [&](int parent, int child) {
    Dag<8> dag(5);
    dag.add_edge(parent, child);
    return env.log_reward(dag);
  };
  CHECK(std::abs(single_edge(0, 3) - 31.840018) < 5.1e-7);
  CHECK(std::abs(single_edge(1, 4) - 14.109765) < 5.1e-7);
  CHECK(std::abs(single_edge(0, 1) - 1.459988) < 5.1e-7);
  const auto truth = gfn::read_edge_list<8>(examples / "er5_lingauss_seed0_edges.tsv", table.names);
  CHECK(gfn::describe(truth) == "{1->3, 1->4, 2->0, 3->0, 4->2, 4->3}");
  CHECK(std::abs(env.log_reward(truth) - 76.7731650139) < 1e-9);

  const gfn::exact::StateGraph all(env);
  const std::vector<double> target = gfn::exact::target_distribution(all);
  CHECK(std::abs(gfn::exact::log_partition(all) - 86.3850366096) < 1e-9);
  double mean = 0, entropy = 0, high_mass = 0, lowest = 0;
  int high = 0, ties = 0;
  for (std::size_t i = 0; i < target.size(); ++i) {
    const double log_reward = all.log_rewards()[i];
    mean += target[i] * log_reward;
    entropy -= target[i] * std::log(target[i]);
    lowest = std::min(lowest, log_reward);
    if (log_reward > 75) {
      ++high;
      high_mass += target[i];
    }
    if (std::abs(log_reward - 80.3117399159) < 1e-9) ++ties;
  }
  CHECK(std::abs(mean - 79.2847406897) < 1e-9);
  CHECK(std::abs(entropy - (86.3850366096 - 79.2847406897)) < 1e-9);
  CHECK(std::abs(gfn::expected_num_edges(all.states(), target) - 8.9017474637) < 1e-9);
  CHECK(std::abs(gfn::edge_marginals(all.states(), target).sum() - 8.9017474637) < 1e-9);
  CHECK(high == 2705);
  CHECK(std::abs(high_mass - 0.9939) < 5.1e-5);
  CHECK(ties == 120);  // the complete graphs
  CHECK(lowest > -1e-9);
  gfn::UniformPolicy uniform = gfn::uniform_forward(env);
  const std::vector<double> p = gfn::exact::terminating_distribution(all, uniform);
  CHECK(std::abs(gfn::total_variation(p, target) - .7173) < 5.1e-5);
  CHECK(std::abs(gfn::jensen_shannon(p, target) - .3810) < 5.1e-5);
}

#ifdef GFN_TEST_GZIP
TEST_CASE("BgeScore has the scores of all 29,281 graphs of er5") {
  if (data.empty()) {
    WARN("skipped: GFN_DATA_DIR is not set");
    return;
  }
  const BayesianNetwork<BgeScore, gfn::UniformPrior, 8> env(BgeScore(er5().values));
  gfn::TableReader reader(gfn::read_gzip_file(data / "er5_lingauss_seed0_dags.tsv.gz"), "dags");
  int rows = 0;
  double worst = 0;
  for (; reader.next_row(); ++rows) {
    Dag<8> dag(5);
    for (int a = 0; a < 25; ++a)
      if (reader.field(0)[static_cast<std::size_t>(a)] == '1') env.apply(dag, a);
    worst = std::max(worst, std::abs(env.log_reward(dag) - reader.number(1)));
  }
  CHECK(rows == 29281);
  CHECK(worst < 1e-9);
}
#endif

TEST_CASE("BgeScore is the same for Markov-equivalent graphs") {
  const BgeScore score(chain(50, 4), {.alpha_mu = 0.3, .alpha_w = 8.5, .nu = {1, -1, 0.5, 2}});
  const auto value = [&](const std::vector<std::pair<int, int>>& edges) {
    Dag<4> dag(4);
    for (const auto& [parent, child] : edges) dag.add_edge(parent, child);
    return score_of(score, dag);
  };
  CHECK(value({{0, 1}}) == Approx(value({{1, 0}})).epsilon(1e-12));
  CHECK(value({{0, 1}, {1, 2}, {2, 3}}) == Approx(value({{3, 2}, {2, 1}, {1, 0}})).epsilon(1e-12));
  CHECK(value({{0, 1}, {1, 2}, {2, 3}}) == Approx(value({{1, 0}, {1, 2}, {2, 3}})).epsilon(1e-12));
  CHECK(std::abs(value({{0, 1}, {1, 2}}) - value({{0, 1}, {2, 1}})) > 0.1);  // a collider is something else
  CHECK(value({{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}) ==
        Approx(value({{3, 2}, {3, 1}, {3, 0}, {2, 1}, {2, 0}, {1, 0}})).epsilon(1e-12));
}

TEST_CASE("BgeScore of a variable alone is a product of Student densities") {
  // Sequential prediction under the normal-gamma prior that one variable has: precision ~ Gamma(½(α_w − n + 1), ½ t),
  // mean | precision ~ N(ν, 1/(α_μ precision)).
  const Eigen::MatrixXd x = chain(30, 3);
  const gfn::BgeOptions options{.alpha_mu = 0.7, .alpha_w = 6.5, .t = 1.3, .nu = {0.4, -0.2, 1.0}};
  const BgeScore score(x, options);
  for (int j = 0; j < 3; ++j) {
    double kappa = 0.7, mu = options.nu[static_cast<std::size_t>(j)], shape = 0.5 * (6.5 - 3 + 1), rate = 0.5 * 1.3;
    double sum = 0;
    for (int i = 0; i < x.rows(); ++i) {
      const double scale = 2 * rate * (kappa + 1) / kappa;
      const double distance = (x(i, j) - mu) * (x(i, j) - mu);
      sum += std::lgamma(shape + 0.5) - std::lgamma(shape) - 0.5 * std::log(std::acos(-1.0) * scale) -
             (shape + 0.5) * std::log1p(distance / scale);
      rate += 0.5 * kappa / (kappa + 1) * distance;
      shape += 0.5;
      mu += (x(i, j) - mu) / (kappa + 1);
      kappa += 1;
    }
    CHECK(score.local_score(j, 0) == Approx(sum).epsilon(1e-12));
  }
}

TEST_CASE("BgeScore gives the same from its table and from its cache, to several threads at once") {
  const Eigen::MatrixXd x = chain(40, 10);
  const BgeScore table(x);
  for (const int cache_entries : {1 << 20, 1000, 0}) {
    const BgeScore cached(x, {.table_nodes = 0, .cache_entries = cache_entries});
    std::vector<double> worst(4);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < worst.size(); ++thread)
      threads.emplace_back([&, thread] {
        gfn::Stream stream = gfn::Random(5).stream(gfn::Purpose::user, 0, static_cast<std::uint32_t>(thread));
        for (int k = 0; k < 3000; ++k) {
          const int node = stream.below(10);
          const NodeSet parents = static_cast<NodeSet>(stream.below(1 << 10)) & ~gfn::node_set(node);
          const double difference = cached.local_score(node, parents) - table.local_score(node, parents);
          worst[thread] = std::max(worst[thread], std::abs(difference));
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const double difference : worst) CHECK(difference < 1e-10);
  }
}

TEST_CASE("BgeScore takes more variables than a table can hold") {
  const Eigen::MatrixXd x = chain(200, 64);
  const BayesianNetwork<BgeScore, gfn::UniformPrior, 64> env(BgeScore{x});
  Dag<64> chain_graph(64);
  for (int v = 0; v + 1 < 64; ++v) chain_graph.add_edge(v, v + 1);
  CHECK(env.log_reward(chain_graph) > 1000);
  CHECK(env.log_reward(chain_graph) == env.log_reward(chain_graph));
}

TEST_CASE("BgeScore scores the cells of Sachs et al.") {
  if (data.empty()) {
    WARN("skipped: GFN_DATA_DIR is not set");
    return;
  }
  const gfn::NumericTable table =
      gfn::read_numeric_table(data / "sachs_continuous_7466.tsv", {.without = {"condition"}, .num_rows = 853});
  REQUIRE(table.values.rows() == 853);
  REQUIRE(table.names.size() == 11);
  // Reference: the textbook form, ratios of marginal likelihoods of complete models, in another language.
  const BgeScore score(table.values);
  CHECK(score_of(score, Dag<32>(11)) == Approx(-49675.829492240).epsilon(1e-12));
  const BayesianNetwork env(score);
  const auto consensus = gfn::read_edge_list(data / "sachs_edges.tsv", table.names, "bnlearn17");
  const auto tetrad = gfn::read_edge_list(data / "sachs_edges.tsv", table.names, "tetrad20");
  CHECK(consensus.num_edges() == 17);
  CHECK(tetrad.num_edges() == 20);
  CHECK(std::abs(env.log_reward(consensus) - 2524.118120260) < 1e-6);
  CHECK(std::abs(env.log_reward(tetrad) - 2491.835902300) < 1e-6);

  gfn::BgeOptions options{.alpha_mu = 2.5, .alpha_w = 15.5};
  for (int j = 0; j < 11; ++j) options.nu.push_back(10.0 * j);
  const BgeScore other(table.values, options);
  CHECK(score_of(other, Dag<32>(11)) == Approx(-49802.736003169).epsilon(1e-12));
  CHECK(other.local_score(3, 0b10000110) == Approx(-5139.300301632).epsilon(1e-12));
  CHECK(BgeScore(table.values, {.t = 3}).local_score(3, 0b10000110) == Approx(-5126.368732360).epsilon(1e-12));

  gfn::testing::check_environment_laws(env, gfn::Random(1), {.walks = 4});
  gfn::testing::check_environment_laws(BayesianNetwork(score, {.max_parents = 3}, gfn::FairPrior{}), gfn::Random(2),
                                       {.walks = 4});
}

TEST_CASE("networks scored by BgeScore keep the laws of environments") {
  const BgeScore score(er5().values);
  gfn::testing::check_environment_laws(BayesianNetwork<BgeScore, gfn::UniformPrior, 8>(score), gfn::Random(1),
                                       {.walks = 20});
  gfn::testing::check_environment_laws(
      BayesianNetwork<BgeScore, gfn::ErdosRenyiPrior, 8>(score, {}, gfn::ErdosRenyiPrior(0.2)), gfn::Random(2),
      {.walks = 20});
}

TEST_CASE("a policy trains on the networks of Sachs et al.") {
  if (data.empty()) {
    WARN("skipped: GFN_DATA_DIR is not set");
    return;
  }
  const BayesianNetwork env(BgeScore(
      gfn::read_numeric_table(data / "sachs_continuous_7466.tsv", {.without = {"condition"}, .num_rows = 853}).values));
  REQUIRE(env.num_actions() == 11 * 11);
  gfn::Random random(1);
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {16}}, random);
  auto value = gfn::mlp_value<float>(env, {.hidden = {16}}, random);
  auto uniform = gfn::uniform_backward(env);
  auto trainer = gfn::policy_gradient_trainer(env, forward, uniform, value);
  const auto before = forward.parameters().value().eval();
  for (int i = 0; i < 3; ++i) {
    const gfn::IterationReport report = trainer.step(random, 8);
    CHECK(std::isfinite(report.loss));
    CHECK(std::isfinite(report.value_loss));
    CHECK(std::isfinite(report.log_z));
  }
  CHECK(forward.parameters().value().allFinite());
  CHECK(value.parameters().value().allFinite());
  CHECK_FALSE(forward.parameters().value() == before);
}

TEST_CASE("BgeScore refuses bad options and data") {
  const Eigen::MatrixXd x = chain(10, 3);
  const auto with = [&](const gfn::BgeOptions& options) { return refusal([&] { BgeScore score(x, options); }); };
  CHECK(with({}) == "accepted");
  CHECK(with({.alpha_mu = 0}) == "BgeScore: alpha_mu is 0, it must be finite and above 0");
  CHECK(with({.alpha_w = 2}) ==
        "BgeScore: alpha_w is 2 for 3 variables, it must be finite and above their number less 1");
  CHECK(with({.alpha_w = 3, .t = 1}) == "accepted");
  CHECK(with({.alpha_w = 4}).find("BgeScore: t is 0 (where it is not given") == 0);
  CHECK(with({.t = -1}).find("BgeScore: t is -1") == 0);
  CHECK(with({.nu = {1, 2}}) == "BgeScore: nu has 2 entries for 3 variables");
  CHECK(with({.nu = {1, 2, std::numeric_limits<double>::infinity()}}) == "BgeScore: nu holds inf, it must be finite");
  CHECK(with({.table_nodes = 31}) == "BgeScore: table_nodes is 31, it must be between 0 and 30");
  CHECK(with({.cache_entries = -1}) == "BgeScore: cache_entries is -1, it must be at least 0");
  CHECK(refusal([] { BgeScore score(Eigen::MatrixXd(0, 3)); }).find("BgeScore: the data have 0 rows and 3 columns") ==
        0);
  CHECK(refusal([] { BgeScore score(Eigen::MatrixXd::Zero(2, 65)); }).find("65 columns") != std::string::npos);
  Eigen::MatrixXd holed = x;
  holed(3, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal([&] { BgeScore score(holed); }) == "BgeScore: the data hold a number that is not finite");
  // A column that is the sum of two others, so large that t drowns in the rounding of R.
  Eigen::MatrixXd dependent = 1e9 * x;
  dependent.col(2) = dependent.col(0) + dependent.col(1);
  CHECK_THROWS_AS(BgeScore(dependent), gfn::Error);
  dependent /= 1e9;  // with t well above it this is a model like any other
  CHECK(refusal([&] { BgeScore score(dependent); }) == "accepted");
}
