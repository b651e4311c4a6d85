// expect: Environment: needs `void undo\(State&, gfn::Action\) const`
// SPDX-License-Identifier: MIT
#include <bitset>

#include <gfn/gfn.hpp>
#include <gfn/testing/environment_laws.hpp>

struct Subsets {
  using State = std::bitset<20>;
  int n = 16, k = 4;

  State initial_state() const { return {}; }
  int num_actions() const { return n; }
  int num_features() const { return n; }
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < n; ++i) legal[i] = int(s.count()) < k && !s[i];
  }
  bool can_exit(const State& s) const { return int(s.count()) == k; }
  void apply(State& s, gfn::Action a) const { s.set(a); }
  void legal_undos(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < n; ++i) legal[i] = s[i];
  }
  double log_reward(const State& s) const { return int(s.count()); }
  void encode(const State& s, gfn::Features out) const {
    for (int i = 0; i < n; ++i)
      if (s[i]) out.one(i);
  }
};

int main() {
  const Subsets env;
  gfn::Random random(1);
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto backward = gfn::uniform_backward(env);
  auto trainer = gfn::trajectory_balance_trainer(env, forward, backward);
  gfn::train(trainer, {.iterations = 300, .batch = 32}, random);
  const gfn::exact::StateGraph<Subsets> graph(env);
  const auto learned = gfn::exact::terminating_distribution(graph, forward);
  return gfn::total_variation(learned, gfn::exact::target_distribution(graph)) < 0.1 ? 0 : 1;
}
