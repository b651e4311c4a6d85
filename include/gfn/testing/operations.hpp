// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
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
  double step = 1e-5;             ///< of the central differences; along single entries times max(1, |x|)
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

template <class T>
using Inputs = std::vector<Block<T>>;

/// Which inputs have a tangent, or want a cotangent.
using Presence = std::vector<bool>;

/// An operation on one scalar, without its type: what examines it is compiled once. Empty where the operation does not
/// run on the scalar.
template <class T>
struct ErasedOperation {
  std::function<void(Block<T>& y, const Inputs<T>& x)> forward_into;
  std::function<void(const Block<T>& y, Block<T>& dy, const Inputs<T>& x, const Inputs<T>& dx, const Presence& present)>
      jvp_into;
  std::function<void(const Block<T>& y, Block<T>& gy, const Inputs<T>& x, Inputs<T>& gx, const Presence& present)>
      vjp_into;
  Shape shape;

  explicit operator bool() const { return static_cast<bool>(forward_into); }

  Block<T> forward(const Inputs<T>& x, T before = T(0)) const {
    Block<T> y(shape, before);
    forward_into(y, x);
    return y;
  }
  Block<T> jvp(const Block<T>& y, const Inputs<T>& x, const Inputs<T>& dx, const Presence& present,
               T before = T(0)) const {
    Block<T> dy(shape, before);
    jvp_into(y, dy, x, dx, present);
    return dy;
  }
  /// Returns gx, which starts from `before`.
  Inputs<T> vjp(const Block<T>& y, Block<T> gy, const Inputs<T>& x, const Presence& present, Inputs<T> before) const {
    vjp_into(y, gy, x, before, present);
    return before;
  }
};

template <class T, class Op, std::size_t... I>
ErasedOperation<T> erase(const Op& op, Shape shape, std::index_sequence<I...>) {
  if constexpr (Operation<Op, T, sizeof...(I)>)
    return {[op](Block<T>& y, const Inputs<T>& x) { op.forward(y.out(), x[I].in()...); },
            [op](const Block<T>& y, Block<T>& dy, const Inputs<T>& x, const Inputs<T>& dx, const Presence& present) {
              op.jvp(y.in(), dy.out(), x[I].in()..., dx[I].in(present[I])...);
            },
            [op](const Block<T>& y, Block<T>& gy, const Inputs<T>& x, Inputs<T>& gx, const Presence& present) {
              op.vjp(y.in(), gy.out(), x[I].in()..., gx[I].out(present[I])...);
            },
            shape};
  else
    return {};
}

inline bool close(double a, double b, double tolerance) {
  return a == b || std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

/// The checks of one operation at one point.
class OperationChecker {
 public:
  OperationChecker(ErasedOperation<double> op, ErasedOperation<float> in_float, ErasedOperation<Dual<double>> on_dual,
                   const Inputs<double>& x, const OperationCheckOptions& options)
      : options_(options),
        stream_(options.seed, Purpose::user, 0, 0),
        op_(std::move(op)),
        in_float_(std::move(in_float)),
        on_dual_(std::move(on_dual)),
        x_(x),
        dx_(random_like(x)),
        y_(op_.forward(x)),
        gy_(random(op_.shape)) {}

  void check() {
    check_that_all_is_set();
    std::vector<Presence> presences{all()};
    for (std::size_t k = 0; x_.size() > 1 && k < x_.size(); ++k) presences.push_back(only(k));
    for (const Presence& present : presences) check_jvp(present);
    const Inputs<double> differences = gradient_by_differences();
    for (const Presence& present : presences) check_vjp(present, differences);
    for (const Presence& present : presences) check_adjoint(present);
    if (in_float_) check_float();
    if (on_dual_) check_dual();
  }

 private:
  Presence all() const { return Presence(x_.size(), true); }
  Presence only(std::size_t k) const {
    Presence present(x_.size(), false);
    present[k] = true;
    return present;
  }
  static Inputs<double> zeros(const Inputs<double>& like) {
    Inputs<double> result;
    for (const Block<double>& block : like) result.emplace_back(block.shape);
    return result;
  }
  template <class T, class Convert>
  static Inputs<T> converted(const Inputs<double>& from, const Convert& convert) {
    Inputs<T> result;
    for (const Block<double>& block : from) result.emplace_back(block, convert);
    return result;
  }
  Inputs<double> random_like(const Inputs<double>& like) {
    Inputs<double> result;
    for (const Block<double>& block : like) result.push_back(random(block.shape));
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
  std::string inputs(const Presence& present) const {
    for (std::size_t k = 0; k < x_.size(); ++k)
      if (present != all() && present == only(k)) return input(k) + " alone";
    return {};
  }

  void check_that_all_is_set() const {
    constexpr double other = -7.25;
    compare(y_, op_.forward(x_, other), 0.0, "forward must set every entry", "over 0 it gives", "over -7.25");
    compare(op_.jvp(y_, x_, dx_, all()), op_.jvp(y_, x_, dx_, all(), other), 0.0, "jvp must set every entry",
            "over 0 it gives", "over -7.25");
  }

  /// f at x + step·dx for the inputs that are present.
  Block<double> shifted(const Presence& present, double step) const {
    Inputs<double> x = x_;
    for (std::size_t k = 0; k < x_.size(); ++k)
      for (Eigen::Index i = 0; present[k] && i < x[k].size(); ++i) x[k][i] += step * dx_[k][i];
    return op_.forward(x);
  }
  /// An entry that does not move has slope 0, though it be infinite.
  static double difference(double plus, double minus, double step) {
    return plus == minus ? 0.0 : (plus - minus) / (2.0 * step);
  }
  void check_jvp(const Presence& present) const {
    const Block<double> plus = shifted(present, options_.step), minus = shifted(present, -options_.step);
    Block<double> expected(y_.shape);
    for (Eigen::Index i = 0; i < y_.size(); ++i) expected[i] = difference(plus[i], minus[i], options_.step);
    compare(op_.jvp(y_, x_, dx_, present), expected, options_.tolerance, "jvp" + inputs(present), "the operation gives",
            "central differences give");
  }

  /// Jᵀ gy, entry by entry.
  Inputs<double> gradient_by_differences() const {
    Inputs<double> gradient = zeros(x_), x = x_;
    for (std::size_t k = 0; k < x_.size(); ++k)
      for (Eigen::Index i = 0; i < x[k].size(); ++i) {
        const double middle = x[k][i], step = options_.step * std::max(1.0, std::abs(middle));
        x[k][i] = middle + step;
        const Block<double> plus = op_.forward(x);
        x[k][i] = middle - step;
        const Block<double> minus = op_.forward(x);
        x[k][i] = middle;
        for (Eigen::Index j = 0; j < y_.size(); ++j) gradient[k][i] += gy_[j] * difference(plus[j], minus[j], step);
      }
    return gradient;
  }
  void check_vjp(const Presence& present, const Inputs<double>& differences) {
    const Inputs<double> gx = op_.vjp(y_, gy_, x_, present, zeros(x_));
    const Inputs<double> before = random_like(x_);
    const Inputs<double> added = op_.vjp(y_, gy_, x_, present, before);
    for (std::size_t k = 0; k < x_.size(); ++k) {
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
  void check_adjoint(const Presence& present) const {
    const Block<double> dy = op_.jvp(y_, x_, dx_, present);
    const Inputs<double> gx = op_.vjp(y_, gy_, x_, present, zeros(x_));
    double left = 0.0, right = 0.0, scale = 1.0;
    for (Eigen::Index i = 0; i < dy.size(); ++i) {
      left += dy[i] * gy_[i];
      scale += std::abs(dy[i] * gy_[i]);
    }
    for (std::size_t k = 0; k < x_.size(); ++k)
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
    const Block<double> y = op_.forward(x);
    const Block<float> yf = in_float_.forward(xf);
    const double tolerance = options_.float_tolerance;
    compare(yf, y, tolerance, "forward in float", "float gives", "double");
    compare(in_float_.jvp(yf, xf, dxf, all()), op_.jvp(y, x, dx_, all()), tolerance, "jvp in float", "float gives",
            "double");
    const Inputs<double> gx = op_.vjp(y, gy_, x, all(), zeros(x));
    const Inputs<float> gxf =
        in_float_.vjp(yf, Block<float>(gy_, narrow), xf, all(), converted<float>(zeros(x), narrow));
    for (std::size_t k = 0; k < x_.size(); ++k)
      compare(gxf[k], gx[k], tolerance, "vjp" + input(k) + " in float", "float gives", "double");
  }

  /// On dual numbers, forward carries what jvp gives, and vjp the derivative of vjp.
  void check_dual() const {
    const auto constant = [](double number) { return Dual<double>(number); };
    const auto derivative = [](Dual<double> number) { return number.derivative; };
    Inputs<Dual<double>> x = converted<Dual<double>>(x_, constant);
    for (std::size_t k = 0; k < x_.size(); ++k)
      for (Eigen::Index i = 0; i < x[k].size(); ++i) x[k][i].derivative = dx_[k][i];
    const Block<Dual<double>> y = on_dual_.forward(x);
    compare(y, y_, options_.tolerance, "forward on dual numbers", "the value is", "double gives");
    compare(Block<double>(y, derivative), op_.jvp(y_, x_, dx_, all()), options_.tolerance, "forward on dual numbers",
            "the derivative is", "jvp gives");

    const auto zero = converted<Dual<double>>(zeros(x_), constant);
    const Inputs<Dual<double>> gx = on_dual_.vjp(y, Block<Dual<double>>(gy_, constant), x, all(), zero);
    const Inputs<double> plus = shifted_vjp(options_.step), minus = shifted_vjp(-options_.step);
    for (std::size_t k = 0; k < x_.size(); ++k) {
      Block<double> expected(x_[k].shape);
      for (Eigen::Index i = 0; i < expected.size(); ++i)
        expected[i] = difference(plus[k][i], minus[k][i], options_.step);
      compare(Block<double>(gx[k], derivative), expected, options_.tolerance, "vjp" + input(k) + " on dual numbers",
              "the derivative is", "central differences of vjp give");
    }
  }
  Inputs<double> shifted_vjp(double step) const {
    Inputs<double> x = x_;
    for (std::size_t k = 0; k < x_.size(); ++k)
      for (Eigen::Index i = 0; i < x[k].size(); ++i) x[k][i] += step * dx_[k][i];
    return op_.vjp(op_.forward(x), gy_, x, all(), zeros(x));
  }

  OperationCheckOptions options_;
  Stream stream_;
  ErasedOperation<double> op_;
  ErasedOperation<float> in_float_;
  ErasedOperation<Dual<double>> on_dual_;
  Inputs<double> x_, dx_;
  Block<double> y_, gy_;
};

template <class Op, std::size_t... I>
void examine(const Op& op, const Inputs<double>& x, const OperationCheckOptions& options,
             std::index_sequence<I...> inputs) {
  const Shape shape = op.shape(x[I].shape...);
  OperationChecker(erase<double>(op, shape, inputs), erase<float>(op, shape, inputs),
                   erase<Dual<double>>(op, shape, inputs), x, options)
      .check();
}

/// Whether the operation takes inputs like these.
template <class Op, std::size_t... I>
bool accepts(const Op& op, const Inputs<double>& x, std::index_sequence<I...>) {
  try {
    static_cast<void>(op.shape(x[I].shape...));
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
/// * jvp and vjp agree with central differences in double, for all inputs together and for each alone (an operation
///   that touches the tangent or cotangent of an absent input reads or writes a null pointer there, and the program
///   stops);
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
  constexpr auto all = std::make_index_sequence<N>{};
  Stream stream(options.seed, Purpose::user, 1, 0);
  detail::Inputs<double> x;
  for (const OperationInput& input : inputs) {
    x.emplace_back(input.shape);
    for (Eigen::Index i = 0; i < input.shape.size(); ++i)
      x.back()[i] =
          input.given ? input.values.data()[i] : options.low + (options.high - options.low) * stream.uniform();
  }
  detail::examine(op, x, options, all);

  const Eigen::Index rows = x[0].shape.rows;
  for (auto& block : x)
    if (block.shape.rows == rows) block = detail::Block<double>({0, block.shape.cols});
  if (options.zero_rows && rows > 0 && detail::accepts(op, x, all)) detail::examine(op, x, options, all);
}

}  // namespace gfn::testing
