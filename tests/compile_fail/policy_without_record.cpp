// expect: Policy: needs `int outputs\(\) const`, `Parameters<Scalar>& parameters\(\)` and `Var<Scalar> record\(Tape<Scalar>&, const StateBlock<State>&\)`, with a member type `Scalar`
// SPDX-License-Identifier: MIT
#include <gfn/policy/concepts.hpp>

struct Constant {
  using Scalar = double;
  int outputs() const { return 1; }
  gfn::Parameters<double>& parameters() { return values; }
  gfn::Parameters<double> values;
};

static_assert(gfn::check_policy_concept<Constant, int>());
