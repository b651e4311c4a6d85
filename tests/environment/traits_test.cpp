// SPDX-License-Identifier: MIT
#include <gfn/environment/traits.hpp>

#include <array>
#include <bitset>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"

namespace {

using environments::PrependAppend;
using environments::Subsets;

/// Rewards in batches only, and nothing to undo with.
struct Countdown {
  using State = int;
  double reward_at_one = 1.0;
  mutable int calls = 0;

  State initial_state() const { return 3; }
  int num_actions() const { return 1; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = s > 0; }
  bool can_exit(const State& s) const { return s < 3; }
  void apply(State& s, gfn::Action) const { --s; }
  void log_rewards(std::span<const State> states, std::span<double> out) const {
    ++calls;
    for (std::size_t i = 0; i < states.size(); ++i) out[i] = states[i] == 1 ? reward_at_one : -states[i];
  }
};

/// Any type as the state of an environment.
template <class T>
struct Holds {
  using State = T;
  State initial_state() const { return {}; }
  int num_actions() const { return 0; }
  void legal_actions(const State&, gfn::Mask) const {}
  bool can_exit(const State&) const { return true; }
  void apply(State&, gfn::Action) const {}
  double log_reward(const State&) const { return 0; }
};

template <class T>
std::uint64_t hash_of(const T& x) {
  return gfn::hash_state(Holds<T>(), x);
}

struct Padded {
  int number;
  char letter;
  bool operator==(const Padded&) const = default;
};
struct Dense {
  std::int32_t first, second;
  bool operator==(const Dense&) const = default;
};
struct Real {
  double x;
  bool operator==(const Real&) const = default;
};
struct Opaque {
  std::string text;
  bool operator==(const Opaque&) const = default;
};
enum class Colour : std::uint8_t { red, green };

}  // namespace

TEST_CASE("environments climb the ladder of concepts") {
  STATIC_REQUIRE(gfn::check_environment_concept<gfn::HyperGrid>());
  STATIC_REQUIRE(gfn::check_environment_concept<Subsets>());
  STATIC_REQUIRE(gfn::check_environment_concept<PrependAppend>());
  STATIC_REQUIRE(gfn::check_encoding_concept<PrependAppend>());
  STATIC_REQUIRE(gfn::check_forward_environment_concept<Countdown>());
  STATIC_REQUIRE(gfn::Environment<gfn::HyperGrid>);
  STATIC_REQUIRE(gfn::Environment<Subsets>);
  STATIC_REQUIRE(gfn::Environment<PrependAppend>);
  STATIC_REQUIRE(gfn::EncodedEnvironment<Subsets>);
  STATIC_REQUIRE(gfn::ForwardEnvironment<Countdown>);
  STATIC_REQUIRE(!gfn::Environment<Countdown>);
  STATIC_REQUIRE(!gfn::EncodedEnvironment<Countdown>);
  STATIC_REQUIRE(!gfn::ForwardEnvironment<int>);
}

TEST_CASE("backward actions default to the forward number") {
  const Subsets subsets;
  const Subsets::State none_chosen;
  CHECK(gfn::num_backward_actions(subsets) == 20);
  CHECK(gfn::backward_action(subsets, none_chosen, 7) == 7);
  CHECK(gfn::forward_action(subsets, Subsets::State(128), 7) == 7);

  const PrependAppend words{.letters = 3, .length = 4};
  CHECK(gfn::num_forward_choices(words) == 7);
  CHECK(gfn::num_backward_actions(words) == 2);
  CHECK(gfn::backward_action(words, "ab", 2) == 0);
  CHECK(gfn::backward_action(words, "ab", 5) == 1);
  CHECK(gfn::forward_action(words, "abc", 0) == 2);
  CHECK(gfn::forward_action(words, "bca", 1) == 4);
}

TEST_CASE("masks are cleared and filled, the exit last") {
  const Subsets subsets{.n = 4, .k = 2};
  std::array<bool, 5> legal{true, true, true, true, true};
  gfn::fill_forward_mask(subsets, Subsets::State(0b0010), {legal.data(), 5});
  CHECK(legal == std::array<bool, 5>{true, false, true, true, false});
  gfn::fill_forward_mask(subsets, Subsets::State(0b0110), {legal.data(), 5});
  CHECK(legal == std::array<bool, 5>{false, false, false, false, true});
  gfn::fill_backward_mask(subsets, Subsets::State(0b0110), {legal.data(), 4});
  CHECK(legal == std::array<bool, 5>{false, true, true, false, true});
}

TEST_CASE("rewards come in one batch, and impossible ones are refused with the state") {
  const std::vector<int> states{0, 1, 2};
  std::vector<double> values(3);
  Countdown env;
  gfn::log_rewards(env, std::span<const int>(states), std::span<double>(values));
  CHECK(values == std::vector<double>{0, 1, -2});
  CHECK(env.calls == 1);
  CHECK(gfn::log_reward(env, 2) == -2);

  env.reward_at_one = -std::numeric_limits<double>::infinity();
  CHECK(gfn::log_reward(env, 1) == env.reward_at_one);
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    env.reward_at_one = bad;
    CHECK_THROWS_AS(gfn::log_reward(env, 1), gfn::Error);
    std::string message;
    try {
      gfn::log_rewards(env, std::span<const int>(states), std::span<double>(values));
    } catch (const gfn::Error& error) {
      message = error.what();
    }
    CHECK(message.find("the log-reward of the state 1 is " + gfn::describe(bad)) == 0);
  }
}

TEST_CASE("states are hashed by the environment, by std::hash or by the library") {
  STATIC_REQUIRE(gfn::has_state_hash<gfn::HyperGrid>);
  STATIC_REQUIRE(gfn::has_state_hash<Subsets>);
  STATIC_REQUIRE(gfn::has_state_hash<Holds<std::vector<std::int8_t>>>);
  STATIC_REQUIRE(gfn::has_state_hash<Holds<std::vector<std::vector<double>>>>);
  STATIC_REQUIRE(gfn::has_state_hash<Holds<std::map<int, std::string>>>);
  STATIC_REQUIRE(gfn::has_state_hash<Holds<std::tuple<int, Dense, std::set<int>>>>);
  STATIC_REQUIRE(gfn::has_state_hash<Holds<std::array<Dense, 3>>>);
  STATIC_REQUIRE(!gfn::has_state_hash<Holds<Padded>>);
  STATIC_REQUIRE(!gfn::has_state_hash<Holds<Real>>);
  STATIC_REQUIRE(!gfn::has_state_hash<Holds<Opaque>>);
  STATIC_REQUIRE(!gfn::has_state_hash<Holds<std::vector<Padded>>>);
  STATIC_REQUIRE(!gfn::has_state_hash<Holds<std::pair<int, Opaque>>>);

  CHECK(hash_of(std::string("abc")) == std::hash<std::string>()("abc"));
  CHECK(hash_of(Dense{1, 2}) == hash_of(Dense{1, 2}));
  CHECK(hash_of(Dense{1, 2}) != hash_of(Dense{2, 1}));
  CHECK(hash_of(std::vector<double>{0.0}) == hash_of(std::vector<double>{-0.0}));
  CHECK(hash_of(std::vector<int>{}) != hash_of(std::vector<int>{0}));
  CHECK(hash_of(std::vector<std::vector<int>>{{1}, {2}}) != hash_of(std::vector<std::vector<int>>{{1, 2}, {}}));
  CHECK(hash_of(std::pair<int, int>{1, 2}) != hash_of(std::pair<int, int>{2, 1}));

  // Equal sets may hold their elements in different orders.
  std::unordered_set<int> few{1, 2, 3};
  std::unordered_set<int> many;
  for (int i = 1000; i > 0; --i) many.insert(i);
  for (int i = 1000; i > 3; --i) many.erase(i);
  REQUIRE(few == many);
  CHECK(hash_of(few) == hash_of(many));

  std::set<std::uint64_t> hashes;
  for (int i = 0; i < 4096; ++i) {
    std::vector<std::int8_t> digits;
    for (int k = 0; k < 12; ++k) digits.push_back(static_cast<std::int8_t>((i >> k & 1) - 1));
    hashes.insert(hash_of(digits));
  }
  CHECK(hashes.size() == 4096);
}

TEST_CASE("states are described in words") {
  CHECK(gfn::describe(7) == "7");
  CHECK(gfn::describe(0.5) == "0.5");
  CHECK(gfn::describe(std::string("abc")) == "abc");
  CHECK(gfn::describe(std::vector<int>{1, 2, 3}) == "[1, 2, 3]");
  CHECK(gfn::describe(std::array<std::int8_t, 2>{-1, 10}) == "[-1, 10]");
  CHECK(gfn::describe(std::vector<char>{'a', '\0'}) == "[a, 0]");
  CHECK(gfn::describe(std::vector<bool>{true, false}) == "[1, 0]");
  CHECK(gfn::describe(std::vector<std::vector<int>>{{1}, {}}) == "[[1], []]");
  CHECK(gfn::describe(std::map<int, Colour>{{1, Colour::green}}) == "[(1, 1)]");
  CHECK(gfn::describe(std::bitset<4>(5)) == "0101");
  CHECK(gfn::describe(Real{0.0}) == "the bytes 00 00 00 00 00 00 00 00");
  CHECK(gfn::describe(Opaque{"abc"}) == "a state that can't be printed (no operator<<)");
}
