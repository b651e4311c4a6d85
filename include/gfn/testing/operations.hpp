// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/ad/dual.hpp>
#include <gfn/ad/matrix.hpp>
#include <gfn/ad/operation.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/random.hpp>

namespace gfn::testing {

/// An input of check_operation: a matrix, or a shape that is filled with random numbers.
struct OperationInput {
  OperationInput(Eigen::Index rows, Eigen::Index cols) : shape{rows, cols} {}
  OperationInput(Shape s) : shape(s) {}  // NOLINT(google-explicit-constructor): written in a list of inputs
  template <class Derived>
  OperationInput(const Eigen::DenseBase<Derived>& matrix)  // NOLINT(google-explicit-constructor)
      : shape{matrix.rows(), matrix.cols()}, given(true), values(matrix.derived().template cast<double>()) {}

  Shape shape;
  bool given = false;
  Matrix<double> values{};
};

struct OperationCheckOptions {
  double low = -2.0, high = 2.0;  ///< the range of random inputs: inside the domain, with no kink that is hit exactly
  double step = 1e-5;             ///< of the central differences, times max(1, |x|)
  double tolerance = 1e-6;        ///< against differences, absolute or relative, whichever is larger
  double adjoint_tolerance = 1e-10;
  double float_tolerance = 1e-3;  ///< of float against double
  bool zero_rows = true;          ///< also with no rows, if the operation's `shape` accepts that
  std::uint64_t seed = 1;
};

namespace detail {

/// A matrix that owns its entries, has an address when it is empty too, and can stand for nothing.
template <class T>
struct Block {
  Shape shape{};
  std::vector<T> entries = {T(0)};

  Block() = default;
  explicit Block(Shape s, T fill = T(0)) : shape(s), entries(static_cast<std::size_t>(s.size()) + 1, fill) {}
  template <class U, class Convert>
  Block(const Block<U>& other, const Convert& convert) : Block(other.shape) {
    for (std::size_t i = 0; i < other.entries.size(); ++i) entries[i] = convert(other.entries[i]);
  }

  T& operator[](Eigen::Index i) { return entries[static_cast<std::size_t>(i)]; }
  const T& operator[](Eigen::Index i) const { return entries[static_cast<std::size_t>(i)]; }
  Eigen::Index size() const { return shape.size(); }
  In<T> in(bool present = true) const { return {present ? entries.data() : nullptr, shape.rows, shape.cols}; }
  Out<T> out(bool present = true) { return {present ? entries.data() : nullptr, shape.rows, shape.cols}; }
};

/// Which inputs have a tangent, or want a cotangent.
template <std::size_t N>
using Presence = std::array<bool, N>;

/// An operation with its N inputs' shapes, to be run on blocks of any scalar.
template <class Op, std::size_t N>
class OperationRunner {
 public:
  template <class T>
  using Inputs = std::array<Block<T>, N>;

  OperationRunner(const Op& op, const std::array<Shape, N>& shapes)
      : op_(op), shape_(expand([&](auto... i) { return op.shape(shapes[i]...); })) {}

  Shape shape() const { return shape_; }

  template <class T>
  Block<T> forward(const Inputs<T>& x, T before = T(0)) const {
    Block<T> y(shape_, before);
    expand([&](auto... i) { op_.forward(y.out(), x[i].in()...); });
    return y;
  }
  template <class T>
  Block<T> jvp(const Block<T>& y, const Inputs<T>& x, const Inputs<T>& dx, const Presence<N>& present,
               T before = T(0)) const {
    Block<T> dy(shape_, before);
    expand([&](auto... i) { op_.jvp(y.in(), dy.out(), x[i].in()..., dx[i].in(present[i])...); });
    return dy;
  }
  /// Returns gx, which starts from `before`.
  template <class T>
  Inputs<T> vjp(const Block<T>& y, Block<T> gy, const Inputs<T>& x, const Presence<N>& present,
                Inputs<T> before) const {
    expand([&](auto... i) { op_.vjp(y.in(), gy.out(), x[i].in()..., before[i].out(present[i])...); });
    return before;
  }

 private:
  template <class Body>
  static auto expand(const Body& body) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return body(std::integral_constant<std::size_t, I>{}...);
    }
    (std::make_index_sequence<N>{});
  }

  const Op& op_;
  Shape shape_;
};

inline bool close(double a, double b, double tolerance) {
  return a == b || std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

/// The checks of one operation at one point.
template <class Op, std::size_t N>
class OperationChecker {
 public:
  template <class T>
  using Inputs = std::array<Block<T>, N>;

  OperationChecker(const Op& op, const Inputs<double>& x, const OperationCheckOptions& options)
      : options_(options),
        stream_(options.seed, Purpose::user, 0, 0),
        run_(op, shapes(x)),
        x_(x),
        y_(run_.forward(x)),
        gy_(random(run_.shape())) {
    for (std::size_t k = 0; k < N; ++k) dx_[k] = random(x[k].shape);
  }

  void check() {
    check_that_all_is_set();
    std::vector<Presence<N>> presences(1);
    presences[0].fill(true);
    for (std::size_t k = 0; N > 1 && k < N; ++k) presences.push_back(only(k));
    for (const Presence<N>& present : presences) check_jvp(present);
    const Inputs<double> differences = gradient_by_differences();
    for (const Presence<N>& present : presences) check_vjp(present, differences);
    for (const Presence<N>& present : presences) check_adjoint(present);
    if constexpr (Operation<Op, float, N>) check_float();
    if constexpr (Operation<Op, Dual<double>, N>) check_dual();
  }

 private:
  static std::array<Shape, N> shapes(const Inputs<double>& x) {
    std::array<Shape, N> result;
    for (std::size_t k = 0; k < N; ++k) result[k] = x[k].shape;
    return result;
  }
  static Presence<N> only(std::size_t k) {
    Presence<N> present{};
    present[k] = true;
    return present;
  }
  static Presence<N> all() {
    Presence<N> present;
    present.fill(true);
    return present;
  }
  static Inputs<double> zeros(const Inputs<double>& like) {
    Inputs<double> result;
    for (std::size_t k = 0; k < N; ++k) result[k] = Block<double>(like[k].shape);
    return result;
  }
  template <class T, class Convert>
  static Inputs<T> converted(const Inputs<double>& from, const Convert& convert) {
    Inputs<T> result;
    for (std::size_t k = 0; k < N; ++k) result[k] = Block<T>(from[k], convert);
    return result;
  }
  Block<double> random(Shape shape) {
    Block<double> block(shape);
    for (double& entry : block.entries) entry = 2.0 * stream_.uniform() - 1.0;
    return block;
  }

  /// Throws unless the blocks agree. The texts say what was checked, and whose the numbers are.
  template <class A, class B>
  void compare(const Block<A>& a, const Block<B>& b, double tolerance, const std::string& what, const char* whose_a,
               const char* whose_b) const {
    for (Eigen::Index i = 0; i < a.size(); ++i) {
      const auto left = static_cast<double>(a[i]), right = static_cast<double>(b[i]);
      if (!close(left, right, tolerance))
        fail("check_operation: ", what, ", entry (", i / a.shape.cols, ", ", i % a.shape.cols, "): ", whose_a, " ",
             left, ", ", whose_b, " ", right);
    }
  }
  static std::string input(std::size_t k) { return " for input " + std::to_string(k); }
  static std::string inputs(const Presence<N>& present) {
    for (std::size_t k = 0; k < N; ++k)
      if (N > 1 && present == only(k)) return " for input " + std::to_string(k) + " alone";
    return {};
  }

  void check_that_all_is_set() const {
    constexpr double other = -7.25;
    compare(y_, run_.forward(x_, other), 0.0, "forward must set every entry", "over 0 it gives", "over -7.25");
    compare(run_.jvp(y_, x_, dx_, all()), run_.jvp(y_, x_, dx_, all(), other), 0.0, "jvp must set every entry",
            "over 0 it gives", "over -7.25");
  }

  /// f at x + step·dx for the inputs that are present.
  Block<double> shifted(const Presence<N>& present, double step) const {
    Inputs<double> x = x_;
    for (std::size_t k = 0; k < N; ++k)
      for (Eigen::Index i = 0; present[k] && i < x[k].size(); ++i) x[k][i] += step * dx_[k][i];
    return run_.forward(x);
  }
  /// An entry that does not move has slope 0, though it be infinite.
  static double difference(double plus, double minus, double step) {
    return plus == minus ? 0.0 : (plus - minus) / (2.0 * step);
  }
  void check_jvp(const Presence<N>& present) const {
    const Block<double> plus = shifted(present, options_.step), minus = shifted(present, -options_.step);
    Block<double> expected(y_.shape);
    for (Eigen::Index i = 0; i < y_.size(); ++i) expected[i] = difference(plus[i], minus[i], options_.step);
    compare(run_.jvp(y_, x_, dx_, present), expected, options_.tolerance, "jvp" + inputs(present),
            "the operation gives", "central differences give");
  }

  /// Jᵀ gy, entry by entry.
  Inputs<double> gradient_by_differences() const {
    Inputs<double> gradient = zeros(x_), x = x_;
    for (std::size_t k = 0; k < N; ++k)
      for (Eigen::Index i = 0; i < x[k].size(); ++i) {
        const double middle = x[k][i], step = options_.step * std::max(1.0, std::abs(middle));
        x[k][i] = middle + step;
        const Block<double> plus = run_.forward(x);
        x[k][i] = middle - step;
        const Block<double> minus = run_.forward(x);
        x[k][i] = middle;
        for (Eigen::Index j = 0; j < y_.size(); ++j) gradient[k][i] += gy_[j] * difference(plus[j], minus[j], step);
      }
    return gradient;
  }
  void check_vjp(const Presence<N>& present, const Inputs<double>& differences) {
    const Inputs<double> gx = run_.vjp(y_, gy_, x_, present, zeros(x_));
    Inputs<double> before;
    for (std::size_t k = 0; k < N; ++k) before[k] = random(x_[k].shape);
    const Inputs<double> added = run_.vjp(y_, gy_, x_, present, before);
    for (std::size_t k = 0; k < N; ++k) {
      if (!present[k]) continue;
      compare(gx[k], differences[k], options_.tolerance, "vjp" + input(k), "the operation gives",
              "central differences give");
      Block<double> increase = added[k];
      for (Eigen::Index i = 0; i < increase.size(); ++i) increase[i] -= before[k][i];
      compare(increase, gx[k], options_.adjoint_tolerance, "vjp" + input(k) + " must add to what is there",
              "to a number it adds", "to 0");
    }
  }
  /// ⟨J dx, gy⟩ = ⟨dx, Jᵀ gy⟩.
  void check_adjoint(const Presence<N>& present) const {
    const Block<double> dy = run_.jvp(y_, x_, dx_, present);
    const Inputs<double> gx = run_.vjp(y_, gy_, x_, present, zeros(x_));
    double left = 0.0, right = 0.0, scale = 1.0;
    for (Eigen::Index i = 0; i < dy.size(); ++i) {
      left += dy[i] * gy_[i];
      scale += std::abs(dy[i] * gy_[i]);
    }
    for (std::size_t k = 0; k < N; ++k)
      for (Eigen::Index i = 0; present[k] && i < gx[k].size(); ++i) right += dx_[k][i] * gx[k][i];
    if (!(std::abs(left - right) <= options_.adjoint_tolerance * scale))
      fail("check_operation: the adjoint identity", inputs(present), ": <J dx, gy> is ", left, ", <dx, J' gy> is ",
           right);
  }

  void check_float() const {
    const auto narrow = [](double number) { return static_cast<float>(number); };
    const auto round = [](double number) { return static_cast<double>(static_cast<float>(number)); };
    const Inputs<double> x = converted<double>(x_, round);
    const Inputs<float> xf = converted<float>(x_, narrow), dxf = converted<float>(dx_, narrow);
    const Block<double> y = run_.forward(x);
    const Block<float> yf = run_.forward(xf);
    const double tolerance = options_.float_tolerance;
    compare(yf, y, tolerance, "forward in float", "float gives", "double");
    compare(run_.jvp(yf, xf, dxf, all()), run_.jvp(y, x, dx_, all()), tolerance, "jvp in float", "float gives",
            "double");
    const Inputs<double> gx = run_.vjp(y, gy_, x, all(), zeros(x));
    const Inputs<float> gxf = run_.vjp(yf, Block<float>(gy_, narrow), xf, all(), converted<float>(zeros(x), narrow));
    for (std::size_t k = 0; k < N; ++k)
      compare(gxf[k], gx[k], tolerance, "vjp" + input(k) + " in float", "float gives", "double");
  }

  /// On dual numbers, forward carries what jvp gives, and vjp the derivative of vjp.
  void check_dual() const {
    const auto constant = [](double number) { return Dual<double>(number); };
    const auto derivative = [](Dual<double> number) { return number.derivative; };
    Inputs<Dual<double>> x = converted<Dual<double>>(x_, constant);
    for (std::size_t k = 0; k < N; ++k)
      for (Eigen::Index i = 0; i < x[k].size(); ++i) x[k][i].derivative = dx_[k][i];
    const Block<Dual<double>> y = run_.forward(x);
    compare(y, y_, options_.tolerance, "forward on dual numbers", "the value is", "double gives");
    compare(Block<double>(y, derivative), run_.jvp(y_, x_, dx_, all()), options_.tolerance, "forward on dual numbers",
            "the derivative is", "jvp gives");

    const auto zero = converted<Dual<double>>(zeros(x_), constant);
    const Inputs<Dual<double>> gx = run_.vjp(y, Block<Dual<double>>(gy_, constant), x, all(), zero);
    const Inputs<double> plus = shifted_vjp(options_.step), minus = shifted_vjp(-options_.step);
    for (std::size_t k = 0; k < N; ++k) {
      Block<double> expected(x_[k].shape);
      for (Eigen::Index i = 0; i < expected.size(); ++i)
        expected[i] = difference(plus[k][i], minus[k][i], options_.step);
      compare(Block<double>(gx[k], derivative), expected, options_.tolerance, "vjp" + input(k) + " on dual numbers",
              "the derivative is", "central differences of vjp give");
    }
  }
  Inputs<double> shifted_vjp(double step) const {
    Inputs<double> x = x_;
    for (std::size_t k = 0; k < N; ++k)
      for (Eigen::Index i = 0; i < x[k].size(); ++i) x[k][i] += step * dx_[k][i];
    return run_.vjp(run_.forward(x), gy_, x, all(), zeros(x));
  }

  OperationCheckOptions options_;
  Stream stream_;
  OperationRunner<Op, N> run_;
  Inputs<double> x_, dx_;
  Block<double> y_, gy_;
};

/// Whether the operation takes inputs like these.
template <class Op, std::size_t N>
bool accepts(const Op& op, const std::array<Block<double>, N>& x) {
  std::array<Shape, N> shapes;
  for (std::size_t k = 0; k < N; ++k) shapes[k] = x[k].shape;
  try {
    OperationRunner<Op, N>(op, shapes);
  } catch (const std::invalid_argument&) {
    return false;
  }
  return true;
}

}  // namespace detail

/// Examines an operation (see gfn/ad/operation.hpp) at one point, and throws gfn::Error that names the check, the entry
/// and both numbers if it finds fault:
///
/// * forward and jvp set every entry of their result;
/// * jvp and vjp agree with central differences in double, for all inputs together and for each alone (an operation that
///   touches the tangent or cotangent of an absent input reads or writes a null pointer there, and the program stops);
/// * vjp adds to what is there;
/// * the adjoint identity ⟨J dx, gy⟩ = ⟨dx, Jᵀ gy⟩, much tighter than differences can tell;
/// * float gives what double gives, if the operation runs on float;
/// * Dual<double> gives the derivatives of forward and of vjp, if the operation runs on it;
/// * all of that again with 0 rows in the first input and in those that have as many rows, if `shape` accepts it.
///
///     check_operation(Dense<Relu>{}, {{5, 3}, {3, 4}, {1, 4}});
template <class Op, std::size_t N>
void check_operation(const Op& op, const OperationInput (&inputs)[N], const OperationCheckOptions& options = {}) {
  static_assert(Operation<Op, double, N>,
                "check_operation: the operation needs `shape`, `forward`, `jvp` and `vjp` on double for as many inputs "
                "as are given, and must be trivially copyable (see gfn/ad/operation.hpp)");
  Stream stream(options.seed, Purpose::user, 1, 0);
  std::array<detail::Block<double>, N> x;
  for (std::size_t k = 0; k < N; ++k) {
    x[k] = detail::Block<double>(inputs[k].shape);
    for (Eigen::Index i = 0; i < x[k].size(); ++i)
      x[k][i] =
          inputs[k].given ? inputs[k].values.data()[i] : options.low + (options.high - options.low) * stream.uniform();
  }
  detail::OperationChecker<Op, N>(op, x, options).check();

  const Eigen::Index rows = x[0].shape.rows;
  for (auto& block : x)
    if (block.shape.rows == rows) block = detail::Block<double>(Shape{0, block.shape.cols});
  if (options.zero_rows && rows > 0 && detail::accepts(op, x)) detail::OperationChecker<Op, N>(op, x, options).check();
}

}  // namespace gfn::testing
