// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "../../examples/support/training_options.hpp"

namespace paper {

namespace fs = std::filesystem;

/// The parts of a text between commas.
inline std::vector<std::string> split(const std::string& text, char separator = ',') {
  std::vector<std::string> parts;
  std::size_t first = 0;
  for (std::size_t end; (end = text.find(separator, first)) != std::string::npos; first = end + 1)
    parts.push_back(text.substr(first, end - first));
  parts.push_back(text.substr(first));
  return parts;
}

/// A method with settings of its own, as it stands on the command line: "rl-u", "rl-u --lambda 0.9".
struct Variant {
  std::string name;
  examples::TrainingOptions options;
};

/// Throws CLI::ParseError for settings that there are not, std::invalid_argument for values that can't be.
inline Variant parse_variant(const std::string& text, const examples::TrainingOptions& common) {
  Variant variant{text, common};
  CLI::App app;
  app.add_option("method", variant.options.method)->required();
  examples::add_method_options(app, variant.options);
  app.parse(text);
  examples::check_training_options(variant.options);
  return variant;
}

/// One training: of which variant, and where its log stands once it is finished.
struct Run {
  std::size_t variant;
  examples::TrainingOptions options;
  fs::path file;
  bool is_done() const { return fs::exists(file); }
};

/// A folder for each environment, method and set of options that differ from the defaults, a file for each seed.
inline fs::path log_file(const fs::path& results, const std::string& environment, const examples::TrainingOptions& o) {
  std::string settings = o.method;
  examples::TrainingOptions usual;
  usual.method = o.method;
  usual.batch = -1;  // always told
  usual.seed = o.seed;
  const std::vector<std::string> now = split(examples::describe_training(o), '\n');
  const std::vector<std::string> before = split(examples::describe_training(usual), '\n');
  for (std::size_t i = 0; i < now.size(); ++i)
    if (now[i] != before[i]) settings += now[i].substr(1);  // "-batch 16" of "--batch 16"
  std::erase(settings, ' ');
  settings += "-iterations" + std::to_string(o.iterations);
  return results / environment / settings / ("seed" + std::to_string(o.seed) + ".jsonl");
}

/// Fields of a log by iteration.
using Curve = std::map<std::int64_t, double>;

/// Throws gfn::Error for a log without the field. What was not evaluated is NaN.
inline Curve read_curve(const fs::path& file, const std::string& field) {
  Curve curve;
  const std::string content = gfn::read_file(file.string());
  const auto number = [&](std::size_t line, const std::string& name) {
    const std::string key = "\"" + name + "\": ";
    const std::size_t at = content.find(key, line);
    if (at == std::string::npos || at > content.find('\n', line))
      gfn::fail("'", file.string(), "' has no field '", name, "'");
    const char* const text = content.c_str() + at + key.size();
    return std::string_view(text).starts_with("null") ? std::nan("") : std::strtod(text, nullptr);
  };
  for (std::size_t line = 0; line < content.size(); line = content.find('\n', line) + 1)
    curve[static_cast<std::int64_t>(number(line, "iteration"))] = number(line, field);
  return curve;
}
/// |accuracy − 1| from the ratio of mean rewards that the log has, for instance. Any other name is a field of the log.
inline Curve read_metric(const fs::path& file, const std::string& metric) {
  if (metric != "accuracy_error") return read_curve(file, metric);
  Curve curve = read_curve(file, "mean_reward_ratio");
  for (auto& [iteration, ratio] : curve) ratio = std::abs(ratio - 1);
  return curve;
}

/// The mean of the ten evaluations, one every ten iterations, up to an iteration. Throws gfn::Error where they are not
/// there.
inline double last_ten(const Curve& curve, std::int64_t iteration, const fs::path& file) {
  double sum = 0;
  for (std::int64_t i = iteration - 90; i <= iteration; i += 10) {
    const auto it = curve.find(i);
    if (it == curve.end())
      gfn::fail("'", file.string(), "' has no evaluation of iteration ", i, ", which --at ", iteration,
                " needs: remove it to have it made again");
    sum += it->second;
  }
  return sum / 10;
}

/// The first evaluated iteration at which a curve is below a bound; −1 where there is none.
inline std::int64_t first_below(const Curve& curve, double bound) {
  for (const auto& [iteration, value] : curve)
    if (value < bound) return iteration;
  return -1;
}

/// A sample of numbers.
struct Summary {
  double mean = 0, standard_error = 0, median = 0, least = 0, largest = 0;
  int outliers = 0;  ///< above five times the median, or not finite
};

inline Summary summarise(std::vector<double> x) {
  Summary s;
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  for (const double v : x) s.mean += v / n;
  double squares = 0;
  for (const double v : x) squares += (v - s.mean) * (v - s.mean);
  s.standard_error = x.size() > 1 ? std::sqrt(squares / (n - 1) / n) : std::nan("");
  s.median = (x[x.size() / 2] + x[(x.size() - 1) / 2]) / 2;
  s.least = x.front();
  s.largest = x.back();
  s.outliers = static_cast<int>(std::count_if(x.begin(), x.end(), [&](double v) { return !(v <= 5 * s.median); }));
  return s;
}

}  // namespace paper
