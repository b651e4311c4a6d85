// expect: Environment: needs all three of `int num_backward_actions\(\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  int num_backward_actions() const { return num_actions(); }
  gfn::Action backward_action(const State&, gfn::Action a) const { return a; }
};

static_assert(gfn::check_environment_concept<Grid>());
