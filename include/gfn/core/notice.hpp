// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <atomic>
#include <cstdio>
#include <string>

namespace gfn {

/// What becomes of a notice: something that a user should know, and that stops nothing.
using NoticeHandler = void (*)(const std::string& sentence);

namespace detail {

inline void print_notice(const std::string& sentence) { std::fprintf(stderr, "gfn: %s\n", sentence.c_str()); }
inline std::atomic<NoticeHandler> notice_handler{&print_notice};

}  // namespace detail

/// Hands all notices to `handler` from now on; null: back to the error stream. Returns the one before. A handler may be
/// called from several threads at once.
inline NoticeHandler set_notice_handler(NoticeHandler handler) {
  return detail::notice_handler.exchange(handler == nullptr ? &detail::print_notice : handler);
}

/// Gives a notice: one sentence on the error stream, unless there is a handler.
inline void notice(const std::string& sentence) { detail::notice_handler.load()(sentence); }

}  // namespace gfn
