// SPDX-License-Identifier: MIT
// How fast a training step is, on one thread: steps, trajectories and transitions a second, where the time goes, and
// how much of it is useful work in dense layers, measured against Eigen's own product in turns with the training.
//
// A run of a fixed seed is repeated, with the same bits each time, and the methods take turns with their repeats. Every
// step and every product is timed by itself, in processor time; of all repeats the shortest time of each counts, and
// these are added up, for steps and products alike. So two methods can be compared on a machine that others use too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "../examples/support/program.hpp"
#include "training_step/scenario.hpp"

namespace {

using namespace training_step;

// --- how it is measured ---

/// Times of things that are done several times over in the same order: the shortest of each.
class ShortestTimes {
 public:
  void start_again() { next_ = 0; }
  template <class Work>
  void measure(Work&& work) {
    const std::clock_t start = std::clock();
    work();
    const double time = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (next_ == times_.size()) times_.push_back(time);
    times_[next_] = std::min(times_[next_], time);
    ++next_;
  }
  double total() const {
    double sum = 0;
    for (const double time : times_) sum += time;
    return sum;
  }
  double count() const { return static_cast<double>(times_.size()); }

 private:
  std::vector<double> times_;
  std::size_t next_ = 0;
};

/// Eigen's product of a 256 x 256 and a 256 x 1024 matrix.
class ReferenceProduct {
 public:
  static constexpr double flop = 2.0 * 256 * 256 * 1024;

  void operator()() { y_.noalias() = a_ * b_; }

 private:
  Eigen::MatrixXf a_ = Eigen::MatrixXf::Random(256, 256), b_ = Eigen::MatrixXf::Random(256, 1024);
  Eigen::MatrixXf y_ = Eigen::MatrixXf::Zero(256, 1024);
};

struct Measurement {
  ShortestTimes steps, products;
  gfn::PhaseSeconds phases;                      // of all repeats
  double transitions = 0, states = 0, flop = 0;  // of one run
};

/// Every number of the steps' reports, to the last bit: two builds that write the same file train alike.
class BitLog {
 public:
  explicit BitLog(const std::string& path) : file_(path.empty() ? nullptr : std::fopen(path.c_str(), "wb")) {
    if (!file_ && !path.empty()) gfn::fail("cannot write '", path, "'");
  }
  void begin(const std::string& scenario, const std::string& networks, const std::string& method) {
    name_ = scenario + ' ' + networks + ' ' + method;
  }
  void add(const gfn::IterationReport& r) {
    if (!file_) return;
    std::fprintf(file_.get(), "%s %d %d %d %a %a %a %a %a %a %a\n", name_.c_str(), static_cast<int>(r.iteration),
                 r.transitions, r.distinct_states, r.loss, r.log_z, r.value_loss, r.backward_loss, r.trust_region_step,
                 r.trust_region_kl, r.expected_improvement);
    if (std::ferror(file_.get()) != 0) gfn::fail("cannot write the steps' numbers");
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::string name_;
};

/// Steps and products take turns: so many of the one, then so many of the other.
constexpr int steps_a_turn = 20, products_a_turn = 10;

/// One run of a training from its start.
void run(Training& training, const gfn::Random& random, int batch, int iterations, Measurement& m, BitLog& bits) {
  static ReferenceProduct product;
  m.steps.start_again();
  m.products.start_again();
  m.transitions = m.states = m.flop = 0;
  for (int i = 0; i < iterations; ++i) {
    if (i % steps_a_turn == 0)
      for (int k = 0; k < products_a_turn; ++k) m.products.measure(product);
    gfn::IterationReport report;
    m.steps.measure([&] { report = training.step(random, batch); });
    m.transitions += report.transitions;
    m.states += report.distinct_states;
    m.flop += training.flop();
    bits.add(report);
  }
  const gfn::PhaseSeconds seconds = training.seconds();
  m.phases.rollout += seconds.rollout;
  m.phases.forward += seconds.forward;
  m.phases.reverse += seconds.reverse;
  m.phases.optimiser += seconds.optimiser;
}

// --- options and output ---

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all;
  for (const auto& some :
       {hypergrids(), slot_sequences(), words(), bit_sequences(), small_networks(), large_networks()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}
const std::vector<Scenario> scenarios = all_scenarios();

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios) names.push_back(scenario.name);
  return names;
}

struct Options {
  std::vector<std::string> scenarios = scenario_names();
  std::vector<std::string> methods = {std::begin(method_names), std::end(method_names)};
  std::vector<std::string> networks = {"4x256", "2x256"};
  std::string critic = "2x256";
  int iterations = 0;
  int repeats = 3;
  std::uint64_t seed = 1;
  std::string json;
  std::string bits;
};

bool contains(const std::vector<std::string>& chosen, const std::string& name) {
  return std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

/// "4x256": four hidden layers of width 256.
std::vector<int> hidden_layers(const std::string& text) {
  int layers = 0, width = 0;
  char end = 0;
  if (std::sscanf(text.c_str(), "%dx%d%c", &layers, &width, &end) != 2 || layers < 1 || width < 1)
    gfn::fail("'", text, "' is not LAYERSxWIDTH, for instance 4x256");
  return std::vector<int>(static_cast<std::size_t>(layers), width);
}

struct Column {
  const char* name;  // in JSON
  const char* head;  // in the table
  int width, digits;
};
constexpr Column columns[] = {
    {"batch", "batch", 5, 0},
    {"iterations", "iter.", 5, 0},
    {"iterations_per_second", "iter./s", 8, 1},
    {"trajectories_per_second", "traj./s", 8, 0},
    {"transitions_per_second", "trans./s", 8, 0},
    {"distinct_states_per_iteration", "states", 7, 1},
    {"rollout_ms", "rollout", 7, 3},
    {"forward_ms", "forward", 7, 3},
    {"reverse_ms", "reverse", 7, 3},
    {"optimiser_ms", "optim.", 7, 3},
    {"useful_gflops", "GFLOP/s", 7, 1},
    {"eigen_gflops", "Eigen's", 7, 1},
    {"fraction_of_eigen", "fraction", 8, 3},
};

/// The numbers of the columns.
std::vector<double> numbers(const Measurement& m, int batch) {
  const double steps = m.steps.count(), seconds = m.steps.total();
  const double ms_a_phase_second = 1e3 * seconds / steps / m.phases.total();
  const double rate = m.flop / seconds, eigen = ReferenceProduct::flop * m.products.count() / m.products.total();
  return {double(batch),
          steps,
          steps / seconds,
          batch * steps / seconds,
          m.transitions / seconds,
          m.states / steps,
          m.phases.rollout * ms_a_phase_second,
          m.phases.forward * ms_a_phase_second,
          m.phases.reverse * ms_a_phase_second,
          m.phases.optimiser * ms_a_phase_second,
          1e-9 * rate,
          1e-9 * eigen,
          rate / eigen};
}

void print_head() {
  std::printf("%-8s %-8s %-8s", "scenario", "networks", "method");
  for (const Column& column : columns) std::printf(" %*s", column.width, column.head);
  std::printf("\n");
}

/// A method's result.
struct Result {
  std::string method;
  std::vector<double> values;  // of the columns
  double seconds, states;      // of an iteration
};

void print(const std::string& scenario, const std::string& networks, const Result& result) {
  std::printf("%-8s %-8s %-8s", scenario.c_str(), networks.c_str(), result.method.c_str());
  for (std::size_t i = 0; i < result.values.size(); ++i)
    std::printf(" %*.*f", columns[i].width, columns[i].digits, result.values[i]);
  std::printf("\n");
}

/// What one method needs compared with another, and the bound that it should keep.
struct Comparison {
  const char* method;
  const char* reference;
  bool
      rate;  ///< of iterations a second, which should be at least the bound; else of time, which should be at most that
  double bound;

  const char* kind() const { return rate ? "rate" : "time"; }
};
constexpr Comparison comparisons[] = {{"subtb-u", "db-u", false, 1.15},
                                      {"subtb-b", "db-b", false, 1.15},
                                      {"rl-t", "rl-u", false, 12},
                                      {"rl-g", "rl-b", true, 1.0 / 3}};

/// A comparison's result.
struct Ratio {
  double value;
  double states;  ///< of the distinct states: trajectories are not equally long
};

void print(const std::string& scenario, const std::string& networks, const Comparison& c, const Ratio& ratio) {
  std::printf("%-8s %-8s %s / %s: %s %.3f (%s %.3g), distinct states %.3f\n", scenario.c_str(), networks.c_str(),
              c.method, c.reference, c.kind(), ratio.value, c.rate ? "at least" : "at most", c.bound, ratio.states);
}

/// The results as JSON lines; without a file, nothing. Ratios are objects with a field "ratio" in place of "method".
class ResultLog {
 public:
  explicit ResultLog(const Options& options) : options_(options) {
    if (!options.json.empty()) log_.emplace(options.json);
  }
  void add(const std::string& scenario, const std::string& networks, const Result& result) {
    gfn::JsonObject line = begin(scenario, networks);
    line.add("method", result.method);
    for (std::size_t i = 0; i < result.values.size(); ++i) line.add(columns[i].name, result.values[i]);
    write(line);
  }
  void add(const std::string& scenario, const std::string& networks, const Comparison& c, const Ratio& ratio) {
    gfn::JsonObject line = begin(scenario, networks);
    line.add("ratio", std::string(c.method) + " / " + c.reference).add("of", c.kind()).add("value", ratio.value);
    line.add(c.rate ? "at_least" : "at_most", c.bound).add("distinct_states", ratio.states);
    write(line);
  }

 private:
  gfn::JsonObject begin(const std::string& scenario, const std::string& networks) const {
    gfn::JsonObject line;
    line.add("scenario", scenario).add("networks", networks).add("critic", options_.critic);
    line.add("repeats", options_.repeats).add("seed", options_.seed);
    return line;
  }
  void write(const gfn::JsonObject& line) {
    if (log_) log_->write(line);
  }

  const Options& options_;
  std::optional<gfn::JsonLog> log_;
};

/// Measures the chosen methods of a scenario, as far as it has them.
std::vector<Result> measure(const Scenario& scenario, const Begin& begin, const std::string& layers,
                            const Options& options, BitLog& bits) {
  const int iterations = options.iterations > 0 ? options.iterations : scenario.iterations;
  const NetworkOptions networks{hidden_layers(layers), hidden_layers(options.critic)};
  std::vector<Measurement> measurements(std::size(method_names));
  for (int repeat = 0; repeat < options.repeats; ++repeat)
    for (std::size_t m = 0; m < measurements.size(); ++m) {
      if (!contains(options.methods, method_names[m])) continue;
      gfn::Random random{options.seed};
      if (const auto training = begin(method_names[m], networks, random)) {
        bits.begin(scenario.name, layers, method_names[m]);
        run(*training, random, scenario.batch, iterations, measurements[m], bits);
      }
    }
  std::vector<Result> results;
  for (std::size_t i = 0; i < measurements.size(); ++i) {
    const Measurement& m = measurements[i];
    if (const double steps = m.steps.count(); steps > 0)
      results.push_back({method_names[i], numbers(m, scenario.batch), m.steps.total() / steps, m.states / steps});
  }
  return results;
}

void measure_all(const Options& options) {
  for (const std::string& layers : options.networks) hidden_layers(layers);  // or it would be refused late
  hidden_layers(options.critic);
  ResultLog log(options);
  BitLog bits(options.bits);
  print_head();
  for (const Scenario& scenario : scenarios) {
    if (!contains(options.scenarios, scenario.name)) continue;
    const Begin begin = scenario.open();
    for (const std::string& layers : options.networks) {
      const std::vector<Result> results = measure(scenario, begin, layers, options, bits);
      for (const Result& result : results) {
        print(scenario.name, layers, result);
        log.add(scenario.name, layers, result);
      }
      const auto find = [&](const char* method) {
        return std::find_if(results.begin(), results.end(), [&](const Result& r) { return r.method == method; });
      };
      for (const Comparison& comparison : comparisons) {
        const auto a = find(comparison.method), b = find(comparison.reference);
        if (a == results.end() || b == results.end()) continue;
        const Ratio ratio{comparison.rate ? b->seconds / a->seconds : a->seconds / b->seconds, a->states / b->states};
        print(scenario.name, layers, comparison, ratio);
        log.add(scenario.name, layers, comparison, ratio);
      }
      std::fflush(stdout);
    }
  }
}

/// The end of --help.
std::string describe_scenarios() {
  std::string text = "Scenarios, with their batches and iterations:\n";
  for (const Scenario& s : scenarios)
    text += "  " + s.name + std::string(10 - s.name.size(), ' ') + std::to_string(s.batch) + ", " +
            std::to_string(s.iterations) + "\n";
  return text +
         "six6 and qm9 are slot sequences of those sizes with made-up rewards, words grow at both ends, bits are slot\n"
         "sequences of bytes; er5 and er20 are Bayesian networks. mdb-* is left out where states can't all end, rl-g\n"
         "where there is no guide, fm on er20, where each state has too many parents.";
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Measures training steps on one thread. Times are processor time, the shortest of the repeats for each step; "
      "milliseconds are per iteration. Useful operations are those of dense layers on distinct rows: 2mn forward, 4mn "
      "reverse. Eigen's rate is that of a 256x256 by 256x1024 float product, measured in turns with the training. At "
      "the "
      "end stand ratios of methods' times or rates, with the bounds that the library aims at.",
      "training_step"};
  app.add_option("--scenario", options.scenarios, "Scenarios, separated by commas (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(scenario_names()));
  app.add_option("--method", options.methods, "Methods, separated by commas (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(Options().methods));
  app.add_option("--networks", options.networks,
                 "Hidden layers of policies and state flows, LAYERSxWIDTH, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--critic", options.critic, "Hidden layers of value functions")->capture_default_str();
  app.add_option("--iterations", options.iterations, "Iterations from the first (default: as below)")
      ->check(CLI::PositiveNumber);
  app.add_option("--repeats", options.repeats, "Runs of which the shortest times count")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of networks and trajectories")->capture_default_str();
  app.add_option("--json", options.json, "Also write the results to this file, as JSON lines");
  app.add_option("--bits", options.bits,
                 "Also write every number of the steps' reports to this file, to the last bit\n(see same_bits)");
  app.footer(describe_scenarios());
  return examples::run_program(app, argc, argv, [&] { measure_all(options); });
}
