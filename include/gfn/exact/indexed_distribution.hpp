// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_table.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/rollout/policy_evaluation.hpp>

namespace gfn::exact {

/// An environment that numbers its states 0 … num_states() − 1, parents before their children (a sequence of slots
/// does).
template <class E>
concept IndexedEnvironment = ForwardEnvironment<E> && requires(const E& env, const StateOf<E>& s, std::int64_t i) {
  { env.num_states() } -> std::convertible_to<std::int64_t>;
  { env.index(s) } -> std::convertible_to<std::int64_t>;
  { env.state(i) } -> std::convertible_to<StateOf<E>>;
};

/// An environment that also numbers the states that can exit, its objects, 0 … num_objects() − 1 (sequences do).
template <class E>
concept NumberedObjects = requires(const E& env, const StateOf<E>& s, std::int64_t i) {
  { env.num_objects() } -> std::convertible_to<std::int64_t>;
  { env.object_index(s) } -> std::convertible_to<std::int64_t>;
  { env.object(i) } -> std::convertible_to<StateOf<E>>;
};

/// Calls visit(x, P_F^⊤(x)) for each state that can exit, in the order of their numbers. Neither states nor edges are
/// kept, just u(s): 8 bytes a state (78 MB for the 9.8 million states of sequences of ten letters of four, whose 78
/// million edges alone take 1.2 GB in a StateGraph). Throws gfn::Error, naming the state, for a child whose number is
/// not above its parent's.
template <IndexedEnvironment E, class P, class Visit>
  requires Policy<P, StateOf<E>>
void for_each_terminal_probability(const E& env, P& forward, const Visit& visit) {
  constexpr std::int64_t chunk = 1024;
  const std::int64_t count = env.num_states();
  std::vector<double> u(static_cast<std::size_t>(count));
  u.at(static_cast<std::size_t>(env.index(env.initial_state()))) = 1;
  StateTable<E> table(env, false);
  PolicyEvaluation<typename PolicyScalar<P>::type, P, E> policy(forward, env, Direction::forward);
  StateOf<E> child = env.initial_state();
  std::vector<double> p(static_cast<std::size_t>(table.num_forward()));
  for (std::int64_t first = 0; first < count; first += chunk) {
    table.clear();
    for (std::int64_t i = first; i < std::min(first + chunk, count); ++i) table.find_or_add(env.state(i));
    policy.evaluate(table);
    for (int row = 0; row < table.rows(); ++row) {
      const std::int64_t number = first + row;
      const double here = u[static_cast<std::size_t>(number)];
      const ConstMask legal = table.forward_mask(row);
      double sum = 0;  // 1 but for the rounding of the policy's scalar
      for (Action a = 0; a < table.num_forward(); ++a) {
        const auto at = static_cast<std::size_t>(a);
        p[at] = legal[at] ? std::exp(policy.log_probability(row, a)) : 0.0;
        sum += p[at];
      }
      for (Action a = 0; a < table.exit_action(); ++a) {
        if (!legal[static_cast<std::size_t>(a)]) continue;
        child = table.state(row);
        env.apply(child, a);
        const std::int64_t next = env.index(child);
        if (next <= number || next >= count)
          fail("state ", describe(table.state(row)), " has the number ", number, ", and its child ", describe(child),
               " the number ", next, ", which must be above it and below ", count);
        u[static_cast<std::size_t>(next)] += here * p[static_cast<std::size_t>(a)] / sum;
      }
      if (table.can_exit(row)) visit(table.state(row), here * p.back() / sum);
    }
  }
}

/// The same as a vector, by the numbers of the objects: 8 bytes more for each of them. For the distance from the target
/// see target_distribution(log_rewards) and metrics.hpp. Throws gfn::Error, naming the state, for an object whose
/// number is out of range or another's, and where numbers are left over.
template <IndexedEnvironment E, class P>
  requires NumberedObjects<E> && Policy<P, StateOf<E>>
[[nodiscard]] std::vector<double> indexed_terminating_distribution(const E& env, P& forward) {
  const auto count = static_cast<std::int64_t>(env.num_objects());
  std::vector<double> distribution(static_cast<std::size_t>(count), -1.0);
  std::int64_t found = 0;
  for_each_terminal_probability(env, forward, [&](const StateOf<E>& x, double probability) {
    const std::int64_t number = env.object_index(x);
    if (number < 0 || number >= count)
      fail("object ", describe(x), " has the number ", number, ", there are ", count, " objects");
    double& entry = distribution[static_cast<std::size_t>(number)];
    if (entry >= 0) fail("object ", describe(x), " has the number ", number, ", as another object has");
    entry = probability;
    ++found;
  });
  if (found != count) fail("indexed_terminating_distribution: ", found, " objects were found of ", count);
  return distribution;
}

}  // namespace gfn::exact
