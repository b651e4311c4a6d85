// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>
#include <gfn/testing/environment_laws.hpp>
#include <gfn/testing/operations.hpp>

const gfn::Version* version_in_other();
const gfn::Version* version_in_other() { return &gfn::version; }
