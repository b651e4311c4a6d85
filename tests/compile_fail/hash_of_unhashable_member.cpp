// expect: hash_of: a member can't be hashed
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>
#include <vector>

#include <gfn/environment/state_hash.hpp>

struct Item {
  std::string name;
  int size = 0;
};

std::uint64_t hash(const std::vector<Item>& items, int size) { return gfn::hash_of(items, size); }
