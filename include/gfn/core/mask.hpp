// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <gfn/core/error.hpp>

namespace gfn {

/// A dense, mutable mask over actions that somebody else owns: `legal[a] = true` marks action a as legal.
/// Wherever the library hands one to an environment, it arrives cleared.
class Mask {
 public:
  Mask(bool* data, int size) : data_(data), size_(size) {}

  bool& operator[](int action) const {
    GFN_ASSERT(action >= 0 && action < size_);
    return data_[action];
  }
  int size() const { return size_; }
  bool* begin() const { return data_; }
  bool* end() const { return data_ + size_; }
  void clear() const { std::fill(begin(), end(), false); }

 private:
  bool* data_;
  int size_;
};

/// The same, to be read.
using ConstMask = std::span<const bool>;

/// How many actions a mask allows.
[[nodiscard]] inline int count_legal(ConstMask legal) {
  return static_cast<int>(std::count(legal.begin(), legal.end(), true));
}

}  // namespace gfn
