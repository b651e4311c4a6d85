// expect: Environment: needs `double log_reward\(const State&\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  double log_reward(State&) const { return 0; }
};

static_assert(gfn::check_forward_environment_concept<Grid>());
