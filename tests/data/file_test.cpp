// SPDX-License-Identifier: MIT
#include <gfn/data/file.hpp>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gfn/core/error.hpp>

#include "catch.hpp"
#include "messages.hpp"

namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("gfn_file_test_" + std::to_string(::getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directory(path);
  }
  ~Folder() { fs::remove_all(path); }
  long files() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }
};

std::string refusal(const fs::path& path) {
  return message_of<gfn::Error>([&] { gfn::replace_file(path, "new"); });
}

/// From here on no file of this process can be longer than some bytes: a full disk is not at hand.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = std::signal(SIGXFSZ, SIG_IGN);
};

}  // namespace

TEST_CASE("replace_file writes new files, and replaces old ones") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  gfn::replace_file(path, std::string_view("a\0b", 3));
  CHECK(gfn::read_file(path) == std::string("a\0b", 3));
  gfn::replace_file(path, "");
  CHECK(gfn::read_file(path).empty());
  CHECK(folder.files() == 1);
  CHECK(refusal(folder.path / "none" / "file") ==
        "cannot write '" + (folder.path / "none" / "file").string() + "': No such file or directory");
  CHECK(contains(refusal(path / "below"), "below': Not a directory"));
  CHECK(contains(refusal(folder.path / std::string(255, 'x')), "File name too long"));
  CHECK(refusal("") == "cannot write '': No such file or directory");
  CHECK(folder.files() == 1);
}

TEST_CASE("replace_file refuses what is no regular file, and leaves it as it is") {
  const Folder folder;
  const fs::path path = folder.path / "taken";
  std::string expected;
  SECTION("a folder") {
    fs::create_directory(path);
    expected = "Is a directory";
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    expected = "it is a pipe, not a regular file";
  }
  SECTION("a device") {
    if (::mknod(path.c_str(), S_IFCHR | 0600, ::makedev(1, 3)) != 0) {
      WARN("skipped: only root can make a device");
      return;
    }
    expected = "it is a device, not a regular file";
  }
  SECTION("a socket") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.string().size() < sizeof address.sun_path);
    std::strcpy(address.sun_path, path.c_str());
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(socket);
    expected = "it is a socket, not a regular file";
  }
  const fs::file_type type = fs::status(path).type();
  CHECK(refusal(path) == "cannot write '" + path.string() + "': " + expected);
  CHECK(fs::symlink_status(path).type() == type);
  const fs::path link = folder.path / "link";
  fs::create_symlink("taken", link);
  CHECK(refusal(link) == "cannot write '" + link.string() + "': " + expected);
  CHECK(fs::status(path).type() == type);
  CHECK(fs::is_symlink(link));
  CHECK(message_of<gfn::Error>([&] { static_cast<void>(gfn::replaced_file(link)); }) == refusal(link));
  CHECK(folder.files() == 2);
}

TEST_CASE("replace_file follows symbolic links") {
  const Folder folder;
  fs::create_directory(folder.path / "below");
  const fs::path target = folder.path / "below" / "target", link = folder.path / "link", first = folder.path / "first";
  SECTION("a relative one") { fs::create_symlink("below/target", link); }
  SECTION("an absolute one") { fs::create_symlink(target, link); }
  SECTION("one to another in a folder of its own") {
    fs::create_symlink("below/other", link);
    fs::create_symlink("target", folder.path / "below" / "other");
  }
  fs::create_symlink("link", first);
  CHECK(fs::equivalent(gfn::replaced_file(first).parent_path(), target.parent_path()));
  CHECK(gfn::replaced_file(first).filename() == "target");
  gfn::replace_file(first, "new");  // nothing is there yet
  CHECK(gfn::read_file(target) == "new");
  gfn::replace_file(first, "newer");
  CHECK(gfn::read_file(target) == "newer");
  CHECK(fs::is_symlink(first));
  CHECK(fs::is_symlink(link));
  CHECK(!fs::is_symlink(target));
  CHECK(folder.files() == 3);

  fs::create_symlink("round", folder.path / "round");
  CHECK(contains(refusal(folder.path / "round"), "round': Too many levels of symbolic links"));
  fs::create_symlink("none/target", folder.path / "nowhere");
  CHECK(contains(refusal(folder.path / "nowhere"), "nowhere': No such file or directory"));
}

TEST_CASE("replace_file keeps the permissions of a file") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  gfn::replace_file(path, "old");
  for (const unsigned mode : {0640u, 0400u, 0755u}) {
    fs::permissions(path, fs::perms{mode});
    gfn::replace_file(path, "new");
    CHECK(fs::status(path).permissions() == fs::perms{mode});
  }
}

TEST_CASE("replace_file touches no other file, and many may replace one at once") {
  const Folder folder;
  const fs::path path = folder.path / "file", old = folder.path / "file.tmp";
  gfn::replace_file(old, "old");
  const std::vector<std::string> contents{std::string(50000, 'a'), std::string(70000, 'b'), std::string(10, 'c')};
  std::vector<std::string> messages(contents.size());
  {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < contents.size(); ++i)
      threads.emplace_back([&, i] {
        for (int k = 0; k < 50; ++k) messages[i] += message_of([&] { gfn::replace_file(path, contents[i]); });
      });
    for (std::thread& thread : threads) thread.join();
  }
  for (const std::string& message : messages) CHECK(message == "");
  CHECK(std::count(contents.begin(), contents.end(), gfn::read_file(path)) == 1);
  CHECK(gfn::read_file(old) == "old");
  CHECK(folder.files() == 2);
}

TEST_CASE("a name that is left from a process that died is passed over") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  fs::path left;
  {
    gfn::FileReplacement dropped(path);
    left = dropped.temporary();
    CHECK(left.parent_path() == folder.path);
    CHECK(fs::exists(left));
  }
  CHECK(!fs::exists(left));  // it was not committed
  const std::string name = left.filename().string();
  const std::size_t start = name.rfind('-') + 1;
  const long number = std::stol(name.substr(start));
  for (long i = 1; i <= 3; ++i)  // the next names
    gfn::replace_file(folder.path / (name.substr(0, start) + std::to_string(number + 3 + i) + ".tmp"), "left");
  for (int i = 0; i < 3; ++i) gfn::replace_file(path, "new");
  CHECK(gfn::read_file(path) == "new");
  long found = 0;
  for (const auto& entry : fs::directory_iterator(folder.path)) found += gfn::read_file(entry.path()) == "left";
  CHECK(found == 3);
  CHECK(folder.files() == 4);
}

TEST_CASE("a file that can't be written leaves the old one, and nothing else") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  gfn::replace_file(path, "old");
  std::string message;
  {
    const SmallFiles limit(1000);
    message = message_of<gfn::Error>([&] { gfn::replace_file(path, std::string(100000, 'x')); });
  }
  CHECK(message == "cannot write '" + path.string() + "': File too large");
  CHECK(gfn::read_file(path) == "old");
  CHECK(folder.files() == 1);
}
