// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/data/file.hpp>

#include "training_run.hpp"

namespace examples {

/// A picture that gnuplot draws: commands are written into it like into a stream, and run by `draw`. A picture that was
/// there before stays until the new one is complete.
class Gnuplot {
 public:
  static bool is_installed() { return std::system("command -v gnuplot >/dev/null 2>&1") == 0; }

  /// Throws gfn::Error for a path that can't be written.
  Gnuplot(const std::string& path, int width, int height) : path_(path), file_(path) {
    script_ << "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) { set terminal pngcairo size " << width << ',' << height
            << " font 'Sans,11' } else { set terminal png size " << width << ',' << height << " }\n"
            << "set output " << quoted(file_.temporary().string()) << "\nset encoding utf8\n"
            << "set border lw 0.8 lc rgb '#606060'\nset tics nomirror out scale 0.5 textcolor rgb '#404040'\n";
  }
  template <class T>
  Gnuplot& operator<<(const T& x) {
    script_ << x;
    return *this;
  }
  /// Runs the script. Throws gfn::Error where that fails.
  void draw() {
    std::signal(SIGPIPE, SIG_IGN);  // gnuplot may stop before it has read all
    std::FILE* const pipe = ::popen("gnuplot", "w");
    if (pipe == nullptr) gfn::fail("gnuplot could not be started");
    const std::string script = script_.str() + "\nunset output\n";
    const bool sent = std::fwrite(script.data(), 1, script.size(), pipe) == script.size();
    if (::pclose(pipe) != 0 || !sent) gfn::fail("gnuplot could not draw '", path_, "'");
    file_.commit();
  }

 private:
  static std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
    return result + '\'';
  }

  std::string path_;
  gfn::FileReplacement file_;
  std::ostringstream script_;
};

/// A distance from the target against iterations, with the uniform distribution's to compare it with.
inline void plot_curve(Gnuplot& plot, const std::vector<CurvePoint>& curve, double uniform,
                       double CurvePoint::*distance = &CurvePoint::total_variation,
                       const char* title = "total variation from the target") {
  constexpr double floor = 1e-6;  // the axis is logarithmic
  plot << "$curve << END\n";
  for (const CurvePoint& point : curve) plot << point.iteration << ' ' << std::max(point.*distance, floor) << '\n';
  plot << "END\n"
       << "set logscale y\nset format y '%g'\nset xlabel 'iteration'\nset key bottom left reverse Left samplen 1.5\n"
       << "set grid ytics mytics lt 1 lc rgb '#d8d8d8' lw 0.8, lt 1 lc rgb '#eeeeee' lw 0.6\nset xrange [0:*]\nset "
          "yrange [*:1]\n"
       << "set title '" << title << "'\n"
       << "plot " << std::max(uniform, floor)
       << " with lines dt 2 lw 1.5 lc rgb '#808080' title 'uniform distribution', "
       << "$curve with lines lw 2 lc rgb '#31688e' title 'learned'\n";
}

/// Without gnuplot there is no picture, and a line that says so.
inline void check_gnuplot(const char* program, std::string& plot) {
  if (plot.empty() || Gnuplot::is_installed()) return;
  std::fprintf(stderr, "%s: gnuplot is not installed, --plot is left out\n", program);
  plot.clear();
}

}  // namespace examples
