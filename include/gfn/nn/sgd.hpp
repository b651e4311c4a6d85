// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include <gfn/ad/parameters.hpp>
#include <gfn/nn/adam.hpp>

namespace gfn {

/// Options of plain gradient descent.
struct SgdOptions {
  double learning_rate = 1e-2;
};

/// Plain stochastic gradient descent over groups of parameters with rates of their own. A step leaves the gradient
/// zero.
template <class T>
class Sgd {
 public:
  /// Adds all parameters of a network, once.
  void add(Parameters<T>& parameters, const SgdOptions& options = {}) {
    check_learning_rate("learning_rate", options.learning_rate);
    for (const Group& group : groups_)
      if (group.parameters == &parameters) return;
    parameters.mark_in_use();
    groups_.push_back({&parameters, options});
  }
  void step() {
    for (Group& group : groups_) {
      group.parameters->modify() -= static_cast<T>(group.options.learning_rate) * group.parameters->grad();
      group.parameters->zero_grad();
    }
  }
  /// There is no state beside the parameters.
  template <class Archive>
  void visit_state(Archive&&) {}

 private:
  struct Group {
    Parameters<T>* parameters;
    SgdOptions options;
  };
  std::vector<Group> groups_;
};

}  // namespace gfn
