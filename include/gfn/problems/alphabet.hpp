// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/problems/sequence_state.hpp>

namespace gfn {

/// The letters of sequences: the symbol i is written as the i-th character.
class Alphabet {
 public:
  /// Throws std::invalid_argument where `letters` is empty or holds one twice.
  explicit Alphabet(std::string letters) : letters_(std::move(letters)) {
    require(!letters_.empty(), "Alphabet: there are no letters");
    for (std::size_t i = 0; i < letters_.size(); ++i)
      require(letters_.find(letters_[i]) == i, "Alphabet: the letter ", letters_[i], " of ", letters_, " occurs twice");
  }

  int size() const { return static_cast<int>(letters_.size()); }
  const std::string& letters() const { return letters_; }
  /// The symbol of a letter, or none.
  int symbol(char letter) const {
    const std::size_t place = letters_.find(letter);
    return place == std::string::npos ? none : static_cast<int>(place);
  }
  /// A sequence in letters, with _ for an empty place.
  std::string text(std::span<const Symbol> sequence) const {
    std::string text;
    for (const Symbol symbol : sequence) text += symbol < 0 ? '_' : letters_[static_cast<std::size_t>(symbol)];
    return text;
  }

 private:
  std::string letters_;
};

}  // namespace gfn
