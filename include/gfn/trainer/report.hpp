// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <chrono>
#include <cstdint>

namespace gfn {

/// Seconds spent in the phases of training.
struct PhaseSeconds {
  double rollout = 0;    ///< sampling trajectories, the acting policy's forward passes included; Q-Much: rewards too
  double forward = 0;    ///< rewards, and the forward passes of other networks that losses are computed from
  double reverse = 0;    ///< recording losses, with the forward passes of state flows and Q, and their gradients
  double optimiser = 0;  ///< parameter updates
  double total() const { return rollout + forward + reverse + optimiser; }
};

/// Adds the time since the last mark to one phase after the other.
class PhaseClock {
 public:
  explicit PhaseClock(PhaseSeconds& seconds) : seconds_(&seconds), last_(Clock::now()) {}
  /// The time since the last call belongs to this phase.
  void mark(double PhaseSeconds::*phase) {
    const auto now = Clock::now();
    seconds_->*phase += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  PhaseSeconds* seconds_;
  Clock::time_point last_;
};

/// What a trainer tells about one iteration.
struct IterationReport {
  std::uint64_t iteration = 0;  ///< how many have been done, this one included
  std::uint64_t total = 0;      ///< how many there will be when this call of `train` is done
  int trajectories = 0;
  int transitions = 0;      ///< actions taken, exits included
  int distinct_states = 0;  ///< in the forward batch, with what an objective adds to it (flow matching: the parents)
  double loss = 0;          ///< the objective's value; for policy gradients the mean of δ(τ)
  double log_z = 0;
  double epsilon = 0;            ///< of the exploration
  double value_loss = 0;         ///< of the forward value function, where there is one
  double backward_loss = 0;      ///< mean cost of backward trajectories, where the backward policy is trained on them
  double trust_region_step = 0;  ///< what was taken of the full step of a trust region; 0: refused
  double trust_region_kl = 0;    ///< of the last point of its line search, which is the new policy unless refused
  double expected_improvement = 0;  ///< of the surrogate at that point, by its gradient
  double seconds = 0;               ///< that this iteration took
  double mean_length() const { return trajectories == 0 ? 0.0 : double(transitions) / trajectories; }
};

}  // namespace gfn
