// expect: gfn needs C\+\+20: compile with -std=c\+\+20 or newer
// flags: -std=c++17
// SPDX-License-Identifier: MIT
#include <iostream>

#include <gfn/gfn.hpp>

int main() {
  gfn::HyperGrid env{{.dimension = 2, .side = 64}};
  gfn::Random random{7};
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {256, 256}}, random);
  auto backward = gfn::uniform_backward(env);
  auto critic = gfn::mlp_value<float>(env, {.hidden = {256, 256}}, random);
  auto trainer = gfn::policy_gradient_trainer(env, forward, backward, critic, {.lambda = 0.99});  // RL-U
  gfn::train(trainer, {.iterations = 1000, .batch = 128}, random, gfn::progress_bar());
  auto learned = gfn::exact::terminating_distribution(env, forward);
  std::cout << gfn::total_variation(learned, gfn::exact::target_distribution(env)) << '\n';
}
