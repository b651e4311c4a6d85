// SPDX-License-Identifier: MIT
#include <gfn/exact/gradient.hpp>

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

namespace {

using gfn::HyperGrid;
using gfn::exact::StateGraph;

}  // namespace

TEST_CASE("all complete trajectories are found, and counted beforehand") {
  const HyperGrid grid{{.dimension = 2, .side = 3}};
  const StateGraph graph(grid);
  CHECK(gfn::exact::num_trajectories(graph) == 19);
  const auto all = gfn::exact::all_trajectories(graph, 19);
  CHECK(all.size() == 19);
  const auto batch = gfn::batch_from_trajectories(grid, all);  // which checks them
  CHECK(batch.table().rows() == 9);
  CHECK_THROWS_AS(gfn::exact::all_trajectories(graph, 18), gfn::Error);

  const environments::PrependAppend words;
  const StateGraph parallel(words);
  CHECK(gfn::exact::num_trajectories(parallel) == 64);
  CHECK(gfn::exact::all_trajectories(parallel).size() == 64);

  const HyperGrid large{{.dimension = 2, .side = 64}};
  const StateGraph many(large);
  CHECK(gfn::exact::num_trajectories(many) > 1e30);
  CHECK_THROWS_AS(gfn::exact::all_trajectories(many), gfn::Error);
}

TEST_CASE("a trajectory that the graph does not have is refused") {
  const HyperGrid env{{.dimension = 2, .side = 2}};
  const StateGraph graph(env);
  const auto follow = [&](std::vector<int> actions) { gfn::exact::follow(graph, actions, [](std::size_t) {}); };
  CHECK_NOTHROW(follow({0, 1, 2}));
  CHECK_THROWS_AS(follow({}), std::invalid_argument);
  CHECK_THROWS_AS(follow({0, 1}), std::invalid_argument);
  CHECK_THROWS_AS(follow({0, 0, 2}), std::invalid_argument);
  const environments::PrependAppend words;
  const StateGraph complete_only(words);
  CHECK_THROWS_AS(gfn::exact::follow(complete_only, std::vector<int>{0, 4}, [](std::size_t) {}), std::invalid_argument);
}

TEST_CASE("trajectory laws sum to one") {
  const environments::PrependAppend env;
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  const auto sum = [](const gfn::exact::TrajectoryLaw& law) {
    return std::accumulate(law.probabilities.begin(), law.probabilities.end(), 0.0);
  };
  CHECK(sum(gfn::exact::trajectory_law(graph, gfn::exact::forward_log_probabilities(graph, forward))) ==
        Approx(1).epsilon(1e-13));
  CHECK(sum(gfn::exact::trajectory_law(graph, gfn::exact::terminating_distribution(graph, forward),
                                       gfn::exact::backward_log_probabilities(graph, backward))) ==
        Approx(1).epsilon(1e-13));
}

TEST_CASE("mean and covariance of an estimate are those over all batches") {
  const HyperGrid env{{.dimension = 1, .side = 3}};
  const StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  const auto p = gfn::exact::terminating_distribution(graph, forward);  // one trajectory to each state
  // an "estimate" in two parameters: the mean length over the batch, and the mean of its square
  gfn::Parameters<double> parameters;
  parameters.add("two numbers", 1, 2);
  const auto add = [&](gfn::Batch<HyperGrid>& batch) {
    for (int i = 0; i < batch.trajectories(); ++i) {
      const double n = static_cast<double>(batch.steps(i).size());
      parameters.grad(0)(0, 0) += n / batch.trajectories();
      parameters.grad(0)(0, 1) += n * n / batch.trajectories();
    }
  };
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (int n = 1; n <= 3; ++n) {
    const double q = p[static_cast<std::size_t>(n - 1)];
    m1 += q * n, m2 += q * n * n, m3 += q * n * n * n, m4 += q * n * n * n * n;
  }
  parameters.grad(0)(0, 0) = 5;  // what was there before is not taken in
  for (const int batch : {1, 2, 3}) {
    const auto moments = gfn::exact::expected_gradient(graph, forward, {.batch = batch}, add, parameters);
    CHECK(moments.mean.size() == parameters.size());
    CHECK(moments.mean[0] == Approx(m1).epsilon(1e-13));
    CHECK(moments.mean[1] == Approx(m2).epsilon(1e-13));
    CHECK(moments.covariance(0, 0) == Approx((m2 - m1 * m1) / batch).epsilon(1e-12));
    CHECK(moments.covariance(1, 0) == Approx((m3 - m1 * m2) / batch).epsilon(1e-12));
    CHECK(moments.covariance(0, 1) == moments.covariance(1, 0));
    CHECK(moments.covariance(1, 1) == Approx((m4 - m2 * m2) / batch).epsilon(1e-12));
    CHECK(parameters.grad().norm() == 0);
  }
  const auto uniform = gfn::uniform_backward(env);
  CHECK(gfn::exact::expected_backward_gradient(graph, forward, uniform, {}, add, parameters).mean[0] ==
        Approx(m1).epsilon(1e-13));
  CHECK_THROWS_AS((void)gfn::exact::expected_gradient(graph, forward, {.batch = 3, .max_batches = 26}, add, parameters),
                  gfn::Error);
  CHECK_THROWS_AS((void)gfn::exact::expected_gradient(graph, forward, {.batch = 0}, add, parameters),
                  std::invalid_argument);
}
