// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <gfn/problems/bayesian_network.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/problems/sequence.hpp>

#include "environment/environments.hpp"

/// The library's own environments, so small that all their trajectories can be counted.
namespace environments {

/// A score of networks that prefers nothing for a reason.
struct WavyScore {
  int num_nodes() const { return 3; }
  double local_score(int node, gfn::NodeSet parents) const {
    return std::sin(1.0 + 2.0 * node + 3.0 * static_cast<double>(parents));
  }
};

using Slots = gfn::SlotSequence<Wavy, 4>;
using Words = gfn::PrependAppendSequence<Wavy, 4>;                       // with parallel edges
using Networks = gfn::BayesianNetwork<WavyScore, gfn::UniformPrior, 4>;  // whose states can all end

constexpr gfn::SequenceOptions of_three_bits{.length = 3, .alphabet_size = 2};

/// An environment of each kind: small<Words>(), for instance.
template <class E>
E small() {
  return E{};
}
template <>
inline gfn::HyperGrid small<gfn::HyperGrid>() {
  return gfn::HyperGrid{{.dimension = 2, .side = 3}};
}
template <>
inline Slots small<Slots>() {
  return Slots(of_three_bits, Wavy{});
}
template <>
inline Words small<Words>() {
  return Words(of_three_bits, Wavy{});
}
template <>
inline Networks small<Networks>() {
  return Networks(WavyScore{});
}

}  // namespace environments
