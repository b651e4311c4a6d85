// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>
#include <gfn/testing/environment_laws.hpp>
#include <gfn/testing/operations.hpp>

const gfn::Version* version_in_other();

// An inline variable has one address in the whole program.
int main() { return version_in_other() == &gfn::version ? 0 : 1; }
