// SPDX-License-Identifier: MIT
// How well does each method learn, over several seeds? The experiments of Niu et al. 2024, and others like them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "../examples/support/exact_evaluation.hpp"
#include "../examples/support/gnuplot.hpp"
#include "../examples/support/program.hpp"
#include "../examples/support/sequence_tasks.hpp"
#include "../examples/support/training_options.hpp"
#include "../examples/support/training_run.hpp"
#include "support/experiment.hpp"
#include "support/run_all.hpp"

namespace {

struct Plan {
  std::string environment = "hypergrid";
  int dimension = 2, side = 8;
  std::string data = GFN_DATA_DIR;
  std::vector<std::string> variants = {"tb-u", "tb-b", "rl-u", "rl-b"};
  int seeds = 5, first_seed = 1;
  std::vector<std::int64_t> at;  ///< iterations at which the table judges; by default the last
  std::vector<std::string> metrics;
  std::vector<std::string> abscissas = {"iteration"};
  std::optional<double> below;
  std::string results = "results", plot;
  int jobs = 1;
  bool only_table = false;
};

/// What is to be trained and where each log stands.
struct Experiment {
  std::string environment;
  std::vector<paper::Variant> variants;
  std::vector<paper::Run> runs;

  std::vector<const paper::Run*> finished(std::size_t variant) const {
    std::vector<const paper::Run*> chosen;
    for (const paper::Run& run : runs)
      if (run.variant == variant && run.is_done()) chosen.push_back(&run);
    return chosen;
  }
};

Experiment make_experiment(const Plan& plan, const examples::TrainingOptions& common) {
  Experiment experiment{plan.environment, {}, {}};
  if (plan.environment == "hypergrid")
    experiment.environment += "-" + std::to_string(plan.dimension) + "x" + std::to_string(plan.side);
  for (const std::string& text : plan.variants) {
    experiment.variants.push_back(paper::parse_variant(text, common));
    examples::TrainingOptions options = experiment.variants.back().options;
    options.judged = plan.at;
    for (int s = 0; s < plan.seeds; ++s) {
      options.seed = plan.first_seed + s;
      experiment.runs.push_back(
          {experiment.variants.size() - 1, options, paper::log_file(plan.results, experiment.environment, options)});
    }
  }
  return experiment;
}

// --- training ---

/// make_probe(options) gives what is measured besides in a run.
template <class E, class MakeGuide, class MakeProbe>
void train_all(const E& env, const Plan& plan, const Experiment& experiment, const MakeGuide& make_guide,
               const MakeProbe& make_probe) {
  if (plan.only_table ||
      std::all_of(experiment.runs.begin(), experiment.runs.end(), [](const paper::Run& run) { return run.is_done(); }))
    return;
  const examples::ExactEvaluation<E> exact(env);
  paper::run_all(experiment.runs, plan.jobs, [&](const examples::TrainingOptions& options) {
    const auto outcome = examples::train(env, options, experiment.environment, &exact, make_guide, make_probe(options));
    const examples::Distances d = exact.distances(outcome.learned);
    char text[100];
    std::snprintf(text, sizeof text, "D_TV %.4f, D_JSD %.4f, %.1f s of training", d.total_variation, d.jensen_shannon,
                  outcome.train_seconds);
    return std::string(text);
  });
}

void train_all(const Plan& plan, const Experiment& experiment) {
  const auto no_probe = [](const examples::TrainingOptions&) { return examples::NoProbe(); };
  if (plan.environment == "hypergrid") {
    const gfn::HyperGrid env{{.dimension = plan.dimension, .side = plan.side}};
    return train_all(
        env, plan, experiment, [](const gfn::HyperGrid& g) { return gfn::discouraged_exit(g); }, no_probe);
  }
  if (plan.environment == "er5") {
    const gfn::NumericTable table = gfn::read_numeric_table(GFN_EXAMPLE_DATA_DIR "/er5_lingauss_seed0.tsv");
    const gfn::BayesianNetwork<gfn::BgeScore, gfn::UniformPrior, 8> env{gfn::BgeScore(table.values)};
    return train_all(
        env, plan, experiment, [](const auto& e) { return gfn::discouraged_exit_below(e, 75); }, no_probe);
  }
  const examples::SequenceTask& task = examples::sequence_task(plan.environment);
  gfn::require(task.file.empty() || !plan.data.empty(), "--data: the folder with ", task.file, " is needed");
  const gfn::SequenceTable table = task.file.empty() ? examples::synthetic_table(task.table)
                                                     : examples::read_table(plan.data + "/" + task.file, task);
  const gfn::SlotSequence env{gfn::TableReward(table, task.transform)};
  using E = std::remove_const_t<decltype(env)>;
  train_all(
      env, plan, experiment, [](const E& e) { return gfn::ReplayGuide(e); },
      [&](const examples::TrainingOptions& options) {
        return examples::ModesProbe<E>(env, table, task, options.seed);
      });
}

// --- what comes out ---

void print_table(const Plan& plan, const Experiment& experiment, const std::string& metric) {
  std::size_t width = 10;
  for (const paper::Variant& v : experiment.variants) width = std::max(width, v.name.size() + 2);
  std::printf("\n%s: %s, the mean of ten evaluations up to an iteration, over the runs\n",
              experiment.environment.c_str(), metric.c_str());
  std::printf("%-*s%10s%6s%10s%10s%10s%10s%10s%10s%10s", static_cast<int>(width), "method", "iteration", "runs", "mean",
              "std.err.", "median", "least", "largest", "outliers", "seconds");
  if (plan.below) std::printf("%10s%10s", "below", "when");
  std::printf("\n");
  for (std::size_t v = 0; v < experiment.variants.size(); ++v)
    for (const std::int64_t at : plan.at) {
      std::vector<double> values, seconds, reached;
      for (const paper::Run* run : experiment.finished(v)) {
        const paper::Curve curve = paper::read_metric(run->file, metric);
        values.push_back(paper::last_ten(curve, at, run->file));
        seconds.push_back(paper::read_curve(run->file, "train_seconds").at(at));
        if (!plan.below) continue;
        const std::int64_t first = paper::first_below(curve, *plan.below);
        if (first >= 0 && first <= at) reached.push_back(static_cast<double>(first));
      }
      std::printf("%-*s%10lld%6zu", static_cast<int>(width), experiment.variants[v].name.c_str(),
                  static_cast<long long>(at), values.size());
      if (!values.empty()) {
        const paper::Summary s = paper::summarise(values);
        std::printf("%10.4f%10.4f%10.4f%10.4f%10.4f%10d%10.1f", s.mean, s.standard_error, s.median, s.least, s.largest,
                    s.outliers, paper::summarise(seconds).mean);
        if (plan.below) std::printf("%10zu", reached.size());
        if (!reached.empty()) std::printf("%10.0f", paper::summarise(reached).median);
      }
      std::printf("\n");
    }
}

/// How a metric, or what it is drawn against, is called in a picture.
std::string title_of(const std::string& field) {
  if (field == "total_variation") return "D_TV";
  if (field == "jensen_shannon") return "D_JSD";
  if (field == "accuracy_error") return "|E[R] / E*[R] - 1|";
  if (field == "modes_found") return "modes found";
  if (field == "train_seconds") return "seconds of training";
  return field;
}

/// A panel: one curve for each variant, the mean over the runs, with a band of one standard error.
void draw_panel(examples::Gnuplot& plot, const Experiment& experiment, const std::string& metric,
                const std::string& abscissa, int panel) {
  static constexpr const char* colours[] = {"#4477aa", "#ee6677", "#228833", "#b8860b",
                                            "#aa3377", "#66ccee", "#555555"};
  std::string curves;
  for (std::size_t v = 0; v < experiment.variants.size(); ++v) {
    std::map<std::int64_t, std::vector<double>> values, places;
    for (const paper::Run* run : experiment.finished(v)) {
      for (const auto& [iteration, y] : paper::read_metric(run->file, metric)) values[iteration].push_back(y);
      for (const auto& [iteration, x] : paper::read_curve(run->file, abscissa)) places[iteration].push_back(x);
    }
    if (values.empty()) continue;
    const std::string name = "$panel" + std::to_string(panel) + "_" + std::to_string(v);
    plot << name << " << END\n";
    for (const auto& [iteration, y] : values) {
      const paper::Summary s = paper::summarise(y);
      const double error = y.size() > 1 ? s.standard_error : 0.0;
      plot << paper::summarise(places[iteration]).mean << ' ' << s.mean << ' ' << std::max(s.mean - error, 1e-6) << ' '
           << s.mean + error << '\n';
    }
    plot << "END\n";
    const std::string colour = std::string("rgb '") + colours[v % std::size(colours)] + "'";
    curves += (curves.empty() ? "" : ", ") + name +
              " using 1:3:4 with filledcurves fillstyle transparent solid 0.18 noborder lc " + colour + " notitle, " +
              name + " using 1:2 with lines lw 1.8 lc " + colour + " title '" + experiment.variants[v].name + "'";
  }
  const bool counts = metric.find("modes") != std::string::npos || metric.find("ratio") != std::string::npos;
  plot << (counts ? "unset logscale y\n" : "set logscale y\n") << "set format y '%g'\nset xlabel '"
       << title_of(abscissa) << "' offset 0,0.7 noenhanced\nset title '" << title_of(metric) << "' noenhanced\nplot "
       << curves << '\n';
}

void draw(const Plan& plan, const Experiment& experiment) {
  const auto panels = static_cast<int>(plan.metrics.size() * plan.abscissas.size());
  const int columns = std::min(panels, 2), rows = (panels + columns - 1) / columns;
  examples::Gnuplot plot(plan.plot, 560 * columns, 40 + 380 * rows);
  plot << "set multiplot layout " << rows << ',' << columns << " title '" << experiment.environment
       << ": mean and standard error over " << plan.seeds << " seeds' noenhanced font ',13'\n"
       << "set grid ytics mytics lt 1 lc rgb '#d8d8d8' lw 0.8, lt 1 lc rgb '#eeeeee' lw 0.6\n"
       << "set key bmargin center horizontal Left reverse noenhanced samplen 1.5 font ',9'\nset xrange [0:*]\n";
  int panel = 0;
  for (const std::string& metric : plan.metrics)
    for (const std::string& abscissa : plan.abscissas) draw_panel(plot, experiment, metric, abscissa, panel++);
  plot << "unset multiplot\n";
  plot.draw();
}

/// The paper's settings of an environment, where they are not those of the grids.
void set_defaults(Plan& plan, examples::TrainingOptions& options, const CLI::App& app) {
  const bool grid = plan.environment == "hypergrid", network = plan.environment == "er5";
  const auto given = [&](const char* name) { return app.count(name) > 0; };
  if (network && !given("--log-z-rate")) options.log_z_rate = 1;
  if (network && !given("--backward-loss")) options.backward_loss = "squared";
  if (!grid && !network && !given("--evaluate-every")) options.evaluate_every = 100;
  if (!given("--iterations")) options.iterations = network || (grid && plan.side <= 32) ? 1000 : 2000;
  if (plan.at.empty()) plan.at = {options.iterations};
  if (plan.metrics.empty()) plan.metrics = {network ? "jensen_shannon" : "total_variation"};
  gfn::require(plan.seeds >= 1, "--seeds is ", plan.seeds, ", it must be at least 1");
  gfn::require(plan.jobs >= 1, "--jobs is ", plan.jobs, ", it must be at least 1");
  for (const std::int64_t at : plan.at)
    gfn::require(at % 10 == 0 && at >= 100 && at <= options.iterations, "--at is ", at,
                 ", it must be a multiple of 10 between 100 and the number of iterations, ", options.iterations);
  examples::check_replaceable("--plot", plan.plot);
}

void run(Plan plan, examples::TrainingOptions options, const CLI::App& app) {
  set_defaults(plan, options, app);
  const Experiment experiment = make_experiment(plan, options);
  paper::check_results(plan.results, experiment.runs);
  train_all(plan, experiment);
  for (const std::string& metric : plan.metrics) print_table(plan, experiment, metric);
  examples::check_gnuplot("paper", plan.plot);
  if (!plan.plot.empty()) draw(plan, experiment);
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  examples::TrainingOptions options;
  CLI::App app{
      "Trains by several methods with several seeds, and compares what they reach. Each run leaves a log of JSON "
      "lines\n"
      "in the folder of results; what is there already is not done again, so this can be stopped and started at will,\n"
      "several processes can work on one folder at once, and a table of finished runs costs nothing. Settings are the\n"
      "paper's unless told otherwise; a method may have some of its own: --methods rl-u,'rl-u --lambda 0.9'.",
      "paper"};
  const auto option = [&](const char* name, auto& value, const char* text) {
    return app.add_option(name, value, text)->capture_default_str();
  };
  option("--environment", plan.environment,
         "hypergrid, er5 (a Bayesian network), six6, qm9 (sequences),\nor synthetic");
  option("--dimension", plan.dimension, "axes of the hypergrid");
  option("--side", plan.side, "cells along each axis");
  option("--data", plan.data, "the folder of the sequences' tables");
  option("--methods", plan.variants, "with commas between them; those of the example hypergrid")->delimiter(',');
  option("--seeds", plan.seeds, "how many");
  option("--first-seed", plan.first_seed, "the first of them");
  app.add_option("--at", plan.at, "iterations that the table judges at; default: the last")->delimiter(',');
  app.add_option("--metric", plan.metrics,
                 "fields of the log, or accuracy_error (|mean reward ratio - 1|); default: D_TV,\nD_JSD for er5")
      ->delimiter(',');
  app.add_option("--below", plan.below, "count the runs whose metric falls below this, and when");
  option("--results", plan.results, "the folder of logs");
  option("--plot", plan.plot, "draw the curves, a PNG file");
  option("--x", plan.abscissas, "what they are drawn against: iteration, train_seconds, trajectories")->delimiter(',');
  option("--jobs", plan.jobs, "runs at the same time");
  app.add_flag("--only-table", plan.only_table, "train nothing, and show what is there");
  app.add_option("--evaluate-every", options.evaluate_every,
                 "iterations between evaluations, beside those that --at needs; default: 10, on\nsequences 100");
  examples::add_method_options(app, options);
  app.get_formatter()->column_width(36);
  return examples::run_program(app, argc, argv, [&] { run(plan, options, app); });
}
