// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

const gfn::Version* version_in_other();

// An inline variable has one address in the whole program.
int main() { return version_in_other() == &gfn::version ? 0 : 1; }
