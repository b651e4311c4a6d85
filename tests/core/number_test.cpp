// SPDX-License-Identifier: MIT
#include <gfn/core/number.hpp>

#include <string>

#include "catch.hpp"

namespace {

template <class T>
bool reads(const std::string& text, T expected) {
  T value{};
  return gfn::parse_number(text, value) && value == expected;
}
template <class T>
bool refuses(const std::string& text) {
  T value = 5;
  return !gfn::parse_number(text, value) && value == 5;
}

}  // namespace

TEST_CASE("Numbers may have a sign, plus as well as minus") {
  CHECK(reads("+1", 1));
  CHECK(reads("-1", -1));
  CHECK(reads("+1", 1.0));
  CHECK(reads("+1.5e+2", 150.0));
  CHECK(reads("-1.5e-1", -0.15));
  for (const std::string text : {"", "+", "-", "+-1", "-+1", "++1", "--1", "+ 1", " 1", "1 ", "1x"}) {
    CHECK(refuses<int>(text));
    CHECK(refuses<double>(text));
  }
  CHECK(refuses<int>("1.5"));
  CHECK(refuses<int>("99999999999"));
  CHECK(refuses<double>("1e999"));
}
