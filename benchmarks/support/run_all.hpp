// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gfn/gfn.hpp>

#include "experiment.hpp"

namespace paper {

/// Holds a run for this process, so that several may work through one folder of results. The hold ends with the object,
/// or with the process, however that ends.
class Hold {
 public:
  explicit Hold(const fs::path& file) : path_(file), descriptor_(::open(path_.c_str(), O_CREAT | O_RDWR, 0666)) {
    if (descriptor_ < 0) gfn::fail("cannot write '", path_.string(), "'");
    held_ = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  }
  ~Hold() {
    if (held_) ::unlink(path_.c_str());
    ::close(descriptor_);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  explicit operator bool() const { return held_; }

 private:
  fs::path path_;
  int descriptor_;
  bool held_;
};

/// Throws where the results are no folder, or a log can't be a file.
inline void check_results(const fs::path& results, const std::vector<Run>& runs) {
  gfn::require(!fs::exists(results) || fs::is_directory(results), "--results: '", results.string(), "' is no folder");
  for (const Run& run : runs)
    for (const char* const ending : {"", ".part", ".lock"})
      static_cast<void>(gfn::replaced_file(run.file.string() + ending));
}

/// Does those of the runs that are not finished and that no other process is at, `jobs` at once: train(options), which
/// writes the log that the options name, and returns what there is to say. A log gets its name when it is complete.
/// Throws gfn::Error, with the last of the reasons, where a run failed; the others are done all the same.
inline void run_all(const std::vector<Run>& runs, int jobs,
                    const std::function<std::string(const examples::TrainingOptions&)>& train) {
  std::atomic<std::size_t> next{0};
  std::mutex printing;
  std::string failure;
  std::size_t done = 0;
  const auto work_on = [&](const Run& run) {
    fs::create_directories(run.file.parent_path());
    const Hold hold(run.file.string() + ".lock");
    if (!hold || run.is_done()) return;
    examples::TrainingOptions options = run.options;
    const fs::path file = gfn::replaced_file(run.file);
    options.log = file.string() + ".part";
    options.quiet = true;
    const std::string outcome = train(options);
    fs::rename(options.log, file);
    const std::lock_guard lock(printing);
    std::fprintf(stderr, "[%zu of %zu] %s: %s\n", ++done, runs.size(), run.file.c_str(), outcome.c_str());
  };
  const auto work = [&] {
    for (std::size_t i; (i = next++) < runs.size();) try {
        if (!runs[i].is_done())
          work_on(runs[i]);
        else if (const std::lock_guard lock(printing); true)
          ++done;
      } catch (const std::exception& error) {
        const std::lock_guard lock(printing);
        failure = gfn::printable(runs[i].file.string() + ": " + error.what());
        std::fprintf(stderr, "%s\n", failure.c_str());
      }
  };
  std::vector<std::jthread> threads;
  for (int j = 0; j < jobs; ++j) threads.emplace_back(work);
  threads.clear();
  if (!failure.empty()) gfn::fail("a run failed: ", failure);
}

}  // namespace paper
