// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/progress.hpp>
#include <gfn/trainer/train.hpp>

#include "catch.hpp"

namespace {

std::vector<std::string> split(const std::string& text, char end) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, end);) parts.push_back(part);
  return parts;
}

/// What is written to a file while `write` runs.
template <class F>
std::string written_to_file(F write) {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  write(file);
  std::rewind(file);
  std::string text;
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

/// What is written to a terminal of that width.
template <class F>
std::string written_to_terminal(int columns, F write) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0);
  REQUIRE(::grantpt(master) == 0);
  REQUIRE(::unlockpt(master) == 0);
  std::FILE* const terminal = std::fopen(::ptsname(master), "w");
  REQUIRE(terminal != nullptr);
  ::winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = 24;
  REQUIRE(::ioctl(::fileno(terminal), TIOCSWINSZ, &size) == 0);
  write(terminal);
  std::fflush(terminal);
  REQUIRE(::fcntl(master, F_SETFL, O_NONBLOCK) == 0);
  std::string text;
  char part[256];
  for (auto count = ::read(master, part, sizeof part); count > 0; count = ::read(master, part, sizeof part))
    text.append(part, static_cast<std::size_t>(count));
  std::fclose(terminal);
  ::close(master);
  return text;
}

void report(gfn::ProgressBar& bar, std::uint64_t iteration, std::uint64_t total, double loss = 0.5) {
  bar({.iteration = iteration, .total = total, .loss = loss, .log_z = 2.75});
}

}  // namespace

TEST_CASE("the progress bar watches a training") {
  const gfn::HyperGrid env({.dimension = 2, .side = 4});
  gfn::Random random(1);
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {8}}, random);
  auto backward = gfn::uniform_backward(env);
  auto trainer = gfn::trajectory_balance_trainer(env, forward, backward);
  const std::string text = written_to_file([&](std::FILE* file) {
    gfn::train(trainer, {.iterations = 5, .batch = 4}, random, gfn::progress_bar({.stream = file}));
    gfn::train(trainer, {.iterations = 3, .batch = 4}, random, gfn::progress_bar({.stream = file}));
  });
  const auto lines = split(text, '\n');
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].substr(0, 5) == "5/5  ");
  CHECK(lines[1].substr(0, 5) == "8/8  ");
}

TEST_CASE("progress that goes to a file is a line now and then and one at the end") {
  const auto watch = [](double seconds) {
    return written_to_file([&](std::FILE* file) {
      gfn::ProgressBar bar({.stream = file, .line_seconds = seconds});
      for (std::uint64_t i = 1; i <= 20; ++i) {
        if (i % 10 == 0) bar.metric("D_TV", 1.0 / static_cast<double>(i));
        report(bar, i, 20);
      }
    });
  };
  CHECK(split(watch(1000), '\n').size() == 1);
  const std::string text = watch(0);
  CHECK(text.find('\r') == std::string::npos);
  const auto lines = split(text, '\n');
  REQUIRE(lines.size() == 20);
  CHECK(lines[0].substr(0, 4) == "1/20");
  CHECK(lines[0].find("D_TV") == std::string::npos);
  CHECK(lines[8].find(" it/s  ") != std::string::npos);
  CHECK(lines[8].find(" left  loss 0.5  log Z 2.75") != std::string::npos);
  CHECK(lines[9].find("loss 0.5  log Z 2.75  D_TV 0.1") != std::string::npos);
  CHECK(lines[19].find("left") == std::string::npos);
  CHECK(lines[19].find("D_TV 0.05") != std::string::npos);
}

TEST_CASE("progress on a terminal is one line that fits") {
  for (const int columns : {20, 40, 80, 200}) {
    const std::string text = written_to_terminal(columns, [](std::FILE* terminal) {
      gfn::ProgressBar bar({.stream = terminal, .redraw_seconds = 0});
      for (std::uint64_t i = 1; i <= 20; ++i) report(bar, i, 20, i < 10 ? 0.123456 : 1);
    });
    INFO(text);
    CHECK(split(text, '\n').size() == 1);
    CHECK(text.back() == '\n');
    const auto pictures = split(text.substr(0, text.find_last_not_of("\r\n") + 1), '\r');
    REQUIRE(pictures.size() == 21);  // the first is what stands before the first carriage return: nothing
    for (const std::string& picture : pictures) CHECK(picture.size() < static_cast<std::size_t>(columns));
    CHECK((pictures[20].find("[=====") == 0) == (columns >= 80));
    CHECK((columns < 80 || pictures[20].find("=]  20/20  ") != std::string::npos));
  }
}

TEST_CASE("an unfinished line of progress is ended") {
  const std::string text = written_to_terminal(80, [](std::FILE* terminal) {
    {
      gfn::ProgressBar bar({.stream = terminal});
      report(bar, 1, 20);
    }
    std::fputs("error", terminal);
  });
  CHECK(text.substr(text.size() - 7) == "\r\nerror");
}
