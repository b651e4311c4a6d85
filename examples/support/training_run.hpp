// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gfn/gfn.hpp>

#include "exact_evaluation.hpp"
#include "methods.hpp"
#include "training_options.hpp"

namespace examples {

/// One point of the convergence curve.
struct CurvePoint {
  std::int64_t iteration;
  double total_variation;
  double jensen_shannon;
};

/// The fields of a line that the logs of all programs have; see log_footer.
inline gfn::JsonObject log_line(const gfn::IterationReport& report, int batch, const Distances& d, double log_z_error) {
  gfn::JsonObject line;
  line.add("iteration", report.iteration)
      .add("trajectories", static_cast<std::int64_t>(report.iteration) * batch)
      .add("loss", report.loss)
      .add("log_z", report.log_z)
      .add("log_z_error", log_z_error)
      .add("total_variation", d.total_variation)
      .add("jensen_shannon", d.jensen_shannon)
      .add("mean_reward_accuracy", std::min(d.mean_reward_ratio, 1.0))
      .add("mean_reward_ratio", d.mean_reward_ratio)
      .add("distinct_states", report.distinct_states)
      .add("mean_length", report.mean_length());
  return line;
}

/// What a program measures besides, with the forward policy: this one nothing.
struct NoProbe {
  /// At each evaluation.
  template <class Forward>
  void evaluate(Forward&, std::int64_t) {}
  /// Adds what the last evaluation found to a line of the log.
  void write(gfn::JsonObject&) const {}
  /// After the training.
  template <class Forward>
  void finish(Forward&) {}
  /// What a checkpoint must hold of it.
  std::vector<double> numbers() const { return {}; }
  void restore(std::span<const double>) {}
};

/// What a training comes to.
struct Outcome {
  std::vector<double> learned;  ///< exact distribution of the terminating states; empty where it was not evaluated
  std::vector<CurvePoint> curve;
  std::int64_t iterations = 0;
  double log_z = 0;
  double train_seconds = 0;
  double evaluation_seconds = 0;  ///< of the last exact evaluation
};

/// Ctrl-C, where there is a checkpoint to be written.
inline volatile std::sig_atomic_t interrupted = 0;

/// Cuts a log back to what it was when the checkpoint of that iteration was written. The line of the iteration itself
/// goes too where it is only there because training stopped: the line of an iteration that is not due, and the second
/// of one that is, which has the exact evaluation of the end.
inline void cut_log(const TrainingOptions& options, std::int64_t iteration) {
  const std::string& path = options.log;
  if (!std::filesystem::exists(path)) return;
  const std::string content = gfn::read_file(path);
  std::string_view rest = content;
  std::size_t kept = 0;
  std::int64_t before = 0;
  for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    constexpr std::string_view beginning = "{\"iteration\": ";
    if (!rest.starts_with(beginning)) gfn::fail("--log: '", path, "' is not a log of this program");
    const std::int64_t i = std::strtoll(rest.data() + beginning.size(), nullptr, 10);
    if (i > iteration || (i == iteration && (!options.is_due(i) || i == before))) break;
    kept += end + 1;
    before = i;
  }
  if (kept < content.size()) gfn::replace_file(path, std::string_view(content).substr(0, kept));
}

/// One training with everything around it: evaluation, progress, log, checkpoints.
template <class E, class Trainer, class Forward, class Probe>
class TrainingRun {
 public:
  /// `exact` is null where nothing is to be evaluated; `environment` describes the environment for the checkpoint.
  TrainingRun(const TrainingOptions& options, const std::string& environment, const ExactEvaluation<E>* exact,
              Trainer& trainer, Forward& forward, Probe& probe, gfn::Random& random)
      : options_(options),
        description_(environment + '\n' + describe_training(options)),
        exact_(exact),
        trainer_(trainer),
        forward_(forward),
        probe_(probe),
        random_(random) {}

  Outcome run() {
    if constexpr (has_state)
      if (options_.resume) resume();
    if (iteration() < options_.iterations) train();
    if (exact_ != nullptr && outcome_.learned.empty()) evaluate_exactly();
    probe_.finish(forward_);
    outcome_.iterations = iteration();
    outcome_.log_z = trainer_.log_z_estimate();
    return std::move(outcome_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  /// Whether the trainer can be written to a checkpoint; check_training_options refuses one where it can't.
  static constexpr bool has_state = requires(Trainer & t) {
    t.visit_state([](auto&&...) {});
  };

  std::int64_t iteration() const { return static_cast<std::int64_t>(trainer_.iteration()); }

  void train() {
    if (!options_.log.empty()) {
      if (options_.resume) cut_log(options_, iteration());
      log_.emplace(options_.log, options_.resume ? gfn::JsonLog::Mode::append : gfn::JsonLog::Mode::replace);
    }
    if (!options_.checkpoint.empty()) std::signal(SIGINT, [](int) { interrupted = 1; });
    if (!options_.quiet) progress_.emplace();
    saved_ = Clock::now();
    const auto more = static_cast<std::uint64_t>(options_.iterations - iteration());
    gfn::train(trainer_, {.iterations = more, .batch = options_.batch}, random_,
               [this](const gfn::IterationReport& report) { observe(report); });
    progress_.reset();
  }

  void observe(const gfn::IterationReport& report) {
    outcome_.train_seconds += report.seconds;
    const bool last = report.iteration == report.total;
    if (last || options_.is_due(iteration())) evaluate(report, last);
    if (progress_) (*progress_)(report);
    if constexpr (has_state) keep(report, last);
  }
  void keep(const gfn::IterationReport& report, bool last) {
    if (options_.checkpoint.empty()) return;
    if (last || interrupted != 0 || Clock::now() - saved_ > std::chrono::seconds(10)) save();
    if (interrupted != 0 && !last)
      gfn::fail("stopped after iteration ", report.iteration, "; --resume goes on from '", options_.checkpoint, "'");
  }

  /// Where exact evaluation is for the end only, the line that has it comes after the usual one of the iteration, if
  /// that is due: so all lines but the last are those of a longer training.
  void evaluate(const gfn::IterationReport& report, bool last) {
    const bool due = options_.is_due(iteration());
    const bool late = exact_ != nullptr && exact_->only_in_the_end();
    const Distances d = exact_ != nullptr && !late ? measure() : Distances();
    probe_.evaluate(forward_, iteration());
    if (due) probe_numbers_ = probe_.numbers();
    if (due || !late) write(report, d);
    if (last && late) write(report, measure());
  }
  void write(const gfn::IterationReport& report, const Distances& d) {
    if (!log_) return;
    const double log_z_error = exact_ != nullptr ? std::abs(report.log_z - exact_->log_z()) : std::nan("");
    gfn::JsonObject line = log_line(report, options_.batch, d, log_z_error);
    if (options_.method == "rl-t")
      line.add("trust_region_step", report.trust_region_step).add("trust_region_kl", report.trust_region_kl);
    probe_.write(line);
    log_->write(line.add("train_seconds", outcome_.train_seconds));
  }
  Distances measure() {
    evaluate_exactly();
    const Distances d = exact_->distances(outcome_.learned);
    outcome_.curve.push_back({iteration(), d.total_variation, d.jensen_shannon});
    if (progress_) progress_->metric("D_TV", d.total_variation);
    return d;
  }
  void evaluate_exactly() {
    if (exact_->only_in_the_end() && !options_.quiet) {
      if (progress_) progress_->interrupt();
      std::fprintf(stderr, "exact evaluation by the numbers of the states ...\n");
    }
    const auto start = Clock::now();
    outcome_.learned = exact_->learned(forward_);
    outcome_.evaluation_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }

  /// The caller's numbers of the checkpoint: the training time, the curve after its length, then those of the probe.
  void save() {
    std::vector<double> numbers = {outcome_.train_seconds, static_cast<double>(outcome_.curve.size())};
    for (const CurvePoint& point : outcome_.curve)
      numbers.insert(numbers.end(),
                     {static_cast<double>(point.iteration), point.total_variation, point.jensen_shannon});
    numbers.insert(numbers.end(), probe_numbers_.begin(), probe_numbers_.end());
    gfn::save_checkpoint(options_.checkpoint, trainer_, random_, description_, numbers);
    saved_ = Clock::now();
  }
  void resume() {
    const std::vector<double> numbers = gfn::load_checkpoint(options_.checkpoint, trainer_, random_, description_);
    outcome_.train_seconds = numbers.at(0);
    const std::size_t end = 2 + 3 * static_cast<std::size_t>(numbers.at(1));
    for (std::size_t i = 2; i < end; i += 3)
      outcome_.curve.push_back({static_cast<std::int64_t>(numbers.at(i)), numbers.at(i + 1), numbers.at(i + 2)});
    probe_numbers_.assign(numbers.begin() + static_cast<std::ptrdiff_t>(end), numbers.end());
    probe_.restore(probe_numbers_);
    if (iteration() < options_.iterations && !outcome_.curve.empty() &&
        (!options_.is_due(outcome_.curve.back().iteration) || (exact_ != nullptr && exact_->only_in_the_end())))
      outcome_.curve.pop_back();  // as cut_log does
  }

  const TrainingOptions& options_;
  std::string description_;
  const ExactEvaluation<E>* exact_;
  Trainer& trainer_;
  Forward& forward_;
  Probe& probe_;
  std::vector<double> probe_numbers_;  // as of the last evaluation that was due: a later one is made anew
  gfn::Random& random_;
  Outcome outcome_;
  std::optional<gfn::JsonLog> log_;
  std::optional<gfn::ProgressBar> progress_;
  Clock::time_point saved_;
};

/// Trains by the method that the options name; `make_guide` gives the guide of rl-g.
template <class E, class MakeGuide, class Probe>
Outcome train(const E& env, const TrainingOptions& options, const std::string& environment,
              const ExactEvaluation<E>* exact, MakeGuide&& make_guide, Probe&& probe) {
  gfn::Random random(options.seed);
  Outcome outcome;
  with_trainer(env, options, random, make_guide, [&](auto& trainer, auto& forward) {
    outcome = TrainingRun(options, environment, exact, trainer, forward, probe, random).run();
  });
  return outcome;
}
template <class E, class MakeGuide>
Outcome train(const E& env, const TrainingOptions& options, const std::string& environment,
              const ExactEvaluation<E>* exact, MakeGuide&& make_guide) {
  return train(env, options, environment, exact, make_guide, NoProbe());
}

/// What came out, beside the uniform distribution and the target.
template <class E>
void print_summary(const TrainingOptions& options, const ExactEvaluation<E>* exact, const Outcome& outcome) {
  std::printf("%s: %lld iterations of %d trajectories, %.1f s of training\n", options.method.c_str(),
              static_cast<long long>(outcome.iterations), options.batch, outcome.train_seconds);
  if (exact == nullptr) {
    std::printf("log Z %.4f (not evaluated exactly)\n", outcome.log_z);
    return;
  }
  const Distances learned = exact->distances(outcome.learned);
  const Distances uniform = exact->distances(exact->uniform());
  std::printf("\n%-34s%10s%10s%10s\n", "", "learned", "uniform", "target");
  std::printf("%-34s%10.4f%10.4f%10.4f\n", "total variation from the target", learned.total_variation,
              uniform.total_variation, 0.0);
  std::printf("%-34s%10.4f%10.4f%10.4f\n", "Jensen-Shannon divergence from it", learned.jensen_shannon,
              uniform.jensen_shannon, 0.0);
  std::printf("%-34s%10.4f%10.4f%10.4f\n", "mean reward over the target's", learned.mean_reward_ratio,
              uniform.mean_reward_ratio, 1.0);
  std::printf("%-34s%10.4f%10.4f%10.4f\n", "the same, cut to 1: accuracy", std::min(learned.mean_reward_ratio, 1.0),
              std::min(uniform.mean_reward_ratio, 1.0), 1.0);
  std::printf("%-34s%10.4f%10s%10.4f\n", "log Z", outcome.log_z, "", exact->log_z());
  if (exact->only_in_the_end()) std::printf("the exact evaluation took %.1f s\n", outcome.evaluation_seconds);
}

}  // namespace examples
