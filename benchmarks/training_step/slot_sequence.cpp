// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <gfn/gfn.hpp>

#include "../../examples/support/sequence_tasks.hpp"
#include "methods.hpp"
#include "scenario.hpp"

namespace training_step {

std::vector<Scenario> slot_sequences() {
  // The sizes and transforms of the tasks of those names; the values are made up.
  const auto sequences = [](const std::string& name, int iterations) {
    return make_scenario(
        name, 128, iterations,
        [=] {
          const examples::SequenceTask& task = examples::sequence_task(name);
          return gfn::SlotSequence{gfn::TableReward(examples::synthetic_table(task.table), task.transform)};
        },
        [](const auto& env) { return gfn::ReplayGuide(env); });
  };
  return {sequences("six6", 100), sequences("qm9", 150)};
}

}  // namespace training_step
