// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <cstddef>
#include <cstring>
#include <ostream>
#include <ranges>
#include <span>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <gfn/core/action.hpp>

namespace gfn {

template <class T>
std::string describe(const T& x);

namespace detail {

template <class T>
concept streamable = requires(std::ostream& out, const T& x) {
  out << x;
};

template <class T>
concept tuple_like = requires {
  std::tuple_size<T>::value;
};

template <class T>
std::string describe_range(const T& range) {
  std::string text = "[";
  const char* separator = "";
  for (const std::ranges::range_value_t<T>& x : range) {
    text += separator + describe(x);
    separator = ", ";
  }
  return text + "]";
}

template <class T>
std::string describe_tuple(const T& x) {
  std::string text = "(";
  const char* separator = "";
  std::apply([&](const auto&... parts) { ((text += separator + describe(parts), separator = ", "), ...); }, x);
  return text + ")";
}

template <class T>
std::string describe_bytes(const T& x) {
  unsigned char bytes[sizeof(T)];
  std::memcpy(bytes, &x, sizeof(T));
  std::string text = "the bytes";
  for (const unsigned char byte : bytes) {
    text += ' ';
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

template <class T>
constexpr bool has_description();

template <class T, std::size_t... I>
constexpr bool has_tuple_description(std::index_sequence<I...>) {
  return (has_description<std::remove_cvref_t<std::tuple_element_t<I, T>>>() && ...);
}

/// The cases of describe, in its order.
template <class T>
constexpr bool has_description() {
  if constexpr (streamable<T> || std::is_enum_v<T>) {
    return true;
  } else if constexpr (std::ranges::input_range<const T>) {
    return has_description<std::ranges::range_value_t<T>>();
  } else if constexpr (tuple_like<T>) {
    return has_tuple_description<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    return std::is_trivially_copyable_v<T>;
  }
}

}  // namespace detail

/// A state as text, for messages: by its operator<<, else element by element, else as bytes. Small integers are
/// written as numbers, never as control characters.
template <class T>
[[gnu::cold, gnu::noinline]] std::string describe(const T& x) {
  if constexpr (std::is_same_v<T, char>) {
    return x >= ' ' && x <= '~' ? std::string(1, x) : std::to_string(x);
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(x);
  } else if constexpr (detail::streamable<T>) {
    std::ostringstream text;
    text.precision(10);
    text << x;
    return text.str();
  } else if constexpr (std::is_enum_v<T>) {
    return describe(static_cast<std::underlying_type_t<T>>(x));
  } else if constexpr (std::ranges::input_range<const T>) {
    return detail::describe_range(x);
  } else if constexpr (detail::tuple_like<T>) {
    return detail::describe_tuple(x);
  } else if constexpr (std::is_trivially_copyable_v<T>) {
    return detail::describe_bytes(x);
  } else {
    return "a state that can't be printed (no operator<<)";
  }
}

/// False where describe would say of a T, or of the elements of a T, that it can't be printed. Such a state is better
/// named by describe_actions.
template <class T>
inline constexpr bool is_describable = detail::has_description<std::remove_cvref_t<T>>();

/// A state as text, for messages, by the actions that lead to it from the initial state, without the exit: "(reached by
/// the actions 0, 2, 1)".
inline std::string describe_actions(std::span<const Action> actions) {
  if (actions.empty()) return "(the initial one)";
  std::string text = actions.size() == 1 ? "(reached by the action " : "(reached by the actions ";
  const char* separator = "";
  for (const Action action : actions) {
    text += separator + std::to_string(action);
    separator = ", ";
  }
  return text + ')';
}

}  // namespace gfn
