// expect: Objective: needs `Var<T> operator\(\)\(Tape<T>&, const Input&\) const`, and all that it takes from the input must be given to the trainer \(a state flow, for instance\)
// SPDX-License-Identifier: MIT
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/policy/tabular.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/objective_trainer.hpp>

using Table = gfn::TabularFunction<double, gfn::HyperGrid>;

auto trainer(const gfn::HyperGrid& env, Table& forward, gfn::UniformPolicy& backward) {
  return gfn::objective_trainer(env, gfn::DetailedBalance(), forward, backward);
}
