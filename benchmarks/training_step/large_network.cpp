// SPDX-License-Identifier: MIT
#include <memory>
#include <string>
#include <vector>

#include <gfn/gfn.hpp>

#include "methods.hpp"
#include "scenario.hpp"

namespace training_step {

namespace {

/// Samples of a linear-Gaussian network, one a row: each variable may have any earlier one as its parent, with one
/// parent on average.
Eigen::MatrixXd linear_gaussian_samples(int variables, int samples) {
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  Eigen::MatrixXd x(samples, variables);
  for (int j = 0; j < variables; ++j) {
    for (int i = 0; i < samples; ++i) x(i, j) = 0.1 * stream.normal();
    for (int parent = 0; parent < j; ++parent)
      if (stream.uniform() * (variables - 1) < 2) x.col(j) += stream.normal() * x.col(parent);
  }
  return x;
}

}  // namespace

std::vector<Scenario> large_networks() {
  using Network = gfn::BayesianNetwork<gfn::BgeScore, gfn::UniformPrior, 32>;
  Scenario scenario = make_scenario(
      "er20", 32, 50,
      [] {
        return Network{gfn::BgeScore(linear_gaussian_samples(20, 100)), {.max_parents = 2}};
      },
      [](const Network& env) { return gfn::discouraged_exit_below(env, 75); });
  // Flow matching asks for the flows of all parents, some million states an iteration here: it is left out.
  scenario.open = [open = scenario.open]() -> Begin {
    return [begin = open()](const std::string& method, const NetworkOptions& options, gfn::Random& random) {
      return method == "fm" ? nullptr : begin(method, options, random);
    };
  };
  return {scenario};
}

}  // namespace training_step
