// expect: use of deleted function|call to deleted constructor
// SPDX-License-Identifier: MIT
#include <gfn/gfn.hpp>

int main() {
  const gfn::exact::StateGraph graph(gfn::HyperGrid{{.dimension = 2, .side = 8}});
  return graph.num_states();
}
