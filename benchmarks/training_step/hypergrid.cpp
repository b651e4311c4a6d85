// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <gfn/gfn.hpp>

#include "methods.hpp"
#include "scenario.hpp"

namespace training_step {

std::vector<Scenario> hypergrids() {
  const auto grid = [](const std::string& name, int dimension, int side, int batch, int iterations) {
    return make_scenario(
        name, batch, iterations, [=] { return gfn::HyperGrid{{.dimension = dimension, .side = side}}; },
        [](const gfn::HyperGrid& env) { return gfn::discouraged_exit(env); });
  };
  return {grid("8x8", 2, 8, 16, 1000),       grid("32x32", 2, 32, 128, 1000), grid("128x128", 2, 128, 128, 300),
          grid("256x256", 2, 256, 128, 300), grid("8^4", 4, 8, 16, 1000),     grid("20^4", 4, 20, 16, 1000),
          grid("64^3", 3, 64, 128, 300),     grid("32^4", 4, 32, 128, 300)};
}

}  // namespace training_step
