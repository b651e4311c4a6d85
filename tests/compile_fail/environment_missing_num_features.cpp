// expect: EncodedEnvironment: needs `int num_features\(\) const`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  int num_features() const = delete;
};

static_assert(gfn::check_encoding_concept<Grid>());
