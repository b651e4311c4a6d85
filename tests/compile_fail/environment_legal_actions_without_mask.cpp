// expect: Environment: needs `void legal_actions\(const State&, gfn::Mask\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  void legal_actions(const State&) const {}
};

static_assert(gfn::check_forward_environment_concept<Grid>());
