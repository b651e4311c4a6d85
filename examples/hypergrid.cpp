// SPDX-License-Identifier: MIT
// Does a GFlowNet learn the hypergrid, and how fast? Trains one, and compares it with the exact distribution.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "support/exact_evaluation.hpp"
#include "support/gnuplot.hpp"
#include "support/program.hpp"
#include "support/training_options.hpp"
#include "support/training_run.hpp"

namespace {

using Exact = examples::ExactEvaluation<gfn::HyperGrid>;

/// A distribution summed over all axes but the first two, on at most 256 x 256 cells, as a matrix for gnuplot.
void write_matrix(examples::Gnuplot& plot, const char* name, const gfn::HyperGrid& env, const Exact& exact,
                  const std::vector<double>& p) {
  const int width = (env.side() + 255) / 256;  // of a cell
  const int columns = (env.side() + width - 1) / width, rows = env.dimension() == 1 ? 1 : columns;
  std::vector<double> sum(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), 0.0);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const auto& x = exact.graph().state(exact.graph().terminal_rows()[i]);
    const int row = env.dimension() == 1 ? 0 : x[1] / width;
    sum[static_cast<std::size_t>(row * columns + x[0] / width)] += p[i];
  }
  plot << '$' << name << " << END\n";
  for (int row = 0; row < std::max(rows, 2); ++row) {  // an image has at least 2 x 2 cells
    for (int column = 0; column < std::max(columns, 2); ++column)
      plot << sum[static_cast<std::size_t>(std::min(row, rows - 1) * columns + std::min(column, columns - 1))] << ' ';
    plot << '\n';
  }
  plot << "END\n";
}

void plot(const std::string& path, const gfn::HyperGrid& env, const Exact& exact, const examples::Outcome& outcome) {
  examples::Gnuplot plot(path, 1200, 400);
  write_matrix(plot, "learned", env, exact, outcome.learned);
  write_matrix(plot, "target", env, exact, exact.target());
  const char* what = env.dimension() > 2 ? "first two axes: " : "";
  const auto place = [&](double left, double right) {
    plot << "set lmargin at screen " << left << "\nset rmargin at screen " << right << '\n';
  };
  plot << "set multiplot\nset bmargin at screen 0.13\nset tmargin at screen 0.89\n"
       << "set palette defined (0 '#440154', 0.25 '#3b528b', 0.5 '#21918c', 0.75 '#5ec962', 1 '#fde725')\n"
       << "stats $target matrix nooutput\nset cbrange [0:1.25 * STATS_max]\n"
       << "set autoscale fix\nunset key\nunset xtics\nunset ytics\nunset colorbox\n"
       << "set title '" << what << "learned after " << outcome.iterations << " iterations'\n";
  place(0.02, 0.273);
  plot << "plot $learned matrix with image\n"
       << "set colorbox user origin 0.568,0.13 size 0.012,0.76\nset title '" << what << "target'\n";
  place(0.303, 0.556);
  plot << "plot $target matrix with image\nset xtics\nset ytics\nset autoscale\n";
  place(0.71, 0.97);
  examples::plot_curve(plot, outcome.curve, exact.distances(exact.uniform()).total_variation);
  plot << "unset multiplot\n";
  plot.draw();
}

void check_grid(const gfn::HyperGridOptions& grid) {
  gfn::require(grid.dimension >= 1 && grid.dimension <= 8, "--dimension is ", grid.dimension,
               ", it must be between 1 and 8");
  gfn::require(grid.side >= 1, "--side is ", grid.side, ", it must be at least 1");
  const auto check_reward = [](const char* name, double r) {
    gfn::require(std::isfinite(r) && r >= 0, name, " is ", r, ", it must be finite and at least 0");
  };
  gfn::require(std::isfinite(grid.r0) && grid.r0 > 0, "--r0 is ", grid.r0,
               ", it must be finite and above 0: training takes the logarithm of every reward");
  check_reward("--r1", grid.r1);
  check_reward("--r2", grid.r2);
}

std::string describe_grid(const gfn::HyperGridOptions& grid) {
  return "hypergrid\n--dimension " + std::to_string(grid.dimension) + "\n--side " + std::to_string(grid.side) +
         "\n--r0 " + examples::all_digits(grid.r0) + "\n--r1 " + examples::all_digits(grid.r1) + "\n--r2 " +
         examples::all_digits(grid.r2);
}

void run(const gfn::HyperGridOptions& grid, examples::TrainingOptions options) {
  check_grid(grid);
  examples::check_training_options(options);
  const gfn::HyperGrid env(grid);
  std::optional<Exact> exact;
  if (options.evaluate_every > 0) {
    constexpr auto most = gfn::exact::StateGraphOptions{}.max_states;
    gfn::require(std::pow(grid.side, grid.dimension) <= static_cast<double>(most), "a grid of ", grid.side, "^",
                 grid.dimension, " states is too large for exact evaluation, which takes at most ", most,
                 "; --evaluate-every 0 trains without");
    exact.emplace(env);
  }
  gfn::require(exact || options.plot.empty(), "--plot needs exact evaluation, which --evaluate-every 0 switches off");
  examples::check_gnuplot("hypergrid", options.plot);
  const Exact* const evaluation = exact ? &*exact : nullptr;
  if (!options.quiet && exact)
    std::printf("%d axes of %d cells: %d states, log Z* = %.4f\n", grid.dimension, grid.side,
                exact->graph().num_states(), exact->log_z());
  const examples::Outcome outcome = examples::train(env, options, describe_grid(grid), evaluation,
                                                    [](const gfn::HyperGrid& g) { return gfn::discouraged_exit(g); });
  if (!options.quiet) examples::print_summary(options, evaluation, outcome);
  if (options.plot.empty()) return;
  plot(options.plot, env, *exact, outcome);
  if (!options.quiet) std::printf("picture: %s\n", options.plot.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  gfn::HyperGridOptions grid{.dimension = 2, .side = 32};
  examples::TrainingOptions options;
  CLI::App app{
      "Trains a GFlowNet on the hypergrid. A walk starts in a corner of the grid, goes along the axes, one cell an\n"
      "action, and exits anywhere: it is to exit at each cell x with a probability proportional to the reward R(x).\n"
      "R = r0, plus r1 near all the corners, plus r2 on a mode within each of these plateaus.",
      "hypergrid"};
  app.add_option("--dimension", grid.dimension, "number of axes, 1 to 8")->capture_default_str()->type_name("N");
  app.add_option("--side", grid.side, "cells along each axis")->capture_default_str()->type_name("N");
  app.add_option("--r0", grid.r0, "background reward")->capture_default_str()->type_name("X");
  app.add_option("--r1", grid.r1, "added on the plateaus")->capture_default_str()->type_name("X");
  app.add_option("--r2", grid.r2, "added on the modes")->capture_default_str()->type_name("X");
  examples::add_training_options(app, options);
  return examples::run_program(app, argc, argv, [&] { run(grid, options); });
}
