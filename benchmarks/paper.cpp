// SPDX-License-Identifier: MIT
// How well does each method learn, over several seeds? The experiments of Niu et al. 2024, and others like them.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "../examples/support/exact_evaluation.hpp"
#include "../examples/support/gnuplot.hpp"
#include "../examples/support/program.hpp"
#include "../examples/support/training_options.hpp"
#include "../examples/support/training_run.hpp"

namespace {

namespace fs = std::filesystem;

struct Plan {
  int dimension = 2, side = 8;
  std::string methods = "tb-u,tb-b,rl-u,rl-b";
  int seeds = 5, first_seed = 1;
  std::string at = "1000";  ///< iterations at which the table judges
  std::string metric = "total_variation";
  std::string results = "results";
  std::string plot;
  int jobs = 1;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t first = 0;
  for (std::size_t end; (end = text.find(',', first)) != std::string::npos; first = end + 1)
    parts.push_back(text.substr(first, end - first));
  parts.push_back(text.substr(first));
  return parts;
}

/// One training: what it is, and where its log stands once it is finished.
struct Run {
  examples::TrainingOptions options;
  fs::path file;
};

/// A folder for each method and set of options, a file for each seed.
fs::path file_of(const Plan& plan, const std::string& environment, const examples::TrainingOptions& o) {
  std::string settings = o.method + "-batch" + std::to_string(o.batch) + "-iterations" + std::to_string(o.iterations);
  const examples::TrainingOptions defaults;
  const auto add = [&](const char* name, double value, double usual) {
    if (value != usual) settings += std::string("-") + name + examples::all_digits(value);
  };
  add("rate", o.learning_rate, defaults.learning_rate);
  add("logz", o.log_z_rate, defaults.log_z_rate);
  add("critic", o.critic_rate, defaults.critic_rate);
  add("backward", o.backward_learning_rate, defaults.backward_learning_rate);
  add("lambda", o.lambda, defaults.lambda);
  add("kl", o.max_kl, defaults.max_kl);
  add("epsilon", o.epsilon, defaults.epsilon);
  if (o.hidden != defaults.hidden) settings += "-hidden" + o.hidden;
  return fs::path(plan.results) / environment / settings / ("seed" + std::to_string(o.seed) + ".jsonl");
}

/// Does those of the runs that are not finished, several at once; a log gets its name when it is complete.
template <class E, class MakeGuide>
void run_all(const E& env, const std::string& name, const std::vector<Run>& runs, int jobs, MakeGuide&& make_guide) {
  const examples::ExactEvaluation<E> exact(env);
  std::atomic<std::size_t> next{0};
  std::mutex printing;
  std::string failure;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < runs.size();) {
      if (fs::exists(runs[i].file)) continue;
      try {
        examples::TrainingOptions options = runs[i].options;
        options.log = runs[i].file.string() + ".part";
        options.quiet = true;
        fs::create_directories(runs[i].file.parent_path());
        const auto outcome = examples::train(env, options, name, &exact, make_guide);
        fs::rename(options.log, runs[i].file);
        const std::lock_guard lock(printing);
        std::fprintf(stderr, "%s %s seed %lld: D_TV %.4f, %.1f s of training\n", name.c_str(), options.method.c_str(),
                     static_cast<long long>(options.seed), exact.distances(outcome.learned).total_variation,
                     outcome.train_seconds);
      } catch (const std::exception& error) {
        const std::lock_guard lock(printing);
        failure = runs[i].file.string() + ": " + error.what();
      }
    }
  };
  std::vector<std::jthread> threads;
  for (int j = 0; j < jobs; ++j) threads.emplace_back(work);
  threads.clear();
  if (!failure.empty()) gfn::fail("a run failed: ", failure);
}

/// A log, as numbers by iteration.
std::map<std::int64_t, double> read_metric(const fs::path& file, const std::string& metric) {
  std::map<std::int64_t, double> values;
  const std::string content = gfn::read_file(file.string());
  const auto number = [&](std::size_t line, const std::string& field) {
    const std::string key = "\"" + field + "\": ";
    const std::size_t at = content.find(key, line);
    gfn::require(at != std::string::npos && at < content.find('\n', line), "'", file.string(), "' has no field '",
                 field, "'");
    return std::strtod(content.c_str() + at + key.size(), nullptr);
  };
  for (std::size_t line = 0; line < content.size(); line = content.find('\n', line) + 1)
    values[static_cast<std::int64_t>(number(line, "iteration"))] = number(line, metric);
  return values;
}

/// The mean of the last ten evaluations up to an iteration.
double last_ten(const std::map<std::int64_t, double>& values, std::int64_t iteration) {
  double sum = 0;
  int count = 0;
  for (auto it = values.upper_bound(iteration); it != values.begin() && count < 10; ++count) sum += (--it)->second;
  return count == 0 ? std::nan("") : sum / count;
}

struct Summary {
  double mean = 0, error = 0, median = 0, least = 0, largest = 0;
  int outliers = 0;  ///< above five times the median, or not finite
};

Summary summarise(std::vector<double> x) {
  Summary s;
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  for (const double v : x) s.mean += v / n;
  for (const double v : x) s.error += (v - s.mean) * (v - s.mean);
  s.error = x.size() > 1 ? std::sqrt(s.error / (n - 1) / n) : std::nan("");
  s.median = (x[x.size() / 2] + x[(x.size() - 1) / 2]) / 2;
  s.least = x.front();
  s.largest = x.back();
  s.outliers = static_cast<int>(std::count_if(x.begin(), x.end(), [&](double v) { return !(v <= 5 * s.median); }));
  return s;
}

void print_table(const Plan& plan, const std::string& name, const std::vector<Run>& runs) {
  std::printf("%s, %s: means over %d seeds of the last ten evaluations up to an iteration\n", name.c_str(),
              plan.metric.c_str(), plan.seeds);
  std::printf("%-10s%12s%10s%12s%10s%10s%10s%10s\n", "method", "iteration", "mean", "std. error", "median", "least",
              "largest", "outliers");
  for (const std::string& method : split(plan.methods))
    for (const std::string& at : split(plan.at)) {
      std::vector<double> values;
      for (const Run& run : runs)
        if (run.options.method == method)
          values.push_back(last_ten(read_metric(run.file, plan.metric), std::strtoll(at.c_str(), nullptr, 10)));
      const Summary s = summarise(values);
      std::printf("%-10s%12s%10.4f%12.4f%10.4f%10.4f%10.4f%10d\n", method.c_str(), at.c_str(), s.mean, s.error,
                  s.median, s.least, s.largest, s.outliers);
    }
}

/// One curve for each method: the mean over the seeds, with a band of one standard error.
void draw(const Plan& plan, const std::string& name, const std::vector<Run>& runs) {
  examples::Gnuplot plot(plan.plot, 900, 500);
  const std::vector<std::string> methods = split(plan.methods);
  for (std::size_t m = 0; m < methods.size(); ++m) {
    std::map<std::int64_t, std::vector<double>> values;
    for (const Run& run : runs)
      if (run.options.method == methods[m])
        for (const auto& [iteration, value] : read_metric(run.file, plan.metric)) values[iteration].push_back(value);
    plot << "$method" << m << " << END\n";
    for (const auto& [iteration, x] : values) {
      const Summary s = summarise(x);
      plot << iteration << ' ' << s.mean << ' ' << std::max(s.mean - s.error, 1e-6) << ' ' << s.mean + s.error << '\n';
    }
    plot << "END\n";
  }
  plot << "set logscale y\nset grid\nset key outside right\nset xlabel 'iteration'\nset title '" << name << ": "
       << plan.metric << ", mean and standard error over " << plan.seeds << " seeds' noenhanced\nplot ";
  for (std::size_t m = 0; m < methods.size(); ++m)
    plot << (m > 0 ? ", " : "") << "$method" << m
         << " using 1:3:4 with filledcurves fillstyle transparent solid 0.2 lc " << m + 1 << " notitle, $method" << m
         << " using 1:2 with lines lw 2 lc " << m + 1 << " title '" << methods[m] << "' noenhanced";
  plot << '\n';
  plot.draw();
}

void run(const Plan& plan, const examples::TrainingOptions& options) {
  gfn::require(plan.seeds >= 1, "--seeds is ", plan.seeds, ", it must be at least 1");
  gfn::require(plan.jobs >= 1, "--jobs is ", plan.jobs, ", it must be at least 1");
  const gfn::HyperGrid env{{.dimension = plan.dimension, .side = plan.side}};
  const std::string name = "hypergrid-" + std::to_string(plan.dimension) + "x" + std::to_string(plan.side);
  std::vector<Run> runs;
  for (const std::string& method : split(plan.methods))
    for (int s = 0; s < plan.seeds; ++s) {
      examples::TrainingOptions o = options;
      o.method = method;
      o.seed = plan.first_seed + s;
      examples::check_training_options(o);
      runs.push_back({o, file_of(plan, name, o)});
    }
  run_all(env, name, runs, plan.jobs, [](const gfn::HyperGrid& g) { return gfn::discouraged_exit(g); });
  print_table(plan, name, runs);
  if (!plan.plot.empty()) draw(plan, name, runs);
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  examples::TrainingOptions options;
  options.batch = 16;
  CLI::App app{
      "Trains by several methods with several seeds, and compares what they reach. Each run leaves a log of JSON lines "
      "in\n"
      "the folder of results; what is there already is not done again, so this can be stopped and started at will, and "
      "a\n"
      "table of finished runs costs nothing.",
      "paper"};
  const auto option = [&](const char* option_name, auto& value, const char* text) {
    app.add_option(option_name, value, text)->capture_default_str();
  };
  option("--dimension", plan.dimension, "axes of the hypergrid");
  option("--side", plan.side, "cells along each axis");
  option("--methods", plan.methods, "methods, with commas between them; those of the example hypergrid");
  option("--seeds", plan.seeds, "how many");
  option("--first-seed", plan.first_seed, "the first of them");
  option("--at", plan.at, "iterations that the table judges at");
  option("--metric", plan.metric, "a field of the log");
  option("--results", plan.results, "the folder");
  option("--plot", plan.plot, "draw the curves, a PNG file");
  option("--jobs", plan.jobs, "runs at the same time");
  option("--batch", options.batch, "trajectories an iteration");
  option("--iterations", options.iterations, "of each run");
  option("--hidden", options.hidden, "widths of the policies' hidden layers");
  option("--critic-hidden", options.critic_hidden, "widths of the value functions' hidden layers");
  option("--learning-rate", options.learning_rate, "of the policies");
  option("--log-z-rate", options.log_z_rate, "of log Z");
  option("--critic-rate", options.critic_rate, "of the value functions");
  option("--backward-learning-rate", options.backward_learning_rate, "of the backward policy (rl-b, rl-g)");
  option("--lambda", options.lambda, "of advantages and sub-trajectories");
  option("--max-kl", options.max_kl, "of the trust region");
  option("--epsilon", options.epsilon, "share of uniform actions at first (not rl-*)");
  return examples::run_program(app, argc, argv, [&] { run(plan, options); });
}
