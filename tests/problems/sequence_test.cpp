// SPDX-License-Identifier: MIT
#include <gfn/problems/sequence.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"

namespace {

using gfn::AppendSequence;
using gfn::PrependAppendSequence;
using gfn::SequenceOptions;
using gfn::SlotSequence;
using gfn::Symbol;

using Symbols = std::span<const Symbol>;

double wavy(Symbols x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::sin(1.0 + 2.0 * static_cast<double>(i) + 3.0 * x[i]);
  return sum;
}

/// The same in batches only.
struct BatchWavy {
  mutable int calls = 0;
  void log_rewards(gfn::SequenceRows sequences, std::span<double> out) const {
    ++calls;
    for (std::size_t i = 0; i < sequences.size(); ++i) out[i] = wavy(sequences[i]);
  }
};

/// Both, and it says for which sequences.
struct ShapedWavy : BatchWavy {
  double operator()(Symbols x) const { return wavy(x); }
  SequenceOptions sequence_options() const { return {.length = 3, .alphabet_size = 2}; }
};

struct MutableReward {
  double operator()(Symbols) { return 0; }
};
struct MisspelledBatch {
  double operator()(Symbols) const { return 0; }
  void log_rewards(std::span<double>) const {}
};

template <class Env>
typename Env::State state(const Env& env, const std::vector<int>& symbols) {
  typename Env::State s = env.initial_state();
  for (std::size_t i = 0; i < symbols.size(); ++i) s[static_cast<int>(i)] = static_cast<Symbol>(symbols[i]);
  return s;
}

template <class Env>
std::vector<int> legal_actions(const Env& env, const typename Env::State& s) {
  std::vector<int> legal;
  std::array<bool, 64> mask{};
  gfn::fill_forward_mask(env, s, {mask.data(), gfn::num_forward_choices(env)});
  for (int a = 0; a < gfn::num_forward_choices(env); ++a)
    if (mask[static_cast<std::size_t>(a)]) legal.push_back(a);
  return legal;
}

template <class Env>
std::vector<int> features(const Env& env, const typename Env::State& s) {
  gfn::SparseRows rows;
  rows.clear(env.num_features());
  env.encode(s, gfn::Features(rows));
  rows.finish_row();
  CHECK(!rows.has_values());
  return {rows.row(0).indices.begin(), rows.row(0).indices.end()};
}

/// Every state has the number that `state` gives back, they are all there, and parents come before their children.
template <class Env>
void check_numbers(const Env& env) {
  const gfn::exact::StateGraph<Env> graph(env);
  CHECK(graph.num_states() == env.num_states());
  std::set<std::int64_t> numbers;
  std::set<std::int64_t> objects;
  bool inverse = true, sorted = true;
  for (int row = 0; row < graph.num_states(); ++row) {
    const std::int64_t number = env.index(graph.state(row));
    numbers.insert(number);
    inverse = inverse && env.state(number) == graph.state(row);
    if (!graph.can_exit(row)) continue;
    const std::int64_t object = env.object_index(graph.state(row));
    objects.insert(object);
    inverse = inverse && env.object(object) == graph.state(row);
  }
  for (const gfn::exact::Edge& edge : graph.edges())
    sorted = sorted && env.index(graph.state(edge.source)) < env.index(graph.state(edge.child));
  CHECK(inverse);
  CHECK(sorted);
  CHECK(*numbers.begin() == 0);
  CHECK(*numbers.rbegin() == env.num_states() - 1);
  CHECK(static_cast<std::int64_t>(numbers.size()) == env.num_states());
  CHECK(*objects.rbegin() == env.num_objects() - 1);
  CHECK(static_cast<std::int64_t>(objects.size()) == env.num_objects());
}

template <class Reward>
std::string refusal(const SequenceOptions& options, const Reward& reward) {
  try {
    SlotSequence env(options, reward);
    PrependAppendSequence both(options, reward);
    AppendSequence one(options, reward);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("SlotSequence puts symbol a / L into slot a mod L") {
  const SlotSequence env({.length = 3, .alphabet_size = 4}, wavy);
  STATIC_REQUIRE(gfn::check_environment_concept<decltype(env)>());
  STATIC_REQUIRE(gfn::check_encoding_concept<decltype(env)>());
  CHECK(env.num_actions() == 12);
  CHECK(gfn::num_backward_actions(env) == 12);
  auto s = env.initial_state();
  CHECK(gfn::describe(s) == "[_ _ _]");
  CHECK(legal_actions(env, s).size() == 12);
  env.apply(s, 7);
  CHECK(gfn::describe(s) == "[_ 2 _]");
  CHECK(s == state(env, {-1, 2, -1}));
  CHECK(legal_actions(env, s) == std::vector<int>{0, 2, 3, 5, 6, 8, 9, 11});
  CHECK(gfn::backward_action(env, s, 5) == 5);
  env.apply(s, 11);
  env.apply(s, 0);
  CHECK(gfn::describe(s) == "[0 2 3]");
  CHECK(legal_actions(env, s) == std::vector<int>{12});
  CHECK(features(env, s) == std::vector<int>{0, 6, 11});
  CHECK(env.num_features() == 12);
  CHECK(env.object_index(s) == 0 * 16 + 2 * 4 + 3);
  CHECK(env.index(s) == 1 * 25 + 3 * 5 + 4);
  CHECK(gfn::log_reward(env, s) == wavy(std::array<Symbol, 3>{0, 2, 3}));
  env.undo(s, 7);
  CHECK(gfn::describe(s) == "[0 _ 3]");
  CHECK(features(env, s) == std::vector<int>{0, 11});
  std::array<bool, 12> undos{};
  gfn::fill_backward_mask(env, s, {undos.data(), 12});
  for (int a = 0; a < 12; ++a) CHECK(undos[static_cast<std::size_t>(a)] == (a == 0 || a == 11));
}

TEST_CASE("PrependAppendSequence has parallel edges at length 1") {
  const PrependAppendSequence env({.length = 3, .alphabet_size = 4}, wavy);
  STATIC_REQUIRE(gfn::check_environment_concept<decltype(env)>());
  CHECK(env.num_actions() == 8);
  CHECK(gfn::num_backward_actions(env) == 2);
  auto s = env.initial_state();
  auto t = s;
  env.apply(s, 2);
  env.apply(t, 6);
  CHECK(s == t);
  CHECK(gfn::backward_action(env, env.initial_state(), 2) == 0);
  CHECK(gfn::backward_action(env, env.initial_state(), 6) == 1);
  CHECK(gfn::forward_action(env, s, 0) == 2);
  CHECK(gfn::forward_action(env, s, 1) == 6);
  CHECK(legal_actions(env, s).size() == 8);
  env.apply(s, 3);
  env.apply(s, 4);
  CHECK(gfn::describe(s) == "[0 2 3]");
  CHECK(legal_actions(env, s) == std::vector<int>{8});
  CHECK(features(env, s) == std::vector<int>{0, 6, 11});
  CHECK(gfn::forward_action(env, s, 0) == 3);
  CHECK(gfn::forward_action(env, s, 1) == 4);
  t = s;
  env.undo(s, 0);
  CHECK(gfn::describe(s) == "[0 2 _]");
  env.undo(t, 1);
  CHECK(gfn::describe(t) == "[2 3 _]");
  CHECK(features(env, t) == std::vector<int>{2, 7});

  // Two edges from the empty word to each of one symbol, and one or two between the others.
  const PrependAppendSequence binary({.length = 3, .alphabet_size = 2}, wavy);
  const gfn::exact::StateGraph graph(binary);
  std::map<std::pair<int, int>, int> joined;
  for (const gfn::exact::Edge& edge : graph.edges()) ++joined[{edge.source, edge.child}];
  for (int word : {1, 2}) CHECK(joined[{0, word}] == 2);
  CHECK(graph.num_edges() == 4 * (1 + 2 + 4));
}

TEST_CASE("AppendSequence is a tree") {
  const AppendSequence env({.length = 4, .alphabet_size = 3}, wavy);
  STATIC_REQUIRE(gfn::check_environment_concept<decltype(env)>());
  CHECK(env.num_actions() == 3);
  CHECK(gfn::num_backward_actions(env) == 1);
  auto s = env.initial_state();
  for (const int a : {2, 0, 1}) {
    CHECK(legal_actions(env, s) == std::vector<int>{0, 1, 2});
    env.apply(s, a);
  }
  CHECK(gfn::describe(s) == "[2 0 1 _]");
  CHECK(gfn::forward_action(env, s, 0) == 1);
  env.undo(s, 0);
  CHECK(gfn::describe(s) == "[2 0 _ _]");
  const gfn::exact::StateGraph graph(env);
  CHECK(graph.num_edges() == static_cast<std::size_t>(graph.num_states() - 1));
}

TEST_CASE("Sequence environments keep the laws of environments") {
  for (const SequenceOptions& options :
       {SequenceOptions{.length = 5, .alphabet_size = 4}, SequenceOptions{.length = 1, .alphabet_size = 3},
        SequenceOptions{.length = 3, .alphabet_size = 1}}) {
    gfn::testing::check_environment_laws(SlotSequence(options, wavy), gfn::Random(1), {.walks = 20});
    gfn::testing::check_environment_laws(PrependAppendSequence(options, wavy), gfn::Random(2), {.walks = 20});
    gfn::testing::check_environment_laws(AppendSequence(options, wavy), gfn::Random(3), {.walks = 20});
  }
  const gfn::testing::EnvironmentLawOptions few{.walks = 3, .moves_per_state = 4};
  gfn::testing::check_environment_laws(SlotSequence<BatchWavy>({.length = 16, .alphabet_size = 20}, {}), gfn::Random(4),
                                       few);
  gfn::testing::check_environment_laws(SlotSequence<BatchWavy, 40>({.length = 3, .alphabet_size = 300}, {}),
                                       gfn::Random(5), few);
  gfn::testing::check_environment_laws(PrependAppendSequence<BatchWavy, 40>({.length = 40, .alphabet_size = 2}, {}),
                                       gfn::Random(6), few);
  gfn::testing::check_environment_laws(AppendSequence(ShapedWavy()));
}

TEST_CASE("Sequence environments number their states, parents first") {
  for (const SequenceOptions& options :
       {SequenceOptions{.length = 3, .alphabet_size = 4}, SequenceOptions{.length = 5, .alphabet_size = 2},
        SequenceOptions{.length = 1, .alphabet_size = 7}, SequenceOptions{.length = 6, .alphabet_size = 1}}) {
    CAPTURE(options.length, options.alphabet_size);
    check_numbers(SlotSequence(options, wavy));
    check_numbers(PrependAppendSequence(options, wavy));
    check_numbers(AppendSequence(options, wavy));
  }
  CHECK(SlotSequence({.length = 10, .alphabet_size = 4}, wavy).num_states() == 9765625);
  CHECK(PrependAppendSequence({.length = 10, .alphabet_size = 4}, wavy).num_states() == 1398101);
  const PrependAppendSequence words({.length = 3, .alphabet_size = 4}, wavy);
  CHECK(words.index(state(words, {})) == 0);
  CHECK(words.index(state(words, {0})) == 1);
  CHECK(words.index(state(words, {3})) == 4);
  CHECK(words.index(state(words, {0, 0})) == 5);
  CHECK(words.index(state(words, {1, 2})) == 5 + 6);
  CHECK(words.index(state(words, {3, 3, 3})) == 84);

  const SlotSequence large({.length = 16, .alphabet_size = 20}, wavy);
  CHECK_THROWS_AS(large.num_states(), gfn::Error);
  CHECK_THROWS_AS(large.num_objects(), gfn::Error);
  CHECK_THROWS_AS(AppendSequence({.length = 16, .alphabet_size = 20}, wavy).num_states(), gfn::Error);
}

TEST_CASE("Sequence environments hash their states") {
  const SlotSequence env({.length = 6, .alphabet_size = 3}, wavy);
  std::set<std::uint64_t> hashes;
  for (std::int64_t i = 0; i < env.num_states(); ++i) hashes.insert(gfn::hash_state(env, env.state(i)));
  CHECK(static_cast<std::int64_t>(hashes.size()) == env.num_states());
}

TEST_CASE("Sequence environments take any callable as their reward") {
  const SequenceOptions options{.length = 3, .alphabet_size = 2};
  const double scale = 2;
  const SlotSequence lambda(options, [scale](Symbols x) { return scale * wavy(x); });
  const BatchWavy batches;
  const SlotSequence batch(options, batches);
  const SlotSequence function(options, std::function<double(Symbols)>(wavy));
  const ShapedWavy shaped;
  const SlotSequence reference(options, std::cref(shaped));
  const auto s = state(lambda, {1, 0, 1});
  const double expected = wavy(std::array<Symbol, 3>{1, 0, 1});
  CHECK(gfn::log_reward(lambda, s) == 2 * expected);
  CHECK(gfn::log_reward(batch, s) == expected);
  CHECK(gfn::log_reward(function, s) == expected);
  CHECK(gfn::log_reward(reference, s) == expected);

  STATIC_REQUIRE(!gfn::member::log_rewards<decltype(lambda)>);
  STATIC_REQUIRE(!gfn::member::log_reward<decltype(batch)>);
  STATIC_REQUIRE(gfn::Environment<decltype(lambda)>);
  STATIC_REQUIRE(gfn::Environment<decltype(batch)>);
  STATIC_REQUIRE(gfn::SequenceReward<double (*)(Symbols)>);
  STATIC_REQUIRE(gfn::SequenceReward<ShapedWavy>);
  STATIC_REQUIRE(!gfn::SequenceReward<MutableReward>);
  STATIC_REQUIRE(!gfn::SequenceReward<MisspelledBatch>);
  STATIC_REQUIRE(!gfn::SequenceReward<double>);

  // A batch is read where the states stand, and asked for once.
  std::vector<decltype(batch)::State> states;
  for (std::int64_t i = 0; i < batch.num_states(); ++i)
    if (batch.can_exit(batch.state(i))) states.push_back(batch.state(i));
  REQUIRE(states.size() == 8);
  std::vector<double> values(8);
  gfn::log_rewards(batch, std::span<const decltype(batch)::State>(states), std::span(values));
  CHECK(batch.reward().calls == 2);
  for (std::size_t i = 0; i < 8; ++i) CHECK(values[i] == wavy(batch.symbols(states[i])));
}

TEST_CASE("Sequence environments refuse bad options, naming both numbers") {
  CHECK(refusal({.length = 16, .alphabet_size = 32767}, wavy) == "accepted");
  CHECK(refusal({.length = 0}, wavy) == "sequences: the length is 0, it must be between 1 and the capacity 16");
  CHECK(refusal({.length = 17}, wavy) == "sequences: the length is 17, it must be between 1 and the capacity 16");
  CHECK(refusal({.alphabet_size = 0}, wavy) ==
        "sequences: the size of the alphabet is 0, it must be between 1 and 32767");
  CHECK(refusal({.alphabet_size = 32768}, wavy) ==
        "sequences: the size of the alphabet is 32768, it must be between 1 and 32767");
  CHECK(refusal({.length = 3, .alphabet_size = 2}, ShapedWavy()) == "accepted");
  CHECK(refusal({.length = 3, .alphabet_size = 4}, ShapedWavy()) ==
        "sequences: the reward is one of 3 symbols of 2, the environment has 3 symbols of 4");
  CHECK(SlotSequence(ShapedWavy()).options() == SequenceOptions{.length = 3, .alphabet_size = 2});
  CHECK(PrependAppendSequence(ShapedWavy()).length() == 3);
}
