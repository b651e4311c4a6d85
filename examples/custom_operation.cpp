// SPDX-License-Identifier: MIT
// How are an activation and an operation of one's own written, checked and used? ELU, and a mean of log cosh.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>
#include <gfn/testing/operations.hpp>

#include "support/exact_evaluation.hpp"
#include "support/gnuplot.hpp"
#include "support/program.hpp"
#include "support/series.hpp"
#include "support/training_options.hpp"

namespace {

/// An activation: x where it is positive, else eˣ − 1 (ELU: Clevert, Unterthiner, Hochreiter 2016). Its slope follows
/// from its value alone, so it can be fused into layers.
struct Elu {
  template <class T>
  T value(T x) const {
    using std::exp;
    return x > T(0) ? x : exp(x) - T(1);
  }
  template <class T>
  T slope_from_value(T y) const {
    return y > T(0) ? T(1) : y + T(1);
  }
};

/// An operation on matrices: y = mean of log cosh x, 1 × 1. Like a mean square near 0, like a mean of |x| far from it.
struct MeanLogCosh {
  gfn::Shape shape(gfn::Shape x) const {
    gfn::require(x.size() > 0, "MeanLogCosh: there are no numbers");
    return {1, 1};
  }
  template <class T>
  void forward(gfn::Out<T> y, gfn::In<T> x) const {
    using std::exp, std::log;
    T sum(0);
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      const T size = x.data()[i] < T(0) ? -x.data()[i] : x.data()[i];
      sum += size + log(T(1) + exp(T(-2) * size)) - T(std::log(2.0));
    }
    y(0, 0) = sum / T(double(x.size()));
  }
  /// dy = J dx.
  template <class T>
  void jvp(gfn::In<T>, gfn::Out<T> dy, gfn::In<T> x, gfn::In<T> dx) const {
    using std::tanh;
    T sum(0);
    for (Eigen::Index i = 0; i < x.size(); ++i) sum += tanh(x.data()[i]) * dx.data()[i];
    dy(0, 0) = sum / T(double(x.size()));
  }
  /// gx += Jᵀ gy.
  template <class T>
  void vjp(gfn::In<T>, gfn::Out<T> gy, gfn::In<T> x, gfn::Out<T> gx) const {
    using std::tanh;
    for (Eigen::Index i = 0; i < x.size(); ++i) gx.data()[i] += gy(0, 0) * tanh(x.data()[i]) / T(double(x.size()));
  }
};

/// What the check is for: a slope that is wrong.
struct WrongSlope : Elu {
  template <class T>
  T slope_from_value(T y) const {
    return y;
  }
};

/// Trajectory balance with the mean of log cosh δ in place of that of δ²: large deviations pull less.
struct RobustBalance {
  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    return tape.apply(MeanLogCosh{}, gfn::TrajectoryBalance{}.deviations(tape, input));
  }
};

void check() {
  gfn::testing::check_operation(gfn::Elementwise<Elu>{}, {{4, 3}});
  gfn::testing::check_operation(gfn::Dense<Elu>{}, {{5, 3}, {3, 4}, {1, 4}});
  gfn::testing::check_operation(MeanLogCosh{}, {{6, 1}});
  std::printf("Elu and MeanLogCosh pass the check\n");
  try {
    gfn::testing::check_operation(gfn::Elementwise<WrongSlope>{}, {{4, 3}});
  } catch (const gfn::Error& error) {
    std::printf("a wrong slope does not: %s\n", error.what());
    return;
  }
  gfn::fail("the wrong slope passes the check");
}

struct Options {
  int side = 16, iterations = 1000;
  std::string plot;
};

template <class Activation, class Objective>
examples::Series train(const char* name, const Objective& objective, const gfn::HyperGrid& env,
                       const examples::ExactEvaluation<gfn::HyperGrid>& exact, const Options& options) {
  gfn::Random random(1);
  auto forward = gfn::mlp_policy<float, Activation>(env, {.hidden = {128, 128}}, random);
  auto backward = gfn::uniform_backward(env);
  auto trainer = gfn::objective_trainer(env, objective, forward, backward);
  const auto series =
      examples::train_series(name, trainer, forward, exact,
                             {.iterations = static_cast<std::uint64_t>(options.iterations), .batch = 64}, random);
  std::printf("%-24s D_TV %.4f\n", name, series.curve.back().total_variation);
  return series;
}

void run(Options options) {
  gfn::require(options.side >= 2 && options.side <= 256, "--side is ", options.side, ", it must be between 2 and 256");
  gfn::require(options.iterations >= 1, "--iterations is ", options.iterations, ", it must be at least 1");
  examples::check_writable("--plot", options.plot);
  check();
  examples::check_gnuplot("custom_operation", options.plot);
  const gfn::HyperGrid env({.dimension = 2, .side = options.side});
  const examples::ExactEvaluation<gfn::HyperGrid> exact(env);
  const std::vector<examples::Series> all = {
      train<gfn::Relu>("ReLU, squares", gfn::TrajectoryBalance{}, env, exact, options),
      train<Elu>("ELU, squares", gfn::TrajectoryBalance{}, env, exact, options),
      train<gfn::Relu>("ReLU, log cosh", RobustBalance{}, env, exact, options)};
  if (!options.plot.empty()) examples::plot_series(options.plot, all);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Checks an activation and an operation that are written in this program, and trains with them on a grid.",
      "custom_operation"};
  app.add_option("--side", options.side, "cells along each axis of the grid")->capture_default_str();
  app.add_option("--iterations", options.iterations, "when to stop")->capture_default_str();
  app.add_option("--plot", options.plot, "draw the distances along the way, by gnuplot")->type_name("FILE.png");
  return examples::run_program(app, argc, argv, [&] { run(options); });
}
