// SPDX-License-Identifier: MIT
// How are an activation and an operation of one's own written, checked and used? ELU, and a mean of log cosh.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include <gfn/gfn.hpp>
#include <gfn/testing/operations.hpp>

#include "support/program.hpp"
#include "support/series.hpp"

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

/// The message of the check that WrongSlope does not pass.
std::string check() {
  gfn::testing::check_operation(gfn::Elementwise<Elu>{}, {{4, 3}});
  gfn::testing::check_operation(gfn::Dense<Elu>{}, {{5, 3}, {3, 4}, {1, 4}});
  gfn::testing::check_operation(MeanLogCosh{}, {{6, 1}});
  try {
    gfn::testing::check_operation(gfn::Elementwise<WrongSlope>{}, {{4, 3}});
  } catch (const gfn::Error& error) {
    return error.what();
  }
  gfn::fail("the wrong slope passes the check");
}

/// Trains a new policy with an activation by an objective.
template <class Activation, class Objective>
void train(const char* name, const Objective& objective, const gfn::HyperGrid& env, std::int64_t seed,
           examples::Comparison<gfn::HyperGrid>& comparison) {
  gfn::Random random(static_cast<std::uint64_t>(seed));
  auto forward = gfn::mlp_policy<float, Activation>(env, {.hidden = {128, 128}}, random);
  auto backward = gfn::uniform_backward(env);
  auto trainer = gfn::objective_trainer(env, objective, forward, backward);
  comparison.train(name, trainer, forward, random);
}

void run(int side, const examples::SeriesOptions& options) {
  gfn::require(side >= 2 && side <= 256, "--side is ", side, ", it must be between 2 and 256");
  const gfn::HyperGrid env({.dimension = 2, .side = side});
  examples::Comparison<gfn::HyperGrid> comparison("custom_operation", env, options);
  const std::string refusal = check();
  if (!options.quiet) std::printf("Elu and MeanLogCosh pass the check\na wrong slope does not: %s\n", refusal.c_str());
  train<gfn::Relu>("ReLU, squares", gfn::TrajectoryBalance{}, env, options.seed, comparison);
  train<Elu>("ELU, squares", gfn::TrajectoryBalance{}, env, options.seed, comparison);
  train<gfn::Relu>("ReLU, log cosh", RobustBalance{}, env, options.seed, comparison);
  comparison.draw();
}

}  // namespace

int main(int argc, char** argv) {
  int side = 16;
  examples::SeriesOptions options;
  CLI::App app{
      "Checks an activation and an operation that are written in this program, and trains with them on a grid.",
      "custom_operation"};
  app.add_option("--side", side, "cells along each axis of the grid")->capture_default_str()->type_name("N");
  examples::add_series_options(app, options);
  return examples::run_program(app, argc, argv, [&] { run(side, options); });
}
