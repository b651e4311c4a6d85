// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>
#include <vector>

#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/environment/state_table.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"
#include "messages.hpp"

// Values that the tape borrows from a network are differentiated only while they are what they were.

namespace {

using namespace gfn;

const std::string overwritten =
    "Tape: adopted values were overwritten since they were recorded (the network was evaluated elsewhere)";

/// y = 2x.
struct Twice {
  Shape shape(Shape x) const { return x; }
  template <class T>
  void forward(Out<T> y, In<T> x) const {
    y = T(2) * x;
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T>, In<T> dx) const {
    dy = T(2) * dx;
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T>, Out<T> gx) const {
    gx += T(2) * gy;
  }
};

}  // namespace

TEST_CASE("adopted values whose owner has overwritten them are not differentiated") {
  Parameters<double> parameters;
  parameters.add("x", 1, 2);
  parameters.modify(0) << 1, 3;
  std::vector<double> values{2, 6};
  std::uint64_t stamp = 5;
  Tape<double> tape;
  const auto y =
      tape.adopt({values.data(), &parameters, parameters.version(), &stamp}, Twice{}, tape.parameter(parameters, 0));
  const auto loss = sum(square(y));
  CHECK(loss.scalar() == 40);
  tape.backward(loss);
  CHECK(parameters.grad(0)(0, 1) == 24);
  parameters.tangent(0) << 1, 0;
  tape.push_forward();
  CHECK(loss.tangent()(0) == 8);

  ++stamp;
  values = {7, 8};
  CHECK(message_of<Error>([&] { tape.backward(loss); }) == overwritten);
  CHECK(message_of<Error>([&] { tape.pull_back(y, Eigen::RowVector2d::Ones()); }) == overwritten);
  CHECK(message_of<Error>([&] { tape.push_forward(); }) == overwritten);
  // a pass that does not come by is none of its business
  const auto apart = tape.variable(Matrix<double>::Constant(1, 2, 2.0));
  const auto other = sum(square(apart));
  CHECK(message_of<Error>([&] { tape.backward(other); }) == "");
  CHECK(apart.grad()(0, 1) == 4);
  // a replay computes the values anew, in memory of the tape's own
  tape.replay();
  CHECK(loss.scalar() == 40);
  CHECK(values == std::vector<double>{7, 8});
  parameters.zero_grad();
  CHECK(message_of<Error>([&] { tape.backward(loss); }) == "");
  CHECK(parameters.grad(0)(0, 1) == 24);
}

TEST_CASE("values under another version of the parameters are not adopted, and both versions are named") {
  Parameters<double> parameters;
  parameters.add("x", 1, 2);
  std::vector<double> values{0, 0};
  const std::uint64_t version = parameters.version();
  parameters.modify(0) << 1, 3;
  Tape<double> tape;
  const auto x = tape.parameter(parameters, 0);
  CHECK(message_of<Error>([&] {
          tape.adopt({values.data(), &parameters, version}, Twice{}, x);
        }) == "Tape::adopt: the values were computed under version " + std::to_string(version) +
                  " of the parameters, which are at version " + std::to_string(version + 1) + " now");
}

TEST_CASE("a network that was evaluated elsewhere is not differentiated where it was recorded before") {
  const HyperGrid env{{.dimension = 2, .side = 3}};
  Random random{1};
  auto policy = mlp_policy<double>(env, {.hidden = {4}}, random);
  StateTable<HyperGrid> table(env), other(env);
  table.find_or_add(env.initial_state());
  HyperGrid::State s = env.initial_state();
  env.apply(s, 0);
  table.find_or_add(s);
  other.find_or_add(s);
  const std::vector<int> rows{0, 1}, row{0};
  Tape<double> tape;
  const auto record = [&] {
    tape.clear();
    return sum(square(policy.record(tape, table.block(rows))));
  };
  const auto loss = record();
  SECTION("on the same states it may be evaluated again") {
    policy.extend(table.block(rows));
    CHECK(message_of<Error>([&] { tape.backward(loss); }) == "");
  }
  SECTION("on other states") {
    policy.extend(other.block(row));
    CHECK(message_of<Error>([&] { tape.backward(loss); }) == overwritten);
    const auto again = record();
    CHECK(message_of<Error>([&] { tape.backward(again); }) == "");
    CHECK(policy.parameters().grad().norm() > 0);
  }
  SECTION("with other parameters") {
    policy.parameters().modify() *= 2;
    policy.extend(table.block(rows));
    CHECK(message_of<Error>([&] { tape.backward(loss); }) == overwritten);
  }
}
