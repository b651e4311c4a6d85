// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <gfn/ad/tape.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/state_block.hpp>

namespace gfn {

/// A differentiable function of states: `outputs()` numbers per state. Policies (one output per action: logits), values
/// and flows (one output) are all of this kind.
///
/// * `f.outputs()`: how many numbers it gives.
/// * `f.parameters()`: its Parameters.
/// * `f.record(tape, block)`: a Var with one row of outputs per row of the block, in order.
template <class F, class State>
concept StateFunction = requires(F& f, Tape<typename F::Scalar>& tape, const StateBlock<State>& block) {
  { f.outputs() } -> std::convertible_to<int>;
  { f.parameters() } -> std::same_as<Parameters<typename F::Scalar>&>;
  { f.record(tape, block) } -> std::same_as<Var<typename F::Scalar>>;
};

/// A state function that can be evaluated some rows at a time, and keeps what it computed: `extend(block)` evaluates
/// the rows that it has not met yet, `output(row)` points to a row's outputs, and `record` adopts them all without
/// computing anything twice. Functions that lack it are evaluated once more when they are recorded.
template <class F, class State>
concept IncrementalStateFunction = StateFunction<F, State> && requires(F& f, const StateBlock<State>& block, int row) {
  f.extend(block);
  { f.output(row) } -> std::convertible_to<const typename F::Scalar*>;
};

/// The uniform policy: no parameters and no outputs, log π = −log (number of legal actions).
template <class P>
concept UniformPolicyLike = requires {
  requires P::is_uniform;
};

/// The numbers that a policy computes in; double for the uniform one.
template <class P>
struct PolicyScalar {
  using type = typename P::Scalar;
};
template <UniformPolicyLike P>
struct PolicyScalar<P> {
  using type = double;
};

/// A forward or backward policy: uniform, or a state function whose outputs are the logits of the actions (forward:
/// num_actions() + 1, the exit last; backward: num_backward_actions).
template <class P, class State>
concept Policy = UniformPolicyLike<P> || StateFunction<P, State>;

/// Calls visit(Parameters&) for a policy that has parameters.
template <class P, class Visit>
void visit_parameters(P& policy, Visit&& visit) {
  if constexpr (!UniformPolicyLike<P>) visit(policy.parameters());
}

/// One sentence at compile time for a type that is no policy.
template <class P, class State>
constexpr bool check_policy_concept() {
  static_assert(Policy<P, State>,
                "Policy: needs `int outputs() const`, `Parameters<Scalar>& parameters()` and "
                "`Var<Scalar> record(Tape<Scalar>&, const StateBlock<State>&)`, with a member type `Scalar`");
  return true;
}

/// One sentence at compile time for a policy that can't be trained.
template <class P>
constexpr bool check_trained_policy() {
  static_assert(!UniformPolicyLike<P>,
                "a trainer needs a forward policy with parameters: the uniform policy has none to train");
  return true;
}

/// Throws std::invalid_argument where two functions share their parameters, and one would be differentiated after the
/// other's optimiser has changed them.
template <class P, class Q>
void require_own_parameters(P& p, Q& q, const char* names) {
  if constexpr (requires { p.parameters(), q.parameters(); })
    require(static_cast<void*>(&p.parameters()) != static_cast<void*>(&q.parameters()), names,
            " must not share parameters: each has its own optimiser, and takes its step before the other");
}

}  // namespace gfn
