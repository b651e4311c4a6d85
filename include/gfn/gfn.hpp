// SPDX-License-Identifier: MIT
#pragma once

/// Everything in gfn that needs only Eigen.

#include <gfn/ad/affine.hpp>
#include <gfn/ad/arena.hpp>
#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/dual.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/matrix.hpp>
#include <gfn/ad/operation.hpp>
#include <gfn/ad/parameters.hpp>
#include <gfn/ad/product.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/softmax.hpp>
#include <gfn/ad/sparse_affine.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/hypergrid.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/version.hpp>
