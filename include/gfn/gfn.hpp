// SPDX-License-Identifier: MIT
#pragma once

/// Everything in gfn that needs only Eigen.

#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/hypergrid.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/version.hpp>
