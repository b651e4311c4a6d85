// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include <gfn/core/error.hpp>
#include <gfn/data/file.hpp>

namespace gfn {

/// One JSON object on one line, put together field by field. Numbers have as many digits as it takes to read the same
/// number back, whatever the locale; what JSON has no number for (NaN, infinities) becomes null.
class JsonObject {
 public:
  template <class T>
    requires(std::integral<T> || std::floating_point<T>)
  JsonObject& add(std::string_view name, T value) {
    begin(name);
    if constexpr (std::same_as<T, bool>) {
      text_ += value ? "true" : "false";
    } else {
      if constexpr (std::floating_point<T>)
        if (!std::isfinite(value)) {
          text_ += "null";
          return *this;
        }
      char digits[64];
      text_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    }
    return *this;
  }
  JsonObject& add(std::string_view name, std::string_view value) {
    begin(name);
    quote(value);
    return *this;
  }
  JsonObject& add(std::string_view name, const char* value) { return add(name, std::string_view(value)); }

  /// The object, without a line's end.
  std::string text() const { return text_ + '}'; }

 private:
  void begin(std::string_view name) {
    if (text_.size() > 1) text_ += ", ";
    quote(name);
    text_ += ": ";
  }
  void quote(std::string_view s) {
    text_ += '"';
    for (const char c : s) {
      if (c == '"' || c == '\\') text_ += '\\';
      if (static_cast<unsigned char>(c) < 0x20) {
        char code[8];
        std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
        text_ += code;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_ = "{";
};

/// A file with one JSON object a line, each of which is there for other programs as soon as it is written.
class JsonLog {
 public:
  enum class Mode { replace, append };

  /// Throws gfn::Error, with the system's reason, for a path that can't be written.
  explicit JsonLog(const std::filesystem::path& path, Mode mode = Mode::replace)
      : path_(path), file_(path, mode == Mode::replace ? "wb" : "ab") {
    if (!file_) refuse();
  }
  /// Throws gfn::Error when the line can't be written.
  void write(const JsonObject& object) {
    const std::string line = object.text() + '\n';
    if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0) refuse();
  }

 private:
  [[noreturn]] void refuse() const { fail("cannot write '", path_.string(), "': ", std::strerror(errno)); }

  std::filesystem::path path_;
  detail::File file_;
};

}  // namespace gfn
