// expect: Environment: needs `void undo\(State&, gfn::Action\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  void undo(State&, gfn::Action) const = delete;
};

static_assert(gfn::check_environment_concept<Grid>());
