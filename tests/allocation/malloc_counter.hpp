// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdlib>  // defines __GLIBC__, where it is

/// How many times this program has asked for memory so far: malloc and all its relatives, operator new included.
/// Counted by standing in for the functions of glibc; elsewhere nothing is counted.
std::int64_t allocations();

/// Whether there is a count.
constexpr bool allocations_are_counted() {
#ifdef __GLIBC__
  return true;
#else
  return false;
#endif
}
