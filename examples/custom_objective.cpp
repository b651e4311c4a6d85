// SPDX-License-Identifier: MIT
// How is an objective of one's own written and trained by? The log-variance loss, in a few lines, beside TB.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "support/exact_evaluation.hpp"
#include "support/gnuplot.hpp"
#include "support/program.hpp"
#include "support/series.hpp"
#include "support/training_options.hpp"

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

struct Options {
  int side = 16, batch = 64, iterations = 1000, seeds = 3;
  std::string plot;
};

/// Trains a new policy by an objective; gives D_TV along the way.
template <class Objective>
examples::Series train(const char* name, const Objective& objective, const gfn::HyperGrid& env,
                       const examples::ExactEvaluation<gfn::HyperGrid>& exact, const Options& options, int seed) {
  gfn::Random random(static_cast<std::uint64_t>(seed));
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {128, 128}}, random);
  auto backward = gfn::uniform_backward(env);
  auto trainer = gfn::objective_trainer(env, objective, forward, backward);
  const auto series = examples::train_series(
      name, trainer, forward, exact,
      {.iterations = static_cast<std::uint64_t>(options.iterations), .batch = options.batch}, random);
  std::printf("%-20s seed %d: D_TV %.4f, log Z %.4f\n", name, seed, series.curve.back().total_variation,
              trainer.log_z_estimate());
  return series;
}

void run(Options options) {
  gfn::require(options.side >= 2 && options.side <= 256, "--side is ", options.side, ", it must be between 2 and 256");
  gfn::require(options.batch >= 2, "--batch is ", options.batch,
               ", it must be at least 2: there is a variance to take");
  gfn::require(options.iterations >= 1, "--iterations is ", options.iterations, ", it must be at least 1");
  gfn::require(options.seeds >= 1, "--seeds is ", options.seeds, ", it must be at least 1");
  examples::check_writable("--plot", options.plot);
  examples::check_gnuplot("custom_objective", options.plot);
  const gfn::HyperGrid env({.dimension = 2, .side = options.side});
  const examples::ExactEvaluation<gfn::HyperGrid> exact(env);
  std::printf("grid of %d x %d, log Z* = %.4f\n", options.side, options.side, exact.log_z());
  std::vector<examples::Series> all;
  for (int seed = 1; seed <= options.seeds; ++seed) {
    all.push_back(train("trajectory balance", gfn::TrajectoryBalance{}, env, exact, options, seed));
    all.push_back(train("log variance", LogVariance{}, env, exact, options, seed));
  }
  if (!options.plot.empty()) examples::plot_series(options.plot, all);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Trains by an objective that is written in this program, and by trajectory balance.",
               "custom_objective"};
  app.add_option("--side", options.side, "cells along each axis of the grid")->capture_default_str();
  app.add_option("--batch", options.batch, "trajectories an iteration")->capture_default_str();
  app.add_option("--iterations", options.iterations, "when to stop")->capture_default_str();
  app.add_option("--seeds", options.seeds, "runs of each")->capture_default_str();
  app.add_option("--plot", options.plot, "draw the distances along the way, by gnuplot")->type_name("FILE.png");
  return examples::run_program(app, argc, argv, [&] { run(options); });
}
