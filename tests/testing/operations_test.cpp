// SPDX-License-Identifier: MIT
#include <gfn/ad/elementwise.hpp>
#include <gfn/testing/operations.hpp>

#include <string>
#include <type_traits>

#include "catch.hpp"

using namespace gfn;
using gfn::testing::check_operation;

namespace {

enum class Fault {
  nothing,
  forward_leaves_an_entry,
  jvp_leaves_an_entry,
  wrong_jvp,
  wrong_jvp_of_one_alone,
  wrong_vjp,
  wrong_vjp_of_one_alone,
  vjp_overwrites,
  slightly_wrong_vjp,
  wrong_in_float,
  wrong_jvp_in_float,
  wrong_vjp_in_float,
  forward_loses_derivatives,
  vjp_loses_derivatives,
  wrong_without_rows
};

/// y = a·b entry by entry, with a fault.
struct Faulty {
  Fault fault = Fault::nothing;

  Shape shape(Shape a, Shape b) const {
    require(a == b, "Faulty: a has ", a.rows, " rows, b ", b.rows);
    return a;
  }
  template <class T>
  void forward(Out<T> y, In<T> a, In<T> b) const {
    for (Eigen::Index i = fault == Fault::forward_leaves_an_entry ? 1 : 0; i < y.size(); ++i)
      y.data()[i] = a.data()[i] * b.data()[i];
    if (fault == Fault::wrong_in_float && std::is_same_v<T, float>) y *= T(1.01);
    if (fault == Fault::forward_loses_derivatives) y = y.unaryExpr(&without_derivative<T>);
  }
  template <class T>
  void jvp(In<T>, Out<T> dy, In<T> a, In<T> b, In<T> da, In<T> db) const {
    for (Eigen::Index i = fault == Fault::jvp_leaves_an_entry ? 1 : 0; i < dy.size(); ++i) dy.data()[i] = T(0);
    if (present(da)) dy.array() += da.array() * b.array();
    if (present(db)) dy.array() += db.array() * (fault == Fault::wrong_jvp ? b : a).array();
    if (fault == Fault::wrong_jvp_of_one_alone && !(present(da) && present(db))) dy *= T(2);
    if (fault == Fault::wrong_jvp_in_float && std::is_same_v<T, float>) dy *= T(1.01);
  }
  template <class T>
  void vjp(In<T>, Out<T> gy, In<T> a, In<T> b, Out<T> ga, Out<T> gb) const {
    if (fault == Fault::wrong_vjp_of_one_alone && !(present(ga) && present(gb))) gy *= T(2);
    if (fault == Fault::slightly_wrong_vjp) gy *= T(1.0 + 1e-8);
    if (fault == Fault::wrong_vjp_in_float && std::is_same_v<T, float>) gy *= T(1.01);
    if (fault == Fault::vjp_overwrites && present(gb)) gb.setZero();
    if (present(ga) && fault == Fault::vjp_loses_derivatives)
      ga.array() += gy.array() * b.array().unaryExpr(&without_derivative<T>);
    else if (present(ga))
      ga.array() += gy.array() * b.array();
    if (present(gb)) gb.array() += gy.array() * a.array();
    if (present(ga) && fault == Fault::wrong_vjp) ga(0, 2) += gy(0, 2);
    if (present(ga) && fault == Fault::wrong_without_rows && ga.rows() == 0) fail("there are no rows");
  }

 private:
  template <class T>
  static T without_derivative(T x) {
    return static_cast<T>(static_cast<double>(x));
  }
};

std::string verdict(Fault fault) {
  try {
    check_operation(Faulty{fault}, {{2, 3}, {2, 3}});
  } catch (const Error& error) {
    return error.what();
  }
  return "sound";
}
bool condemned(Fault fault, const std::string& because) {
  INFO(verdict(fault));
  CHECK(verdict(fault).find(because) != std::string::npos);
  return verdict(fault) != "sound";
}

/// y = 2x on double only, with nothing but the four members.
struct Twice {
  Shape shape(Shape x) const { return x; }
  void forward(Out<double> y, In<double> x) const { y = 2.0 * x; }
  void jvp(In<double>, Out<double> dy, In<double>, In<double> dx) const { dy = 2.0 * dx; }
  void vjp(In<double>, Out<double> gy, In<double>, Out<double> gx) const { gx += 2.0 * gy; }
};

}  // namespace

TEST_CASE("check_operation accepts a sound operation") {
  CHECK(verdict(Fault::nothing) == "sound");
  CHECK_NOTHROW(check_operation(Twice{}, {{2, 3}}));
}

TEST_CASE("each check of check_operation catches what it is for") {
  CHECK(condemned(Fault::forward_leaves_an_entry, "forward must set every entry, entry (0, 0): over 0 it gives 0, "));
  CHECK(condemned(Fault::jvp_leaves_an_entry, "jvp must set every entry, entry (0, 0)"));
  CHECK(condemned(Fault::wrong_jvp, "jvp, entry (0, 0): the operation gives "));
  CHECK(condemned(Fault::wrong_jvp_of_one_alone, "jvp for input 0 alone, entry (0, 0): the operation gives "));
  CHECK(condemned(Fault::wrong_vjp, "vjp for input 0, entry (0, 2): the operation gives "));
  CHECK(condemned(Fault::wrong_vjp_of_one_alone, "vjp for input 0, entry (0, 0)"));
  CHECK(condemned(Fault::vjp_overwrites, "vjp for input 1 must add to what is there, entry (0, 0)"));
  CHECK(condemned(Fault::slightly_wrong_vjp, "adjoint identity: <J dx, gy> is "));
  CHECK(condemned(Fault::wrong_in_float, "forward in float, entry (0, "));
  CHECK(condemned(Fault::wrong_jvp_in_float, "jvp in float, entry (0, "));
  CHECK(condemned(Fault::wrong_vjp_in_float, "vjp for input 0 in float, entry (0, "));
  CHECK(condemned(Fault::forward_loses_derivatives, "forward on dual numbers, entry (0, 0): the derivative is 0, "));
  CHECK(
      condemned(Fault::vjp_loses_derivatives, "vjp for input 0 on dual numbers, entry (0, 0): the derivative is 0, "));
  CHECK(condemned(Fault::wrong_without_rows, "there are no rows"));
}

TEST_CASE("check_operation takes given matrices, and its tolerances are the caller's") {
  Matrix<double> kink = Matrix<double>::Constant(1, 2, 0.0);
  CHECK_THROWS_AS(check_operation(Elementwise<Relu>{}, {kink}), Error);  // differences see a slope of 1/2 at the kink
  CHECK_NOTHROW(check_operation(Elementwise<Relu>{}, {(kink.array() + 1.0).matrix()}));
  CHECK_NOTHROW(check_operation(Elementwise<Huber>{}, {{2, 2}}, {.low = 3.0, .high = 4.0, .seed = 9}));
  CHECK_THROWS_AS(check_operation(Elementwise<Exp>{}, {{2, 2}}, {.step = 0.5}), Error);
}
