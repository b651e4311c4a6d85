// SPDX-License-Identifier: MIT
#include <gfn/environment/state_hash.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/environment/state_table.hpp>

#include "catch.hpp"

namespace {

using gfn::hash_of;

enum class Colour : std::uint8_t { red, green };

struct Byte {
  std::uint8_t value;
  bool operator==(const Byte&) const = default;
};
struct Point {
  std::int32_t x, y;
  bool operator==(const Point&) const = default;
};

/// Choose items that fit into a size. Its states hold a vector, and so have no hash but that of the environment.
struct Packing {
  struct State {
    std::vector<int> items;
    int size = 0;
    bool operator==(const State&) const = default;
  };
  State initial_state() const { return {}; }
  int num_actions() const { return 3; }
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < 3; ++i) legal[i] = s.size + i < 4;
  }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, gfn::Action a) const {
    s.items.push_back(a);
    s.size += a + 1;
  }
  double log_reward(const State& s) const { return s.size; }
  std::uint64_t hash(const State& s) const { return hash_of(s.items, s.size); }
};

}  // namespace

TEST_CASE("hash_of tells members, their order and their bounds apart") {
  CHECK(hash_of(1, 2) == hash_of(1, 2));
  CHECK(hash_of(1, 2) != hash_of(2, 1));
  CHECK(hash_of(0) != hash_of(0, 0));
  CHECK(hash_of(std::vector<int>{1}, 2) != hash_of(std::vector<int>{1, 2}, 0));
  CHECK(hash_of(std::vector<int>{1}, std::vector<int>{}) != hash_of(std::vector<int>{}, std::vector<int>{1}));
  CHECK(hash_of(std::string("ab"), std::string("c")) != hash_of(std::string("a"), std::string("bc")));
  CHECK(hash_of(true, Colour::red) != hash_of(true, Colour::green));
  CHECK(hash_of(std::array{1, 2}) == hash_of(std::array{1, 2}));
  CHECK(hash_of(std::array{1, 2}) != hash_of(std::array{2, 1}));
  CHECK(hash_of(Point{1, 2}, 0) != hash_of(Point{2, 1}, 0));
  const int items[2][2] = {{1, 2}, {3, 4}};
  const int others[2][2] = {{1, 2}, {4, 3}};
  CHECK(hash_of(items) != hash_of(others));

  using Nested = std::vector<std::pair<std::string, std::array<std::deque<Colour>, 2>>>;
  const Nested nested{{"a", {{{Colour::red}, {}}}}};
  CHECK(hash_of(nested) == hash_of(Nested(nested)));
  CHECK(hash_of(nested) != hash_of(Nested{{"a", {{{}, {Colour::red}}}}}));

  std::set<std::uint64_t> hashes;
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < 64; ++j) hashes.insert(hash_of(i, std::vector<int>{j}));
  CHECK(hashes.size() == 4096);
}

TEST_CASE("hash_of gives equal hashes to equal members, whatever their bytes") {
  SECTION("floating-point numbers") {
    CHECK(hash_of(0.0) == hash_of(-0.0));
    CHECK(hash_of(0.0F) == hash_of(-0.0F));
    CHECK(hash_of(0.0L) == hash_of(-0.0L));
    CHECK(hash_of(std::array{0.0, 1.0}) == hash_of(std::array{-0.0, 1.0}));
    CHECK(hash_of(std::pair(1, 0.0F)) == hash_of(std::pair(1, -0.0F)));
    CHECK(hash_of(std::optional(0.0)) == hash_of(std::optional(-0.0)));
    CHECK(hash_of(0.5) != hash_of(0.25));
    CHECK(hash_of(std::numeric_limits<double>::denorm_min()) != hash_of(0.0));
  }
  SECTION("unordered sets") {
    std::unordered_set<int> many;
    for (int i = 1000; i > 0; --i) many.insert(i);
    for (int i = 1000; i > 3; --i) many.erase(i);
    CHECK(hash_of(many, 1) == hash_of(std::unordered_set<int>{1, 2, 3}, 1));
  }
  SECTION("vectors of bool, past the ends of which lies what was there before") {
    std::vector<bool> grown;
    for (int i = 0; i < 70; ++i) grown.push_back(true);
    grown.resize(3);
    CHECK(hash_of(grown) == hash_of(std::vector<bool>{true, true, true}));
    CHECK(hash_of(grown) != hash_of(std::vector<bool>{true, true, false}));
    CHECK(hash_of(grown) != hash_of(std::vector<bool>{true, true, true, false}));
  }
}

TEST_CASE("an optional member is hashed by its value, or as none") {
  using Items = std::optional<std::vector<int>>;
  CHECK(hash_of(Items({1, 2})) == hash_of(Items({1, 2})));
  CHECK(hash_of(Items({1, 2})) != hash_of(Items({2, 1})));
  CHECK(hash_of(Items()) != hash_of(Items(std::vector<int>())));
  CHECK(hash_of(std::optional<int>()) != hash_of(std::optional<int>(0)));
  CHECK(hash_of(std::optional<Point>()) != hash_of(std::optional<Point>({0, 0})));
  // What an empty one held before must not count.
  std::optional<Byte> emptied = Byte{7};
  emptied.reset();
  CHECK(hash_of(emptied) == hash_of(std::optional<Byte>()));
  CHECK(hash_of(std::tuple(emptied, 1)) == hash_of(std::tuple(std::optional<Byte>(), 1)));
}

TEST_CASE("an environment hashes its states by hash_of") {
  STATIC_REQUIRE(!gfn::detail::has_value_hash<Packing::State>());
  STATIC_REQUIRE(gfn::has_state_hash<Packing>);
  const Packing env;
  gfn::StateTable<Packing> table(env);
  CHECK(table.find_or_add({{0, 1}, 3}) == 0);
  CHECK(table.find_or_add({{1, 0}, 3}) == 1);
  CHECK(table.find_or_add({{0, 1}, 3}) == 0);
}
