// SPDX-License-Identifier: MIT
#pragma once

// Catch2 2.13 and 3.x under one name. Tests keep to what both have.

#if __has_include(<catch2/catch_test_macros.hpp>)  // 3.x
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
using Catch::Approx;  // already global in 2.13
#else                 // 2.13
#include <catch2/catch.hpp>
#endif
