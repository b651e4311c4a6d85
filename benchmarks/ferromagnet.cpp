// SPDX-License-Identifier: MIT
// Which balance condition learns a ferromagnet? Its sites are set in any order, so that trajectories are long and only
// complete configurations end: trajectory balance, detailed balance and sub-trajectory balance side by side.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>

#include "../examples/support/program.hpp"

namespace {

/// The Ising model on a square with a free boundary, log R = coupling · Σ s_i s_j over neighbours, s = ±1. Action 2i +
/// u sets site i to +1 where u is 1, else to −1.
struct Ferromagnet {
  struct State {
    std::uint64_t set = 0, up = 0;  // sites, by bit
    bool operator==(const State&) const = default;
  };
  int side = 6;
  double coupling = 0.3;

  int sites() const { return side * side; }
  static bool has(std::uint64_t sites, int i) { return (sites >> i & 1) != 0; }

  State initial_state() const { return {}; }
  int num_actions() const { return 2 * sites(); }
  int num_features() const { return 2 * sites(); }
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < sites(); ++i) legal[2 * i] = legal[2 * i + 1] = !has(s.set, i);
  }
  bool can_exit(const State& s) const { return std::popcount(s.set) == sites(); }
  void apply(State& s, gfn::Action a) const {
    s.set |= std::uint64_t{1} << (a / 2);
    if (a % 2 == 1) s.up |= std::uint64_t{1} << (a / 2);
  }
  void legal_undos(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < sites(); ++i)
      if (has(s.set, i)) legal[2 * i + has(s.up, i)] = true;
  }
  void undo(State& s, gfn::Action a) const {
    s.set &= ~(std::uint64_t{1} << (a / 2));
    s.up &= ~(std::uint64_t{1} << (a / 2));
  }
  double log_reward(const State& s) const {
    int sum = 0;
    for (int i = 0; i < sites(); ++i) {
      if (i % side + 1 < side) sum += has(s.up, i) == has(s.up, i + 1) ? 1 : -1;
      if (i + side < sites()) sum += has(s.up, i) == has(s.up, i + side) ? 1 : -1;
    }
    return coupling * sum;
  }
  void encode(const State& s, gfn::Features out) const {
    for (int i = 0; i < sites(); ++i)
      if (has(s.set, i)) out.one(2 * i + has(s.up, i));
  }

  /// log Z*, row by row (the transfer matrix of Kramers and Wannier).
  double log_partition() const {
    const std::size_t rows = std::size_t{1} << side;
    const auto equal_neighbours = [&](std::size_t differ, int pairs) {
      return coupling * (pairs - 2 * std::popcount(differ & ((std::size_t{1} << pairs) - 1)));
    };
    std::vector<double> log_weight(rows), next(rows), terms(rows);
    for (std::size_t r = 0; r < rows; ++r) log_weight[r] = equal_neighbours(r ^ (r >> 1), side - 1);
    const std::vector<double> inside = log_weight;
    for (int row = 1; row < side; ++row) {
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t q = 0; q < rows; ++q) terms[q] = log_weight[q] + equal_neighbours(r ^ q, side);
        next[r] = inside[r] + gfn::log_sum_exp(terms);
      }
      log_weight = next;
    }
    return gfn::log_sum_exp(log_weight);
  }
};

struct Options {
  std::vector<std::string> methods = {"tb", "db", "subtb 0.5", "subtb 0.9", "subtb 0.99"};
  std::uint64_t iterations = 3000, evaluate_every = 1000;
  int seeds = 5;
  double initial_log_z = 0;
};

/// KL(P_F(τ) ‖ P_B(τ|x) R(x)/Z*) over trajectories, by samples.
double divergence(const Ferromagnet& env, gfn::NeuralFunction<float>& forward, const gfn::Random& random,
                  std::uint64_t evaluation) {
  gfn::UniformPolicy backward;
  return env.log_partition() -
         gfn::sampled::evidence_lower_bound(env, forward, backward, 2000, random, evaluation).value;
}

/// Calls with(trainer) for a new trainer of the method.
template <class With>
void with_trainer(const std::string& method, const Ferromagnet& env, gfn::NeuralFunction<float>& forward,
                  const Options& options, gfn::Random& random, const With& with) {
  const gfn::ObjectiveTrainerOptions trainer_options{.initial_log_z = options.initial_log_z};
  auto flow = gfn::mlp_flow<float>(env, {.hidden = {128, 128}}, random);
  if (method == "tb") return with(gfn::trajectory_balance_trainer(env, forward, gfn::UniformPolicy{}, trainer_options));
  if (method == "db")
    return with(
        gfn::objective_trainer(env, gfn::DetailedBalance{}, forward, gfn::UniformPolicy{}, flow, trainer_options));
  double lambda = 0;
  if (!method.starts_with("subtb ") || !gfn::parse_number(std::string_view(method).substr(6), lambda))
    gfn::fail("unknown method '", method, "', there are: tb, db, subtb LAMBDA");
  with(gfn::objective_trainer(env, gfn::SubtrajectoryBalance{.lambda = lambda}, forward, gfn::UniformPolicy{}, flow,
                              trainer_options));
}

void run(const Options& options) {
  const Ferromagnet env;
  std::printf("log Z* = %.4f; KL of the trajectories from balance, mean and standard error of %d seeds\n",
              env.log_partition(), options.seeds);
  std::printf("%-12s", "iterations");
  for (std::uint64_t i = 0; i <= options.iterations; i += options.evaluate_every)
    std::printf("%16llu", static_cast<unsigned long long>(i));
  for (const std::string& method : options.methods) {
    std::vector<std::vector<double>> found(options.iterations / options.evaluate_every + 1);
    for (int seed = 1; seed <= options.seeds; ++seed) {
      gfn::Random random(static_cast<std::uint64_t>(seed));
      auto forward = gfn::mlp_policy<float>(env, {.hidden = {128, 128}}, random);
      with_trainer(method, env, forward, options, random, [&](auto&& trainer) {
        for (std::size_t k = 0; k < found.size(); ++k) {
          if (k > 0) gfn::train(trainer, {.iterations = options.evaluate_every, .batch = 32}, random);
          found[k].push_back(divergence(env, forward, random, k));
        }
      });
    }
    std::printf("\n%-12s", method.c_str());
    for (const auto& numbers : found) {
      const auto estimate = gfn::sampled::mean_estimate(numbers);
      std::printf("%8.3f +-%5.3f", estimate.value, estimate.standard_error);
    }
    std::fflush(stdout);
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Trains on the 6 x 6 Ising ferromagnet, log R = 0.3 sum s_i s_j, whose sites are set in any order, by several\n"
      "balance conditions with the uniform backward policy (2 x 128, batch 32), and tells how far the trajectories "
      "are\n"
      "from balance: KL(P_F || P_B R/Z*), by samples. The uniform policy is at 2.87.",
      "ferromagnet"};
  app.add_option("--methods", options.methods, "tb, db, 'subtb LAMBDA', separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--iterations", options.iterations, "of each training")->capture_default_str();
  app.add_option("--evaluate-every", options.evaluate_every, "iterations")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seeds", options.seeds, "1, 2, ...")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--initial-log-z", options.initial_log_z, "origin of log-rewards and of log Z")->capture_default_str();
  return examples::run_program(app, argc, argv, [&] { run(options); });
}
