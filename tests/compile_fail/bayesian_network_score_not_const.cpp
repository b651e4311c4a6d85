// expect: BayesianNetwork: needs a score with `int num_nodes\(\) const` and `double local_score\(int node, gfn::NodeSet parents\) const`
// SPDX-License-Identifier: MIT
#include <gfn/problems/bayesian_network.hpp>

struct Score {
  int num_nodes() const { return 3; }
  double local_score(int, gfn::NodeSet) { return 0; }
};

template class gfn::BayesianNetwork<Score>;
