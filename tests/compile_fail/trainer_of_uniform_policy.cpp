// expect: a trainer needs a forward policy with parameters: the uniform policy has none to train
// SPDX-License-Identifier: MIT
#include <gfn/policy/concepts.hpp>
#include <gfn/policy/uniform.hpp>

static_assert(gfn::check_trained_policy<gfn::UniformPolicy>());
