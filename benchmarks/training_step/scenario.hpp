// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gfn/core/random.hpp>
#include <gfn/trainer/report.hpp>

namespace training_step {

inline constexpr const char* method_names[] = {"tb-u",  "tb-b", "db-u", "db-b", "subtb-u", "subtb-b", "mdb-u",
                                               "mdb-b", "fm",   "rl-u", "rl-t", "rl-b",    "rl-g",    "q-much"};

/// Hidden layers: their widths.
struct NetworkOptions {
  std::vector<int> policy;  ///< of policies and state flows
  std::vector<int> critic;  ///< of value functions
};

/// A method with its networks.
class Training {
 public:
  virtual ~Training() = default;
  virtual gfn::IterationReport step(const gfn::Random& random, int batch) = 0;
  /// Useful floating-point operations of the step that has just been done; NaN where they can't be counted.
  virtual double flop() const = 0;
  /// Of all steps so far.
  virtual gfn::PhaseSeconds seconds() const = 0;
};

/// Begins a training of a method on an environment; null where the environment has no such method. This and the classes
/// above are the one place without templates, so that each kind of environment is compiled by itself.
using Begin = std::function<std::unique_ptr<Training>(const std::string& method, const NetworkOptions&, gfn::Random&)>;

/// An environment to train on. Later iterations have longer trajectories, so their number is part of the scenario.
struct Scenario {
  std::string name;
  int batch;
  int iterations;
  std::function<Begin()> open;  ///< makes the environment
};

// Each in a file of its own.
std::vector<Scenario> hypergrids();
std::vector<Scenario> slot_sequences();
std::vector<Scenario> words();
std::vector<Scenario> bit_sequences();
std::vector<Scenario> small_networks();
std::vector<Scenario> large_networks();

}  // namespace training_step
