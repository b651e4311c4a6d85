// expect: Environment: needs `void legal_undos\(const State&, gfn::Mask\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  void legal_undos(const State&) const {}
};

static_assert(gfn::check_environment_concept<Grid>());
