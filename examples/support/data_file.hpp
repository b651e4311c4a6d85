// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <gfn/data/file.hpp>
#include <gfn/data/table_reader.hpp>
#ifdef GFN_EXAMPLE_GZIP
#include <gfn/data/gzip.hpp>
#endif

namespace examples {

/// A table in a file, plain or compressed by gzip; without zlib the latter is refused. Throws gfn::Error where the file
/// can't be read.
inline gfn::TableReader open_table(const std::string& path) {
#ifdef GFN_EXAMPLE_GZIP
  return {gfn::read_gzip_file(path), path};
#else
  return {gfn::read_file(path), path};
#endif
}

}  // namespace examples
