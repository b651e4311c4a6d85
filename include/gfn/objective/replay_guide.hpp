// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/objective/guide.hpp>
#include <gfn/problems/sequence.hpp>

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
/// An object counts for itself even where the buffer has dropped it. The sums and counts behind r̄ are kept for every
/// partial pattern of every object in the buffer, 2ᴸ of them, so that a score is one look-up, however many objects were
/// seen. That takes some 60 bytes a pattern, up to (k + 1)ᴸ patterns. Rewards are those of the environment, whatever
/// the reward exponent: means of different powers would mean nothing. Refers to the environment.
template <class E>
class ReplayGuide {
 public:
  using State = StateOf<E>;

  explicit ReplayGuide(const E&&,
                       const ReplayGuideOptions& = {}) = delete;  // a temporary would be gone after this line
  explicit ReplayGuide(const E& env, const ReplayGuideOptions& options = {}) : env_(&env), options_(options) {
    static_assert(
        requires { requires E::fills_any_place; },
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
    for (int i = 0; i < batch.trajectories(); ++i)
      add(batch.terminal_state(i), std::exp(batch.environment_log_reward(i)));
  }
  const E& environment() const { return *env_; }
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
    if (unused_ > statistics_.size() / 2 && unused_ > 1000) forget_unused();
  }
  std::size_t size() const { return seen_.size(); }
  /// How many patterns have numbers, those included that no object in the buffer has any more.
  std::size_t num_patterns() const { return statistics_.size(); }

  /// The mean reward r̄ of the seen objects that agree with the pattern, which x fills in part, x among them unless
  /// include_self is off; not below the floor, which is also the score where there is none.
  double score(const State& pattern, const State& x) const {
    return score(static_cast<std::uint64_t>(env_->index(pattern)),
                 own_part(static_cast<std::uint64_t>(env_->index(x)), [&] { return log_reward(*env_, x); }));
  }

  template <class Input>
  void operator()(const Input& input, std::span<double> log_p) {
    const auto& batch = input.batch;
    for (int i = 0; i < batch.trajectories(); ++i) {
      const auto first = static_cast<std::size_t>(batch.offsets()[static_cast<std::size_t>(i)]);
      const std::span<const Step> steps = batch.steps(i);
      const State& x = batch.terminal_state(i);
      number_places(x);
      const Statistics own = own_part(object_, [&] {
        return batch.has_reward(batch.terminal_row(i)) ? batch.environment_log_reward(i) : log_reward(*env_, x);
      });
      for (std::size_t k = 0; k < steps.size(); ++k)
        log_p[first + k] = steps[k].child == none
                               ? 0.0
                               : log_share(batch.table().state(steps[k].row), batch.table().state(steps[k].child), own);
    }
  }

 private:
  struct Seen {
    std::uint64_t object;
    double reward;
  };
  static constexpr std::uint64_t absent = ~std::uint64_t{0};  // no pattern has this number
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
  /// What an object has part in for itself: its sum and count in the buffer or, where that has dropped it, its reward
  /// once, by log_reward().
  template <class LogReward>
  Statistics own_part(std::uint64_t object, const LogReward& log_reward) const {
    const Statistics self = statistics(object);
    return self.count > 0 || !options_.include_self ? self : Statistics{absent, std::exp(log_reward()), 1};
  }
  double score(std::uint64_t pattern, const Statistics& own) const {
    Statistics s = statistics(pattern);
    if (!options_.include_self) {
      s.sum -= own.sum;
      s.count -= own.count;
    } else if (own.pattern == absent) {
      s.sum += own.sum;
      ++s.count;
    } else {
      s.sum = std::max(s.sum, own.sum);  // rounding may have left less of it, after others were counted out
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
        if (row == std::numeric_limits<int>::max()) fail("ReplayGuide: more than ", row, " partial patterns");
        statistics_.push_back({pattern, 0, 0});
        ++unused_;
      }
      Statistics& s = statistics_[static_cast<std::size_t>(row)];
      if (s.count == 0) --unused_;
      s.count += sign;
      if (s.count == 0) ++unused_;
      s.sum = s.count == 0 ? 0.0 : s.sum + sign * reward;
    }
  }
  /// Drops the patterns that no object in the buffer has.
  void forget_unused() {
    std::erase_if(statistics_, [](const Statistics& s) { return s.count == 0; });
    index_.clear();
    for (std::size_t row = 0; row < statistics_.size(); ++row)
      index_.find_or_insert(statistics_[row].pattern, static_cast<int>(row), matches(statistics_[row].pattern));
    unused_ = 0;
  }
  /// log π_G of the step s → child on the way to the object whose places were numbered last, and whose part is `own`.
  double log_share(const State& s, const State& child, const Statistics& own) const {
    const auto filled = static_cast<std::uint64_t>(env_->index(s));
    double total = 0, taken = 0;
    int choices = 0;
    for (int i = 0; i < env_->length(); ++i) {
      if (s[i] != empty_place) continue;
      const double r = score(filled + places_[static_cast<std::size_t>(i)], own);
      total += r;
      ++choices;
      if (child[i] != empty_place) taken = r;
    }
    return total > 0 ? std::log(taken / total) : -std::log(static_cast<double>(choices));
  }

  const E* env_;
  ReplayGuideOptions options_;
  HashIndex index_;  // from patterns to their statistics
  std::vector<Statistics> statistics_;
  std::vector<Seen> seen_;
  std::size_t unused_ = 0;  // patterns that no object in the buffer has
  std::size_t next_ = 0;    // the oldest, once the capacity is reached
  std::vector<std::uint64_t> places_;
  std::uint64_t object_ = 0;
  std::vector<std::uint64_t> patterns_;
};

}  // namespace gfn
