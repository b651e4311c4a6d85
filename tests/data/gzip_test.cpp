// SPDX-License-Identifier: MIT
#ifdef GFN_TEST_GZIP
#include <gfn/data/gzip.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <gfn/core/error.hpp>
#include <gfn/data/file.hpp>

#include "catch.hpp"

namespace {

std::string refusal(const std::filesystem::path& path) {
  try {
    static_cast<void>(gfn::read_gzip_file(path));
  } catch (const gfn::Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("read_gzip_file reads compressed and plain files, and refuses damaged ones") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "gfn_gzip_test.gz";
  std::string content;
  for (int i = 0; i < 40000; ++i) content += std::to_string(i * 7919 % 40009) + '\n';

  const gzFile file = gzopen(path.string().c_str(), "wb");
  REQUIRE(gzwrite(file, content.data(), static_cast<unsigned>(content.size())) == static_cast<int>(content.size()));
  gzclose(file);
  const std::string packed = gfn::read_file(path);
  REQUIRE(packed.size() < content.size());
  CHECK(gfn::read_gzip_file(path) == content);

  const std::string start = "cannot read '" + path.string() + "': ";
  for (const std::size_t size : {packed.size() - 1, packed.size() - 8, packed.size() / 2, std::size_t{11}}) {
    std::ofstream(path, std::ios::binary) << packed.substr(0, size);
    const std::string message = refusal(path), expected = start + "the compressed data have been cut after line ";
    REQUIRE(message.starts_with(expected));
    const int lines = std::stoi(message.substr(expected.size()));
    if (size > packed.size() - 9) CHECK(lines == 40000);  // only the check sums are gone
    if (size == packed.size() / 2) CHECK((lines > 10000 && lines < 30000));
    if (size == 11) CHECK(lines == 0);
  }
  std::string damaged = packed;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
  std::ofstream(path, std::ios::binary) << damaged;
  const std::string expected = start + "the compressed data are damaged after line ";
  REQUIRE(refusal(path).starts_with(expected));
  CHECK(std::stoi(refusal(path).substr(expected.size())) > 5000);  // the damage is in the middle

  std::ofstream(path, std::ios::binary) << content;
  CHECK(gfn::read_gzip_file(path) == content);
  std::ofstream(path, std::ios::binary) << "";
  CHECK(gfn::read_gzip_file(path).empty());
  std::filesystem::remove(path);
  CHECK(refusal(path).find(start) == 0);
}
#endif
