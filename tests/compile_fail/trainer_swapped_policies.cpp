// expect: a trainer needs a forward policy with parameters: the uniform policy has none to train
// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

int main() {
  gfn::HyperGrid env{{.dimension = 2, .side = 8}};
  gfn::Random random{1};
  gfn::UniformPolicy uniform;
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {8}}, random);
  auto backward = gfn::mlp_backward<float>(env, {.hidden = {8}}, random);
  auto value = gfn::mlp_value<float>(env, {.hidden = {8}}, random);
  auto trainer = gfn::trajectory_balance_trainer(env, uniform, forward);
  gfn::train(trainer, {.iterations = 5}, random);
}
