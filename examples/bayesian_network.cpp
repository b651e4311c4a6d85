// SPDX-License-Identifier: MIT
// Which edges does a Bayesian network have, given data? Learns the posterior over its graphs, and compares it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "support/data_file.hpp"
#include "support/exact_evaluation.hpp"
#include "support/gnuplot.hpp"
#include "support/program.hpp"
#include "support/training_options.hpp"
#include "support/training_run.hpp"

namespace {

struct NetworkOptions {
  std::string data = GFN_EXAMPLE_DATA_DIR "/er5_lingauss_seed0.tsv";
  std::string edges;  // of the known graph
  std::string graph;  // its name in that file
  std::vector<std::string> columns, without;
  int rows = -1;
  double guide_threshold = 75;
  int samples = 10000;
};

/// What a distribution over graphs says.
struct Summary {
  Eigen::MatrixXd marginals;
  double edges = 0, distance = std::nan("");

  template <class Dags>
  Summary(const Dags& dags, const std::optional<std::ranges::range_value_t<Dags>>& truth,
          std::span<const double> weights = {})
      : marginals(gfn::edge_marginals(dags, weights)), edges(gfn::expected_num_edges(dags, weights)) {
    if (truth) distance = gfn::expected_structural_hamming_distance(dags, *truth, weights);
  }
};

/// Samples graphs after the training, where they are too many to be enumerated.
template <class E>
struct GraphSampler : examples::NoProbe {
  GraphSampler(const E& e, int n, std::int64_t seed) : env(e), count(n), random(seed) {}
  template <class Forward>
  void finish(Forward& forward) {
    graphs = gfn::sampled::sample_objects(env, forward, count, random);
  }
  const E& env;
  int count;
  gfn::Random random;
  std::vector<gfn::StateOf<E>> graphs;
};

void print_marginals(const char* title, const Eigen::MatrixXd& p, const std::vector<std::string>& names) {
  std::printf("\n%s\n%10s", title, "from \\ to");
  for (const std::string& name : names) std::printf(" %6.6s", name.c_str());
  for (Eigen::Index i = 0; i < p.rows(); ++i) {
    std::printf("\n%10.10s", names[static_cast<std::size_t>(i)].c_str());
    for (Eigen::Index j = 0; j < p.cols(); ++j)
      if (i == j)
        std::printf(" %6s", ".");
      else
        std::printf(" %6.3f", p(i, j));
  }
  std::printf("\n");
}

/// A heat map of the edges' probabilities; the edges of the known graph are framed.
template <class Dag>
void plot_marginals(examples::Gnuplot& plot, const char* name, const std::string& title, const Eigen::MatrixXd& p,
                    const std::vector<std::string>& names, const std::optional<Dag>& truth) {
  const auto n = p.rows();
  plot << '$' << name << " << END\n" << p << "\nEND\nunset object\n";
  for (int i = 0, number = 1; truth && i < n; ++i)
    for (int j = 0; j < n; ++j)
      if (truth->has_edge(i, j))
        plot << "set object " << number++ << " rectangle from " << j - 0.46 << ',' << i - 0.46 << " to " << j + 0.46
             << ',' << i + 0.46 << " front fillstyle empty border lc rgb '#e8590c' lw 2.5\n";
  for (const char axis : {'x', 'y'}) {
    plot << "set " << axis << "tics " << (axis == 'x' && n > 6 ? "rotate by 45 right " : "") << "scale 0 (";
    for (std::size_t v = 0; v < names.size(); ++v) plot << (v > 0 ? ", " : "") << '"' << names[v] << "\" " << v;
    plot << ")\n";
  }
  plot << "set xrange [-0.5:" << static_cast<double>(n) - 0.5 << "]\nset yrange [" << static_cast<double>(n) - 0.5
       << ":-0.5]\nset cbrange [0:1]\nset title '" << title << "'\nplot $" << name << " matrix with image notitle";
  if (n <= 6)
    plot << ", '' matrix using 1:2:($1 == $2 ? '' : sprintf('%.2f', $3)):($3 > 0.55 ? 0xffffff : 0x303030) with labels"
         << " font ',9' textcolor rgb variable notitle";
  plot << '\n';
}

template <class E>
void plot(const std::string& path, const E&, const examples::ExactEvaluation<E>* exact,
          const examples::Outcome& outcome, const Summary& learned, const std::optional<Summary>& target,
          const std::vector<std::string>& names, const std::optional<typename E::State>& truth) {
  examples::Gnuplot plot(path, exact != nullptr ? 1260 : 560, exact != nullptr ? 420 : 500);
  const auto place = [&](double left, double right) {
    plot << "set lmargin at screen " << left << "\nset rmargin at screen " << right << '\n';
  };
  plot << "set multiplot\nset bmargin at screen 0.15\nset tmargin at screen 0.87\nset xlabel 'to'\nset ylabel 'from' "
       << "offset 0\nset palette defined (0 '#f7fbff', 0.25 '#c6dbef', 0.5 '#6baed6', 0.75 '#2171b5', 1 '#08306b')\n"
       << "unset colorbox\n";
  const std::string title = "edges learned after " + std::to_string(outcome.iterations) + " iterations";
  place(exact != nullptr ? 0.055 : 0.16, exact != nullptr ? 0.295 : 0.84);
  if (exact == nullptr) plot << "set colorbox\n";
  plot_marginals(plot, "learned", title, learned.marginals, names, truth);
  if (exact != nullptr) {
    plot << "set colorbox user origin 0.612,0.15 size 0.012,0.72\n";
    place(0.365, 0.605);
    plot_marginals(plot, "exact", "edges of the exact posterior", target->marginals, names, truth);
    plot << "unset object\nunset xtics\nunset ytics\nset xtics norotate autofreq scale 0.5\n"
         << "set ytics autofreq scale 0.5\nunset ylabel\nset xrange [0:1]\nset yrange [0.1:1]\n";
    place(0.715, 0.98);
    examples::plot_curve(plot, outcome.curve, exact->distances(exact->uniform()).jensen_shannon,
                         &examples::CurvePoint::jensen_shannon, "Jensen-Shannon divergence from the posterior");
  }
  plot << "unset multiplot\n";
  plot.draw();
}

template <int MaxNodes>
void learn(const NetworkOptions& network, const gfn::NumericTable& table, examples::TrainingOptions options) {
  using E = gfn::BayesianNetwork<gfn::BgeScore, gfn::UniformPrior, MaxNodes>;
  const E env{gfn::BgeScore(table.values)};
  std::optional<typename E::State> truth;
  if (!network.edges.empty()) {
    gfn::TableReader edges = examples::open_table(network.edges);
    truth = gfn::read_edge_list<MaxNodes>(edges, table.names, network.graph);
  }
  std::optional<examples::ExactEvaluation<E>> exact;
  if (env.num_nodes() <= 5 && options.evaluate_every > 0) exact.emplace(env);
  const auto* const evaluation = exact ? &*exact : nullptr;
  if (!options.quiet) {
    std::printf("%d variables, %d samples", env.num_nodes(), static_cast<int>(table.values.rows()));
    if (exact)
      std::printf(": %d graphs, log Z* = %.4f\n", exact->graph().num_states(), exact->log_z());
    else
      std::printf("; no exact evaluation, %d sampled graphs instead\n", network.samples);
  }
  std::string description = "Bayesian network\n--data " + network.data + "\n--rows " +
                            std::to_string(table.values.rows()) + "\n--guide-threshold " +
                            examples::all_digits(network.guide_threshold) + "\n--columns";
  for (const std::string& name : table.names) description += ' ' + name;
  GraphSampler<E> sampler(env, exact ? 0 : network.samples, options.seed);
  const auto make_guide = [&](const E& e) { return gfn::discouraged_exit_below(e, network.guide_threshold); };
  const auto outcome = examples::train(env, options, description, evaluation, make_guide, sampler);

  const Summary learned =
      exact ? Summary(exact->graph().states(), truth, outcome.learned) : Summary(sampler.graphs, truth);
  std::optional<Summary> target;
  if (exact) target.emplace(exact->graph().states(), truth, exact->target());
  if (!options.quiet) {
    examples::print_summary(options, evaluation, outcome);
    const double nan = std::nan("");
    if (!exact) std::printf("\n%-34s%10s\n", "", "learned");
    std::printf("%-34s%10.4f", "expected number of edges", learned.edges);
    if (exact) std::printf("%10s%10.4f", "", target->edges);
    if (truth) std::printf("\n%-34s%10.4f", "expected SHD to the known graph", learned.distance);
    if (truth && exact) std::printf("%10s%10.4f", "", target ? target->distance : nan);
    std::printf("\n");
    print_marginals("probabilities of the edges, learned", learned.marginals, table.names);
    if (exact) print_marginals("the same, exact", target->marginals, table.names);
  }
  if (options.plot.empty()) return;
  plot(options.plot, env, evaluation, outcome, learned, target, table.names, truth);
  if (!options.quiet) std::printf("picture: %s\n", options.plot.c_str());
}

void run(NetworkOptions network, examples::TrainingOptions options) {
  examples::check_training_options(options);
  gfn::require(network.samples >= 1, "--samples is ", network.samples, ", it must be at least 1");
  gfn::require(std::isfinite(network.guide_threshold), "--guide-threshold is ", network.guide_threshold,
               ", it must be finite");
  examples::check_gnuplot("bayesian_network", options.plot);
  if (network.edges.empty() && network.data == NetworkOptions().data && network.columns.empty() &&
      network.without.empty())
    network.edges = GFN_EXAMPLE_DATA_DIR "/er5_lingauss_seed0_edges.tsv";
  gfn::TableReader data = examples::open_table(network.data);
  const gfn::NumericTable table =
      gfn::read_numeric_table(data, {.columns = network.columns, .without = network.without, .num_rows = network.rows});
  gfn::require(table.values.cols() >= 1 && table.values.cols() <= 32, "--data: there are ", table.values.cols(),
               " variables, between 1 and 32 can be learned");
  table.values.cols() <= 8 ? learn<8>(network, table, options) : learn<32>(network, table, options);
}

}  // namespace

int main(int argc, char** argv) {
  NetworkOptions network;
  examples::TrainingOptions options;
  options.log_z_rate = 1.0;           // as in the paper's programs for networks, where the backward policy
  options.backward_loss = "squared";  // learns by this loss too: its policy gradient collapses on er5
  CLI::App app{
      "Learns which Bayesian networks explain some data. A graph begins without edges and gets one by an action, "
      "never\n"
      "one that would close a cycle; it is to be finished as G with the posterior probability of G: the BGe score of "
      "a\n"
      "linear-Gaussian network, every graph being as likely as any other beforehand. Up to 5 variables it is compared\n"
      "with the exact posterior, above with nothing: then graphs are sampled. Log-rewards are relative to the graph\n"
      "without edges.",
      "bayesian_network"};
  app.add_option("--data", network.data,
                 "tab-separated samples, a column for each variable,\nplain or gzipped; by default the five of er5")
      ->type_name("FILE.tsv");
  app.add_option("--columns", network.columns, "those to read, in this order; default: all")
      ->delimiter(',')
      ->type_name("NAME,...");
  app.add_option("--without", network.without, "those of them to leave out")->delimiter(',')->type_name("NAME,...");
  app.add_option("--rows", network.rows, "samples to read; default: all")->type_name("N");
  app.add_option("--edges", network.edges, "edges of the known graph, in columns parent and child,\nplain or gzipped")
      ->type_name("FILE.tsv");
  app.add_option("--graph", network.graph, "the one in that file whose column graph is this")->type_name("NAME");
  app.add_option("--guide-threshold", network.guide_threshold,
                 "rl-g discourages exits where log R is not above\nit; the default fits er5")
      ->capture_default_str()
      ->type_name("X");
  app.add_option("--samples", network.samples, "graphs to sample in the end where there are too\nmany to enumerate")
      ->capture_default_str()
      ->type_name("N");
  examples::add_training_options(app, options);
  return examples::run_program(app, argc, argv, [&] { run(network, options); });
}
