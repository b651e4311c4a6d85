// SPDX-License-Identifier: MIT
#include <cmath>
#include <string>
#include <vector>

#include <gfn/core/log_space.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/trajectories.hpp>
#include <gfn/trainer/coupled_trainer.hpp>

#include "catch.hpp"
#include "tabular.hpp"

namespace {

/// A grid with one state of reward 0, which a policy of equal logits meets in any batch that is not small.
struct Pit : gfn::HyperGrid {
  double log_reward(const State& s) const { return s == pit() ? gfn::minus_infinity<> : gfn::HyperGrid::log_reward(s); }
  State pit() const {
    State s = initial_state();
    apply(s, 1);
    return s;
  }
};

}  // namespace

TEST_CASE("coupled training: a reward of 0 stops it, naming the state, unless there is a floor") {
  const Pit env{gfn::HyperGrid{{.dimension = 2, .side = 3}}};
  const gfn::exact::StateGraph<Pit> graph(env);
  auto forward = gfn::tabular_policy<double>(env, graph.states());
  auto backward = gfn::tabular_backward<double>(env, graph.states());
  auto value = gfn::tabular_value<double>(env, graph.states());
  auto backward_value = gfn::tabular_value<double>(env, graph.states());
  const gfn::Random random{1};
  const auto finite = [&] {
    return forward.parameters().value().allFinite() && backward.parameters().value().allFinite() &&
           value.parameters().value().allFinite() && backward_value.parameters().value().allFinite();
  };
  SECTION("no floor") {
    auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value);
    std::string message;
    try {
      trainer.step(random, 64);
    } catch (const gfn::Error& error) {
      message = error.what();
    }
    CHECK(message ==
          "log_reward is -inf at the state " + gfn::describe(env.pit()) + ": training needs a log_reward_floor");
    CHECK(finite());
    CHECK(trainer.iteration() == 0);
  }
  SECTION("a floor") {
    auto trainer =
        gfn::coupled_trainer(env, forward, backward, value, backward_value, {.forward = {.log_reward_floor = -12}});
    for (int i = 0; i < 3; ++i) {
      const auto report = trainer.step(random, 64);
      CHECK(std::isfinite(report.loss));
      CHECK(std::isfinite(report.backward_loss));
    }
    CHECK(finite());
    CHECK(backward.parameters().value().norm() > 0);
  }
  SECTION("the backward costs have no reward in them") {
    auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value);
    auto batch = gfn::batch_from_trajectories(env, std::vector<std::vector<int>>{{1, 2}, {0, 1, 2}});
    batch.assume_walked_back_by(backward);
    CHECK(std::isfinite(trainer.backward_gradient(batch)));
    CHECK(backward.parameters().grad().allFinite());
  }
}
