// expect: PolicyDependentReward: needs `void operator\(\)\(const Input&, std::span<double> cost\) const`
// SPDX-License-Identifier: MIT
#include <span>

#include <gfn/policy/tabular.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>

struct Reward {
  template <class Input>
  void operator()(const Input&, std::span<double>) {}
};
using Table = gfn::TabularFunction<double, gfn::HyperGrid>;

auto trainer(const gfn::HyperGrid& env, Table& forward, Table& backward, Table& value) {
  return gfn::coupled_trainer(env, forward, backward, value, value, {}, Reward());
}
