// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>

#include <gfn/ad/tape.hpp>
#include <gfn/core/describe_to.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/state_block.hpp>

namespace gfn {

/// A differentiable function of states: `outputs()` numbers per state. Policies (one output per action: logits), values
/// and flows (one output) are all of this kind.
///
/// * `f.outputs()`: how many numbers it gives.
/// * `f.parameters()`: its Parameters.
/// * `f.record(tape, block)`: a Var with one row of outputs per row of the block, in order.
///
/// It may also say `f.inputs()`, the width of the encodings that it takes: then it is refused for an environment with
/// another one.
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

/// What tells a policy as it is now from all others, and from itself as it was: the version of its parameters, and one
/// number for uniform policies. Never 0.
template <class P>
std::uint64_t policy_version(P& policy) {
  if constexpr (UniformPolicyLike<P>)
    return ~std::uint64_t{0};
  else
    return policy.parameters().version();
}

/// Calls visit(Parameters&) for a policy that has parameters.
template <class P, class Visit>
void visit_parameters(P& policy, Visit&& visit) {
  if constexpr (!UniformPolicyLike<P>) visit(policy.parameters());
}

/// One sentence at compile time for a type that is no policy.
template <class P, class State>
consteval bool check_policy_concept() {
  static_assert(Policy<P, State>,
                "Policy: needs `int outputs() const`, `Parameters<Scalar>& parameters()` and "
                "`Var<Scalar> record(Tape<Scalar>&, const StateBlock<State>&)`, with a member type `Scalar`");
  return true;
}

/// One sentence at compile time for a policy that can't be trained.
template <class P>
consteval bool check_trained_policy() {
  static_assert(!UniformPolicyLike<P>,
                "a trainer needs a forward policy with parameters: the uniform policy has none to train (the forward "
                "policy comes before the backward one)");
  return true;
}

/// Shows an archive of `visit_state` what a function is (its `description()`, where it has one), and its parameters;
/// nothing of a uniform policy.
template <class Archive, class F>
void visit_function(Archive& archive, const char* name, F& function) {
  if constexpr (!UniformPolicyLike<F>) {
    describe_to(archive, name, function);
    archive(name, function.parameters());
  }
}

/// Throws std::invalid_argument, with both numbers, where a state function says that it takes encodings of another
/// width than the environment's. `name` is that of the function.
template <class F, class E>
void require_inputs(const F& function, const E& env, const char* name) {
  if constexpr (requires {
                  { function.inputs() } -> std::convertible_to<int>;
                }) {
    int features = 0;
    if constexpr (requires { env.num_features(); }) features = env.num_features();
    require(function.inputs() == features, name, " takes ", function.inputs(), " features, the environment has ",
            features);
  }
}
/// The same, and where it has not just one output: for values and flows.
template <class F, class E>
void require_scalar_function(const F& function, const E& env, const char* name) {
  require(function.outputs() == 1, name, " has ", function.outputs(), " outputs, 1 is needed");
  require_inputs(function, env, name);
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
