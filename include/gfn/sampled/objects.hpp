// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/core/random.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/rollout/batch.hpp>
#include <gfn/rollout/policy_evaluation.hpp>
#include <gfn/rollout/sampler.hpp>

// What samples tell of a policy on an environment that is too large to be enumerated (for the others see exact/).

namespace gfn::sampled {

namespace detail {

template <class P, class E>
using Evaluation = PolicyEvaluation<typename PolicyScalar<P>::type, P, E>;

/// Trajectories that are sampled at once, so that memory stays small, however many are wanted.
inline constexpr int trajectories_at_once = 1024;

/// Random numbers of an evaluation's own, which never meet those of the training: by the same seed, and a number that
/// tells one evaluation from another.
inline Random evaluation_random(const Random& random, std::uint64_t evaluation) {
  return Random(random.stream(Purpose::evaluation, evaluation)());
}

/// Samples `count` trajectories of the forward policy, and calls visit(batch, evaluated forward policy) for some at a
/// time.
template <class E, class P, class Visit>
void for_each_rollout(const E& env, P& forward, int count, const Random& random, std::uint64_t evaluation,
                      const Visit& visit) {
  require(count >= 0, "sampled evaluation: ", count, " trajectories");
  Batch<E> batch(env);
  ForwardSampler<E> sampler(env);
  Evaluation<P, E> policy(forward, env, Direction::forward, Sampling::yes);
  const Random own = evaluation_random(random, evaluation);
  for (int first = 0; first < count; first += trajectories_at_once) {
    sampler.sample(batch, policy, std::min(trajectories_at_once, count - first), own,
                   static_cast<std::uint64_t>(first));
    visit(batch, std::as_const(policy));
  }
}

}  // namespace detail

/// The objects in which `count` new trajectories of the forward policy end. Calls with the same seed and the same
/// number `evaluation` give the same objects, others independent ones, all of them apart from those of training.
template <class E, class P>
  requires Policy<P, StateOf<E>>
[[nodiscard]] std::vector<StateOf<E>> sample_objects(const E& env, P& forward, int count, const Random& random,
                                                     std::uint64_t evaluation = 0) {
  std::vector<StateOf<E>> objects;
  objects.reserve(static_cast<std::size_t>(std::max(count, 0)));
  detail::for_each_rollout(env, forward, count, random, evaluation, [&](const Batch<E>& batch, const auto&) {
    for (int i = 0; i < batch.trajectories(); ++i) objects.push_back(batch.terminal_state(i));
  });
  return objects;
}

/// The best of some objects.
template <class State>
struct TopObjects {
  std::vector<State> objects;       ///< distinct ones, in descending order of their rewards
  std::vector<double> log_rewards;  ///< of these objects
};

/// The k distinct objects with the highest rewards, or all where there are fewer; equal ones in the order of their
/// first appearance. `env` must give its states a hash for equal ones to be told.
template <class E>
[[nodiscard]] TopObjects<StateOf<E>> top_objects(const E& env, std::span<const StateOf<E>> objects, int k) {
  static_assert(has_state_hash<E>, "top_objects: needs states that can be hashed");
  require(k >= 1, "top_objects: k is ", k, ", it must be at least 1");
  HashIndex index;
  std::vector<StateOf<E>> distinct;
  for (const auto& x : objects) {
    const auto same = [&](int row) { return distinct[static_cast<std::size_t>(row)] == x; };
    if (index.find_or_insert(hash_state(env, x), static_cast<int>(distinct.size()), same) == none)
      distinct.push_back(x);
  }
  std::vector<double> all(distinct.size());
  log_rewards(env, std::span<const StateOf<E>>(distinct), std::span(all));
  std::vector<std::size_t> order(distinct.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return all[a] != all[b] ? all[a] > all[b] : a < b; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(k)));
  TopObjects<StateOf<E>> top;
  for (const std::size_t i : order) {
    top.objects.push_back(distinct[i]);
    top.log_rewards.push_back(all[i]);
  }
  return top;
}

/// The mean of the rewards, from their logarithms; 0 for none.
[[nodiscard]] inline double mean_reward(std::span<const double> log_rewards) {
  if (log_rewards.empty()) return 0;
  return std::exp(log_sum_exp(log_rewards) - std::log(static_cast<double>(log_rewards.size())));
}

/// The diversity of some objects: the mean of distance(a, b) over all pairs of them; 0 for fewer than two.
template <class State, class Distance>
[[nodiscard]] double mean_pairwise_distance(std::span<const State> objects, const Distance& distance) {
  static_assert(std::is_invocable_r_v<double, const Distance&, const State&, const State&>,
                "mean_pairwise_distance: needs `double distance(const State&, const State&)`");
  double sum = 0;
  for (std::size_t i = 0; i < objects.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) sum += static_cast<double>(distance(objects[i], objects[j]));
  const double pairs = static_cast<double>(objects.size()) * (static_cast<double>(objects.size()) - 1) / 2;
  return pairs > 0 ? sum / pairs : 0.0;
}

/// Counts the modes that have been seen so far, each once (Niu et al. 2024 show it as many new objects an evaluation as
/// there are modes). Objects are known by their numbers. Where there are too many to be numbered, the modes themselves
/// can be: see BitSequenceReward::modes_within.
class ModesFound {
 public:
  /// For modes that are numbered without other objects, 0 to count − 1.
  static ModesFound all(std::size_t count) { return ModesFound(std::vector<bool>(count, true)); }
  /// Which objects are modes.
  explicit ModesFound(std::vector<bool> modes)
      : missing_(std::move(modes)), total_(static_cast<int>(std::count(missing_.begin(), missing_.end(), true))) {}

  /// Takes an object in. Returns whether it is a mode that had not been seen. Throws std::invalid_argument for a number
  /// that no object has.
  bool add(std::size_t object) {
    require(object < missing_.size(), "ModesFound: there is no object ", object, ", there are ", missing_.size());
    if (!missing_[object]) return false;
    missing_[object] = false;
    found_.push_back(object);
    return true;
  }
  /// The numbers of the modes that were seen, in the order in which they were.
  std::span<const std::size_t> found() const { return found_; }
  int count() const { return static_cast<int>(found_.size()); }
  int total() const { return total_; }

 private:
  std::vector<bool> missing_;
  int total_;
  std::vector<std::size_t> found_;
};

}  // namespace gfn::sampled
