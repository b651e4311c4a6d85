// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <gfn/core/action.hpp>

namespace gfn {

/// Stirs 64 bits so that every bit depends on all (the finaliser of MurmurHash3 with Stafford's constants, mix 13).
[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// A flat hash table from hashes to row numbers, with linear probing. The rows live elsewhere, and equality is the
/// caller's. Clearing is O(1): entries carry the epoch in which they were written.
class HashIndex {
 public:
  HashIndex() : slots_(16) {}

  /// Forgets all entries and keeps the memory.
  void clear() {
    size_ = 0;
    if (++epoch_ == 0) {  // the epochs have wrapped around: old marks could come alive
      slots_.assign(slots_.size(), Slot{});
      epoch_ = 1;
    }
  }

  /// The row with this hash for which equal(row) holds, or none.
  template <class Equal>
  int find(std::uint64_t hash, Equal&& equal) const {
    const Slot& slot = slots_[probe(mix_bits(hash), equal)];
    return slot.epoch == epoch_ ? slot.row : none;
  }

  /// The same; where there is none, enters `row` under the hash and returns none.
  template <class Equal>
  int find_or_insert(std::uint64_t hash, int row, Equal&& equal) {
    const int found = find(hash, equal);
    if (found == none) insert(hash, row);
    return found;
  }
  /// Enters a row that is not there yet.
  void insert(std::uint64_t hash, int row) {
    reserve_one();
    hash = mix_bits(hash);
    slots_[probe(hash, [](int) { return false; })] = {hash, epoch_, row};
    ++size_;
  }
  /// Makes room for one row more: the next `insert` then never throws.
  void reserve_one() {
    if (2 * (size_ + 1) > slots_.size()) grow();
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t epoch = 0;
    int row = none;
  };

  /// The slot that holds the entry, or the free one where it would go.
  template <class Equal>
  std::size_t probe(std::uint64_t hash, Equal&& equal) const {
    const std::size_t last = slots_.size() - 1;  // the size is a power of two
    std::size_t i = hash & last;
    while (slots_[i].epoch == epoch_ && !(slots_[i].hash == hash && equal(slots_[i].row))) i = (i + 1) & last;
    return i;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.epoch == epoch_) slots_[probe(slot.hash, [](int) { return false; })] = slot;
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::uint32_t epoch_ = 1;
};

}  // namespace gfn
