// expect: Environment: needs `void log_rewards\(std::span<const State>, std::span<double>\) const`
// SPDX-License-Identifier: MIT
#include <span>

#include <gfn/environment/concepts.hpp>
#include <gfn/problems/hypergrid.hpp>

struct Grid : gfn::HyperGrid {
  void log_rewards(std::span<State>, std::span<double>) const {}  // would never be called
};

static_assert(gfn::check_forward_environment_concept<Grid>());
