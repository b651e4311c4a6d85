// SPDX-License-Identifier: MIT
// Does a GFlowNet propose sequences as often as they are good? Trains one on a table of rewards, and measures it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "support/exact_evaluation.hpp"
#include "support/gnuplot.hpp"
#include "support/program.hpp"
#include "support/sequence_tasks.hpp"
#include "support/training_options.hpp"
#include "support/training_run.hpp"

namespace {

struct SequenceRunOptions {
  std::string task = "synthetic", environment = "slot", data;
  std::optional<double> exponent, floor, maximum;
  std::int64_t max_states = 2'000'000;
};

/// More states than these are not evaluated exactly at all.
constexpr std::int64_t most_states = 200'000'000;

/// What is measured with fresh samples: the modes found so far at each evaluation, and more in the end.
template <class E>
class SampleProbe : public examples::ModesProbe<E> {
  using Base = examples::ModesProbe<E>;
  using Base::draw, Base::env_, Base::modes_, Base::random_;

 public:
  using Base::Base;
  using typename Base::State;

  template <class Forward>
  void finish(Forward& forward) {
    samples = draw(forward, 10000, 0);
    top = gfn::sampled::top_objects(env_, std::span<const State>(samples), 100);
    gfn::Stream stream = random_.stream(gfn::Purpose::evaluation, 0, 1);
    std::vector<State> objects(300, env_.initial_state());
    std::vector<double> log_p, log_r;
    for (State& x : objects) {
      for (int i = 0; i < env_.length(); ++i) x[i] = static_cast<gfn::Symbol>(stream.below(env_.alphabet_size()));
      log_r.push_back(env_.log_reward(x));
    }
    auto backward = gfn::uniform_backward(env_);
    for (const auto& estimate : gfn::sampled::log_likelihoods(env_, forward, backward, std::span<const State>(objects),
                                                              random_, {.walks = 32, .evaluation = 1}))
      log_p.push_back(estimate.value);
    pearson = gfn::sampled::pearson_correlation(log_p, log_r);
    spearman = gfn::sampled::spearman_correlation(log_p, log_r);
    lower_bound = gfn::sampled::evidence_lower_bound(env_, forward, backward, 2000, random_, 2);
    const std::vector<State> targets = gfn::exact::sample_target(env_, env_.reward().table(), 2000, random_);
    upper_bound =
        gfn::sampled::evidence_upper_bound(env_, forward, backward, std::span<const State>(targets), random_, 0);
  }

  void print() const {
    std::printf("\nfrom samples:\n%-34s%10d of %d\n", "modes found", modes_.count(), modes_.total());
    std::printf("%-34s%10.4f\n", "mean reward of the best 100", gfn::sampled::mean_reward(top.log_rewards));
    const auto hamming = [&](const State& a, const State& b) {
      int distance = 0;
      for (int i = 0; i < env_.length(); ++i) distance += a[i] != b[i];
      return distance;
    };
    std::printf("%-34s%10.4f\n", "places in which two of them differ",
                gfn::sampled::mean_pairwise_distance(std::span<const State>(top.objects), hamming));
    std::printf("%-34s%10.4f\n", "correlation of log P and log R", pearson);
    std::printf("%-34s%10.4f\n", "the same, of the ranks", spearman);
    std::printf("%-34s%10.4f +- %.4f\n", "lower bound of log Z*", lower_bound.value, lower_bound.standard_error);
    std::printf("%-34s%10.4f +- %.4f\n", "upper bound of log Z*", upper_bound.value, upper_bound.standard_error);
  }
  void print_best(const gfn::Alphabet& alphabet) const {
    std::printf("best:");
    for (std::size_t i = 0; i < std::min<std::size_t>(top.objects.size(), 5); ++i)
      std::printf(" %s %.3f", alphabet.text(env_.symbols(top.objects[i])).c_str(), std::exp(top.log_rewards[i]));
    std::printf("\n");
  }

  std::vector<State> samples;
  gfn::sampled::TopObjects<State> top;
  double pearson = 0, spearman = 0;
  gfn::sampled::Estimate lower_bound, upper_bound;
};

/// The mass of a distribution in each of 40 bins of reward.
class Histogram {
 public:
  static constexpr int bins = 40;
  explicit Histogram(double largest) : width_(largest / bins), mass_(bins) {}
  void add(double log_reward, double probability) {
    const int bin = std::clamp(static_cast<int>(std::exp(log_reward) / width_), 0, bins - 1);
    mass_[static_cast<std::size_t>(bin)] += probability;
  }
  void write(examples::Gnuplot& plot, const char* name) const {
    plot << '$' << name << " << END\n";
    for (int i = 0; i < bins; ++i) plot << (i + 0.5) * width_ << ' ' << mass_[static_cast<std::size_t>(i)] << '\n';
    plot << "END\n";
  }

 private:
  double width_;
  std::vector<double> mass_;
};

template <class E>
void plot(const std::string& path, const E& env, const examples::ExactEvaluation<E>* exact,
          const examples::Outcome& outcome, const SampleProbe<E>& probe) {
  const std::span<const double> log_rewards = env.reward().table();
  const double log_z = gfn::log_sum_exp(log_rewards);
  const double largest = std::exp(*std::max_element(log_rewards.begin(), log_rewards.end()));
  Histogram learned(largest), target(largest), uniform(largest);
  for (const double r : log_rewards) {
    target.add(r, std::exp(r - log_z));
    uniform.add(r, 1 / static_cast<double>(log_rewards.size()));
  }
  if (exact != nullptr)
    for (std::size_t i = 0; i < outcome.learned.size(); ++i) learned.add(exact->log_rewards()[i], outcome.learned[i]);
  else
    for (const auto& x : probe.samples) learned.add(env.log_reward(x), 1 / static_cast<double>(probe.samples.size()));

  const bool curve = exact != nullptr && !exact->only_in_the_end();
  examples::Gnuplot plot(path, curve ? 1100 : 650, 420);
  learned.write(plot, "learned");
  target.write(plot, "target");
  uniform.write(plot, "uniform");
  plot << "set multiplot\nset bmargin at screen 0.15\nset tmargin at screen 0.88\nset lmargin at screen "
       << (curve ? 0.065 : 0.12) << "\nset rmargin at screen " << (curve ? 0.55 : 0.96)
       << "\nset xlabel 'reward'\nset ylabel 'probability of a bin' offset 1\nset xrange [0:" << largest
       << "]\nset yrange [0:*]\nset key top right samplen 2\nset grid ytics lt 1 lc rgb '#e4e4e4' lw 0.8\n"
       << "set style fill solid\nset boxwidth 1 relative\nset title 'rewards after " << outcome.iterations
       << " iterations" << (exact != nullptr ? "" : ", 10000 samples") << "'\n"
       << "plot $target with boxes lc rgb '#b5dbe0' title 'target', "
       << "$learned with histeps lw 2.2 lc rgb '#31688e' title 'learned', "
       << "$uniform with histeps lw 1.4 dt 2 lc rgb '#808080' title 'uniform'\n";
  if (curve) {
    plot << "unset ylabel\nset lmargin at screen 0.66\nset rmargin at screen 0.97\nset xrange [0:1]\nset yrange "
            "[0.1:1]\n";
    examples::plot_curve(plot, outcome.curve, exact->distances(exact->uniform()).total_variation);
  }
  plot << "unset multiplot\n";
  plot.draw();
}

template <class E>
void learn(const E& env, const gfn::SequenceTable& table, const examples::SequenceTask& task, std::int64_t max_states,
           const std::string& description, const examples::TrainingOptions& options) {
  const bool on_the_way = env.num_states() <= max_states;
  std::optional<examples::ExactEvaluation<E>> exact;
  if (options.evaluate_every > 0 && on_the_way)
    exact.emplace(env);
  else if (options.evaluate_every > 0 && env.num_states() <= most_states)
    exact.emplace(env, env.reward().table());
  const auto* const evaluation = exact ? &*exact : nullptr;
  if (!options.quiet)
    std::printf("%lld sequences, %lld states, log Z* = %.4f%s\n", static_cast<long long>(env.num_objects()),
                static_cast<long long>(env.num_states()), gfn::log_sum_exp(env.reward().table()),
                !exact        ? "; no exact evaluation"
                : !on_the_way ? "; exact evaluation of so many states is left to the end"
                              : "");
  SampleProbe<E> probe(env, table, task, options.seed);
  const auto make_guide = [](const E& e) {
    if constexpr (std::is_same_v<E, gfn::SlotSequence<gfn::TableReward>>)
      return gfn::ReplayGuide(e);
    else
      return examples::NoGuide();
  };
  const auto outcome = examples::train(env, options, description, evaluation, make_guide, probe);
  if (!options.quiet) {
    examples::print_summary(options, evaluation, outcome);
    probe.print();
    probe.print_best(table.alphabet);
  }
  if (options.plot.empty()) return;
  plot(options.plot, env, evaluation, outcome, probe);
  if (!options.quiet) std::printf("picture: %s\n", options.plot.c_str());
}

void run(const SequenceRunOptions& sequences, examples::TrainingOptions options) {
  examples::check_training_options(options);
  const examples::SequenceTask& task = examples::sequence_task(sequences.task);
  const bool synthetic = sequences.task == "synthetic";
  gfn::require(synthetic == sequences.data.empty(), synthetic ? "--data needs a --task that says how to read it"
                                                              : "--task needs --data, the file with its table");
  const std::string& environment = sequences.environment;
  gfn::require(environment == "slot" || environment == "prepend-append" || environment == "append",
               "unknown environment '", environment, "', there are: slot, prepend-append, append");
  gfn::require(options.method != "rl-g" || environment == "slot",
               "--method rl-g: its guide is for --environment slot alone");
  gfn::require(options.method != "rl-g" || options.checkpoint.empty(),
               "--checkpoint: rl-g has none, the buffer of its guide would have to be kept");
  gfn::require(sequences.max_states >= 0, "--max-states is ", sequences.max_states, ", it must be at least 0");
  examples::check_gnuplot("sequence_design", options.plot);
  gfn::RewardTransformOptions transform = task.transform;
  transform.exponent = sequences.exponent.value_or(transform.exponent);
  transform.floor = sequences.floor.value_or(transform.floor);
  transform.maximum = sequences.maximum.value_or(transform.maximum);
  const gfn::SequenceTable table =
      synthetic ? examples::synthetic_table(task.table) : examples::read_table(sequences.data, task);
  gfn::TableReward reward(table, transform);
  const std::string description =
      "sequences\n--task " + sequences.task + "\n--environment " + environment + "\n--data " + sequences.data +
      "\n--exponent " + examples::all_digits(transform.exponent) + "\n--floor " +
      examples::all_digits(transform.floor) + "\n--max-reward " + examples::all_digits(transform.maximum);
  const auto learn_in = [&](const auto& env) { learn(env, table, task, sequences.max_states, description, options); };
  if (environment == "slot")
    learn_in(gfn::SlotSequence(std::move(reward)));
  else if (environment == "append")
    learn_in(gfn::AppendSequence(std::move(reward)));
  else
    learn_in(gfn::PrependAppendSequence(std::move(reward)));
}

}  // namespace

int main(int argc, char** argv) {
  SequenceRunOptions sequences;
  examples::TrainingOptions options;
  options.evaluate_every = 50;
  CLI::App app{
      "Trains a GFlowNet on sequences of a fixed length. A sequence begins empty, and a letter is put in by each "
      "action;\n"
      "a complete one is to come out with a probability proportional to its reward. Rewards come from a table: one "
      "that\n"
      "is made here, or measured or predicted ones from a file. Where there are at most 2 million states the\n"
      "distribution is evaluated exactly on the way. Where there are at most 200 million that is done in the end, for\n"
      "the last line of the log: it takes about 1 minute for the 10 million of pho4, 3 minutes and 1.5 GB for the 47\n"
      "million of seh, and --evaluate-every 0 leaves it out.",
      "sequence_design"};
  app.add_option("--task", sequences.task,
                 "synthetic (made here), or what a file holds: six6\n(TFBind8), qm9 (QM9-str), pho4 (TFBind10),\nseh "
                 "(trees for sEH)")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--data", sequences.data, "the table or the trees of the task, plain or gzipped")
      ->type_name("FILE.tsv");
  app.add_option("--environment", sequences.environment,
                 "where letters go: slot (any free place), append,\nprepend-append")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--exponent", sequences.exponent, "of the values in the rewards; default: the task's")->type_name("X");
  app.add_option("--floor", sequences.floor, "values are not taken below it; default: the task's")->type_name("X");
  app.add_option("--max-reward", sequences.maximum, "of the best sequence; default: 10")->type_name("X");
  app.add_option("--max-states", sequences.max_states, "exact evaluation of more is left to the end")
      ->capture_default_str()
      ->type_name("N");
  examples::add_training_options(app, options);
  app.footer(examples::training_footer +
             "\nThis program adds one field:\n"
             "  modes_found           modes (a list of the file's, or the best 0.5 %, 0.1 % of seh) among all fresh\n"
             "                        samples so far: as many an evaluation as there are modes");
  return examples::run_program(app, argc, argv, [&] { run(sequences, options); });
}
