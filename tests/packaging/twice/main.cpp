// SPDX-License-Identifier: MIT
#include <gfn/version.hpp>

int main() { return gfn::version == gfn::Version{} ? 0 : 1; }
