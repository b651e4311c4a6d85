// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include <gfn/core/printable.hpp>

/// Internal invariants. Active when GFN_DEBUG is defined (the presets with sanitizers do), free otherwise.
/// Define GFN_ASSERT(condition) before the first include to handle failures in your own way.
#ifndef GFN_ASSERT
#ifdef GFN_DEBUG
#define GFN_ASSERT(condition) \
  ((condition)                \
       ? void(0)              \
       : (std::fprintf(stderr, "%s:%d: gfn invariant broken: %s\n", __FILE__, __LINE__, #condition), std::abort()))
#else
#define GFN_ASSERT(condition) void(0)
#endif
#endif

namespace gfn {

/// What the library throws when something met at run time is not as it must be: a user's environment that breaks its
/// contract, a network that returns NaN, a file that is damaged. The message names the offender and both numbers.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Texts that are put together at run time may come from a file or the command line: all of their control characters
/// are escaped. Only the library's own literals may break lines.
template <class Part>
void write_part(std::ostream& message, const Part& part) {
  if constexpr (std::is_same_v<Part, char>)
    message << printable({&part, 1});
  else if constexpr (std::is_convertible_v<const Part&, std::string_view> &&
                     !std::is_convertible_v<const Part&, const char*>)
    message << printable(part);
  else
    message << part;
}

/// Messages are put together where nothing is fast any more: compilers are told not to spend time on that.
template <class... Parts>
[[gnu::cold, gnu::noinline]] std::string concatenate(const Parts&... parts) {
  std::ostringstream message;
  message.precision(10);
  (write_part(message, parts), ...);
  return printable(message.str(), LineBreaks::keep);
}

}  // namespace detail

/// Throws gfn::Error with the parts, written one after the other, as its message. What is not printable in it is
/// escaped, see printable().
template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  throw Error(detail::concatenate(parts...));
}

/// Throws std::invalid_argument with the parts as its message, as fail() does, unless `condition` holds: for arguments
/// and options. The message is only put together when it is needed.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    throw std::invalid_argument(detail::concatenate(parts...));
}

/// `count` as an int, by which rows, steps and edges are numbered. Throws gfn::Error where it is too large for one;
/// `what` names the things that are counted.
inline int require_int(std::size_t count, const char* what) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<int>::max());
  if (count > most) [[unlikely]]
    fail("there are ", count, ' ', what, ", at most ", most, " can be numbered");
  return static_cast<int>(count);
}

}  // namespace gfn
