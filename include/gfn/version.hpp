// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

// The one place where the version is written; CMakeLists.txt reads these three lines.
#define GFN_VERSION_MAJOR 0
#define GFN_VERSION_MINOR 2
#define GFN_VERSION_PATCH 0

namespace gfn {

/// A release of gfn. While `major` is 0, releases with the same `minor` are compatible.
struct Version {
  int major = GFN_VERSION_MAJOR;
  int minor = GFN_VERSION_MINOR;
  int patch = GFN_VERSION_PATCH;

  friend constexpr bool operator==(const Version&, const Version&) = default;
};

/// The version of these headers.
inline constexpr Version version{};

}  // namespace gfn
