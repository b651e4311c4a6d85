// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/eigen.hpp>

namespace gfn {

/// A dense matrix, row-major: one sample per row.
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// A column of numbers.
template <class T>
using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// What an operation reads: a row-major block that somebody else owns.
template <class T>
using In = Eigen::Map<const Matrix<T>>;
/// What an operation writes.
template <class T>
using Out = Eigen::Map<Matrix<T>>;

/// Rows and columns of a block.
struct Shape {
  Eigen::Index rows = 0;
  Eigen::Index cols = 0;
  friend bool operator==(const Shape&, const Shape&) = default;
  Eigen::Index size() const { return rows * cols; }
};

/// Whether a cotangent is wanted, or a tangent is there: a map that stands for nothing has no data.
template <class Map>
[[nodiscard]] bool present(const Map& map) {
  return map.data() != nullptr;
}

}  // namespace gfn
