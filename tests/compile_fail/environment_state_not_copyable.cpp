// expect: Environment: needs a `State` that can be copied and assigned
// SPDX-License-Identifier: MIT
#include <gfn/core/mask.hpp>
#include <gfn/environment/concepts.hpp>

struct Stop {
  struct State {
    explicit State(int n) : number(n) {}
    State(const State&) = default;
    State& operator=(const State&) = delete;
    friend bool operator==(const State&, const State&) = default;
    const int number;
  };
  State initial_state() const { return State(0); }
  int num_actions() const { return 0; }
  void legal_actions(const State&, gfn::Mask) const {}
  bool can_exit(const State&) const { return true; }
  void apply(State&, gfn::Action) const {}
  double log_reward(const State&) const { return 0; }
};

static_assert(gfn::check_forward_environment_concept<Stop>());
