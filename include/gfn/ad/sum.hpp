// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <type_traits>

namespace gfn::detail {

/// What many numbers are summed in: double for floats, else their own type.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, float>, double, T>;

}  // namespace gfn::detail
