// SPDX-License-Identifier: MIT
#include <gfn/environment/describe.hpp>

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>

#include "catch.hpp"

namespace {

struct Bytes {
  double x;
};
struct Opaque {
  std::string text;
};
struct Printed {
  std::string text;
  friend std::ostream& operator<<(std::ostream& out, const Printed& printed) { return out << printed.text; }
};
enum class Colour : std::uint8_t { red, green };

/// A value of type T, and whether its description holds no excuse.
template <class T>
bool describes(const T& x) {
  return gfn::describe(x).find("can't be printed") == std::string::npos;
}

/// Whether is_describable says of a T what describe does of one.
template <class T>
bool agrees(const T& x) {
  return gfn::is_describable<T> == describes(x);
}

}  // namespace

TEST_CASE("is_describable is false where describe can't print a state, or a part of it") {
  STATIC_REQUIRE(gfn::is_describable<int>);
  STATIC_REQUIRE(gfn::is_describable<const Printed&>);
  STATIC_REQUIRE(!gfn::is_describable<Opaque>);
  STATIC_REQUIRE(!gfn::is_describable<const Opaque&>);
  STATIC_REQUIRE(!gfn::is_describable<std::vector<Opaque>>);
  STATIC_REQUIRE(!gfn::is_describable<std::tuple<int, std::vector<std::array<Opaque, 1>>>>);

  CHECK(agrees('a'));
  CHECK(agrees(0.5));
  CHECK(agrees(Colour::green));
  CHECK(agrees(Bytes{0}));
  CHECK(agrees(Printed{"a"}));
  CHECK(agrees(Opaque{"a"}));
  CHECK(agrees(std::bitset<4>(5)));
  CHECK(agrees(std::vector<bool>{true}));
  CHECK(agrees(std::vector<Bytes>{{0}}));
  CHECK(agrees(std::vector<Printed>{{"a"}}));
  CHECK(agrees(std::vector<Opaque>{{"a"}}));
  CHECK(agrees(std::array<std::vector<Opaque>, 1>{{{{"a"}}}}));
  CHECK(agrees(std::map<int, Colour>{{1, Colour::red}}));
  CHECK(agrees(std::map<int, Opaque>{{1, {"a"}}}));
  CHECK(agrees(std::pair<int, Printed>{1, {"a"}}));
  CHECK(agrees(std::pair<int, Opaque>{1, {"a"}}));
  CHECK(agrees(std::tuple<>()));
  CHECK(agrees(std::tuple<std::vector<std::pair<Opaque, int>>, int>{{{{"a"}, 1}}, 1}));
}

TEST_CASE("a state can be named by the actions that lead to it") {
  CHECK(gfn::describe_actions({}) == "(the initial one)");
  CHECK(gfn::describe_actions(std::vector<gfn::Action>{7}) == "(reached by the action 7)");
  CHECK(gfn::describe_actions(std::vector<gfn::Action>{0, 2, 1}) == "(reached by the actions 0, 2, 1)");
}
