// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

const gfn::Version* version_in_other();
const gfn::Version* version_in_other() { return &gfn::version; }
