// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/data/checkpoint.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/flow_matching.hpp>
#include <gfn/objective/guide.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/munchausen_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>

#include "catch.hpp"
#include "messages.hpp"

// After an exception in the middle of a step a trainer is as before the step.

namespace {

/// What a test counts: calls of anything, of which one is to throw.
struct Calls {
  mutable long until_throw = -1;  ///< below 0: never
  mutable long count = 0;
  void operator()() const {
    ++count;
    if (until_throw >= 0 && until_throw-- == 0) throw std::runtime_error("thrown by a call");
  }
};

/// A grid all of whose members may throw.
struct Throwing {
  using State = gfn::HyperGrid::State;
  gfn::HyperGrid grid{{.dimension = 2, .side = 4}};
  Calls call;

  State initial_state() const { return grid.initial_state(); }
  int num_actions() const { return 2; }
  int num_features() const { return grid.num_features(); }
  void legal_actions(const State& s, gfn::Mask legal) const {
    call();
    grid.legal_actions(s, legal);
  }
  bool can_exit(const State&) const {
    call();
    return true;
  }
  void apply(State& s, gfn::Action a) const {
    call();
    grid.apply(s, a);
  }
  void legal_undos(const State& s, gfn::Mask legal) const {
    call();
    grid.legal_undos(s, legal);
  }
  void undo(State& s, gfn::Action a) const {
    call();
    grid.undo(s, a);
  }
  double log_reward(const State& s) const {
    call();
    return grid.log_reward(s);
  }
  void encode(const State& s, gfn::Features out) const {
    call();
    grid.encode(s, out);
  }
  std::uint64_t hash(const State& s) const {
    call();
    return grid.hash(s);
  }
};

struct Networks {
  explicit Networks(const Throwing& env)
      : forward(gfn::mlp_policy<float>(env, small(), random)),
        backward(gfn::mlp_backward<float>(env, small(), random)),
        value(gfn::mlp_value<float>(env, small(), random)),
        backward_value(gfn::mlp_value<float>(env, small(), random)),
        target(gfn::mlp_policy<float>(env, small(), random)) {}
  static gfn::MlpOptions small() { return {.hidden = {6}}; }
  std::vector<gfn::Parameters<float>*> all() {
    return {&forward.parameters(), &backward.parameters(), &value.parameters(), &backward_value.parameters(),
            &target.parameters()};
  }
  gfn::Random random{1};
  gfn::NeuralFunction<float> forward, backward, value, backward_value, target;
};

/// All that a trainer and its networks hold, to the last bit.
template <class Trainer>
std::string state_of(Trainer& trainer, Networks& n) {
  gfn::detail::CheckpointWriter writer;
  writer.number(trainer.iteration());
  if constexpr (requires { trainer.visit_state(writer); }) trainer.visit_state(writer);
  for (auto* parameters : n.all()) {
    writer("parameters", *parameters);
    for (Eigen::Index i = 0; i < parameters->size(); ++i) CHECK(parameters->grad()[i] == 0);
  }
  return writer.content();
}

/// Lets every call of a step throw, one after the other; after each the state must be as before, and in the end the
/// step must give what one gives that nothing has disturbed. make(env, networks, calls) makes the trainer; `calls` are
/// those of the environment, and of whatever else the trainer calls that may throw.
template <class Make>
void check_every_call(const Make& make) {
  Throwing env;
  Networks n(env);
  auto trainer = make(env, n, env.call);
  Throwing calm_env;
  Networks calm_n(calm_env);
  auto calm = make(calm_env, calm_n, calm_env.call);
  for (int i = 0; i < 3; ++i) {
    trainer.step(n.random, 3);
    calm.step(calm_n.random, 3);
  }
  const std::string before = state_of(trainer, n);
  calm_env.call.count = 0;
  calm.step(calm_n.random, 3);
  const long calls = calm_env.call.count;
  REQUIRE(calls > 10);
  for (long k = 0; k < calls; ++k) {
    env.call.until_throw = k;
    CHECK_FALSE(message_of([&] { trainer.step(n.random, 3); }).empty());
    REQUIRE((state_of(trainer, n) == before));
  }
  env.call.until_throw = -1;
  trainer.step(n.random, 3);
  CHECK((state_of(trainer, n) == state_of(calm, calm_n)));
}

/// An objective that throws where it is told to.
struct ThrowingObjective {
  const Calls* call;
  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    (*call)();
    const auto loss = gfn::TrajectoryBalance{}(tape, input);
    (*call)();
    return loss;
  }
  template <class Input>
  double log_z(const Input&) const {
    (*call)();
    return 0;
  }
};

/// x, but may throw whenever it is computed or differentiated: in the rollout, in the reverse pass, in the line search.
struct ThrowingIdentity {
  const Calls* call;
  template <class T>
  T value(T x) const {
    (*call)();
    return x;
  }
  template <class T>
  T slope_from_value(T) const {
    (*call)();
    return T(1);
  }
};

/// A policy that ends in it.
struct ThrowingPolicy {
  using Scalar = float;
  gfn::NeuralFunction<float>* network;
  const Calls* call;
  int outputs() const { return network->outputs(); }
  gfn::Parameters<float>& parameters() { return network->parameters(); }
  template <class State>
  gfn::Var<float> record(gfn::Tape<float>& tape, const gfn::StateBlock<State>& block) {
    return gfn::elementwise(ThrowingIdentity{call}, network->record(tape, block));
  }
};

/// A guide that may throw after the forward policy has moved.
struct ThrowingGuide {
  const Calls* call;
  template <class Input>
  void operator()(const Input& input, std::span<double> log_p) const {
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      (*call)();
      const gfn::Step& step = input.batch.steps()[k];
      log_p[k] = step.child == gfn::none ? 0.0 : -0.1 * step.action;
    }
  }
};

/// Records the policy before the flow.
struct PolicyFirst {
  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    const auto policy = gfn::TrajectoryBalance{}(tape, input);
    return policy + gfn::mean(gfn::square(gfn::record_flow(tape, input)));
  }
};

}  // namespace

TEST_CASE("an exception in a step of an objective leaves a trainer as it was") {
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::trajectory_balance_trainer(env, n.forward, n.backward, {.exploration = {.start = 0.5}});
  });
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::objective_trainer(env, gfn::SubtrajectoryBalance{}, n.forward, n.backward, n.value);
  });
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::objective_trainer(env, gfn::FlowMatching{}, n.forward, gfn::UniformPolicy{});
  });
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::objective_trainer(env, gfn::ModifiedDetailedBalance{}, n.forward, n.backward);
  });
  check_every_call([](auto& env, auto& n, auto& call) {
    return gfn::objective_trainer(env, ThrowingObjective{&call}, n.forward, n.backward);
  });
}

TEST_CASE("an exception in a step of policy gradients leaves a trainer as it was") {
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::policy_gradient_trainer(env, n.forward, gfn::UniformPolicy{}, n.value);
  });
  check_every_call(
      [](auto& env, auto& n, auto&) { return gfn::trust_region_trainer(env, n.forward, n.backward, n.value); });
  // and one in the reverse pass, in a Fisher product, or in the line search
  std::vector<ThrowingPolicy> policies;
  policies.reserve(2);
  check_every_call([&](auto& env, auto& n, auto& call) {
    policies.push_back({&n.forward, &call});
    return gfn::trust_region_trainer(env, policies.back(), n.backward, n.value);
  });
}

TEST_CASE("an exception in either half of coupled training leaves a trainer as it was") {
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value);
  });
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value,
                                {.backward = {.loss = gfn::BackwardLoss::squared}});
  });
  check_every_call([](auto& env, auto& n, auto&) {
    return gfn::coupled_trust_region_trainer(env, n.forward, n.backward, n.value, n.backward_value);
  });
  ThrowingGuide guides[2];
  int made = 0;
  check_every_call([&](auto& env, auto& n, auto& call) {
    ThrowingGuide& guide = guides[made++];
    guide.call = &call;
    return gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value, {},
                                gfn::GuidedBackwardReward(guide));
  });
}

TEST_CASE("an exception in a step of Munchausen DQN leaves networks and buffer as they were") {
  const std::size_t capacity = GENERATE(1000, 16);  // with room, and where old transitions are overwritten
  check_every_call([&](auto& env, auto& n, auto&) {
    return gfn::munchausen_trainer(env, n.forward, n.target,
                                   {.transitions = 8, .learning_starts = 1, .replay = {.capacity = capacity}});
  });
}

TEST_CASE("a guide of discouraged exits asks before any parameter moves") {
  std::vector<decltype(gfn::discouraged_exit_below(std::declval<const Throwing&>(), 0.0))> guides;
  guides.reserve(2);
  check_every_call([&](auto& env, auto& n, auto&) {
    guides.push_back(gfn::discouraged_exit_below(env, 0.0, -1.0));
    return gfn::coupled_trainer(env, n.forward, n.backward, n.value, n.backward_value, {},
                                gfn::GuidedBackwardReward(guides.back()));
  });
}

TEST_CASE("a reward of NaN leaves Munchausen DQN with the right message and no gradient") {
  Throwing env;
  Networks n(env);
  auto trainer = gfn::munchausen_trainer(env, n.forward, n.target, {.transitions = 8, .learning_starts = 0});
  trainer.step(n.random, 3);
  n.target.parameters().modify().setConstant(std::numeric_limits<float>::quiet_NaN());
  CHECK(contains(message_of<gfn::Error>([&] { trainer.step(n.random, 3); }), "the loss is nan in iteration 2"));
  CHECK(n.forward.parameters().grad().norm() == 0);
}

TEST_CASE("rewards are asked for once per distinct terminal state and iteration") {
  struct Counting : gfn::HyperGrid {
    Counting() : gfn::HyperGrid({.dimension = 2, .side = 4}) {}
    mutable std::vector<int> calls = std::vector<int>(16, 0);
    double log_reward(const State& s) const {
      ++calls[static_cast<std::size_t>(index(s))];
      return gfn::HyperGrid::log_reward(s);
    }
  };
  const Counting env;
  gfn::Random random{1};
  const gfn::MlpOptions small{.hidden = {6}};
  auto forward = gfn::mlp_policy<float>(env, small, random);
  auto backward = gfn::mlp_backward<float>(env, small, random);
  auto value = gfn::mlp_value<float>(env, small, random);
  auto backward_value = gfn::mlp_value<float>(env, small, random);
  auto guide = gfn::discouraged_exit_below(env, 0.0, -1.0);
  const auto check = [&](auto&& trainer) {
    for (int i = 0; i < 3; ++i) {
      std::fill(env.calls.begin(), env.calls.end(), 0);
      trainer.step(random, 16);
      std::vector<bool> ends(16, false);
      for (int k = 0; k < 16; ++k) ends[static_cast<std::size_t>(env.index(trainer.batch().terminal_state(k)))] = true;
      for (std::size_t s = 0; s < 16; ++s) {
        if (ends[s])
          CHECK(env.calls[s] == 1);
        else
          CHECK(env.calls[s] <= 1);  // asked by the guide
      }
    }
  };
  check(gfn::trajectory_balance_trainer(env, forward, backward));
  check(gfn::coupled_trainer(env, forward, backward, value, backward_value,
                             {.backward = {.loss = gfn::BackwardLoss::squared}}));
  check(gfn::coupled_trainer(env, forward, backward, value, backward_value, {}, gfn::GuidedBackwardReward(guide)));
}

TEST_CASE("an objective may record its functions in any order, on a shared trunk too") {
  const gfn::HyperGrid env{{.dimension = 2, .side = 8}};
  for (const int batch : {1, 2, 3, 16}) {
    gfn::Random random{1};
    auto trunk = gfn::mlp_trunk<float>(env, {.hidden = {16}}, random);
    auto forward = gfn::policy_head(env, trunk);
    auto flow = gfn::scalar_head(trunk);
    auto trainer = gfn::objective_trainer(env, PolicyFirst{}, forward, gfn::UniformPolicy{}, flow);
    for (int i = 0; i < 40; ++i) trainer.step(random, batch);
    CHECK(trainer.iteration() == 40);
  }
}
