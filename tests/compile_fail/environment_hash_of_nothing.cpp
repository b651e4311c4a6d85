// expect: Environment: needs `std::uint64_t hash\(const State&\) const` in just this form
// SPDX-License-Identifier: MIT
#include <cstdint>

#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  std::uint64_t hash() const { return 0; }
};

static_assert(gfn::check_forward_environment_concept<Grid>());
