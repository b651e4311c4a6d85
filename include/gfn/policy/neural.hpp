// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gfn/environment/traits.hpp>
#include <gfn/nn/mlp.hpp>
#include <gfn/policy/concepts.hpp>

namespace gfn {

/// One head of a multi-layer perceptron as a state function: a policy, a value or a flow. Several may stand on one
/// trunk. Not copyable, since copies would share the parameters unseen.
template <class T, class F = Relu>
class NeuralFunction {
 public:
  using Scalar = T;

  /// A new head on a network; the network lives as long as any of its heads.
  NeuralFunction(std::shared_ptr<Mlp<T, F>> network, const std::string& name, int outputs)
      : network_(std::move(network)), head_(network_->add_head(name, outputs)) {}
  NeuralFunction(NeuralFunction&&) noexcept = default;
  NeuralFunction& operator=(NeuralFunction&&) noexcept = default;

  int inputs() const { return network_->inputs(); }
  int outputs() const { return network_->outputs(head_); }
  Parameters<T>& parameters() { return network_->parameters(); }
  const Parameters<T>& parameters() const { return network_->parameters(); }
  const std::shared_ptr<Mlp<T, F>>& network() const { return network_; }
  /// What the function is: that of its network.
  std::string description() const { return network_->description(); }

  template <class State>
  void extend(const StateBlock<State>& block) {
    network_->extend(head_, block);
  }
  const T* output(int row) const { return network_->output(head_, row); }
  template <class State>
  Var<T> record(Tape<T>& tape, const StateBlock<State>& block) {
    return network_->record(tape, head_, block);
  }

 private:
  std::shared_ptr<Mlp<T, F>> network_;
  int head_;
};

/// A network over an environment's encoding, for several heads to stand on. Without hidden layers the heads are linear
/// functions of the encoding.
template <class T, class F = Relu, class E>
std::shared_ptr<Mlp<T, F>> mlp_trunk(const E& env, const MlpOptions& options, Random& random) {
  static_assert(check_encoding_concept<E>());
  return std::make_shared<Mlp<T, F>>(env.num_features(), options, random);
}

/// A head that gives the logits of a forward policy: one per action, the exit last.
template <class T, class F, class E>
NeuralFunction<T, F> policy_head(const E& env, std::shared_ptr<Mlp<T, F>> trunk) {
  return {std::move(trunk), "forward policy", env.num_actions() + 1};
}
/// A head that gives the logits of a backward policy: one per backward action.
template <class T, class F, class E>
NeuralFunction<T, F> backward_policy_head(const E& env, std::shared_ptr<Mlp<T, F>> trunk) {
  static_assert(check_environment_concept<E>());
  return {std::move(trunk), "backward policy", num_backward_actions(env)};
}
/// A head that gives one number per state: a value, or the logarithm of a flow.
template <class T, class F>
NeuralFunction<T, F> scalar_head(std::shared_ptr<Mlp<T, F>> trunk, const std::string& name = "value") {
  return {std::move(trunk), name, 1};
}

/// A forward policy with a network of its own.
template <class T, class F = Relu, class E>
NeuralFunction<T, F> mlp_policy(const E& env, const MlpOptions& options, Random& random) {
  return policy_head(env, mlp_trunk<T, F>(env, options, random));
}
/// A backward policy with a network of its own.
template <class T, class F = Relu, class E>
NeuralFunction<T, F> mlp_backward(const E& env, const MlpOptions& options, Random& random) {
  return backward_policy_head(env, mlp_trunk<T, F>(env, options, random));
}
/// A value function with a network of its own.
template <class T, class F = Relu, class E>
NeuralFunction<T, F> mlp_value(const E& env, const MlpOptions& options, Random& random) {
  return scalar_head(mlp_trunk<T, F>(env, options, random), "value");
}
/// The logarithm of a state flow, with a network of its own.
template <class T, class F = Relu, class E>
NeuralFunction<T, F> mlp_flow(const E& env, const MlpOptions& options, Random& random) {
  return scalar_head(mlp_trunk<T, F>(env, options, random), "log flow");
}

}  // namespace gfn
