// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/core/hash_index.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/traits.hpp>

namespace gfn {
namespace detail {

/// Takes one more word into a hash. Turned, as the word may be a hash itself: the two must not be exchangeable.
[[nodiscard]] constexpr std::uint64_t add_to_hash(std::uint64_t hash, std::uint64_t word) {
  return mix_bits(std::rotl(hash, 23) ^ word) + 0x9E3779B97F4A7C15u;
}

[[nodiscard]] inline std::uint64_t hash_bytes(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t hash = size;
  for (std::uint64_t word = 0; size > 0; word = 0) {
    const std::size_t count = size < sizeof(word) ? size : sizeof(word);
    std::memcpy(&word, bytes, count);
    hash = add_to_hash(hash, word);
    bytes += count;
    size -= count;
  }
  return hash;
}

template <class T>
concept std_hashable = requires(const T& x) {
  { std::hash<T>{}(x) } -> std::convertible_to<std::size_t>;
};

/// Integers side by side in memory.
template <class T>
concept range_of_integers = std::ranges::contiguous_range<const T> && std::ranges::sized_range<const T> &&
    std::is_integral_v<std::ranges::range_value_t<T>>;

/// std::unordered_set and its kin: equal ones may hold their elements in different orders.
template <class T>
concept unordered = requires {
  typename T::hasher;
};

/// The std::hash of an empty one may be that of 0, and where there is none the bytes of an empty one mean nothing.
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
constexpr bool has_value_hash();

template <class T, std::size_t... I>
constexpr bool has_tuple_hash(std::index_sequence<I...>) {
  return (has_value_hash<std::remove_cvref_t<std::tuple_element_t<I, T>>>() && ...);
}

template <class T>
constexpr bool has_tuple_hash() {
  if constexpr (requires { std::tuple_size<T>::value; }) {
    return has_tuple_hash<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    return false;
  }
}

template <class T>
constexpr bool has_value_hash() {
  if constexpr (is_optional<T>) {
    return has_value_hash<typename T::value_type>();
  } else if constexpr (std_hashable<T>) {
    return true;
  } else if constexpr (std::ranges::input_range<const T>) {
    return has_value_hash<std::ranges::range_value_t<T>>();
  } else {
    return has_tuple_hash<T>() || (std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
  }
}

template <class T>
std::uint64_t hash_value(const T& x);

template <class T>
std::uint64_t hash_range(const T& range) {
  std::uint64_t hash = 0;
  std::uint64_t size = 0;
  for (const std::ranges::range_value_t<T>& element : range) {
    if constexpr (unordered<T>) {
      hash += mix_bits(hash_value(element));
    } else {
      hash = add_to_hash(hash, hash_value(element));
    }
    ++size;
  }
  return add_to_hash(hash, size);
}

template <class... Parts>
std::uint64_t hash_all(const Parts&... parts) {
  std::uint64_t hash = 0;
  ((hash = add_to_hash(hash, hash_value(parts))), ...);
  return hash;
}

template <class T>
std::uint64_t hash_value(const T& x) {
  if constexpr (is_optional<T>) {
    return x ? hash_all(*x) : 0;
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    return add_to_hash(std::hash<T>{}(x), x.size());  // std::hash does not see falses at the end
  } else if constexpr (std_hashable<T>) {
    return std::hash<T>{}(x);
  } else if constexpr (range_of_integers<T>) {
    return hash_bytes(std::ranges::data(x), std::ranges::size(x) * sizeof(std::ranges::range_value_t<T>));
  } else if constexpr (std::ranges::input_range<const T>) {
    return hash_range(x);
  } else if constexpr (has_tuple_hash<T>()) {
    return std::apply([](const auto&... parts) { return hash_all(parts...); }, x);
  } else {
    return hash_bytes(&x, sizeof(T));
  }
}

}  // namespace detail

/// A hash of the members of a state, in their order, for the `hash` of an environment:
///
///     std::uint64_t hash(const State& s) const { return gfn::hash_of(s.items, s.size); }
///
/// Members may be numbers, enumerations, strings, optional values, what else has a std::hash, ranges, arrays, pairs and
/// tuples of these, and trivially copyable types without padding or floating-point members. Equal members give equal
/// hashes, 0.0 and −0.0 too. Leave out what the comparison of states leaves out.
template <class... Members>
[[nodiscard]] std::uint64_t hash_of(const Members&... members) {
  constexpr bool hashable = (detail::has_value_hash<Members>() && ...);
  static_assert(hashable,
                "hash_of: a member can't be hashed; give its members one by one, or its type a std::hash "
                "(hashable are numbers, enumerations, strings, and ranges, pairs, tuples and optionals of these)");
  if constexpr (hashable) {
    return detail::hash_all(members...);
  } else {
    return 0;
  }
}

/// Whether the states of E can be hashed: by `env.hash(s)`, by std::hash, or by the library: ranges, pairs, tuples and
/// optionals of what can be hashed, and trivially copyable types without padding or floating-point members. States
/// without a hash are never grouped: slower, still correct.
template <class E>
inline constexpr bool has_state_hash = member::hash<E> || detail::has_value_hash<StateOf<E>>();

/// The hash of a state. Equal states must have equal hashes; a low quality is fine, HashIndex stirs the bits.
template <ForwardEnvironment E>
  requires has_state_hash<E>
[[nodiscard]] std::uint64_t hash_state(const E& env, const StateOf<E>& s) {
  if constexpr (member::hash<E>) {
    return static_cast<std::uint64_t>(env.hash(s));
  } else {
    return detail::hash_value(s);
  }
}

}  // namespace gfn
