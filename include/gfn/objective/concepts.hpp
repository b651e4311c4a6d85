// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include <gfn/ad/tape.hpp>

namespace gfn {

/// Stands for a component that an objective is not given.
struct Absent {};

/// What an objective is computed from: a batch with its rewards, both policies evaluated on it, log Z and, for the
/// objectives that need one, the logarithm of a state flow (an OutputRows).
template <class B, class ForwardEvaluation, class BackwardEvaluation, class LogZ, class Flow = Absent>
struct ObjectiveInput {
  const B& batch;
  ForwardEvaluation& forward;
  BackwardEvaluation& backward;
  LogZ& log_z;
  Flow* flow;
};

/// An input that has a state flow.
template <class Input>
concept FlowInput = !std::same_as<std::remove_pointer_t<decltype(Input::flow)>, Absent>;

/// An objective: objective(tape, input) gives a loss, 1 × 1, on the tape. It takes from the input what it needs, and is
/// minimised. Two more members are used where they are there: `prepare(batch)`, once the trajectories stand, may ask
/// for rewards and add rows, at which the policies are then evaluated too; `log_z(input)` tells the estimate of log Z
/// for objectives that do not learn it as such.
template <class O, class T, class Input>
concept Objective = requires(const O& objective, Tape<T>& tape, const Input& input) {
  { objective(tape, input) } -> std::same_as<Var<T>>;
};

}  // namespace gfn
