// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include <gfn/core/error.hpp>
#include <gfn/core/notice.hpp>
#include <gfn/core/random.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/trainer/report.hpp>

namespace gfn {

/// How long to train.
struct TrainOptions {
  std::uint64_t iterations = 1000;
  int batch = 128;  ///< trajectories an iteration
};

namespace detail {

/// Says once for each kind of environment that its states are not grouped, where they can't be.
template <class E>
void notice_ungrouped_states() {
  if constexpr (!has_state_hash<E>) {
    static std::atomic_flag said;
    if (!said.test_and_set())
      notice(
          "the states of this environment have no hash, so equal ones are not grouped, and training is many times "
          "slower: give it `std::uint64_t hash(const State&) const`, for instance by gfn::hash_of");
  }
}

}  // namespace detail

/// Runs `iterations` iterations more, and calls every observer after each of them: observer(const IterationReport&).
template <class Trainer, class... Observers>
void train(Trainer& trainer, const TrainOptions& options, const Random& random, Observers&&... observers) {
  require(options.batch >= 1, "train: a batch of ", options.batch, " trajectories");
  if constexpr (requires { typename Trainer::Environment; })
    detail::notice_ungrouped_states<typename Trainer::Environment>();
  const std::uint64_t total = trainer.iteration() + options.iterations;
  for (std::uint64_t i = 0; i < options.iterations; ++i) {
    [[maybe_unused]] IterationReport report = trainer.step(random, options.batch);
    report.total = total;
    (observers(std::as_const(report)), ...);
  }
}

}  // namespace gfn
