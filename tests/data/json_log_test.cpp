// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

#include <gfn/data/json_log.hpp>

#include "catch.hpp"

namespace fs = std::filesystem;

TEST_CASE("numbers in JSON are read back as they were") {
  for (const double x : {0.1, 1.0 / 3, -1e-300, 5e-324, 1.7976931348623157e308, 12345678901234567.0, 0.0}) {
    const std::string text = gfn::JsonObject().add("x", x).text();
    CHECK(std::strtod(text.c_str() + 6, nullptr) == x);
  }
  const float f = 0.1f;
  CHECK(gfn::JsonObject().add("x", f).text() == "{\"x\": 0.1}");
  CHECK(gfn::JsonObject().add("x", ~std::uint64_t{0}).add("y", -7).text() ==
        "{\"x\": 18446744073709551615, \"y\": -7}");
}

TEST_CASE("JSON has no NaN, no infinity and no bare quotes") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(gfn::JsonObject().add("a", std::nan("")).add("b", infinity).add("c", -infinity).text() ==
        "{\"a\": null, \"b\": null, \"c\": null}");
  CHECK(gfn::JsonObject().add("a \"b\"", "c\\d\n\x01").add("t", true).text() ==
        "{\"a \\\"b\\\"\": \"c\\\\d\\u000a\\u0001\", \"t\": true}");
  CHECK(gfn::JsonObject().text() == "{}");
}

TEST_CASE("a log has one object a line, at once") {
  const fs::path path = fs::temp_directory_path() / ("gfn_json_log_test_" + std::to_string(::getpid()));
  {
    gfn::JsonLog log(path);
    log.write(gfn::JsonObject().add("iteration", 1));
    CHECK(gfn::read_file(path) == "{\"iteration\": 1}\n");
  }
  {
    gfn::JsonLog log(path, gfn::JsonLog::Mode::append);
    log.write(gfn::JsonObject().add("iteration", 2));
  }
  CHECK(gfn::read_file(path) == "{\"iteration\": 1}\n{\"iteration\": 2}\n");
  { gfn::JsonLog log(path); }
  CHECK(gfn::read_file(path).empty());
  fs::remove(path);
  CHECK_THROWS_AS(gfn::JsonLog(path / "below"), gfn::Error);
  if (fs::exists("/dev/full")) {
    gfn::JsonLog log("/dev/full");
    CHECK_THROWS_AS(log.write(gfn::JsonObject()), gfn::Error);
  }
}
