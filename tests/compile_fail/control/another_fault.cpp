// expect: a sentence that no compiler says
// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

static_assert(gfn::version.major < 0, "another fault");
