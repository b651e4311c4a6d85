// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>

#include <gfn/ad/rows.hpp>
#include <gfn/rollout/batch.hpp>

namespace gfn {

/// The rows 0, 1, … of a batch's table, in memory of the tape.
template <class T, class E>
std::span<const int> all_rows(Tape<T>& tape, const Batch<E>& batch) {
  const auto count = static_cast<std::size_t>(batch.table().rows());
  int* rows = tape.template allocate<int>(count);
  std::iota(rows, rows + count, 0);
  return {rows, count};
}

/// log F at every row of a batch's table, a column, less the batch's log_reward_shift. Needs an input with a state
/// flow.
template <class T, class Input>
Var<T> record_flow(Tape<T>& tape, const Input& input) {
  return input.flow->function().record(tape, input.batch.table().block(all_rows(tape, input.batch)));
}

/// log F(s₀), the estimate of log Z of the objectives with a state flow.
template <class Input>
double log_flow_at_start(const Input& input) {
  const int start = input.batch.steps().front().row;
  input.flow->extend(input.batch.table().block({&start, 1}));
  return input.batch.log_reward_shift() + static_cast<double>(input.flow->output(start)[0]);
}

/// The entries of a column at some rows; 0 at the row `none`.
template <class T>
Var<T> pick_rows(const Var<T>& column, std::span<const int> rows) {
  int* zeros = column.tape().template allocate<int>(rows.size());
  std::fill(zeros, zeros + rows.size(), 0);
  return pick(column, rows, std::span<const int>(zeros, rows.size()));
}

}  // namespace gfn
