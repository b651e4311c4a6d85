// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include <gfn/gfn.hpp>

#include "exact_evaluation.hpp"
#include "gnuplot.hpp"

namespace examples {

/// A curve with a name; those of one name are drawn alike.
struct Series {
  std::string name;
  std::vector<CurvePoint> curve;
};

/// Trains, and follows the exact distance of the forward policy from the target.
template <class Trainer, class Forward, class E>
Series train_series(const char* name, Trainer& trainer, Forward& forward, const ExactEvaluation<E>& exact,
                    const gfn::TrainOptions& options, const gfn::Random& random) {
  Series series{name, {}};
  gfn::train(trainer, options, random, [&](const gfn::IterationReport& report) {
    if (report.iteration % 25 != 0 && report.iteration != report.total) return;
    const Distances d = exact.distances(exact.learned(forward));
    series.curve.push_back({static_cast<std::int64_t>(report.iteration), d.total_variation, d.jensen_shannon});
  });
  return series;
}

/// D_TV of several trainings against iterations.
inline void plot_series(const std::string& path, const std::vector<Series>& all) {
  static constexpr const char* colours[] = {"#31688e", "#e8590c", "#2f9e44", "#862e9c"};
  Gnuplot plot(path, 700, 430);
  std::vector<std::string> names;
  std::string curves;
  for (std::size_t k = 0; k < all.size(); ++k) {
    plot << "$curve" << k << " << END\n";
    for (const CurvePoint& point : all[k].curve)
      plot << point.iteration << ' ' << std::max(point.total_variation, 1e-6) << '\n';
    plot << "END\n";
    const auto known = std::find(names.begin(), names.end(), all[k].name);
    const auto colour = static_cast<std::size_t>(known - names.begin()) % std::size(colours);
    curves += (k > 0 ? ", $curve" : "$curve") + std::to_string(k) + " with lines lw 1.8 lc rgb '" + colours[colour] +
              "' " + (known == names.end() ? "title '" + all[k].name + "'" : "notitle");
    if (known == names.end()) names.push_back(all[k].name);
  }
  plot << "set logscale y\nset format y '%g'\nset xlabel 'iteration'\nset xrange [0:*]\nset key top right samplen 1.5\n"
       << "set grid ytics mytics lt 1 lc rgb '#d8d8d8' lw 0.8, lt 1 lc rgb '#eeeeee' lw 0.6\n"
       << "set title 'total variation from the target'\nplot " << curves << '\n';
  plot.draw();
}

}  // namespace examples
