// SPDX-License-Identifier: MIT
#include <vector>

#include <gfn/gfn.hpp>

#include "methods.hpp"
#include "scenario.hpp"

namespace training_step {

std::vector<Scenario> small_networks() {
  using Network = gfn::BayesianNetwork<gfn::BgeScore, gfn::UniformPrior, 8>;
  const auto make_env = [] {
    return Network{gfn::BgeScore(gfn::read_numeric_table(GFN_EXAMPLE_DATA_DIR "/er5_lingauss_seed0.tsv").values)};
  };
  return {make_scenario("er5", 128, 100, make_env,
                        [](const Network& env) { return gfn::discouraged_exit_below(env, 75); })};
}

}  // namespace training_step
