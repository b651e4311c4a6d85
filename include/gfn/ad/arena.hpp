// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

#include <gfn/core/aligned_buffer.hpp>

namespace gfn {

/// Memory that is handed out in 64-byte aligned pieces and taken back all at once. `clear` keeps what was ever needed,
/// merged into one block: the next pass of the same size or less does not allocate.
class Arena {
 public:
  /// Uninitialised room for `count` values of a trivial type.
  template <class T>
  T* allocate(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignment);
    const std::size_t bytes = std::max<std::size_t>((count * sizeof(T) + alignment - 1) / alignment, 1) * alignment;
    if (blocks_.empty() || used_ + bytes > blocks_.back().size()) add_block(bytes);
    T* piece = reinterpret_cast<T*>(blocks_.back().data() + used_);
    used_ += bytes;
    return piece;
  }

  void clear() noexcept {
    used_ = 0;
    if (blocks_.size() <= 1) return;
    std::size_t total = 0;
    for (const auto& block : blocks_) total += block.size();
    blocks_.clear();
    try {
      blocks_.emplace_back(total);
    } catch (const std::bad_alloc&) {  // the next pass asks for what it needs
    }
  }

 private:
  void add_block(std::size_t bytes) {
    const std::size_t last = blocks_.empty() ? std::size_t{1} << 16 : 2 * blocks_.back().size();
    blocks_.emplace_back(std::max(bytes, last));
    used_ = 0;
  }

  std::vector<AlignedBuffer<std::byte>> blocks_;
  std::size_t used_ = 0;
};

}  // namespace gfn
