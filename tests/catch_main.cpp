// SPDX-License-Identifier: MIT
// The main function of every test program with Catch2 2.13; Catch2 3.x brings its own.
#define CATCH_CONFIG_MAIN
#include "catch.hpp"
