// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/rollout/batch.hpp>

namespace gfn {

/// Fills a batch with given trajectories, each a list of forward actions from the initial state on, the exit
/// (num_actions()) as the last. The batch counts as off-policy. Throws std::invalid_argument that names the trajectory,
/// the state and the action for an action that is not legal, and for a trajectory that does not end with the exit; and,
/// without a state, for one that goes on after it.
template <class E>
void fill_batch(Batch<E>& batch, std::span<const std::vector<Action>> trajectories) {
  batch.clear();
  StateTable<E>& table = batch.table();
  const E& env = batch.environment();
  for (std::size_t i = 0; i < trajectories.size(); ++i) {
    StateOf<E> s = env.initial_state();
    int row = table.find_or_add(s);
    std::size_t taken = 0;
    const auto here = [&] {
      return is_describable<StateOf<E>> ? describe(s)
                                        : describe_actions(std::span<const Action>(trajectories[i]).first(taken));
    };
    for (const Action action : trajectories[i]) {
      require(row != none, "trajectory ", i, " goes on with action ", action, " after its exit");
      const bool legal =
          action >= 0 && action < table.num_forward() && table.forward_mask(row)[static_cast<std::size_t>(action)];
      if (!legal) require(false, "trajectory ", i, ": action ", action, " is not legal at state ", here());
      const int source = row;
      Action back = none;
      row = none;
      if (action != table.exit_action()) {
        if constexpr (Environment<E>) back = backward_action(env, s, action);
        env.apply(s, action);
        row = table.find_or_add_changed(
            source, [&](StateOf<E>& child) { child = s; }, action);
        table.check_edge(source, action, row, back);
      }
      batch.record(static_cast<int>(i), {source, action, row, back});
      ++taken;
    }
    if (row != none)
      require(false, "trajectory ", i, " stops at state ", here(), " without the exit, action ", table.exit_action());
  }
  batch.finish(static_cast<int>(trajectories.size()), false, BatchSource::given);
}

/// A new batch of given trajectories. With `group` off equal states get rows of their own.
template <class E>
[[nodiscard]] Batch<E> batch_from_trajectories(const E& env, std::span<const std::vector<Action>> trajectories,
                                               bool group = true) {
  Batch<E> batch(env, group);
  fill_batch(batch, trajectories);
  return batch;
}
template <class E>
void batch_from_trajectories(const E&&, std::span<const std::vector<Action>>, bool = true) = delete;  // of a temporary

}  // namespace gfn
