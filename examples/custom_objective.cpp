// SPDX-License-Identifier: MIT
// How is an objective of one's own written and trained by? The log-variance loss, in a few lines, beside TB.
#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "support/program.hpp"
#include "support/series.hpp"

namespace {

/// The variance over the batch of δ(τ) = log P_F(τ) − log P_B(τ|x) − log R(x), which is constant, −log Z*, just where
/// policies and rewards balance. So no log Z has to be learned: it is the batch that tells it (VarGrad: Richter,
/// Boustati, Nüsken, Ruiz, Akyildiz, NeurIPS 2020; Zhang, Chen, Liu, Courville, Bengio, 2023).
struct LogVariance {
  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    const gfn::Var<T> delta = gfn::TrajectoryBalance{}.deviations(tape, input);  // its log Z cancels below
    return gfn::mean(gfn::square(delta - gfn::mean(delta)));
  }
  /// Optional: what is reported as the estimate of log Z.
  template <class Input>
  double log_z(const Input& input) const {
    const auto& batch = input.batch;
    double sum = 0;
    for (int i = 0; i < batch.trajectories(); ++i) {
      sum += batch.log_reward(i);
      for (const gfn::Step& step : batch.steps(i))
        sum += input.backward.log_probability(step) - input.forward.log_probability(step);
    }
    return sum / batch.trajectories();
  }
};

/// Trains a new policy by an objective.
template <class Objective>
void train(const char* name, const Objective& objective, const gfn::HyperGrid& env, std::int64_t seed,
           examples::Comparison<gfn::HyperGrid>& comparison) {
  gfn::Random random(static_cast<std::uint64_t>(seed));
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {128, 128}}, random);
  auto backward = gfn::uniform_backward(env);
  auto trainer = gfn::objective_trainer(env, objective, forward, backward);
  comparison.train(name, trainer, forward, random, ", seed " + std::to_string(seed));
}

void run(int side, std::int64_t seeds, const examples::SeriesOptions& options) {
  gfn::require(side >= 2 && side <= 256, "--side is ", side, ", it must be between 2 and 256");
  gfn::require(options.batch >= 2, "--batch is ", options.batch,
               ", it must be at least 2: there is a variance to take");
  gfn::require(seeds >= 1, "--seeds is ", seeds, ", it must be at least 1");
  const gfn::HyperGrid env({.dimension = 2, .side = side});
  examples::Comparison<gfn::HyperGrid> comparison("custom_objective", env, options);
  for (std::int64_t seed = options.seed; seed < options.seed + seeds; ++seed) {
    train("trajectory balance", gfn::TrajectoryBalance{}, env, seed, comparison);
    train("log variance", LogVariance{}, env, seed, comparison);
  }
  comparison.draw();
}

}  // namespace

int main(int argc, char** argv) {
  int side = 16;
  std::int64_t seeds = 3;
  examples::SeriesOptions options;
  CLI::App app{"Trains by an objective that is written in this program, and by trajectory balance.",
               "custom_objective"};
  app.add_option("--side", side, "cells along each axis of the grid")->capture_default_str()->type_name("N");
  app.add_option("--seeds", seeds, "runs of each, by seeds from --seed on")->capture_default_str()->type_name("N");
  examples::add_series_options(app, options);
  return examples::run_program(app, argc, argv, [&] { run(side, seeds, options); });
}
