// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>

#include <gfn/core/error.hpp>
#include <gfn/core/random.hpp>
#include <gfn/trainer/report.hpp>

namespace gfn {

/// How long to train.
struct TrainOptions {
  std::uint64_t iterations = 1000;
  int batch = 128;  ///< trajectories an iteration
};

/// Runs `iterations` iterations more, and calls every observer after each of them: observer(const IterationReport&).
template <class Trainer, class... Observers>
void train(Trainer& trainer, const TrainOptions& options, const Random& random, Observers&&... observers) {
  require(options.batch >= 1, "train: a batch of ", options.batch, " trajectories");
  const std::uint64_t total = trainer.iteration() + options.iterations;
  for (std::uint64_t i = 0; i < options.iterations; ++i) {
    [[maybe_unused]] IterationReport report = trainer.step(random, options.batch);
    report.total = total;
    (observers(std::as_const(report)), ...);
  }
}

}  // namespace gfn
