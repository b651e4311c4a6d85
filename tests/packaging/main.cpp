// SPDX-License-Identifier: MIT
#include <cstdio>

#include <gfn/gfn.hpp>

int main() {
  gfn::HyperGrid env{{.dimension = 2, .side = 8}};
  std::printf("gfn %d.%d.%d: log R(s0) = %g\n", gfn::version.major, gfn::version.minor, gfn::version.patch,
              env.log_reward(env.initial_state()));
}
