// expect: Environment: needs `int num_actions\(\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  long num_actions() const { return 2; }
};

static_assert(gfn::check_forward_environment_concept<Grid>());
