// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include <gfn/core/error.hpp>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace gfn {

namespace detail {

/// A C file that is closed when it goes.
class File {
 public:
  File(const std::filesystem::path& path, const char* mode) : file_(std::fopen(path.string().c_str(), mode)) {}
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  explicit operator bool() const { return file_ != nullptr; }
  std::FILE* get() const { return file_; }
  bool close() {
    std::FILE* const file = file_;
    file_ = nullptr;
    return file == nullptr || std::fclose(file) == 0;
  }

 private:
  std::FILE* file_;
};

/// Hands everything to the disk, so that a rename that follows can't overtake the content.
inline bool flush_to_disk(std::FILE* file) {
  if (std::fflush(file) != 0) return false;
#if __has_include(<unistd.h>)
  return ::fsync(::fileno(file)) == 0 || errno == EINVAL;  // EINVAL: not a file that can be synchronised
#else
  return true;
#endif
}

}  // namespace detail

/// The whole content of a file. Throws gfn::Error, with the system's reason, where it can't be read.
[[nodiscard]] inline std::string read_file(const std::filesystem::path& path) {
  const detail::File file(path, "rb");
  if (!file) fail("cannot read '", path.string(), "': ", std::strerror(errno));
  std::string content;
  char part[1 << 16];
  for (std::size_t count; (count = std::fread(part, 1, sizeof part, file.get())) > 0;) content.append(part, count);
  if (std::ferror(file.get()) != 0) fail("cannot read '", path.string(), "': ", std::strerror(errno));
  return content;
}

/// Writes a file as a whole or not at all: under another name in the same folder (the name with ".tmp" behind it),
/// which is renamed when everything is on the disk. Throws gfn::Error, with the system's reason, where that fails; what
/// stood under the name before is then still there.
inline void replace_file(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  detail::File file(temporary, "wb");
  const bool opened = static_cast<bool>(file);
  std::error_code error;
  if (!opened || std::fwrite(content.data(), 1, content.size(), file.get()) != content.size() ||
      !detail::flush_to_disk(file.get()) || !file.close())
    error.assign(errno, std::generic_category());
  else
    std::filesystem::rename(temporary, path, error);
  if (!error) return;
  std::error_code ignored;
  file.close();
  if (opened) std::filesystem::remove(temporary, ignored);
  fail("cannot write '", path.string(), "': ", error.message());
}

}  // namespace gfn
