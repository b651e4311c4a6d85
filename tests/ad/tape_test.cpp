// SPDX-License-Identifier: MIT
#include <gfn/ad/affine.hpp>
#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/dual.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/softmax.hpp>
#include <gfn/ad/sparse_affine.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/random.hpp>

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace gfn;

namespace {

/// A network of two layers on sparse encodings, a softmax and a loss: one of everything.
template <class T>
struct Program {
  Parameters<T> parameters;
  int w1, b1, w2, b2;
  SparseRows features;
  bool legal[12] = {true, true, false, true, false, true, true, false, true, true, true, true};
  std::vector<int> cols{1, 2, 3};

  Program() {
    w1 = parameters.add("w1", 5, 6);
    b1 = parameters.add("b1", 1, 6);
    w2 = parameters.add("w2", 6, 4);
    b2 = parameters.add("b2", 1, 4);
    Stream stream(3, Purpose::user, 0, 0);
    for (int block = 0; block < 4; ++block) {
      Out<T> value = parameters.modify(block);
      for (Eigen::Index i = 0; i < value.size(); ++i) value.data()[i] = static_cast<T>(stream.normal());
    }
    features.clear(5);
    for (const std::vector<int>& active : {std::vector<int>{0, 1}, {1, 4}, {2}}) {
      for (const int index : active) features.add(index);
      features.finish_row();
    }
  }

  Var<T> hidden(Tape<T>& tape) {
    return sparse_dense(Tanh{}, features, tape.parameter(parameters, w1), tape.parameter(parameters, b1));
  }
  Var<T> loss(Tape<T>& tape, const Var<T>& h) {
    const auto logits = affine(h, tape.parameter(parameters, w2), tape.parameter(parameters, b2));
    return mean(square(pick(log_softmax(logits, legal), cols))) + 0.1 * sum(h * h);
  }
  Var<T> loss(Tape<T>& tape) { return loss(tape, hidden(tape)); }
};

double loss_at(const Program<double>& program, const Vector<double>& values) {
  Program<double> other = program;
  other.parameters.modify() = values;
  Tape<double> tape;
  return other.loss(tape).scalar();
}

/// y = x·xᵀ summed: an operation of a user's own, on one row.
struct SquaredNorm {
  Shape shape(Shape x) const {
    require(x.rows == 1, "SquaredNorm: x has ", x.rows, " rows, not 1");
    return {1, 1};
  }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    y(0) = x.squaredNorm();
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T> x, In<T> dx) const {
    dy(0) = T(2) * x.cwiseProduct(dx).sum();
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T> x, Out<T> gx) const {
    gx += T(2) * gy(0) * x;
  }
};

struct Exact {
  double value;
  Vector<double> grad;
};
Exact run(Program<double>& program, Tape<double>& tape) {
  tape.clear();
  program.parameters.zero_grad();
  const auto loss = program.loss(tape);
  tape.backward(loss);
  return {loss.scalar(), program.parameters.grad()};
}

}  // namespace

TEST_CASE("a gradient agrees with central differences, in the padding too") {
  Program<double> program;
  Tape<double> tape;
  const Exact exact = run(program, tape);
  const Vector<double> values = program.parameters.value();
  Vector<double> differences = Vector<double>::Zero(values.size());
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    const Vector<double> step = Vector<double>::Unit(values.size(), i) * 1e-5;
    differences(i) = (loss_at(program, values + step) - loss_at(program, values - step)) / 2e-5;
  }
  CHECK((exact.grad - differences).cwiseAbs().maxCoeff() < 1e-8);
}

TEST_CASE("forward mode gives the product of the gradient with a direction") {
  Program<double> program;
  Tape<double> tape;
  const auto loss = program.loss(tape);
  tape.backward(loss);
  Stream stream(5, Purpose::user, 0, 0);
  for (double& entry : program.parameters.tangent()) entry = stream.normal();
  tape.push_forward();
  CHECK(loss.tangent()(0) == Approx(program.parameters.grad().dot(program.parameters.tangent())).epsilon(1e-12));
}

TEST_CASE("dual numbers on the tape give the exact second derivative") {
  Program<double> program;
  Program<Dual<double>> dual;
  Stream stream(5, Purpose::user, 0, 0);
  const double step = 1e-5;
  Vector<double> gradients[2];
  for (int sign : {0, 1}) {
    Program<double> moved = program;
    Stream direction = stream;
    for (int block = 0; block < 4; ++block) {
      Out<double> value = moved.parameters.modify(block);
      for (Eigen::Index i = 0; i < value.size(); ++i)
        value.data()[i] += (sign == 0 ? step : -step) * direction.normal();
    }
    Tape<double> tape;
    gradients[sign] = run(moved, tape).grad;
  }
  for (int block = 0; block < 4; ++block) {
    Out<Dual<double>> value = dual.parameters.modify(block);
    for (Eigen::Index i = 0; i < value.size(); ++i) value.data()[i].derivative = stream.normal();
  }
  Tape<Dual<double>> tape;
  tape.backward(dual.loss(tape));
  for (int block = 0; block < 4; ++block) {
    const Out<Dual<double>> grad = dual.parameters.grad(block);
    const auto offset = static_cast<Eigen::Index>(program.parameters.block(block).offset);
    for (Eigen::Index i = 0; i < grad.size(); ++i) {
      const double difference = (gradients[0](offset + i) - gradients[1](offset + i)) / (2.0 * step);
      CHECK(grad.data()[i].derivative == Approx(difference).margin(1e-8));
    }
  }
}

TEST_CASE("a tape that is cleared and used again gives the same bits") {
  Program<double> program;
  Tape<double> tape;
  const Exact first = run(program, tape);
  for (int again = 0; again < 3; ++again) {
    const Exact next = run(program, tape);
    CHECK(next.value == first.value);
    CHECK(next.grad == first.grad);
  }
  Tape<double> other;
  other.constant(Matrix<double>::Zero(1000, 7));
  CHECK(run(program, other).grad == first.grad);
}

TEST_CASE("a tape serves several reverse passes") {
  Program<double> program;
  Tape<double> tape;
  const auto loss = program.loss(tape);
  tape.backward(loss);
  const Vector<double> once = program.parameters.grad();
  tape.backward(loss);
  CHECK(program.parameters.grad().isApprox(2.0 * once, 1e-15));
}

TEST_CASE("replay runs the same operations on the parameters' present values") {
  Program<double> program;
  Tape<double> tape;
  const auto loss = program.loss(tape);
  program.parameters.modify() *= 0.5;
  tape.replay();
  Tape<double> fresh;
  CHECK(loss.scalar() == program.loss(fresh).scalar());
  tape.backward(loss);
  const Vector<double> replayed = program.parameters.grad();
  CHECK(replayed == run(program, fresh).grad);
}

TEST_CASE("adopted values are used, differentiated, and left alone by a replay") {
  Program<double> program;
  Tape<double> tape;
  const Exact expected = run(program, tape);
  Matrix<double> activations;
  {
    Tape<double> other;
    activations = program.hidden(other).value();
  }
  const Matrix<double> copy = activations;
  const auto record = [&](std::uint64_t version) {
    tape.clear();
    const SparseDense<Tanh> op{&program.features, nullptr, 3};
    const auto h =
        tape.adopt({activations.data(), &program.parameters, version}, op,
                   tape.parameter(program.parameters, program.w1), tape.parameter(program.parameters, program.b1));
    return program.loss(tape, h);
  };
  const auto loss = record(program.parameters.version());
  program.parameters.zero_grad();
  tape.backward(loss);
  CHECK(loss.scalar() == expected.value);
  CHECK(program.parameters.grad() == expected.grad);

  const std::uint64_t stale = program.parameters.version();
  program.parameters.modify() *= 0.5;
  tape.replay();
  CHECK(activations == copy);
  Tape<double> fresh;
  CHECK(loss.scalar() == run(program, fresh).value);
  CHECK_THROWS_AS(record(stale), Error);
}

TEST_CASE("a sub-expression with two consumers collects both cotangents") {
  Tape<double> tape;
  const auto x = tape.variable(Matrix<double>::Constant(2, 2, 0.3));
  const auto shared = exp(x);
  tape.backward(sum(square(shared)) + sum(shared * x));
  const double y = std::exp(0.3);
  CHECK(x.grad()(1, 0) == Approx(2 * y * y + y * 0.3 + y));
  tape.push_forward();
  CHECK(shared.tangent().isZero(0.0));
}

TEST_CASE("constants cost nothing and get nothing") {
  Tape<double> tape;
  const auto c = tape.constant(Matrix<double>::Constant(2, 3, 2.0));
  const auto w = tape.variable(Matrix<double>::Constant(3, 2, 0.5));
  const auto b = tape.constant(Matrix<double>::Zero(1, 2));
  const auto loss = sum(affine(c, w, b));
  tape.backward(loss);
  CHECK(w.grad() == Matrix<double>::Constant(3, 2, 4.0));
  w.tangent().setOnes();
  tape.push_forward();
  CHECK(loss.tangent()(0) == 24.0);
  tape.backward(sum(c));  // depends on nothing: no pass at all
}

TEST_CASE("a variable of no rows goes through a whole program") {
  Tape<double> tape;
  Program<double> program;
  const std::vector<int> nothing;
  const auto h = sparse_dense(Relu{}, program.features, nothing, tape.parameter(program.parameters, program.w1),
                              tape.parameter(program.parameters, program.b1));
  const auto logits =
      affine(h, tape.parameter(program.parameters, program.w2), tape.parameter(program.parameters, program.b2));
  CHECK(logits.rows() == 0);
  CHECK(logits.cols() == 4);
  const auto loss = sum(pick(log_softmax(logits, program.legal), nothing, nothing) * 2.0);
  CHECK(loss.scalar() == 0.0);
  tape.backward(loss);
  CHECK(program.parameters.grad().isZero(0.0));
  program.parameters.tangent().setOnes();
  tape.push_forward();
  CHECK(loss.tangent()(0) == 0.0);
  tape.replay();
  CHECK(loss.scalar() == 0.0);
}

TEST_CASE("a user's operation is recorded like any other") {
  STATIC_REQUIRE(Operation<SquaredNorm, float, 1>);
  STATIC_REQUIRE_FALSE(Operation<SquaredNorm, float, 2>);
  STATIC_REQUIRE_FALSE(Operation<int, float, 1>);
  Tape<double> tape;
  const auto x = tape.variable(Eigen::RowVector3d(1, 2, 3));
  const auto y = tape.apply(SquaredNorm{}, x);
  CHECK(y.scalar() == 14.0);
  tape.backward(y);
  CHECK(x.grad() == Eigen::RowVector3d(2, 4, 6));
  CHECK_THROWS_AS(tape.apply(SquaredNorm{}, tape.variable(Eigen::Matrix2d::Zero())), std::invalid_argument);
}

TEST_CASE("the tape refuses a loss and a cotangent of the wrong shape") {
  Tape<double> tape;
  const auto x = tape.variable(Eigen::Matrix2d::Zero());
  CHECK_THROWS_AS(tape.backward(x), std::invalid_argument);
  CHECK_THROWS_AS(tape.pull_back(x, Eigen::Vector2d::Zero()), std::invalid_argument);
  CHECK_THROWS_AS(x.scalar(), std::invalid_argument);
}

TEST_CASE("parameters in use take no further block, and tapes do not mix") {
  gfn::Parameters<double> parameters;
  parameters.add("first", 2, 3);
  gfn::Tape<double> tape, other;
  const auto x = tape.parameter(parameters, 0);
  CHECK_THROWS_AS(parameters.add("second", 1, 1), std::invalid_argument);
  CHECK(parameters.blocks().size() == 1);
  const auto y = other.variable(gfn::Matrix<double>::Ones(2, 3));
  CHECK_THROWS_AS(x + y, gfn::Error);
}
