// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <gfn/ad/matrix.hpp>

namespace gfn {

namespace detail {
template <class T, class>
using Another = T;
}

/// An operation y = f(x₁, …, xₙ) on matrices, as a small trivially copyable struct. X… is In<T>, once per input.
///
/// 1. `shape(Shape…)` gives the shape of y, and refuses inputs that do not fit (std::invalid_argument).
/// 2. `forward(y, x…)` sets y = f(x…).
/// 3. `jvp(y, dy, x…, dx…)` sets dy = Σ Jᵢ dxᵢ. An input without a tangent has a dx that is not `present`.
/// 4. `vjp(y, gy, x…, gx…)` adds Jᵢᵀ gy to each gxᵢ that is `present`. It may use gy as scratch: nobody reads it again.
///
/// Pointers inside the struct (index lists, masks) must outlive the tape's next `clear`.
/// testing::check_operation examines the last three numerically, and whether they fit each other.
template <class Op, class T, class... X>
concept OperationOn = std::is_trivially_copyable_v<Op> && std::is_trivially_destructible_v<Op> &&
    requires(const Op op, Out<T> out, In<T> in, Shape s, const X&... x, const detail::Another<Out<T>, X>&... gx) {
  { op.shape((static_cast<void>(x), s)...) } -> std::same_as<Shape>;
  op.forward(out, x...);
  op.jvp(in, out, x..., x...);
  op.vjp(in, out, x..., gx...);
};

namespace detail {
template <class Op, class T, std::size_t... I>
consteval bool is_operation(std::index_sequence<I...>) {
  return OperationOn<Op, T, std::enable_if_t<(I < 64), In<T>>...>;
}
}  // namespace detail

/// Whether Op is an operation on N inputs.
template <class Op, class T, std::size_t N>
concept Operation = detail::is_operation<Op, T>(std::make_index_sequence<N>{});

}  // namespace gfn
