// expect: Environment: needs a `State` with `bool operator==\(const State&, const State&\)`
// SPDX-License-Identifier: MIT
#include <gfn/core/mask.hpp>
#include <gfn/environment/concepts.hpp>

struct Stop {
  struct State {
    int number;
  };
  State initial_state() const { return {0}; }
  int num_actions() const { return 0; }
  void legal_actions(const State&, gfn::Mask) const {}
  bool can_exit(const State&) const { return true; }
  void apply(State&, gfn::Action) const {}
  double log_reward(const State&) const { return 0; }
};

static_assert(gfn::check_forward_environment_concept<Stop>());
