// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <type_traits>

#include <gfn/core/error.hpp>
#include <gfn/core/notice.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/objective/concepts.hpp>
#include <gfn/policy/concepts.hpp>
#include <gfn/rollout/batch.hpp>

// What the functions that make trainers ask of their arguments. A function takes them by forwarding references, so that
// a temporary can be told from what lasts, and begins with one of the checks below: where it fails, the compiler says
// one sentence, and nothing else is instantiated.

namespace gfn {

namespace detail {

/// An argument that lasts as long as its name: what a trainer may refer to. Uniform policies are copied.
template <class Argument>
inline constexpr bool lasts = std::is_lvalue_reference_v<Argument> || UniformPolicyLike<std::remove_cvref_t<Argument>>;

template <class Function>
struct ScalarOf {
  using type = void;
};
template <class Function>
  requires requires { typename Function::Scalar; }
struct ScalarOf<Function> {
  using type = typename Function::Scalar;
};

/// Whether all that compute in a scalar compute in the same; those without one do not count.
template <class First, class... Rest>
consteval bool one_scalar() {
  using T = typename ScalarOf<First>::type;
  return ((std::is_void_v<typename ScalarOf<Rest>::type> || std::is_same_v<typename ScalarOf<Rest>::type, T>)&&...);
}

}  // namespace detail

/// A state function in the place of a value or a flow, or nothing in it: what tells it from options in an overload.
template <class F>
concept FunctionOrAbsent = std::same_as<std::remove_cvref_t<F>, Absent> || requires(std::remove_cvref_t<F>& f) {
  f.parameters();
};

/// One sentence at compile time, and false, for a policy or another function of the states of E that a trainer can't
/// keep.
template <class Function, class E>
consteval bool check_kept_function() {
  using F = std::remove_reference_t<Function>;
  constexpr bool trainable = !std::is_const_v<F> || UniformPolicyLike<F>;
  static_assert(detail::lasts<Function>,
                "policies, flows and values are referred to, not copied: a temporary would be gone after this line, so "
                "give it a name");
  static_assert(trainable, "policies, flows and values are trained, and must not be const");
  if constexpr (detail::lasts<Function> && trainable) {
    static_assert(check_policy_concept<F, StateOf<E>>());
    return Policy<F, StateOf<E>>;
  }
  return false;
}
template <class Function, class E>
  requires std::same_as<std::remove_cvref_t<Function>, Absent>
consteval bool check_kept_function() { return true; }

/// The same for all that is given to a trainer: environment, forward policy, backward policy, and values or flows, each
/// of which may be Absent.
template <class Env, class Forward, class Backward, class... Functions>
consteval bool check_trainer_arguments() {
  using E = std::remove_cvref_t<Env>;
  constexpr bool lasts = std::is_lvalue_reference_v<Env>;
  constexpr bool trained = !UniformPolicyLike<std::remove_cvref_t<Forward>>;
  constexpr bool one_scalar = detail::one_scalar<std::remove_cvref_t<Forward>, std::remove_cvref_t<Backward>,
                                                 std::remove_cvref_t<Functions>...>();
  static_assert(lasts,
                "the environment is referred to, not copied: a temporary would be gone after this line, so give it a "
                "name");
  static_assert(check_environment_concept<E>());
  static_assert(check_trained_policy<std::remove_cvref_t<Forward>>());
  static_assert(one_scalar || !trained,
                "all networks of a trainer compute in one scalar type: float and double can't be mixed");
  if constexpr (lasts && Environment<E> && trained && one_scalar)
    return ((check_kept_function<Forward, E>() && check_kept_function<Backward, E>()) && ... &&
            check_kept_function<Functions, E>());
  return false;
}

/// One sentence at compile time for a backward policy that coupled training can't train.
template <class Backward>
consteval bool check_trained_backward_policy() {
  static_assert(!UniformPolicyLike<Backward>,
                "CoupledTrainer: the backward policy is trained, and must have parameters (not the uniform one)");
  return true;
}

/// The same as check_trainer_arguments for a trainer of both policies.
template <class E, class Forward, class Backward, class... Functions>
consteval bool check_coupled_arguments() {
  static_assert(check_trained_backward_policy<std::remove_cvref_t<Backward>>());
  if constexpr (!UniformPolicyLike<std::remove_cvref_t<Backward>>)
    return check_trainer_arguments<E, Forward, Backward, Functions...>();
  return false;
}

namespace detail {

/// Throws std::invalid_argument for a batch of another environment than the trainer's, and for one of no trajectories.
template <class E>
void require_batch(const Batch<E>& batch, const E& env) {
  require(&batch.environment() == &env,
          "the batch was made for another environment than the trainer's (batches know "
          "theirs by its address, so a copy is another one)");
  require(batch.trajectories() >= 1, "a batch of no trajectories: there is nothing to learn from");
}

/// Says once where float can't tell the log-rewards of a batch apart, since their origin is far away.
template <class T>
class LargeRewards {
 public:
  template <class E>
  void look_at(const Batch<E>& batch) {
    if constexpr (std::is_same_v<T, float>) {
      for (int i = 0; i < batch.trajectories() && !said_; ++i) {
        const double relative = batch.log_reward(i) - batch.log_reward_shift();
        if (!std::isfinite(relative) || std::abs(relative) <= 1e6) continue;
        said_ = true;
        notice(concatenate("the log-reward of the state ", batch.table().describe_row(batch.terminal_row(i)), " is ",
                           relative,
                           " away from initial_log_z, where float has few digits left: give an initial_log_z near log "
                           "Z, or train in double"));
      }
    }
  }

 private:
  bool said_ = false;
};

/// Calls clean_up() and goes on with the exception where body() throws: what a trainer's steps run in.
template <class Body, class CleanUp>
auto guarded(const Body& body, const CleanUp& clean_up) {
  try {
    return body();
  } catch (...) {
    clean_up();
    throw;
  }
}

}  // namespace detail

}  // namespace gfn
