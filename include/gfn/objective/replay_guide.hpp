// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/environment/sequence.hpp>
#include <gfn/objective/guide.hpp>

namespace gfn {

/// Options of the replay guide. Defaults: Niu et al. 2024.
struct ReplayGuideOptions {
  std::size_t capacity = 1000000;  ///< objects that are kept; the oldest goes first
  bool duplicates = true;          ///< keep an object each time it is seen
  bool include_self = true;        ///< an object counts for itself
  double floor = 0;  ///< scores are not taken below it; must be positive without include_self, and where R(x) can be 0
};

/// The guide of sequences whose places are filled in any order (Niu et al. 2024, after Shen et al. 2023): walking from
/// s₀ to x, a step that fills a place with x's symbol scores the mean reward of the seen objects that agree with what
/// is then filled,
///
///     π_G(s → c | x) = r̄(c) / Σ_{c'} r̄(c'),   c' over all ways to fill one more place with x's own symbol.
///
/// The sums and counts behind r̄ are kept for every partial pattern of every seen object, 2ᴸ of them, so that a score
/// is one look-up, however many objects were seen. Refers to the environment.
template <class E>
class ReplayGuide {
 public:
  using State = StateOf<E>;

  explicit ReplayGuide(const E& env, const ReplayGuideOptions& options = {}) : env_(&env), options_(options) {
    static_assert(
        requires(const State& s) {
          env.symbols(s);
          env.index(s);
          env.alphabet_size();
        },
        "ReplayGuide: needs an environment that fills places in any order, like SlotSequence");
    require(env.length() <= 16, "ReplayGuide: sequences of ", env.length(), " places have 2^", env.length(),
            " partial patterns each, at most 2^16 are kept");
    require(options.capacity >= 1, "ReplayGuide: the capacity is 0");
    require(options.floor >= 0 && (options.floor > 0 || options.include_self), "ReplayGuide: the floor is ",
            options.floor, ", it must be positive where an object does not count for itself");
    static_cast<void>(env.num_states());  // throws if patterns cannot be numbered
  }

  /// Takes in the terminal states of a batch, with their rewards.
  template <class B>
  void observe(const B& batch) {
    for (int i = 0; i < batch.trajectories(); ++i) add(batch.terminal_state(i), std::exp(batch.log_reward(i)));
  }
  /// Takes in one object.
  void add(const State& x, double reward) {
    require(std::isfinite(reward) && reward >= 0, "ReplayGuide: the reward of ", describe(x), " is ", reward);
    const Seen seen{static_cast<std::uint64_t>(env_->index(x)), reward};
    if (!options_.duplicates && statistics(seen.object).count > 0) return;
    count(x, reward, +1);
    if (seen_.size() < options_.capacity) {
      seen_.push_back(seen);
      return;
    }
    const Seen oldest = seen_[next_];
    count(env_->state(static_cast<std::int64_t>(oldest.object)), oldest.reward, -1);
    seen_[next_] = seen;
    next_ = (next_ + 1) % options_.capacity;
  }
  std::size_t size() const { return seen_.size(); }

  /// The mean reward r̄ of the seen objects that agree with the pattern, which x fills in part; 0 where there is none.
  double score(const State& pattern, const State& x) const {
    return score(static_cast<std::uint64_t>(env_->index(pattern)), static_cast<std::uint64_t>(env_->index(x)));
  }

  template <class Input>
  void operator()(const Input& input, std::span<double> log_p) {
    const auto& batch = input.batch;
    for (int i = 0; i < batch.trajectories(); ++i) {
      const auto first = static_cast<std::size_t>(batch.offsets()[static_cast<std::size_t>(i)]);
      const std::span<const Step> steps = batch.steps(i);
      number_places(batch.terminal_state(i));
      for (std::size_t k = 0; k < steps.size(); ++k)
        log_p[first + k] = steps[k].child == none
                               ? 0.0
                               : log_share(batch.table().state(steps[k].row), batch.table().state(steps[k].child));
    }
  }

 private:
  struct Seen {
    std::uint64_t object;
    double reward;
  };
  struct Statistics {
    std::uint64_t pattern = 0;
    double sum = 0;
    std::int64_t count = 0;
  };

  Statistics statistics(std::uint64_t pattern) const {
    const int row = index_.find(pattern, matches(pattern));
    return row == none ? Statistics{} : statistics_[static_cast<std::size_t>(row)];
  }
  auto matches(std::uint64_t pattern) const {
    return [this, pattern](int row) { return statistics_[static_cast<std::size_t>(row)].pattern == pattern; };
  }
  double score(std::uint64_t pattern, std::uint64_t x) const {
    Statistics s = statistics(pattern);
    if (!options_.include_self) {
      const Statistics self = statistics(x);
      s.sum -= self.sum;
      s.count -= self.count;
    }
    return std::max(options_.floor, s.count > 0 ? std::max(s.sum, 0.0) / static_cast<double>(s.count) : 0.0);
  }

  /// What each place of x adds to the number of a pattern; the number of x is their sum.
  void number_places(const State& x) {
    places_.clear();
    object_ = 0;
    State one = env_->initial_state();
    for (int i = 0; i < env_->length(); ++i) {
      one[i] = x[i];
      places_.push_back(static_cast<std::uint64_t>(env_->index(one)));
      one[i] = empty_place;
      object_ += places_.back();
    }
  }
  /// Counts an object in (sign +1) or out (−1) of all its patterns.
  void count(const State& x, double reward, int sign) {
    number_places(x);
    patterns_.assign(std::size_t{1} << places_.size(), 0);
    for (std::size_t subset = 1; subset < patterns_.size(); ++subset) {
      const auto lowest = static_cast<std::size_t>(std::countr_zero(subset));
      const std::uint64_t pattern = patterns_[subset & (subset - 1)] + places_[lowest];
      patterns_[subset] = pattern;
      int row = index_.find_or_insert(pattern, static_cast<int>(statistics_.size()), matches(pattern));
      if (row == none) {
        row = static_cast<int>(statistics_.size());
        statistics_.push_back({pattern, 0, 0});
      }
      Statistics& s = statistics_[static_cast<std::size_t>(row)];
      s.count += sign;
      s.sum = s.count == 0 ? 0.0 : s.sum + sign * reward;
    }
  }
  /// log π_G of the step s → child on the way to the object whose places were numbered last.
  double log_share(const State& s, const State& child) const {
    const auto filled = static_cast<std::uint64_t>(env_->index(s));
    double total = 0, own = 0;
    int choices = 0;
    for (int i = 0; i < env_->length(); ++i) {
      if (s[i] != empty_place) continue;
      const double r = score(filled + places_[static_cast<std::size_t>(i)], object_);
      total += r;
      ++choices;
      if (child[i] != empty_place) own = r;
    }
    return total > 0 ? std::log(own / total) : -std::log(static_cast<double>(choices));
  }

  const E* env_;
  ReplayGuideOptions options_;
  HashIndex index_;  // from patterns to their statistics
  std::vector<Statistics> statistics_;
  std::vector<Seen> seen_;
  std::size_t next_ = 0;  // the oldest, once the capacity is reached
  std::vector<std::uint64_t> places_;
  std::uint64_t object_ = 0;
  std::vector<std::uint64_t> patterns_;
};

}  // namespace gfn
