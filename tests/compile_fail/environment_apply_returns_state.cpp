// expect: Environment: needs `void apply\(State&, gfn::Action\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  State apply(const State& s, gfn::Action) const { return s; }  // would change nothing
};

static_assert(gfn::check_forward_environment_concept<Grid>());
