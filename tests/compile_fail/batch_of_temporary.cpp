// expect: use of deleted function|call to deleted constructor
// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

int main() {
  gfn::Batch<gfn::HyperGrid> batch(gfn::HyperGrid{{.dimension = 2, .side = 8}});
  return batch.trajectories();
}
