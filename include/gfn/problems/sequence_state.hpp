// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>

namespace gfn {

/// A symbol of a sequence: 0 … alphabet size − 1.
using Symbol = std::int16_t;

/// A place of a sequence that no symbol has been put in yet.
inline constexpr Symbol empty_place = -1;
/// A place beyond the end of a sequence.
inline constexpr Symbol no_place = -2;

/// The state of a sequence environment: up to Capacity symbols, inline.
template <int Capacity>
struct SequenceState {
  static_assert(Capacity >= 1 && Capacity <= 4096, "SequenceState: the capacity is between 1 and 4096");

  std::array<Symbol, std::size_t{Capacity}> places;

  Symbol operator[](int place) const { return places[static_cast<std::size_t>(place)]; }
  Symbol& operator[](int place) { return places[static_cast<std::size_t>(place)]; }
  friend bool operator==(const SequenceState&, const SequenceState&) = default;
  friend std::ostream& operator<<(std::ostream& out, const SequenceState& s) {
    out << '[';
    for (int i = 0; i < Capacity && s[i] != no_place; ++i) {
      if (i > 0) out << ' ';
      if (s[i] == empty_place)
        out << '_';
      else
        out << s[i];
    }
    return out << ']';
  }
};

/// Sequences of one length, read where the states stand.
class SequenceRows {
 public:
  template <int Capacity>
  SequenceRows(std::span<const SequenceState<Capacity>> states, int length)
      : first_(reinterpret_cast<const Symbol*>(states.data())),
        stride_(std::size_t{Capacity}),
        count_(states.size()),
        length_(static_cast<std::size_t>(length)) {
    static_assert(sizeof(SequenceState<Capacity>) == Capacity * sizeof(Symbol));
  }

  std::size_t size() const { return count_; }
  std::span<const Symbol> operator[](std::size_t row) const { return {first_ + row * stride_, length_}; }

 private:
  const Symbol* first_;
  std::size_t stride_;
  std::size_t count_;
  std::size_t length_;
};

/// The number of a sequence among all of its length, in lexicographic order: big-endian, to the base of the alphabet's
/// size. Modulo 2⁶⁴.
[[nodiscard]] inline std::uint64_t sequence_index(std::span<const Symbol> sequence, int alphabet_size) {
  std::uint64_t index = 0;
  for (const Symbol symbol : sequence)
    index = index * static_cast<std::uint64_t>(alphabet_size) + static_cast<std::uint64_t>(symbol);
  return index;
}

}  // namespace gfn
