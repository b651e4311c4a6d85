// SPDX-License-Identifier: MIT
#include <cstdio>

#include <gfn/gfn.hpp>

int main() { std::printf("gfn %d.%d.%d\n", gfn::version.major, gfn::version.minor, gfn::version.patch); }
