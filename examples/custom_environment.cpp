// SPDX-License-Identifier: MIT
// How is an environment written, trained on and evaluated? Subsets of a fixed size, in a struct of the user's own.
#include <bitset>
#include <cmath>
#include <cstdio>
#include <exception>

#include <gfn/gfn.hpp>
#include <gfn/testing/environment_laws.hpp>

namespace {

struct Subsets {  // choose exactly k of n items
  using State = std::bitset<20>;
  int n = 16, k = 4;

  State initial_state() const { return {}; }
  int num_actions() const { return n; }   // action i adds item i; the exit is the library's, not ours
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

/// Trains, and shows how far the exact distribution of the subsets is from the target, R(x) / Z*.
template <class Trainer, class Policy>
void train(const char* name, const gfn::exact::StateGraph<Subsets>& graph, Trainer& trainer, Policy& forward,
           const gfn::Random& random) {
  const auto target = gfn::exact::target_distribution(graph);
  const auto distance = [&] {
    return gfn::total_variation(gfn::exact::terminating_distribution(graph, forward), target);
  };
  const double before = distance();
  gfn::train(trainer, {.iterations = 500, .batch = 32}, random, gfn::progress_bar());
  std::printf("%-20s total variation from the target %.3f, before %.3f; log Z %.3f, exact %.3f\n", name, distance(),
              before, trainer.log_z().value(), gfn::exact::log_partition(graph));
}

}  // namespace

int main() try {
  const Subsets env;
  gfn::Random random(1);
  gfn::testing::check_environment_laws(env, random);
  const gfn::exact::StateGraph<Subsets> graph(env);

  auto backward = gfn::uniform_backward(env);
  auto by_balance = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto balance = gfn::trajectory_balance_trainer(env, by_balance, backward);
  train("trajectory balance", graph, balance, by_balance, random);

  auto by_gradient = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto critic = gfn::mlp_value<float>(env, {.hidden = {64, 64}}, random);
  auto gradient = gfn::policy_gradient_trainer(env, by_gradient, backward, critic);
  train("policy gradient", graph, gradient, by_gradient, random);
} catch (const std::exception& error) {
  std::fprintf(stderr, "custom_environment: %s\n", error.what());
  return 1;
}
