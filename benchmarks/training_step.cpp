// SPDX-License-Identifier: MIT
// How fast a training step is, on one thread: steps, trajectories and transitions a second, where the time goes, and
// how much of it is useful work in dense layers, measured against Eigen's own product in turns with the training.
//
// A run of a fixed seed is repeated, with the same bits each time. Every step and every product is timed by itself, in
// processor time; of all repeats the shortest time of each counts, and these are added up, for steps and products
// alike.

#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <gfn/gfn.hpp>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

// --- what is measured ---

/// An environment to train on. Later iterations have longer trajectories, so their number is part of the scenario.
template <class E>
struct Scenario {
  const char* name;
  E env;
  int batch;
  int iterations;
};

gfn::HyperGrid grid(int dimension, int side) { return gfn::HyperGrid{{.dimension = dimension, .side = side}}; }

const auto scenarios = std::tuple{
    Scenario{"8x8", grid(2, 8), 16, 1000},       Scenario{"32x32", grid(2, 32), 128, 1000},
    Scenario{"256x256", grid(2, 256), 128, 300}, Scenario{"8^4", grid(4, 8), 16, 1000},
    Scenario{"20^4", grid(4, 20), 16, 1000},
};

struct NetworkOptions {
  std::vector<int> policy;  ///< hidden layers of policies and state flows
  std::vector<int> critic;  ///< hidden layers of value functions
};

/// All that the methods train.
template <class E>
struct Networks {
  Networks(const E& environment, const NetworkOptions& options, gfn::Random& random)
      : env(environment),
        forward(gfn::mlp_policy<float>(env, {.hidden = options.policy}, random)),
        backward(gfn::mlp_backward<float>(env, {.hidden = options.policy}, random)),
        value(gfn::mlp_value<float>(env, {.hidden = options.critic}, random)),
        backward_value(gfn::mlp_value<float>(env, {.hidden = options.critic}, random)),
        flow(gfn::mlp_flow<float>(env, {.hidden = options.policy}, random)) {}

  const E& env;
  gfn::UniformPolicy uniform;
  gfn::NeuralFunction<float> forward, backward, value, backward_value, flow;
};

/// Multiplications in the dense layers for one row: the first layer is sparse, and each layer is weights and biases.
double multiplications(const gfn::NeuralFunction<float>& function) {
  const auto& blocks = function.parameters().blocks();
  double count = 0;
  for (std::size_t i = 2; i < blocks.size(); i += 2) count += static_cast<double>(blocks[i].shape.size());
  return count;
}
/// Useful floating-point operations of a network that is evaluated at so many rows,
double evaluated(const gfn::NeuralFunction<float>& function, int rows) { return 2 * multiplications(function) * rows; }
/// and of one that is then differentiated too.
double trained(const gfn::NeuralFunction<float>& function, int rows) { return 6 * multiplications(function) * rows; }

/// The distinct states of a batch,
template <class E>
int states(const gfn::Batch<E>& batch) {
  return batch.table().rows();
}
/// and those with a choice among forward or backward actions, at which the policies are asked.
template <class E>
int choices(const gfn::Batch<E>& batch) {
  int count = 0;
  for (int row = 0; row < states(batch); ++row) count += batch.table().forward_choices(row) > 1 ? 1 : 0;
  return count;
}
template <class E>
int ways_back(const gfn::Batch<E>& batch) {
  int count = 0;
  for (int row = 0; row < states(batch); ++row) count += batch.table().backward_choices(row) > 1 ? 1 : 0;
  return count;
}

/// A method: start(networks, run) calls run(trainer, flop), where flop(trainer) counts the useful floating-point
/// operations of the step that the trainer has just done.
template <class Start>
struct Method {
  const char* name;
  Start start;
};
template <class Start>
Method(const char*, Start) -> Method<Start>;

/// Those of the forward policy, and of both policies, where all are trained on the same batch; and of all networks in
/// coupled training.
constexpr auto policy_flop = [](auto& n, auto& batch) { return trained(n.forward, choices(batch)); };
constexpr auto policies_flop = [](auto& n, auto& batch) {
  return trained(n.forward, choices(batch)) + trained(n.backward, ways_back(batch));
};
constexpr auto coupled_flop = [](auto& n, auto& ahead, auto& back) {
  return trained(n.forward, choices(ahead)) + evaluated(n.backward, ways_back(ahead)) +
         trained(n.value, states(ahead)) + evaluated(n.forward, choices(back)) + trained(n.backward, ways_back(back)) +
         trained(n.backward_value, states(back));
};

const auto methods = std::tuple{
    Method{"tb-u",
           [](auto& n, const auto& run) {
             run(gfn::trajectory_balance_trainer(n.env, n.forward, n.uniform),
                 [&](auto& t) { return policy_flop(n, t.batch()); });
           }},
    Method{"tb-b",
           [](auto& n, const auto& run) {
             run(gfn::trajectory_balance_trainer(n.env, n.forward, n.backward),
                 [&](auto& t) { return policies_flop(n, t.batch()); });
           }},
    Method{"db-u",
           [](auto& n, const auto& run) {
             run(gfn::objective_trainer(n.env, gfn::DetailedBalance{}, n.forward, n.uniform, n.flow),
                 [&](auto& t) { return policy_flop(n, t.batch()) + trained(n.flow, states(t.batch())); });
           }},
    Method{"db-b",
           [](auto& n, const auto& run) {
             run(gfn::objective_trainer(n.env, gfn::DetailedBalance{}, n.forward, n.backward, n.flow),
                 [&](auto& t) { return policies_flop(n, t.batch()) + trained(n.flow, states(t.batch())); });
           }},
    Method{"subtb-u",
           [](auto& n, const auto& run) {
             run(gfn::objective_trainer(n.env, gfn::SubtrajectoryBalance{}, n.forward, n.uniform, n.flow),
                 [&](auto& t) { return policy_flop(n, t.batch()) + trained(n.flow, states(t.batch())); });
           }},
    Method{"subtb-b",
           [](auto& n, const auto& run) {
             run(gfn::objective_trainer(n.env, gfn::SubtrajectoryBalance{}, n.forward, n.backward, n.flow),
                 [&](auto& t) { return policies_flop(n, t.batch()) + trained(n.flow, states(t.batch())); });
           }},
    Method{"mdb-u",
           [](auto& n, const auto& run) {
             run(gfn::objective_trainer(n.env, gfn::ModifiedDetailedBalance{}, n.forward, n.uniform),
                 [&](auto& t) { return policy_flop(n, t.batch()); });
           }},
    Method{"fm",
           [](auto& n, const auto& run) {
             run(gfn::objective_trainer(n.env, gfn::FlowMatching{}, n.forward, n.uniform),
                 [&](auto& t) { return trained(n.forward, states(t.batch())); });
           }},
    Method{"rl-u",
           [](auto& n, const auto& run) {
             run(gfn::policy_gradient_trainer(n.env, n.forward, n.uniform, n.value),
                 [&](auto& t) { return policy_flop(n, t.batch()) + trained(n.value, states(t.batch())); });
           }},
    Method{"rl-t",
           [](auto& n, const auto& run) {
             run(gfn::trust_region_trainer(n.env, n.forward, n.uniform, n.value), [&](auto& t) {
               const gfn::TrustRegionReport& update = t.update().report();
               const int again = 4 * update.conjugate_gradient.iterations + update.trials;  // forward passes' worth
               return policy_flop(n, t.batch()) + again * evaluated(n.forward, choices(t.batch())) +
                      trained(n.value, states(t.batch()));
             });
           }},
    Method{"rl-b",
           [](auto& n, const auto& run) {
             run(gfn::coupled_trainer(n.env, n.forward, n.backward, n.value, n.backward_value),
                 [&](auto& t) { return coupled_flop(n, t.batch(), t.backward_batch()); });
           }},
    Method{"rl-g",
           [](auto& n, const auto& run) {
             gfn::DiscouragedExit guide([&](const auto& state) { return n.env.log_reward(state) < 0; }, -2.0);
             run(gfn::coupled_trainer(n.env, n.forward, n.backward, n.value, n.backward_value, {},
                                      gfn::GuidedBackwardReward(guide)),
                 [&](auto& t) { return coupled_flop(n, t.batch(), t.backward_batch()); });
           }},
};

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

/// Steps and products take turns: so many of the one, then so many of the other.
constexpr int steps_a_turn = 20, products_a_turn = 10;

template <class Trainer, class Flop>
void run(Trainer& trainer, const Flop& flop, const gfn::Random& random, int batch, int iterations, Measurement& m) {
  static ReferenceProduct product;
  m.steps.start_again();
  m.products.start_again();
  m.transitions = m.states = m.flop = 0;
  for (int i = 0; i < iterations; ++i) {
    if (i % steps_a_turn == 0)
      for (int k = 0; k < products_a_turn; ++k) m.products.measure(product);
    gfn::IterationReport report;
    m.steps.measure([&] { report = trainer.step(random, batch); });
    m.transitions += report.transitions;
    m.states += report.distinct_states;
    m.flop += flop(std::as_const(trainer));
  }
  const gfn::PhaseSeconds& seconds = std::as_const(trainer).seconds();
  m.phases.rollout += seconds.rollout;
  m.phases.forward += seconds.forward;
  m.phases.reverse += seconds.reverse;
  m.phases.optimiser += seconds.optimiser;
}

// --- options and output ---

/// The names of a list of scenarios or methods.
template <class List>
std::vector<std::string> names(const List& list) {
  return std::apply([](const auto&... entries) { return std::vector<std::string>{entries.name...}; }, list);
}

struct Options {
  std::vector<std::string> scenarios = names(::scenarios), methods = names(::methods);
  std::vector<std::string> networks = {"4x256", "2x256"};
  std::string critic = "2x256";
  int iterations = 0;
  int repeats = 3;
  std::uint64_t seed = 1;
  std::string json;
};

/// "4x256": four hidden layers of width 256.
std::vector<int> hidden_layers(const std::string& text) {
  int layers = 0, width = 0;
  char end = 0;
  if (std::sscanf(text.c_str(), "%dx%d%c", &layers, &width, &end) != 2 || layers < 1 || width < 1)
    throw CLI::ValidationError("'" + text + "' is not LAYERSxWIDTH, for instance 4x256");
  return std::vector<int>(static_cast<std::size_t>(layers), width);
}

template <class List, class Visit>
void visit_chosen(const List& list, const std::vector<std::string>& chosen, const Visit& visit) {
  const auto consider = [&](const auto& entry) {
    if (std::find(chosen.begin(), chosen.end(), entry.name) != chosen.end()) visit(entry);
  };
  std::apply([&](const auto&... entries) { (consider(entries), ...); }, list);
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

/// Writes results as an array of objects, one a line; without a file it writes nothing.
class JsonLog {
 public:
  explicit JsonLog(const std::string& path) : file_(path.empty() ? nullptr : std::fopen(path.c_str(), "w")) {
    if (!path.empty() && !file_) throw CLI::ValidationError("cannot write to '" + path + "'");
    if (file_) std::fprintf(file_.get(), "[");
  }
  ~JsonLog() {
    if (file_) std::fprintf(file_.get(), "\n]\n");
  }
  void add(const char* scenario, const std::string& networks, const char* method, const Options& options,
           const std::vector<double>& values) {
    if (!file_) return;
    std::fprintf(file_.get(), "%s\n{\"scenario\": \"%s\", \"networks\": \"%s\", \"critic\": \"%s\", \"method\": \"%s\"",
                 first_ ? "" : ",", scenario, networks.c_str(), options.critic.c_str(), method);
    std::fprintf(file_.get(), ", \"repeats\": %d, \"seed\": %llu", options.repeats,
                 static_cast<unsigned long long>(options.seed));
    for (std::size_t i = 0; i < values.size(); ++i)
      std::fprintf(file_.get(), ", \"%s\": %.9g", columns[i].name, values[i]);
    std::fprintf(file_.get(), "}");
    std::fflush(file_.get());
    first_ = false;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  bool first_ = true;
};

void measure_all(const Options& options) {
  JsonLog json(options.json);
  print_head();
  visit_chosen(scenarios, options.scenarios, [&](const auto& scenario) {
    const int iterations = options.iterations > 0 ? options.iterations : scenario.iterations;
    for (const std::string& layers : options.networks)
      visit_chosen(methods, options.methods, [&](const auto& method) {
        Measurement measurement;
        for (int repeat = 0; repeat < options.repeats; ++repeat) {
          gfn::Random random{options.seed};
          Networks networks(scenario.env, {hidden_layers(layers), hidden_layers(options.critic)}, random);
          method.start(networks, [&](auto&& trainer, const auto& flop) {
            run(trainer, flop, random, scenario.batch, iterations, measurement);
          });
        }
        const std::vector<double> values = numbers(measurement, scenario.batch);
        std::printf("%-8s %-8s %-8s", scenario.name, layers.c_str(), method.name);
        for (std::size_t i = 0; i < values.size(); ++i)
          std::printf(" %*.*f", columns[i].width, columns[i].digits, values[i]);
        std::printf("\n");
        std::fflush(stdout);
        json.add(scenario.name, layers, method.name, options, values);
      });
  });
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Measures training steps on one thread. Times are processor time, the shortest of the repeats for each step; "
      "milliseconds are per iteration. Useful operations are those of dense layers on distinct rows: 2mn forward, 4mn "
      "reverse. Eigen's rate is that of a 256x256 by 256x1024 float product, measured in turns with the training."};
  app.add_option("--scenario", options.scenarios, "Scenarios, separated by commas (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(names(scenarios)));
  app.add_option("--method", options.methods, "Methods, separated by commas (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(names(methods)));
  app.add_option("--networks", options.networks,
                 "Hidden layers of policies and state flows, LAYERSxWIDTH, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--critic", options.critic, "Hidden layers of value functions")->capture_default_str();
  app.add_option("--iterations", options.iterations, "Iterations from the first (default: 1000; 300 for 256x256)")
      ->check(CLI::PositiveNumber);
  app.add_option("--repeats", options.repeats, "Runs of which the shortest times count")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of networks and trajectories")->capture_default_str();
  app.add_option("--json", options.json, "Also write the results to this file");
  try {
    app.parse(argc, argv);
    measure_all(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "training_step: %s\n", error.what());
    return 1;
  }
}
