// expect: Environment: needs `State initial_state\(\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  int initial_state() const { return 0; }
};

static_assert(gfn::check_forward_environment_concept<Grid>());
