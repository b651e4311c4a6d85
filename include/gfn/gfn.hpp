// SPDX-License-Identifier: MIT
#pragma once

/// Everything in gfn that needs only Eigen.

#include <gfn/version.hpp>
