// SPDX-License-Identifier: MIT
#include <gfn/rollout/trajectories.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "messages.hpp"

namespace {

using Lists = std::vector<std::vector<gfn::Action>>;

std::string refusal(const Lists& trajectories) {
  const gfn::HyperGrid env{{.dimension = 2, .side = 2}};
  try {
    (void)gfn::batch_from_trajectories(env, trajectories);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a batch is made of lists of actions") {
  const environments::PrependAppend env{.letters = 2, .length = 2};
  const auto batch = gfn::batch_from_trajectories(env, Lists{{0, 3, 4}, {1, 2, 4}});  // a, ba; b, ab
  REQUIRE(batch.trajectories() == 2);
  CHECK(batch.table().rows() == 5);
  CHECK(batch.terminal_state(0) == "ba");
  CHECK(batch.terminal_state(1) == "ab");
  CHECK(!batch.on_policy());
  const auto steps = batch.steps(0);
  REQUIRE(steps.size() == 3);
  CHECK(batch.table().state(steps[1].row) == "a");
  CHECK(batch.table().state(steps[1].child) == "ba");
  CHECK(steps[0].backward_action == 0);
  CHECK(steps[1].backward_action == 1);
  CHECK(steps[2].child == gfn::none);
  CHECK(steps[2].backward_action == gfn::none);

  const auto apart = gfn::batch_from_trajectories(env, Lists{{0, 0, 4}, {0, 2, 4}}, false);
  CHECK(apart.table().rows() == 6);
  CHECK(gfn::batch_from_trajectories(env, Lists{}).trajectories() == 0);
}

TEST_CASE("a list of actions that is no trajectory is refused, naming state and action") {
  CHECK(refusal({{2}, {0, 1, 2}}) == "accepted");
  const std::string twice = refusal({{2}, {0, 0, 2}});
  CHECK(contains(twice, "trajectory 1: action 0 is not legal at state (1, 0)"));
  CHECK(contains(refusal({{3}}), "action 3 is not legal at state (0, 0)"));
  CHECK(contains(refusal({{-1}}), "action -1 is not legal at state (0, 0)"));
  CHECK(contains(refusal({{1}}), "stops at state (0, 1)"));
  CHECK(contains(refusal({{}}), "stops at state (0, 0)"));
  CHECK(contains(refusal({{2, 0}}), "action 0 after its exit"));
}
