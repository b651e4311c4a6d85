// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

namespace gfn {

/// A discrete action. Forward actions are numbered 0 … num_actions() − 1 for the life of an environment;
/// the exit (end here, at this object) has the forward index num_actions(), and is never a backward action.
using Action = int;

/// The mark for "no row", "no action", "no child".
inline constexpr int none = -1;

}  // namespace gfn
