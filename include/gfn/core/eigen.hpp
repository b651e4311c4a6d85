// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

/// Eigen/Core without its warnings in a user's build.

// g++ takes a warning for one of the place where the code stands that it is about, wherever that has been inlined. In
// Eigen these are of no use to a user, and whether they appear must not depend on how its folder is included. In the
// AVX-512 intrinsics, which Eigen includes, g++ 12 takes its own "undefined" registers for uninitialised variables.
//
// Where a program has included Eigen before gfn the places are another's. Hence GFN_VECTOR_CODE_BEGIN and _END around
// those functions of gfn into which the intrinsics are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#define GFN_VECTOR_CODE_BEGIN                                                          \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")
#define GFN_VECTOR_CODE_END _Pragma("GCC diagnostic pop")
#else
#define GFN_VECTOR_CODE_BEGIN
#define GFN_VECTOR_CODE_END
#endif

GFN_VECTOR_CODE_BEGIN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#include <Eigen/Core>
#pragma GCC diagnostic pop
GFN_VECTOR_CODE_END
