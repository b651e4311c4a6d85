// SPDX-License-Identifier: MIT
#include <gfn/version.hpp>

#include "catch.hpp"

TEST_CASE("the headers' version is the package's") {
  CHECK(gfn::version ==
        gfn::Version{.major = GFN_VERSION_MAJOR, .minor = GFN_VERSION_MINOR, .patch = GFN_VERSION_PATCH});
}
