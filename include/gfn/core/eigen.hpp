// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

/// Eigen/Core without its warnings in a user's build.

// g++ takes a warning for one of the place where the code stands that it is about, wherever that has been inlined. In
// Eigen these are of no use to a user, and whether they appear must not depend on how its folder is included. In the
// AVX-512 intrinsics, which Eigen includes, g++ 12 takes its own "undefined" registers for uninitialised variables.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
