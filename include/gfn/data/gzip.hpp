// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include <zlib.h>

#include <gfn/core/error.hpp>

// This header needs zlib; gfn.hpp does not include it.

namespace gfn {

namespace detail {

struct CloseGzip {
  void operator()(gzFile file) const { gzclose(file); }
};

}  // namespace detail

/// The whole content of a file, unpacked where it is compressed by gzip, as it stands where it is not. Throws
/// gfn::Error where it can't be read, or where the compressed data are damaged or cut: with the number of whole lines
/// that could be read before, to within the 64 KB that are unpacked at once.
[[nodiscard]] inline std::string read_gzip_file(const std::filesystem::path& path) {
  errno = 0;
  const std::unique_ptr<gzFile_s, detail::CloseGzip> file(gzopen(path.string().c_str(), "rb"));
  if (!file) fail("cannot read '", path.string(), "': ", std::strerror(errno));
  std::string content;
  char part[1 << 16];
  for (int count; (count = gzread(file.get(), part, sizeof part)) > 0;)
    content.append(part, static_cast<std::size_t>(count));
  int code = Z_OK;
  const std::string reason = gzerror(file.get(), &code);
  if (code == Z_ERRNO) fail("cannot read '", path.string(), "': ", std::strerror(errno));
  const auto lines = [&] { return std::count(content.begin(), content.end(), '\n'); };
  if (code == Z_BUF_ERROR)
    fail("cannot read '", path.string(), "': the compressed data have been cut after line ", lines());
  if (code != Z_OK && code != Z_STREAM_END)
    fail("cannot read '", path.string(), "': the compressed data are damaged after line ", lines(), ": ", reason);
  return content;
}

}  // namespace gfn
