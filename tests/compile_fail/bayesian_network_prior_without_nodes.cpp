// expect: BayesianNetwork: needs a prior with `double log_prior\(int node, gfn::NodeSet parents, int num_nodes\) const`
// SPDX-License-Identifier: MIT
#include <gfn/problems/bayesian_network.hpp>

struct Score {
  int num_nodes() const { return 3; }
  double local_score(int, gfn::NodeSet) const { return 0; }
};
struct Prior {
  double log_prior(int, gfn::NodeSet) const { return 0; }
};

template class gfn::BayesianNetwork<Score, Prior>;
