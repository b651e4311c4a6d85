// expect: another fault
// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

static_assert(gfn::version.major < 0, "a fault");
static_assert(gfn::version.major < 0, "another fault");
