// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <gfn/core/random.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/policy/tabular.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/rollout/sampler.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "messages.hpp"

// Whatever the logits are, no illegal action is drawn, and none of probability 0.

namespace {

using gfn::Direction;
using gfn::exact::StateGraph;

template <class E>
E environment() {
  if constexpr (std::is_same_v<E, gfn::HyperGrid>)
    return gfn::HyperGrid{{.dimension = 2, .side = 3}};
  else
    return E{};
}

/// The legal choices of a state, asked of the environment itself. (No vector: it would be one of bits.)
struct Legal {
  std::unique_ptr<bool[]> choices;

  template <class E>
  Legal(const E& env, const gfn::StateOf<E>& s, Direction direction) {
    const bool forward = direction == Direction::forward;
    const int count = forward ? gfn::num_forward_choices(env) : gfn::num_backward_actions(env);
    choices = std::make_unique<bool[]>(static_cast<std::size_t>(count));
    const gfn::Mask mask(choices.get(), count);
    if (forward)
      gfn::fill_forward_mask(env, s, mask);
    else
      gfn::fill_backward_mask(env, s, mask);
  }
};

/// A policy and the walks by it, in either direction.
template <class T, class E>
struct Setting {
  using Table = gfn::TabularFunction<T, E>;

  explicit Setting(Direction d) : direction(d) {}

  E env = environment<E>();
  StateGraph<E> graph{env};
  Direction direction;
  Table policy = direction == Direction::forward ? gfn::tabular_policy<T>(env, graph.states())
                                                 : gfn::tabular_backward<T>(env, graph.states());
  gfn::Batch<E> batch{env};
  gfn::PolicyEvaluation<T, Table, E> evaluation{policy, env, direction, gfn::Sampling::yes};

  void sample(int trajectories, std::uint64_t iteration) {
    if (direction == Direction::forward) {
      gfn::ForwardSampler<E>(env).sample(batch, evaluation, trajectories, gfn::Random{3}, iteration);
      return;
    }
    const auto ends = graph.terminal_rows();
    gfn::BackwardSampler<E>(env).sample(
        batch, evaluation, trajectories,
        [&](int i) -> const auto& { return graph.state(ends[static_cast<std::size_t>(i) % ends.size()]); },
        gfn::Random{3}, iteration);
  }
  /// Fills a row: logit(choice, is_legal) for each choice.
  template <class Logit>
  void fill_row(int row, const Logit& logit) {
    const Legal legal(env, graph.state(row), direction);
    for (int a = 0; a < policy.outputs(); ++a)
      policy.modify()(row, a) = logit(a, legal.choices[static_cast<std::size_t>(a)]);
  }
  /// A state with a choice in which every walk stands at its first step, or (backward) some walk does.
  int first_row() const { return direction == Direction::forward ? 0 : graph.terminal_rows().back(); }
};

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

/// Logits of extreme size: any number whatever on illegal choices, and on legal ones too, but for +∞ and NaN; one legal
/// choice at least is finite.
template <class T, class E>
void fill_extreme(Setting<T, E>& s, gfn::Stream& stream) {
  constexpr T huge = T(1e30), most = std::numeric_limits<T>::max();
  const T any[] = {huge, -huge, most, -most, infinity<T>, -infinity<T>, std::numeric_limits<T>::quiet_NaN()};
  const T good[] = {huge, -huge, 0, T(1), -infinity<T>, -infinity<T>};
  for (int row = 0; row < s.graph.num_states(); ++row) {
    s.fill_row(row, [&](int, bool legal) { return legal ? good[stream.below(6)] : any[stream.below(7)]; });
    const Legal legal(s.env, s.graph.state(row), s.direction);
    int last = gfn::none;
    bool finite = false;
    for (int a = 0; a < s.policy.outputs(); ++a) {
      if (!legal.choices[static_cast<std::size_t>(a)]) continue;
      last = a;
      finite = finite || std::isfinite(s.policy.table()(row, a));
    }
    if (last != gfn::none && !finite) s.policy.modify()(row, last) = -huge;
  }
}

/// Every step of a batch: a legal choice, and one whose logit is not far below the largest legal one.
template <class T, class E>
void check_steps(const Setting<T, E>& s) {
  int bad = 0;
  for (const gfn::Step& step : s.batch.steps()) {
    const bool forward = s.direction == Direction::forward;
    const int acting = forward ? step.row : step.child;
    if (acting == gfn::none) continue;  // the exit, on a walk back
    const auto& state = s.batch.table().state(acting);
    const int action = forward ? step.action : step.backward_action;
    const Legal legal(s.env, state, s.direction);
    const int row = s.policy.row(state);
    T high = -infinity<T>;
    int choices = 0;
    for (int a = 0; a < s.policy.outputs(); ++a) {
      if (!legal.choices[static_cast<std::size_t>(a)]) continue;
      high = std::max(high, s.policy.table()(row, a));
      ++choices;
    }
    if (!legal.choices[static_cast<std::size_t>(action)]) ++bad;
    if (choices > 1 && !(s.policy.table()(row, action) >= high - T(100))) ++bad;
    if (step.child == gfn::none) continue;
    auto child = s.batch.table().state(step.row);
    s.env.apply(child, step.action);
    if (!(child == s.batch.table().state(step.child))) ++bad;
  }
  CHECK(bad == 0);
}

template <class T, class E>
void check_extreme(Direction direction) {
  Setting<T, E> s(direction);
  gfn::Stream stream(4, gfn::Purpose::user, 0, 0);
  int steps = 0;
  for (std::uint64_t round = 0; round < 50; ++round) {
    fill_extreme(s, stream);
    s.sample(400, round);
    check_steps(s);
    steps += s.batch.num_steps();
  }
  CHECK(steps >= 50 * 400);
}

/// Legal logits that leave no distribution are an error, which names the policy and the state.
template <class T, class E>
void check_refused(Direction direction) {
  Setting<T, E> s(direction);
  const int row = s.first_row();
  const auto refused = [&](const auto& logit) {
    s.policy.modify().setZero();
    s.fill_row(row, logit);
    const std::string message = message_of<gfn::Error>([&] { s.sample(100, 0); });
    const std::string name = direction == Direction::forward ? "the forward policy" : "the backward policy";
    CHECK(message == name + " gives logits that are not finite at state " + gfn::describe(s.graph.state(row)));
  };
  const T nan = std::numeric_limits<T>::quiet_NaN();
  refused([](int, bool) { return -infinity<T>; });
  refused([](int, bool legal) { return legal ? -infinity<T> : T(0); });
  refused([](int, bool legal) { return legal ? infinity<T> : T(0); });
  refused([&](int, bool legal) { return legal ? nan : T(0); });
  bool first = true;  // one of several is enough
  refused([&](int, bool legal) { return legal && std::exchange(first, false) ? infinity<T> : T(0); });
  first = true;
  refused([&](int, bool legal) { return legal && std::exchange(first, false) ? nan : T(0); });
  // and the same numbers on illegal choices are none
  s.policy.modify().setZero();
  for (const T x : {infinity<T>, -infinity<T>, nan}) {
    for (int i = 0; i < s.graph.num_states(); ++i) s.fill_row(i, [&](int, bool legal) { return legal ? T(0) : x; });
    s.sample(400, 1);
    check_steps(s);
  }
}

/// Equal logits are equal probabilities, however large they are.
template <class T, class E>
void check_ties(Direction direction) {
  Setting<T, E> s(direction);
  for (const T x : {T(1e30), T(-1e30), std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest()}) {
    for (int i = 0; i < s.graph.num_states(); ++i) s.fill_row(i, [&](int, bool legal) { return legal ? x : T(1e30); });
    s.sample(100, 2);
    check_steps(s);
    double worst = 0;
    for (const gfn::Step& step : s.batch.steps()) {
      const int row = s.evaluation.acting_row(step);
      if (row == gfn::none) continue;
      const auto& table = s.batch.table();
      const int choices = direction == Direction::forward ? table.forward_choices(row) : table.backward_choices(row);
      worst = std::max(worst, std::abs(s.evaluation.log_probability(step) + std::log(choices)));
    }
    CHECK(worst < 1e-6);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("no illegal action is drawn, whatever the logits", "", float, double) {
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    check_extreme<TestType, gfn::HyperGrid>(direction);
    check_extreme<TestType, environments::PrependAppend>(direction);
  }
}

TEMPLATE_TEST_CASE("logits that leave no distribution are refused by name", "", float, double) {
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    check_refused<TestType, gfn::HyperGrid>(direction);
    check_refused<TestType, environments::PrependAppend>(direction);
  }
}

TEMPLATE_TEST_CASE("equal logits of any size are equal probabilities", "", float, double) {
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    check_ties<TestType, gfn::HyperGrid>(direction);
    check_ties<TestType, environments::PrependAppend>(direction);
  }
}

TEST_CASE("a state that leaves no choice does not ask the policy") {
  Setting<double, environments::PrependAppend> s(Direction::forward);  // the exit of a complete word
  for (const int row : s.graph.terminal_rows()) s.policy.modify().row(row).setConstant(std::nan(""));
  s.sample(100, 0);
  check_steps(s);
}
