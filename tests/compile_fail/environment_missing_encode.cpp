// expect: EncodedEnvironment: needs `void encode\(const State&, gfn::Features\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  void encode(const State&) const {}
};

static_assert(gfn::check_encoding_concept<Grid>());
