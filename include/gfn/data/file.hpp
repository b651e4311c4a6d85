// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
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

/// A number that tells this process from others that run.
inline long process_number() {
#if __has_include(<unistd.h>)
  return static_cast<long>(::getpid());
#else
  return 0;
#endif
}

/// A new file beside another one, with a name that no other file has. It is removed unless it gets another name.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& neighbour) {
    static std::atomic<unsigned long> count{0};
    do {  // a name may be left from a process that died
      path_ = neighbour;
      path_ += detail::concatenate('.', process_number(), '-', count++, ".tmp");
      file_.emplace(path_, "wbx");
      error_.assign(*file_ ? 0 : errno, std::generic_category());
    } while (error_ == std::errc::file_exists);
  }
  ~TemporaryFile() {
    close();
    std::error_code ignored;
    if (!error_ && !renamed_) std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  /// Why it could not be created, if so.
  const std::error_code& error() const { return error_; }
  const std::filesystem::path& path() const { return path_; }
  std::FILE* get() const { return file_->get(); }
  bool close() { return file_->close(); }
  std::error_code rename(const std::filesystem::path& name) {
    std::error_code error;
    std::filesystem::rename(path_, name, error);
    renamed_ = !error;
    return error;
  }

 private:
  std::filesystem::path path_;
  std::optional<File> file_;
  std::error_code error_;
  bool renamed_ = false;
};

/// What a file is that is no regular one, for messages.
inline const char* name_of(std::filesystem::file_type type) {
  switch (type) {
    case std::filesystem::file_type::block:
    case std::filesystem::file_type::character:
      return "a device";
    case std::filesystem::file_type::fifo:
      return "a pipe";
    case std::filesystem::file_type::socket:
      return "a socket";
    default:
      return "something else";
  }
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

/// The file that is replaced under a path: the path itself, or where the symbolic link of that name leads, whether
/// something stands there or not. Throws gfn::Error for what is there and is no regular file (a folder, a device, a
/// pipe), and where the system does not tell.
[[nodiscard]] inline std::filesystem::path replaced_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::none) fail("cannot write '", path.string(), "': ", error.message());
  if (type == std::filesystem::file_type::directory)
    fail("cannot write '", path.string(), "': ", std::make_error_code(std::errc::is_a_directory).message());
  if (type != std::filesystem::file_type::regular && type != std::filesystem::file_type::not_found)
    fail("cannot write '", path.string(), "': it is ", detail::name_of(type), ", not a regular file");
  std::filesystem::path file = path;
  while (std::filesystem::is_symlink(std::filesystem::symlink_status(file, error))) {
    const std::filesystem::path leads_to = std::filesystem::read_symlink(file, error);
    if (error) fail("cannot write '", path.string(), "': ", error.message());
    file = file.parent_path() / leads_to;  // an absolute one stands for itself
  }
  return file;
}

/// A new file that takes the place of another one, or of none, as a whole or not at all: it is written under a name of
/// its own in the same folder, which goes with the object unless commit() gives it the other name. What it replaces is
/// replaced_file(path); the permissions of that are kept.
class FileReplacement {
 public:
  /// Creates the new file, empty. Throws gfn::Error, with the system's reason, where that fails, and as replaced_file
  /// does.
  explicit FileReplacement(const std::filesystem::path& path)
      : path_(path), target_(replaced_file(path)), file_(target_) {
    if (file_.error()) refuse(file_.error());
    std::error_code error;
    const std::filesystem::file_status old = std::filesystem::status(target_, error);
    if (!std::filesystem::exists(old)) return;
    std::filesystem::permissions(file_.path(), old.permissions(), error);
    if (error) refuse(error);
  }

  /// Where the new file stands until then, for what writes it by itself.
  const std::filesystem::path& temporary() const { return file_.path(); }
  /// Appends to the new file. Throws gfn::Error, with the system's reason, where that fails.
  void write(std::string_view content) {
    if (std::fwrite(content.data(), 1, content.size(), file_.get()) != content.size())
      refuse({errno, std::generic_category()});
  }
  /// Puts the new file in its place when everything is on the disk; nothing can be written any more. Throws gfn::Error,
  /// with the system's reason, where that fails.
  void commit() {
    if (!detail::flush_to_disk(file_.get()) || !file_.close()) refuse({errno, std::generic_category()});
    if (const std::error_code error = file_.rename(target_)) refuse(error);
  }

 private:
  [[noreturn]] void refuse(const std::error_code& error) const {
    fail("cannot write '", path_.string(), "': ", error.message());
  }

  std::filesystem::path path_, target_;
  detail::TemporaryFile file_;
};

/// Writes a file as a whole or not at all, see FileReplacement. Throws gfn::Error, with the reason, where that fails;
/// what stood under the name before is then still there.
inline void replace_file(const std::filesystem::path& path, std::string_view content) {
  FileReplacement replacement(path);
  replacement.write(content);
  replacement.commit();
}

}  // namespace gfn
