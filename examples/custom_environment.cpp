// SPDX-License-Identifier: MIT
// How is an environment written, trained on and evaluated? Subsets of a fixed size, in a struct of the user's own.
#include <bitset>
#include <cmath>
#include <cstdint>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "support/program.hpp"
#include "support/series.hpp"

namespace {

struct Subsets {  // choose exactly k of n items
  using State = std::bitset<20>;
  int n = 16, k = 4;

  State initial_state() const { return {}; }
  int num_actions() const { return n; }   // action i adds item i; the exit is the library's, not yours
  int num_features() const { return n; }  // the width of encode
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < n; ++i) legal[i] = int(s.count()) < k && !s[i];
  }
  bool can_exit(const State& s) const { return int(s.count()) == k; }
  void apply(State& s, gfn::Action a) const { s.set(a); }
  void legal_undos(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < n; ++i) legal[i] = s[i];
  }
  void undo(State& s, gfn::Action a) const { s.reset(a); }
  double log_reward(const State& s) const {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += s[i] * std::sin(i);
    return 2 * sum;
  }
  void encode(const State& s, gfn::Features out) const {
    for (int i = 0; i < n; ++i)
      if (s[i]) out.one(i);
  }
};

/// Compares each learned distribution with the target R(x) / Z*, exactly, by enumerating the states.
void run(const examples::SeriesOptions& options) {
  const Subsets env;
  examples::Comparison<Subsets> comparison("custom_environment", env, options);
  gfn::Random random(static_cast<std::uint64_t>(options.seed));
  gfn::testing::check_environment_laws(env, random);

  auto backward = gfn::uniform_backward(env);
  auto by_balance = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto balance = gfn::trajectory_balance_trainer(env, by_balance, backward);  // TB-U
  comparison.train("trajectory balance", balance, by_balance, random);

  auto by_gradient = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto critic = gfn::mlp_value<float>(env, {.hidden = {64, 64}}, random);
  auto gradient = gfn::policy_gradient_trainer(env, by_gradient, backward, critic);  // RL-U
  comparison.train("policy gradient", gradient, by_gradient, random);
  comparison.draw();
}

}  // namespace

int main(int argc, char** argv) {
  examples::SeriesOptions options{.batch = 32, .iterations = 500};
  CLI::App app{"Trains on the subsets of 4 of 16 items, an environment written in this program.", "custom_environment"};
  examples::add_series_options(app, options);
  return examples::run_program(app, argc, argv, [&] { run(options); });
}
