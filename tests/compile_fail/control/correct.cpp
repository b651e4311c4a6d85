// expect: nothing, this compiles
// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

#include <concepts>

static_assert(std::same_as<decltype(gfn::version), const gfn::Version>);
