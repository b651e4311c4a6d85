// SPDX-License-Identifier: MIT
#pragma once

// What gfn asks of the compiler's flags. It is the first that any header of gfn includes, by itself or by another, so
// that these sentences come before all other messages. Compilers go on after #error, to hundreds of messages that mean
// nothing; an include of what is not there stops them.

#if __cplusplus <= 201703L  // g++ 10 says 201709 for -std=c++20
#error "gfn needs C++20: compile with -std=c++20 or newer"
#include <see the error above>
#elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "gfn's log-space arithmetic needs infinities and NaN: add -fno-finite-math-only after -ffast-math or -Ofast"
#include <see the error above>
#endif
