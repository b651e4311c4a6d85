// expect: CoupledTrainer: the backward policy is trained, and must have parameters \(not the uniform one\)
// SPDX-License-Identifier: MIT
#include <gfn/policy/tabular.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>

using Table = gfn::TabularFunction<double, gfn::HyperGrid>;
using Trainer = gfn::CoupledTrainer<gfn::HyperGrid, Table, gfn::UniformPolicy, Table, Table>;

static_assert(sizeof(Trainer) > 0);
