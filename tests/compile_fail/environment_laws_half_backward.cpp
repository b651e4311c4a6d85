// expect: Environment: needs `void legal_undos\(const State&, gfn::Mask\) const`
// SPDX-License-Identifier: MIT
#include <gfn/problems/hypergrid.hpp>
#include <gfn/testing/environment_laws.hpp>

struct Grid : gfn::HyperGrid {
  void legal_undos(State&, gfn::Mask) const {}  // must not turn the examination into a forward one
};

void examine() { gfn::testing::check_environment_laws(Grid()); }
