// SPDX-License-Identifier: MIT
#include <gfn/exact/indexed_distribution.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/exact/distribution.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/sequence.hpp>

#include "catch.hpp"
#include "tabular.hpp"

namespace {

double no_reward(std::span<const gfn::Symbol>) { return 0; }

/// Against the distribution by enumeration; the 1024 states that are evaluated at once are fewer than there are.
template <template <class, int> class Sequence>
void check_against_graph(const gfn::SequenceOptions& options) {
  const Sequence<double (*)(std::span<const gfn::Symbol>), 16> env(options, &no_reward);
  const gfn::exact::StateGraph graph(env);
  auto forward = tabular::random_forward(graph, 1);
  const auto expected = gfn::exact::terminating_distribution(graph, forward);
  std::vector<double> found(expected.size(), -1);
  double sum = 0;
  gfn::exact::for_each_terminal_probability(env, forward, [&](const auto& x, double p) {
    found[static_cast<std::size_t>(graph.terminal_index(graph.find(x)))] = p;
    sum += p;
  });
  CHECK(sum == Approx(1).epsilon(1e-12));
  for (std::size_t x = 0; x < expected.size(); ++x) REQUIRE(found[x] == Approx(expected[x]).epsilon(1e-12));

  const std::vector<double> by_object = gfn::exact::indexed_terminating_distribution(env, forward);
  REQUIRE(by_object.size() == expected.size());
  for (std::size_t x = 0; x < expected.size(); ++x) {
    const auto& object = graph.state(graph.terminal_rows()[x]);
    REQUIRE(by_object[static_cast<std::size_t>(env.object_index(object))] == found[x]);
  }
}

/// A chain whose numbers run down.
struct Downwards {
  using State = int;
  State initial_state() const { return 0; }
  int num_actions() const { return 1; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = s < 2; }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, gfn::Action) const { ++s; }
  double log_reward(const State&) const { return 0; }
  std::int64_t num_states() const { return 3; }
  std::int64_t index(const State& s) const { return 2 - s; }
  State state(std::int64_t index) const { return 2 - static_cast<int>(index); }
};

/// A number from 0 to 3 in two binary digits, whose objects have the numbers that a function gives.
struct TwoDigits {
  using State = int;  // 0: none, 1 + a: the first digit, 3 + 2 a + b: both
  std::int64_t (*number)(int);
  std::int64_t count;
  State initial_state() const { return 0; }
  int num_actions() const { return 2; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = legal[1] = s < 3; }
  bool can_exit(const State& s) const { return s >= 3; }
  void apply(State& s, gfn::Action a) const { s = 2 * s + 1 + a; }
  double log_reward(const State&) const { return 0; }
  std::int64_t num_states() const { return 7; }
  std::int64_t index(const State& s) const { return s; }
  State state(std::int64_t index) const { return static_cast<int>(index); }
  std::int64_t num_objects() const { return count; }
  std::int64_t object_index(const State& s) const { return number(s); }
  State object(std::int64_t) const { return 0; }
};

std::string object_refusal(std::int64_t (*number)(int), std::int64_t count = 4) {
  const TwoDigits env{number, count};
  auto forward = gfn::uniform_forward(env);
  try {
    static_cast<void>(gfn::exact::indexed_terminating_distribution(env, forward));
  } catch (const gfn::Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("Objects that are not numbered one by one are refused") {
  CHECK(object_refusal([](int s) -> std::int64_t { return s - 3; }) == "accepted");
  CHECK(object_refusal([](int s) -> std::int64_t { return s - 2; }) ==
        "object 6 has the number 4, there are 4 objects");
  CHECK(object_refusal([](int s) -> std::int64_t { return s - 4; }) ==
        "object 3 has the number -1, there are 4 objects");
  CHECK(object_refusal([](int s) -> std::int64_t { return s / 5; }) ==
        "object 4 has the number 0, as another object has");
  CHECK(object_refusal([](int s) -> std::int64_t { return s - 3; }, 5) ==
        "indexed_terminating_distribution: 4 objects were found of 5");
}

TEST_CASE("The distribution by the numbers of the states is that by enumeration") {
  check_against_graph<gfn::SlotSequence>({.length = 4, .alphabet_size = 6});
  check_against_graph<gfn::AppendSequence>({.length = 5, .alphabet_size = 4});
  check_against_graph<gfn::PrependAppendSequence>({.length = 5, .alphabet_size = 4});
}

TEST_CASE("Numbers that do not put parents first are refused") {
  const Downwards env;
  auto forward = gfn::uniform_forward(env);
  std::string message;
  try {
    gfn::exact::for_each_terminal_probability(env, forward, [](int, double) {});
  } catch (const gfn::Error& error) {
    message = error.what();
  }
  CHECK(message.find("state 1 has the number 1, and its child 2 the number 0") != std::string::npos);
}
