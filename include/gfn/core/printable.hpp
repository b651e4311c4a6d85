// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gfn {

namespace detail {

/// The number of bytes of the character that a text in UTF-8 begins with; 0 where these bytes are none.
inline std::size_t utf8_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  // longer than need be, half of a UTF-16 pair, beyond U+10FFFF
  if ((first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90)) return 0;
  if ((first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90)) return 0;
  return size;
}

/// Whether a character is one of the control characters U+0000 to U+001F and U+007F to U+009F.
inline bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 2) return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  return first < 0x20 || first == 0x7F;
}

}  // namespace detail

/// What becomes of the line breaks of a text that is made printable.
enum class LineBreaks : std::uint8_t { escape, keep };

/// A text as it can be shown on a terminal: the bytes of control characters, and those that are not UTF-8, are written
/// as \xNN.
[[nodiscard, gnu::cold, gnu::noinline]] inline std::string printable(std::string_view text,
                                                                     LineBreaks line_breaks = LineBreaks::escape) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string result;
  while (!text.empty()) {
    const std::size_t size = detail::utf8_size(text);
    const std::string_view character = text.substr(0, size > 0 ? size : 1);
    if (size > 0 && (!detail::is_control(character) || (character == "\n" && line_breaks == LineBreaks::keep)))
      result += character;
    else
      for (const char c : character)
        for (const char part : {'\\', 'x', digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]}) result += part;
    text.remove_prefix(character.size());
  }
  return result;
}

}  // namespace gfn
