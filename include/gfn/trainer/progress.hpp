// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gfn/trainer/report.hpp>

#if __has_include(<sys/ioctl.h>) && __has_include(<unistd.h>)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace gfn {

/// Options of a progress bar.
struct ProgressOptions {
  std::FILE* stream = stderr;
  double redraw_seconds = 0.1;  ///< on a terminal: time between two pictures of the line
  double line_seconds = 10;     ///< elsewhere (a file, a pipe): time between two lines
};

namespace detail {

/// The width of the terminal that a stream goes to; 0 where it goes to none.
inline int terminal_columns([[maybe_unused]] std::FILE* stream) {
#ifdef TIOCGWINSZ
  const int descriptor = ::fileno(stream);
  if (::isatty(descriptor) == 0) return 0;
  ::winsize size{};
  return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
#else
  return 0;
#endif
}

inline std::string short_number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(x) >= 1e4 && std::abs(x) < 1e9 ? "%.0f" : "%.4g", x);
  return text;
}

inline std::string short_duration(double seconds) {
  char text[32];
  const double s = std::clamp(std::ceil(seconds), 0.0, 3.6e8);
  const int whole = static_cast<int>(s);
  if (whole < 60)
    std::snprintf(text, sizeof text, "%d s", whole);
  else if (whole < 3600)
    std::snprintf(text, sizeof text, "%d:%02d min", whole / 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%d:%02d h", whole / 3600, whole / 60 % 60);
  return text;
}

}  // namespace detail

/// An observer that shows how far training is: the iteration, the rate, the time that is left, loss, log Z and metrics
/// of the user's. On a terminal one line is drawn again and again; elsewhere a line is added now and then, and at the
/// end.
class ProgressBar {
 public:
  explicit ProgressBar(const ProgressOptions& options = {}) : options_(options) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  /// Ends a line that training left unfinished.
  ~ProgressBar() { interrupt(); }

  /// Shows a number beside loss and log Z from now on.
  void metric(std::string_view name, double value) {
    const auto same = [&](const auto& metric) { return metric.first == name; };
    const auto found = std::find_if(metrics_.begin(), metrics_.end(), same);
    if (found == metrics_.end())
      metrics_.emplace_back(name, value);
    else
      found->second = value;
  }

  void operator()(const IterationReport& report) {
    const auto now = Clock::now();
    if (!running_) {
      running_ = true;
      columns_ = detail::terminal_columns(options_.stream);
      started_ = now;
      done_before_ = report.iteration - 1;
      drawn_ = columns_ > 0 ? Clock::time_point::min() : now;
    }
    const bool last = report.iteration == report.total;
    const double interval = columns_ > 0 ? options_.redraw_seconds : options_.line_seconds;
    if (!last && drawn_ != Clock::time_point::min() && since(drawn_, now) < interval) return;
    drawn_ = now;
    if (columns_ > 0)
      redraw(report, since(started_, now));
    else
      std::fprintf(options_.stream, "%s\n", numbers(report, since(started_, now)).c_str());
    std::fflush(options_.stream);
    if (!last) return;
    interrupt();
    running_ = false;
  }

  /// Ends the line on a terminal, so that something else can be written; the next picture starts a new one.
  void interrupt() {
    if (length_ > 0) std::fputc('\n', options_.stream);
    length_ = 0;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point start, Clock::time_point now) {
    return std::chrono::duration<double>(now - start).count();
  }

  std::string numbers(const IterationReport& report, double seconds) const {
    std::string text = std::to_string(report.iteration);
    if (report.total > 0) text += '/' + std::to_string(report.total);
    const double rate = static_cast<double>(report.iteration - done_before_) / seconds;
    if (std::isfinite(rate)) {
      text += "  " + detail::short_number(rate) + " it/s";
      if (report.total > report.iteration)
        text += "  " + detail::short_duration(static_cast<double>(report.total - report.iteration) / rate) + " left";
      else
        text += "  " + detail::short_duration(seconds);
    }
    text += "  loss " + detail::short_number(report.loss) + "  log Z " + detail::short_number(report.log_z);
    for (const auto& [name, value] : metrics_) text += "  " + name + ' ' + detail::short_number(value);
    return text;
  }

  /// The bar takes what the longest numbers so far leave of the line.
  void redraw(const IterationReport& report, double seconds) {
    std::string line = numbers(report, seconds);
    const std::size_t room = static_cast<std::size_t>(columns_) - 1;
    constexpr std::size_t frame = 4;  // two brackets, two spaces
    bar_ = std::min(bar_, room - std::min(room, line.size() + frame));
    if (report.total > 0 && bar_ >= 5) {
      const double share = static_cast<double>(report.iteration) / static_cast<double>(report.total);
      const auto full = std::min(bar_, static_cast<std::size_t>(share * static_cast<double>(bar_)));
      line = '[' + std::string(full, '=') + std::string(bar_ - full, ' ') + "]  " + line;
    }
    line.resize(std::min(line.size(), room));
    const std::size_t length = line.size();
    if (length < length_) line.append(length_ - length, ' ');
    std::fprintf(options_.stream, "\r%s", line.c_str());
    length_ = length;
  }

  ProgressOptions options_;
  std::vector<std::pair<std::string, double>> metrics_;
  bool running_ = false;
  int columns_ = 0;  // 0: not a terminal
  Clock::time_point started_, drawn_;
  std::uint64_t done_before_ = 0;
  std::size_t length_ = 0;  // of the unfinished line
  std::size_t bar_ = 30;    // width
};

/// An observer for `train` that shows how far training is; see ProgressBar.
inline ProgressBar progress_bar(const ProgressOptions& options = {}) { return ProgressBar(options); }

}  // namespace gfn
