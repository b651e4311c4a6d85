// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "exact_evaluation.hpp"
#include "gnuplot.hpp"
#include "program.hpp"
#include "training_options.hpp"
#include "training_run.hpp"

namespace examples {

/// What a program that compares a few short trainings asks for.
struct SeriesOptions {
  int batch = 64;
  std::int64_t iterations = 1000;
  std::int64_t seed = 1;
  std::int64_t evaluate_every = 25;
  std::string log = {}, plot = {};
  bool quiet = false;
};

inline void add_series_options(CLI::App& app, SeriesOptions& options) {
  const auto option = [&](const char* name, auto& value, const char* text, const char* type) {
    app.add_option(name, value, text)->capture_default_str()->type_name(type);
  };
  option("--batch", options.batch, "trajectories an iteration", "N");
  option("--iterations", options.iterations, "when to stop", "N");
  option("--seed", options.seed, "of all random numbers", "N");
  option("--evaluate-every", options.evaluate_every, "iterations between exact evaluations", "N");
  option("--log", options.log, "write a log in JSON lines", "FILE");
  option("--plot", options.plot, "draw the distances along the way, by gnuplot", "FILE.png");
  app.add_flag("--quiet", options.quiet, "print nothing but errors");
  app.footer(log_footer + "\nThis program adds one field:\n  series                what is trained");
  app.get_formatter()->column_width(36);
}

/// Throws std::invalid_argument, naming the option, for what can't be meant.
inline void check_series_options(const SeriesOptions& o) {
  gfn::require(o.batch >= 1 && o.batch <= 1 << 24, "--batch is ", o.batch, ", it must be between 1 and 16777216");
  gfn::require(o.iterations >= 1, "--iterations is ", o.iterations, ", it must be at least 1");
  gfn::require(o.seed >= 0, "--seed is ", o.seed, ", it must be at least 0");
  gfn::require(o.evaluate_every >= 1, "--evaluate-every is ", o.evaluate_every, ", it must be at least 1");
  check_writable("--log", o.log);
  check_replaceable("--plot", o.plot);
  check_different("--log", o.log, "--plot", o.plot);
}

/// Trainings in one environment, one after the other, each with its progress, its lines in the log, and its curve.
template <class E>
class Comparison {
 public:
  /// Throws for options that can't be meant. `program` is its name in messages.
  Comparison(const char* program, const E& env, SeriesOptions options)
      : options_(checked(std::move(options))), exact_(env) {
    check_gnuplot(program, options_.plot);
    if (!options_.log.empty()) log_.emplace(options_.log);
    if (!options_.quiet) std::printf("%d states, log Z* = %.4f\n", exact_.graph().num_states(), exact_.log_z());
  }

  /// Trains. Series of one name are drawn alike; `note` tells them apart elsewhere.
  template <class Trainer, class Forward>
  void train(const std::string& name, Trainer& trainer, Forward& forward, const gfn::Random& random,
             const std::string& note = "") {
    Series series{name, {}};
    double seconds = 0, log_z = 0;
    gfn::ProgressBar progress;
    const auto observe = [&](const gfn::IterationReport& report) {
      seconds += report.seconds;
      log_z = report.log_z;
      const auto iteration = static_cast<std::int64_t>(report.iteration);
      if (iteration % options_.evaluate_every == 0 || report.iteration == report.total) {
        const Distances d = exact_.distances(exact_.learned(forward));
        series.curve.push_back({iteration, d.total_variation, d.jensen_shannon});
        progress.metric("D_TV", d.total_variation);
        if (log_)
          log_->write(log_line(report, options_.batch, d, std::abs(report.log_z - exact_.log_z()))
                          .add("series", name + note)
                          .add("train_seconds", seconds));
      }
      if (!options_.quiet) progress(report);
    };
    gfn::train(trainer, {.iterations = static_cast<std::uint64_t>(options_.iterations), .batch = options_.batch},
               random, observe);
    if (!options_.quiet)
      std::printf("%-28s total variation from the target %.4f, log Z %.4f\n", (name + note).c_str(),
                  series.curve.back().total_variation, log_z);
    series_.push_back(std::move(series));
  }

  /// D_TV of all trainings against iterations, where --plot asks for it.
  void draw() const {
    if (options_.plot.empty()) return;
    static constexpr const char* colours[] = {"#31688e", "#e8590c", "#2f9e44", "#862e9c"};
    Gnuplot plot(options_.plot, 700, 430);
    std::vector<std::string> names;
    std::string curves;
    for (std::size_t k = 0; k < series_.size(); ++k) {
      plot << "$curve" << k << " << END\n";
      for (const CurvePoint& point : series_[k].curve)
        plot << point.iteration << ' ' << std::max(point.total_variation, 1e-6) << '\n';
      plot << "END\n";
      const auto known = std::find(names.begin(), names.end(), series_[k].name);
      const auto colour = static_cast<std::size_t>(known - names.begin()) % std::size(colours);
      curves += (k > 0 ? ", $curve" : "$curve") + std::to_string(k) + " with lines lw 1.8 lc rgb '" + colours[colour] +
                "' " + (known == names.end() ? "title '" + series_[k].name + "'" : "notitle");
      if (known == names.end()) names.push_back(series_[k].name);
    }
    plot << "set logscale y\nset format y '%g'\nset xlabel 'iteration'\nset xrange [0:*]\n"
         << "set key top right samplen 1.5\n"
         << "set grid ytics mytics lt 1 lc rgb '#d8d8d8' lw 0.8, lt 1 lc rgb '#eeeeee' lw 0.6\n"
         << "set title 'total variation from the target'\nplot " << curves << '\n';
    plot.draw();
    if (!options_.quiet) std::printf("picture: %s\n", options_.plot.c_str());
  }

 private:
  struct Series {
    std::string name;
    std::vector<CurvePoint> curve;
  };
  static SeriesOptions checked(SeriesOptions options) {
    check_series_options(options);
    return options;
  }

  SeriesOptions options_;
  ExactEvaluation<E> exact_;
  std::optional<gfn::JsonLog> log_;
  std::vector<Series> series_;
};

}  // namespace examples
