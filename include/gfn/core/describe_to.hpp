// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <string>
#include <typeinfo>

namespace gfn {

/// What something is, as text: its own `std::string description() const` where it has one, else the name of its type as
/// the compiler writes it.
template <class T>
[[nodiscard]] std::string description_of(const T& x) {
  if constexpr (requires { std::string(x.description()); })
    return x.description();
  else
    return typeid(T).name();
}

/// Shows an archive of `visit_state` what something is, where the archive wants to know (a checkpoint does: numbers of
/// the same sizes may belong to another network, or to another objective).
template <class Archive, class T>
void describe_to(Archive& archive, const char* name, const T& x) {
  if constexpr (requires { archive.description(name, std::string()); }) archive.description(name, description_of(x));
}

}  // namespace gfn
