// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <charconv>
#include <cmath>
#include <concepts>
#include <string>
#include <string_view>
#include <system_error>

#ifndef __cpp_lib_to_chars  // libc++ 19 has no from_chars for floating-point numbers
#include <locale>
#include <sstream>
#endif

namespace gfn {

/// Reads a number that is the whole of a text, whatever the locale: [+-] digits, for a floating-point T with a decimal
/// point and an exponent too. False, with `value` as it was, for any other text ("inf" and "nan" among them) and for a
/// number beyond T's range.
template <class T>
  requires(std::integral<T> || std::floating_point<T>)
[[nodiscard]] bool parse_number(std::string_view text, T& value) {
  if (text.starts_with('+')) {  // which from_chars does not know
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) return false;
  }
#ifndef __cpp_lib_to_chars
  if constexpr (std::floating_point<T>) {
    if (text.empty() || text.find_first_not_of("0123456789+-.eE") != text.npos) return false;
    std::istringstream stream{std::string(text)};
    stream.imbue(std::locale::classic());
    T number{};
    if (!(stream >> number) || stream.peek() != std::istringstream::traits_type::eof()) return false;
    value = number;
    return true;
  } else
#endif
  {
    T number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    if constexpr (std::floating_point<T>)
      if (!std::isfinite(number)) return false;
    value = number;
    return true;
  }
}

}  // namespace gfn
