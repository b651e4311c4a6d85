// expect: Tape: an operation needs `shape`, `forward`, `jvp` and `vjp` for its number of inputs, and must be trivially copyable
// long
// SPDX-License-Identifier: MIT
#include <gfn/ad/tape.hpp>

struct Double {
  gfn::Shape shape(gfn::Shape x) const { return x; }
  void forward(gfn::Out<double> y, gfn::In<double> x) const { y = x + x; }
  void vjp(gfn::In<double>, gfn::Out<double> gy, gfn::In<double>, gfn::Out<double> gx) const { gx += gy + gy; }
};

void record(gfn::Tape<double>& tape, const gfn::Var<double>& x) { tape.apply(Double(), x); }
