// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/core/error.hpp>
#include <gfn/data/file.hpp>
#include <gfn/objective/advantage.hpp>
#include <gfn/trainer/coupled_trainer.hpp>

namespace examples {

/// What every training program asks for. Defaults: Niu et al. 2024.
struct TrainingOptions {
  std::string method = "rl-u";
  std::string hidden = "256,256,256,256";
  std::string critic_hidden = "256,256";
  int batch = 128;
  std::int64_t iterations = 2000;
  double learning_rate = 1e-3;
  double log_z_rate = 0.1;
  double critic_rate = 5e-3;
  double backward_learning_rate = -1;  // negative: as learning_rate
  std::string backward_loss = "policy-gradient";
  std::string baseline = "learned";
  double lambda = 0.99;
  double max_kl = 0.01;
  double epsilon = 0;
  double epsilon_decay = 0.99;
  double anneal_from = 1;
  std::int64_t anneal_iterations = 0;
  std::int64_t seed = 1;
  std::int64_t evaluate_every = 10;
  std::vector<std::int64_t> judged;  // every tenth of the hundred iterations up to one of these is evaluated too
  std::string log, plot, checkpoint;
  bool shared_trunk = false;
  bool resume = false;
  bool quiet = false;

  bool is_policy_gradient() const { return method.starts_with("rl-"); }
  /// Whether the log has a line of this iteration even if training goes on.
  bool is_due(std::int64_t iteration) const {
    if (iteration % 10 == 0)
      for (const std::int64_t last : judged)
        if (last - 100 < iteration && iteration <= last) return true;
    return iteration % (evaluate_every > 0 ? evaluate_every : 10) == 0;
  }
};

inline constexpr const char* methods[] = {"tb-u", "tb-b", "db-u", "db-b", "subtb-u", "subtb-b",
                                          "fm",   "rl-u", "rl-b", "rl-g", "rl-t",    "q-much"};

inline std::string method_names() {
  std::string names;
  for (const char* method : methods) names += (names.empty() ? "" : ", ") + std::string(method);
  return names;
}

/// The widths of hidden layers.
inline std::vector<int> parse_widths(const char* option, const std::string& text) {
  std::vector<int> widths;
  const char* at = text.c_str();
  const char* const end = at + text.size();
  while (true) {
    int width = 0;
    const auto [stop, error] = std::from_chars(at, end, width);
    gfn::require(error == std::errc() && (stop == end || *stop == ',') && width >= 1 && width <= 1 << 16, option,
                 " is '", text, "', it must be one or more widths between 1 and 65536, with commas between them");
    widths.push_back(width);
    if (stop == end) return widths;
    at = stop + 1;
  }
}

/// For the end of --help: the methods.
inline const std::string methods_footer =
    "Methods:\n"
    "  tb-u, tb-b        trajectory balance; backward policy uniform, or learned by the same loss\n"
    "  db-u, db-b        detailed balance, with a state flow\n"
    "  subtb-u, subtb-b  sub-trajectory balance (geometric within each trajectory), with a state flow\n"
    "  fm                flow matching\n"
    "  rl-u              policy gradient with a learned value function, uniform backward policy\n"
    "  rl-t              the same by natural gradients inside a trust region\n"
    "  rl-b              policy gradients for both policies in turn, each with a value function\n"
    "  rl-g              the same, the backward policy pulled towards a guide\n"
    "  q-much            Munchausen DQN with prioritised replay, uniform backward policy\n";

/// For the end of --help: the fields of the log.
inline const std::string log_footer =
    "The log has one JSON object a line, written every --evaluate-every iterations and after the last one. Distances\n"
    "and accuracies compare the exact distribution of the states in which the forward policy ends, P, with the target\n"
    "P* = R / Z*; logarithms are natural. Fields:\n"
    "  iteration             iterations done\n"
    "  trajectories          trajectories sampled by the forward policy so far\n"
    "  loss                  of this iteration, 0 at the optimum: of rl-* the mean of delta, the logarithm of\n"
    "                        (Z P_F) / (R P_B) of a trajectory, an estimate of log Z - log Z* + KL; of tb-* the mean\n"
    "                        square of delta; of the others their own loss\n"
    "  log_z                 the learned log Z; of db-*, subtb-*, fm and q-much the logarithm of the flow at the "
    "start\n"
    "  log_z_error           |log Z - log Z*|\n"
    "  total_variation       D_TV of P and P*: 0 (equal) to 1\n"
    "  jensen_shannon        D_JSD of P and P*: 0 to log 2\n"
    "  mean_reward_accuracy  the mean reward under P over the one under P*, cut to [0, 1]\n"
    "  mean_reward_ratio     the same, not cut\n"
    "  distinct_states       different states that the trajectories of this iteration visit\n"
    "  mean_length           actions of its trajectories, exit included, on average\n"
    "  trust_region_step     (rl-t) what was taken of the full step, 1, 1/2, 1/4, ...; 0: none would do\n"
    "  trust_region_kl       (rl-t) divergence from the policy before, mean over trajectories; at most --max-kl "
    "unless\n"
    "                        the step is 0\n"
    "  train_seconds         time spent in training so far, without evaluation; all else is the same, bit for bit,\n"
    "                        when the same program runs again with the same options and seed\n"
    "What was not evaluated is null.";

inline const std::string training_footer = methods_footer + '\n' + log_footer;

/// The options that shape the training, but for its seed.
inline void add_method_options(CLI::App& app, TrainingOptions& options) {
  const auto option = [&](const char* name, auto& value, const char* text, const char* type) {
    return app.add_option(name, value, text)->capture_default_str()->type_name(type);
  };
  option("--hidden", options.hidden, "widths of the hidden layers of each policy", "N,N,...");
  option("--critic-hidden", options.critic_hidden, "the same of each value function (rl-*)", "N,N,...");
  app.add_flag("--shared-trunk", options.shared_trunk,
               "forward and backward policy are heads on one\nnetwork (tb-b, db-b, subtb-b)");
  option("--batch", options.batch, "trajectories an iteration", "N");
  option("--iterations", options.iterations, "when to stop", "N");
  option("--learning-rate", options.learning_rate, "of the policies", "X");
  option("--log-z-rate", options.log_z_rate, "learning rate of log Z", "X");
  option("--critic-rate", options.critic_rate, "learning rate of the value functions (rl-*)", "X");
  option("--baseline", options.baseline,
         "what costs to go are compared with (rl-*):\nlearned (a value function), constant (all costs of\nthe "
         "trajectory weigh each action, as in tb-*),\nor off",
         "NAME");
  option("--lambda", options.lambda,
         "of the forward policy's advantages (rl-*), and of\nsub-trajectories (subtb-*), in [0, 1]", "X");
  option("--backward-learning-rate", options.backward_learning_rate,
         "of the backward policy in rl-b and rl-g, where a\nsmaller one than --learning-rate keeps small batches\nfrom "
         "collapsing; negative: the same",
         "X");
  option("--backward-loss", options.backward_loss,
         "of the backward policy in rl-b and rl-g:\npolicy-gradient, or squared (half the square of\ndelta on "
         "backward walks, without a value function)",
         "NAME");
  option("--max-kl", options.max_kl, "size of the trust region (rl-t)", "X");
  option("--epsilon", options.epsilon, "share of uniform actions at first, in [0, 1]\n(not rl-*)", "X");
  option("--epsilon-decay", options.epsilon_decay, "what an iteration leaves of it, in [0, 1]", "X");
  option("--anneal-from", options.anneal_from,
         "power of the reward at first, in (0, 1], which grows\nto 1 over the next option's iterations (not q-much)",
         "X");
  option("--anneal-iterations", options.anneal_iterations, "see there; 0: the reward is as it is", "N");
}

/// All options of a training program.
inline void add_training_options(CLI::App& app, TrainingOptions& options) {
  const auto option = [&](const char* name, auto& value, const char* text, const char* type) {
    return app.add_option(name, value, text)->capture_default_str()->type_name(type);
  };
  option("--method", options.method, "how to train, see below", "NAME");
  add_method_options(app, options);
  option("--seed", options.seed, "of all random numbers", "N");
  option("--evaluate-every", options.evaluate_every,
         "iterations between exact evaluations;\n0: none, for what is too large to enumerate\n(log lines then come "
         "every 10 iterations)",
         "N");
  option("--log", options.log, "write a log in JSON lines", "FILE");
  option("--plot", options.plot, "draw the result and the way there, by gnuplot", "FILE.png");
  option("--checkpoint", options.checkpoint, "keep the state of training here: every 10 s,\nat the end, and at Ctrl-C",
         "FILE");
  app.add_flag("--resume", options.resume,
               "go on from the checkpoint, and in the log, as if\nthere had been no stop; all options that shape\nthe "
               "training must be the same");
  app.add_flag("--quiet", options.quiet, "print nothing but errors");
  app.footer(training_footer);
  app.get_formatter()->column_width(36);
}

/// Throws std::invalid_argument, naming the option, where a file can't be written or is no regular one. Changes
/// nothing.
inline void check_writable(const char* option, const std::string& path) {
  if (path.empty()) return;
  std::error_code error;
  gfn::require(!std::filesystem::is_directory(path, error), option, ": '", path, "' is a folder");
  try {
    const std::filesystem::path file = gfn::replaced_file(path);
    const bool existed = std::filesystem::exists(file);
    gfn::require(std::ofstream(file, std::ios::app).is_open(), option, ": cannot write '", path, "'");
    if (!existed) std::filesystem::remove(file);
  } catch (const gfn::Error& unusable) {
    gfn::require(false, option, ": ", unusable.what());
  }
}

/// The same for one that is replaced as a whole: the new one must find room beside it.
inline void check_replaceable(const char* option, const std::string& path) {
  check_writable(option, path);
  if (!path.empty()) try {
      const gfn::FileReplacement dropped(path);
    } catch (const gfn::Error& unusable) {
      gfn::require(false, option, ": ", unusable.what());
    }
}

/// Throws std::invalid_argument where two options name one file, be it through links.
inline void check_different(const char* option, const std::string& path, const char* other_option,
                            const std::string& other) {
  const auto place = [](const std::string& name) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(gfn::replaced_file(name)));
  };
  gfn::require(path.empty() || other.empty() || place(path) != place(other), option, " and ", other_option,
               " name the file '", path, "'");
}

/// The baseline of that name. Throws std::invalid_argument where there is none.
inline gfn::Baseline parse_baseline(const std::string& name) {
  if (name == "learned") return gfn::Baseline::learned;
  if (name == "constant") return gfn::Baseline::constant;
  gfn::require(name == "off", "--baseline is '", name, "', there are: learned, constant, off");
  return gfn::Baseline::off;
}

/// The same for the loss of the backward policy.
inline gfn::BackwardLoss parse_backward_loss(const std::string& name) {
  if (name == "squared") return gfn::BackwardLoss::squared;
  gfn::require(name == "policy-gradient", "--backward-loss is '", name, "', there are: policy-gradient, squared");
  return gfn::BackwardLoss::policy_gradient;
}

/// Throws std::invalid_argument, naming the option, for what can't be meant.
inline void check_training_options(const TrainingOptions& o) {
  const auto check_rate = [](const char* name, double rate) {
    gfn::require(std::isfinite(rate) && rate >= 0, name, " is ", rate, ", it must be finite and at least 0");
  };
  const auto check_share = [](const char* name, double share) {
    gfn::require(share >= 0 && share <= 1, name, " is ", share, ", it must be in [0, 1]");
  };
  gfn::require(std::find(std::begin(methods), std::end(methods), o.method) != std::end(methods), "unknown method '",
               o.method, "', there are: ", method_names());
  parse_widths("--hidden", o.hidden);
  parse_widths("--critic-hidden", o.critic_hidden);
  gfn::require(o.batch >= 1 && o.batch <= 1 << 24, "--batch is ", o.batch, ", it must be between 1 and 16777216");
  gfn::require(o.iterations >= 1, "--iterations is ", o.iterations, ", it must be at least 1");
  gfn::require(o.seed >= 0, "--seed is ", o.seed, ", it must be at least 0");
  gfn::require(o.evaluate_every >= 0, "--evaluate-every is ", o.evaluate_every, ", it must be at least 0");
  check_rate("--learning-rate", o.learning_rate);
  check_rate("--log-z-rate", o.log_z_rate);
  check_rate("--critic-rate", o.critic_rate);
  gfn::require(std::isfinite(o.backward_learning_rate), "--backward-learning-rate is ", o.backward_learning_rate,
               ", it must be finite");
  gfn::require(std::isfinite(o.max_kl) && o.max_kl > 0, "--max-kl is ", o.max_kl, ", it must be finite and above 0");
  gfn::require(!o.shared_trunk || (o.method.ends_with("-b") && !o.is_policy_gradient()), "--shared-trunk: ", o.method,
               " can't have one, only tb-b, db-b and subtb-b can");
  parse_baseline(o.baseline);
  parse_backward_loss(o.backward_loss);
  check_share("--lambda", o.lambda);
  check_share("--epsilon", o.epsilon);
  check_share("--epsilon-decay", o.epsilon_decay);
  gfn::require(o.anneal_from > 0 && o.anneal_from <= 1, "--anneal-from is ", o.anneal_from, ", it must be in (0, 1]");
  gfn::require(o.anneal_iterations >= 0, "--anneal-iterations is ", o.anneal_iterations, ", it must be at least 0");
  gfn::require(o.anneal_iterations == 0 || o.method != "q-much",
               "--anneal-iterations: q-much keeps old rewards in its buffer, it must be 0");
  gfn::require(o.epsilon == 0 || !o.is_policy_gradient(), "--epsilon is ", o.epsilon, ", but ", o.method,
               " samples from its own policy alone: it must be 0");
  gfn::require(o.checkpoint.empty() || o.method != "q-much",
               "--checkpoint: q-much has none, its replay buffer would have to be kept");
  gfn::require(!o.resume || !o.checkpoint.empty(), "--resume needs --checkpoint FILE to go on from");
  check_writable("--log", o.log);
  check_replaceable("--plot", o.plot);
  check_replaceable("--checkpoint", o.checkpoint);
  check_different("--log", o.log, "--plot", o.plot);
  check_different("--log", o.log, "--checkpoint", o.checkpoint);
  check_different("--checkpoint", o.checkpoint, "--plot", o.plot);
}

/// A number with as many digits as tell it from any other.
inline std::string all_digits(double x) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, x).ptr};
}

/// Everything that shapes the training, one setting a line: a checkpoint fits only where all of it is the same.
inline std::string describe_training(const TrainingOptions& o) {
  return "--method " + o.method + "\n--hidden " + o.hidden + "\n--critic-hidden " + o.critic_hidden +
         "\n--shared-trunk " + std::to_string(o.shared_trunk) + "\n--batch " + std::to_string(o.batch) +
         "\n--learning-rate " + all_digits(o.learning_rate) + "\n--log-z-rate " + all_digits(o.log_z_rate) +
         "\n--critic-rate " + all_digits(o.critic_rate) + "\n--backward-learning-rate " +
         all_digits(o.backward_learning_rate) + "\n--backward-loss " + o.backward_loss + "\n--max-kl " +
         all_digits(o.max_kl) + "\n--baseline " + o.baseline + "\n--lambda " + all_digits(o.lambda) + "\n--epsilon " +
         all_digits(o.epsilon) + "\n--epsilon-decay " + all_digits(o.epsilon_decay) + "\n--anneal-from " +
         all_digits(o.anneal_from) + "\n--anneal-iterations " + std::to_string(o.anneal_iterations) + "\n--seed " +
         std::to_string(o.seed);
}

}  // namespace examples
