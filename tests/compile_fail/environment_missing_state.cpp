// expect: Environment: needs a type `State`
// SPDX-License-Identifier: MIT
#include <gfn/environment/concepts.hpp>

struct Empty {
  int num_actions() const { return 0; }
};

static_assert(gfn::check_environment_concept<Empty>());
