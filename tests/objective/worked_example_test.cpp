// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

#include <gfn/exact/distribution.hpp>
#include <gfn/exact/metrics.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/rewards.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/tabular.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/trajectories.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"

// Two trajectories on the 4 x 4 grid, with every table given by a formula; the numbers were computed by the authors'
// own loss classes (Niu et al. 2024).

namespace {

using gfn::HyperGrid;
using Table = gfn::TabularFunction<double, HyperGrid>;

constexpr double log_z = 0.3;

struct Example {
  HyperGrid env{{.dimension = 2, .side = 4}};
  gfn::exact::StateGraph<HyperGrid> graph{env};
  Table forward = filled(1, env.num_actions() + 1);
  Table backward = filled(2, env.num_actions());
  Table flow = filled(3, 1);
  Table value = filled(4, 1);
  Table backward_value = filled(5, 1);
  gfn::Batch<HyperGrid> batch = gfn::batch_from_trajectories(env, std::vector<std::vector<int>>{{0, 1, 1, 2}, {1, 2}});

  /// t_k[i][j] = sin(0.7 k + 1.3 i + 0.9 j² + 0.37 i j) with i = 4 x₀ + x₁.
  Table filled(int k, int outputs) const {
    Table table(env, graph.states(), outputs);
    auto values = table.modify();
    for (int row = 0; row < graph.num_states(); ++row)
      for (int j = 0; j < outputs; ++j) {
        const auto i = static_cast<double>(env.index(graph.state(row)));
        values(row, j) = std::sin(0.7 * k + 1.3 * i + 0.9 * j * j + 0.37 * i * j);
      }
    return table;
  }
};

/// A number printed to six decimals by code that computes in single precision. (Approx takes either of its tolerances
/// for enough, and has a relative one of 1e-5 unless told otherwise.)
Approx printed(double x, double margin = 2e-6) { return Approx(x).epsilon(0).margin(margin); }

void check_close(std::span<const double> numbers, std::initializer_list<double> expected) {
  REQUIRE(numbers.size() == expected.size());
  std::size_t i = 0;
  for (const double x : expected) CHECK(numbers[i++] == printed(x));
}

std::vector<double> row_of(gfn::Out<double> matrix, int row) {
  return {matrix.row(row).data(), matrix.row(row).data() + matrix.cols()};
}

/// The costs of all steps under a policy-dependent reward.
template <class Reward>
std::vector<double> costs(Example& example, const Reward& reward) {
  gfn::PolicyEvaluation<double, Table, HyperGrid> forward(example.forward, example.env, gfn::Direction::forward);
  gfn::PolicyEvaluation<double, Table, HyperGrid> backward(example.backward, example.env, gfn::Direction::backward);
  example.batch.compute_rewards();
  forward.evaluate(example.batch.table());
  backward.evaluate(example.batch.table());
  std::vector<double> cost(example.batch.steps().size());
  reward(gfn::RewardInput<HyperGrid, decltype(forward), decltype(backward)>{example.batch, forward, backward, log_z},
         cost);
  return cost;
}

}  // namespace

TEST_CASE("worked example: trajectory balance") {
  Example e;
  auto trainer = gfn::trajectory_balance_trainer(e.env, e.forward, e.backward, {.initial_log_z = log_z});
  CHECK(trainer.gradient(e.batch) == printed(6.982461));
  // ∂/∂log Z of the mean of δ² is twice the mean of δ
  CHECK(trainer.log_z().parameters().grad(0)(0, 0) == printed(2.403553 + 2.861443));
}

TEST_CASE("worked example: detailed balance") {
  Example e;
  auto trainer = gfn::objective_trainer(e.env, gfn::DetailedBalance{}, e.forward, e.backward, e.flow);
  CHECK(trainer.gradient(e.batch) == printed(8.848173));
  CHECK(trainer.log_z_estimate() == e.flow.table()(0, 0));
}

TEST_CASE("worked example: sub-trajectory balance, with the weightings of the authors' code") {
  Example e;
  const auto loss = [&](gfn::SubtrajectoryWeights weights) {
    auto trainer = gfn::objective_trainer(e.env, gfn::SubtrajectoryBalance{.weights = weights, .lambda = .9}, e.forward,
                                          e.backward, e.flow);
    const double value = trainer.gradient(e.batch);
    CHECK(trainer.log_z_estimate() == e.flow.table()(0, 0));
    return value;
  };
  using enum gfn::SubtrajectoryWeights;
  CHECK(loss(detailed_balance) == printed(2.949391));
  CHECK(loss(modified_detailed_balance) == printed(3.309732));
  CHECK(loss(trajectory_balance) == printed(10.264961));
  CHECK(loss(equal) == printed(4.798541));
  CHECK(loss(equal_within) == printed(5.511856));
  CHECK(loss(geometric) == printed(5.902767));
  CHECK(loss(geometric_within) == printed(5.303258));
}

TEST_CASE("worked example: the forward costs") {
  Example e;
  check_close(costs(e, gfn::ForwardReward{}), {-.969545, 1.580308, -1.227611, 3.020401, -.614189, 3.475632});
}

TEST_CASE("worked example: the forward policy gradient") {
  Example e;
  auto trainer =
      gfn::policy_gradient_trainer(e.env, e.forward, e.backward, e.value, {.lambda = .99, .initial_log_z = log_z});
  e.batch.assume_on_policy(e.forward);  // as the example has it
  CHECK(trainer.gradient(e.batch) == printed(2.632498));
  check_close(trainer.advantages().advantage(), {-.788284, -.449829, -1.148944, 1.165329, -.294332, 1.516061});
  check_close(trainer.advantages().target(), {2.403553, 3.373099, 1.792790, 3.020401, 2.861443, 3.475632});
  check_close(trainer.advantages().total(), {2.403553, 2.861443});
  CHECK(trainer.log_z().parameters().grad(0)(0, 0) == printed(2.632498));
  check_close(row_of(e.forward.parameters().grad(0), 0), {-.188848, .145725, .043123});
}

TEST_CASE("worked example: the value function's loss") {
  Example e;
  auto trainer =
      gfn::policy_gradient_trainer(e.env, e.forward, e.backward, e.value, {.lambda = .99, .initial_log_z = log_z});
  e.batch.assume_on_policy(e.forward);  // as the example has it
  trainer.gradient(e.batch);
  gfn::Tape<double> tape;
  std::vector<int> rows(static_cast<std::size_t>(e.batch.table().rows()));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int>(i);
  const auto loss =
      gfn::value_loss(tape, e.value, e.batch, gfn::Direction::forward, trainer.advantages().target(), rows);
  CHECK(loss.scalar() == printed(26.556897, 1e-5));
}

TEST_CASE("worked example: the backward costs") {
  Example e;
  // from the start to the end, as the steps are; the exits cost nothing
  check_close(costs(e, gfn::BackwardReward{}), {.969545, -1.580308, 1.227611, 0, .614189, 0});
  auto trainer = gfn::coupled_trainer(e.env, e.forward, e.backward, e.value, e.backward_value);  // λ = 1, centred
  e.batch.assume_walked_back_by(e.backward);
  CHECK(trainer.backward_gradient(e.batch) == printed((.969545 - 1.580308 + 1.227611 + .614189) / 2));
  // Monte-Carlo returns of walks from x back to s₀
  check_close(trainer.backward_advantages().target(),
              {.969545, .969545 - 1.580308, .969545 - 1.580308 + 1.227611, 0, .614189, 0});
  check_close(trainer.backward_advantages().total(), {.616848, .614189});
  // returns minus V_B = sin(3.5 + 1.3 i) at the states (1, 0), (1, 1), (1, 2) and (0, 1), which are .662969, -.544021,
  // -.954019 and -.996165, minus the mean of these four differences, .855264: the exits are not counted
  check_close(trainer.backward_advantages().advantage(), {-.548688, -.922006, .715604, 0, .755090, 0});
}

TEST_CASE("worked example: the exact distributions") {
  Example e;
  const auto learned = gfn::exact::terminating_distribution(e.graph, e.forward);
  const auto target = gfn::exact::target_distribution(e.graph);
  CHECK(gfn::exact::log_partition(e.graph) == printed(.770108));
  CHECK(gfn::total_variation(learned, target) == printed(.815173));
  CHECK(gfn::jensen_shannon(learned, target) == printed(.431833));
}
