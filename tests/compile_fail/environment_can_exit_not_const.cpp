// expect: Environment: needs `bool can_exit\(const State&\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  bool can_exit(const State&) { return true; }
};

static_assert(gfn::check_forward_environment_concept<Grid>());
