// expect: a fault
// SPDX-License-Identifier: MIT
#include <gfn/version.hpp>

template <int n>
struct Faults : Faults<n - 1> {
  static_assert(n < 0, "a fault");
};
template <>
struct Faults<0> {};

template struct Faults<30>;
