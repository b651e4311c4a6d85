// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include <gfn/ad/arena.hpp>
#include <gfn/ad/matrix.hpp>
#include <gfn/ad/operation.hpp>
#include <gfn/ad/parameters.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/unique_number.hpp>

namespace gfn {

template <class T>
class Tape;

namespace detail {

template <class T>
struct Node;

/// What the tape calls through: one instance per type of operation.
template <class T>
struct Kernels {
  void (*forward)(Node<T>&);
  void (*jvp)(Node<T>&);
  void (*vjp)(Node<T>&);
};

template <class T>
struct Node {
  Shape shape;
  T* value = nullptr;
  T* grad = nullptr;
  T* tangent = nullptr;
  const void* op = nullptr;
  const Kernels<T>* kernels = nullptr;  // null: a leaf
  Node** inputs = nullptr;
  std::size_t num_inputs = 0;
  std::uint64_t grad_pass = 0;           // the reverse pass that last touched grad
  bool requires_grad = false;            // a parameter or a variable stands somewhere below
  bool is_parameter = false;             // grad belongs to a Parameters, and is added to over passes
  bool adopted = false;                  // value belongs to somebody else
  const std::uint64_t* stamp = nullptr;  // of adopted values: the owner's count of overwritings,
  std::uint64_t stamp_at_adoption = 0;   // and what it was
};

}  // namespace detail

/// A handle on a matrix of the tape; copied freely, dead after the tape's next `clear` (asserted under GFN_DEBUG).
template <class T>
class Var {
 public:
  using Scalar = T;

  Var() = default;

  Shape shape() const { return node().shape; }
  Eigen::Index rows() const { return shape().rows; }
  Eigen::Index cols() const { return shape().cols; }
  In<T> value() const { return {node().value, rows(), cols()}; }
  /// The value of a 1 × 1 variable.
  T scalar() const {
    require(shape() == Shape{1, 1}, "Var::scalar: the variable is ", rows(), " x ", cols(), ", not 1 x 1");
    return *node().value;
  }
  /// The cotangent after a reverse pass. Meant for leaves: operations may use that of an inner variable as scratch.
  Out<T> grad() const;
  /// The tangent: to be set on parameters and variables before `push_forward`, to be read anywhere after it. That of a
  /// constant is not looked at.
  Out<T> tangent() const;
  Tape<T>& tape() const { return *tape_; }

 private:
  friend class Tape<T>;
  Var(Tape<T>& tape, detail::Node<T>& node, std::uint64_t generation)
      : tape_(&tape), node_(&node), generation_(generation) {}
  detail::Node<T>& node() const;

  Tape<T>* tape_ = nullptr;
  detail::Node<T>* node_ = nullptr;
  std::uint64_t generation_ = 0;
};

/// Where a finished node's values come from: memory that somebody else owns and that was computed under a version of
/// some parameters.
template <class T>
struct Finished {
  T* value = nullptr;
  const Parameters<T>* parameters = nullptr;  ///< may be null: the values depend on no parameters
  std::uint64_t version = 0;                  ///< of the parameters, when the values were computed
  const std::uint64_t* stamp = nullptr;       ///< counts how often the owner overwrote or moved values; may be null
};

/// A recorded program of matrix operations. Recording runs it; then `backward` gives gradients, `push_forward`
/// directional derivatives, `pull_back` products with a transposed Jacobian, and `replay` the same program under new
/// parameter values. A tape serves any number of passes until it is cleared, and keeps its memory then.
template <class T>
class Tape {
 public:
  using Scalar = T;

  Tape() = default;
  Tape(const Tape&) = delete;  // handles point to it
  Tape& operator=(const Tape&) = delete;

  /// Forgets everything recorded and keeps the memory. All handles die.
  void clear() {
    nodes_.clear();
    arena_.clear();
    generation_ = unique_number();
  }
  /// Changes with every `clear`, and no two tapes share one: what is remembered about a tape is worth something within
  /// one generation only.
  std::uint64_t generation() const { return generation_; }

  /// A leaf that borrows a block of parameters: reverse passes add to the block's gradient.
  Var<T> parameter(Parameters<T>& parameters, int block) {
    parameters.mark_in_use();
    const auto& b = parameters.block(block);
    Node& node = new_node(b.shape);
    node.value = const_cast<T*>(parameters.value().data()) + b.offset;
    node.grad = parameters.grad().data() + b.offset;
    node.tangent = parameters.tangent().data() + b.offset;
    node.requires_grad = node.is_parameter = true;
    return handle(node);
  }
  /// A leaf without a gradient: a copy of the values.
  template <class Derived>
  Var<T> constant(const Eigen::DenseBase<Derived>& values) {
    Node& node = new_node({values.rows(), values.cols()});
    node.value = arena_.template allocate<T>(static_cast<std::size_t>(node.shape.size()));
    Out<T>(node.value, values.rows(), values.cols()) = values.derived().template cast<T>();
    return handle(node);
  }
  /// A 1 × 1 constant.
  Var<T> constant(T value) { return constant(Eigen::Matrix<T, 1, 1>::Constant(value)); }
  /// A constant to be filled in by the caller, who gets at its memory by the second member.
  std::pair<Var<T>, Out<T>> constant(Shape shape) {
    Node& node = new_node(shape);
    node.value = arena_.template allocate<T>(static_cast<std::size_t>(shape.size()));
    return {handle(node), Out<T>(node.value, shape.rows, shape.cols)};
  }
  /// A leaf with a gradient and a tangent of its own: a copy of the values.
  template <class Derived>
  Var<T> variable(const Eigen::DenseBase<Derived>& values) {
    Var<T> leaf = constant(values);
    leaf.node().requires_grad = true;
    return leaf;
  }

  /// Records y = op(x…) and runs it.
  template <class Op, class... X>
  Var<T> apply(const Op& op, const X&... x) {
    Node& node = record(op, x...);
    node.value = arena_.template allocate<T>(static_cast<std::size_t>(node.shape.size()));
    node.kernels->forward(node);
    return handle(node);
  }
  /// Records y = op(x…) whose values are finished already; nothing is computed. Throws gfn::Error if the values were
  /// computed under another version of the parameters. A replay leaves the borrowed memory alone.
  template <class Op, class... X>
  Var<T> adopt(const Finished<T>& finished, const Op& op, const X&... x) {
    if (finished.parameters && finished.parameters->version() != finished.version)
      fail("Tape::adopt: the values were computed under version ", finished.version,
           " of the parameters, which are at version ", finished.parameters->version(), " now");
    Node& node = record(op, x...);
    node.value = finished.value;
    node.adopted = true;
    node.stamp = finished.stamp;
    if (node.stamp) node.stamp_at_adoption = *node.stamp;
    return handle(node);
  }

  /// Adds the gradient of a 1 × 1 variable to that of all parameters below it; the `grad` of variables is what this
  /// pass alone gives.
  void backward(const Var<T>& loss) {
    require(loss.shape() == Shape{1, 1}, "Tape::backward: the loss is ", loss.rows(), " x ", loss.cols(),
            ", not 1 x 1");
    pull_back(loss, Eigen::Matrix<T, 1, 1>::Constant(T(1)));
  }
  /// Adds Jᵀ·cotangent to the gradients of all parameters below y; the cotangent has y's shape. The `grad` of variables
  /// starts from zero in each pass.
  template <class Derived>
  void pull_back(const Var<T>& y, const Eigen::DenseBase<Derived>& cotangent) {
    require(y.rows() == cotangent.rows() && y.cols() == cotangent.cols(), "Tape::pull_back: the cotangent is ",
            cotangent.rows(), " x ", cotangent.cols(), ", the variable ", y.rows(), " x ", y.cols());
    if (!y.node().requires_grad) return;
    ++pass_;
    touch(y.node());
    Out<T>(y.node().grad, y.rows(), y.cols()) += cotangent.derived();
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      Node& node = *nodes_[i];
      if (node.kernels == nullptr || node.grad_pass != pass_) continue;
      check_adopted(node);
      for (std::size_t k = 0; k < node.num_inputs; ++k)
        if (node.inputs[k]->requires_grad) touch(*node.inputs[k]);
      node.kernels->vjp(node);
    }
  }
  /// Carries the tangents of parameters and variables up through the whole program.
  void push_forward() {
    for (Node* node : nodes_) {
      if (!node->requires_grad) continue;
      touch_tangent(*node);
      check_adopted(*node);
      if (node->kernels != nullptr) node->kernels->jvp(*node);
    }
  }
  /// Runs the same operations again, on the parameters' present values.
  void replay() {
    for (Node* node : nodes_) {
      if (node->kernels == nullptr) continue;
      if (node->adopted) {
        node->value = arena_.template allocate<T>(static_cast<std::size_t>(node->shape.size()));
        node->adopted = false;
      }
      node->kernels->forward(*node);
    }
  }

  /// Uninitialised memory that lives until the next `clear`: for the index lists that operations point to.
  template <class U>
  U* allocate(std::size_t count) {
    return arena_.template allocate<U>(count);
  }

 private:
  friend class Var<T>;
  using Node = detail::Node<T>;

  Var<T> handle(Node& node) { return Var<T>(*this, node, generation_); }

  Node& new_node(Shape shape) {
    Node* node = new (arena_.template allocate<Node>(1)) Node;
    node->shape = shape;
    nodes_.push_back(node);
    return *node;
  }

  template <class Op, class... X>
  Node& record(const Op& op, const X&... x) {
    static_assert((std::is_same_v<X, Var<T>> && ...), "Tape: the inputs of an operation are Var of the tape's scalar");
    static_assert(Operation<Op, T, sizeof...(X)>,
                  "Tape: an operation needs `shape`, `forward`, `jvp` and `vjp` for its number of inputs, and must be "
                  "trivially copyable (see gfn/ad/operation.hpp)");
    if (((&x.tape() != this) || ...)) fail("Tape: an operation takes inputs from another tape");
    Node& node = new_node(op.shape(x.shape()...));
    node.op = new (arena_.template allocate<Op>(1)) Op(op);
    node.num_inputs = sizeof...(X);
    node.inputs = arena_.template allocate<Node*>(sizeof...(X));
    [[maybe_unused]] std::size_t i = 0;
    ((node.inputs[i++] = &x.node()), ...);
    node.requires_grad = (x.node().requires_grad || ...);
    node.kernels = &kernels_of<Op, sizeof...(X)>;
    return node;
  }

  static void check_adopted(const Node& node) {
    if (node.adopted && node.stamp && *node.stamp != node.stamp_at_adoption)
      fail("Tape: adopted values were overwritten since they were recorded (the network was evaluated elsewhere)");
  }

  /// Makes sure that the cotangent is there, and zero at its first use in this pass.
  void touch(Node& node) {
    if (node.grad_pass == pass_) return;
    node.grad_pass = pass_;
    if (node.is_parameter) return;
    const auto size = static_cast<std::size_t>(node.shape.size());
    if (node.grad == nullptr) node.grad = arena_.template allocate<T>(size);
    std::fill(node.grad, node.grad + size, T(0));
  }
  void touch_tangent(Node& node) {
    if (node.tangent != nullptr) return;
    const auto size = static_cast<std::size_t>(node.shape.size());
    node.tangent = arena_.template allocate<T>(size);
    std::fill(node.tangent, node.tangent + size, T(0));
  }

  static In<T> in(const Node& node, const T* data) { return {data, node.shape.rows, node.shape.cols}; }
  static Out<T> out(const Node& node, T* data) { return {data, node.shape.rows, node.shape.cols}; }

  template <class Op, std::size_t... I>
  static constexpr detail::Kernels<T> make_kernels(std::index_sequence<I...>) {
    return {
        [](Node& n) { op<Op>(n).forward(out(n, n.value), in(*n.inputs[I], n.inputs[I]->value)...); },
        [](Node& n) {
          op<Op>(n).jvp(in(n, n.value), out(n, n.tangent), in(*n.inputs[I], n.inputs[I]->value)...,
                        in(*n.inputs[I], n.inputs[I]->requires_grad ? n.inputs[I]->tangent : nullptr)...);
        },
        [](Node& n) {
          op<Op>(n).vjp(in(n, n.value), out(n, n.grad), in(*n.inputs[I], n.inputs[I]->value)...,
                        out(*n.inputs[I], n.inputs[I]->requires_grad ? n.inputs[I]->grad : nullptr)...);
        },
    };
  }
  template <class Op>
  static const Op& op(const Node& node) {
    return *static_cast<const Op*>(node.op);
  }
  template <class Op, std::size_t N>
  static constexpr detail::Kernels<T> kernels_of = make_kernels<Op>(std::make_index_sequence<N>{});

  Arena arena_;
  std::vector<Node*> nodes_;
  std::uint64_t generation_ = unique_number();
  std::uint64_t pass_ = 0;
};

template <class T>
detail::Node<T>& Var<T>::node() const {
  GFN_ASSERT(tape_ != nullptr && tape_->generation() == generation_);
  return *node_;
}
template <class T>
Out<T> Var<T>::grad() const {
  tape_->touch(node());
  return {node().grad, rows(), cols()};
}
template <class T>
Out<T> Var<T>::tangent() const {
  tape_->touch_tangent(node());
  return {node().tangent, rows(), cols()};
}

}  // namespace gfn
