// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/environment/state_table.hpp>
#include <gfn/nn/mlp.hpp>
#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"
#include "messages.hpp"

namespace {

/// A line of states 0 … 9 that throws in one of its members, at the call that is due.
struct Throwing {
  using State = int;
  std::string member;
  mutable int calls_until = -1;  // below 0: never

  void called(const char* name) const {
    if (member == name && calls_until >= 0 && calls_until-- == 0) throw std::runtime_error(std::string("in ") + name);
  }
  State initial_state() const { return 0; }
  int num_actions() const { return 1; }
  int num_features() const { return 10; }
  void legal_actions(State s, gfn::Mask legal) const {
    legal[0] = s < 9;
    called("legal_actions");
  }
  bool can_exit(State) const {
    called("can_exit");
    return true;
  }
  void apply(State& s, gfn::Action) const { ++s; }
  void legal_undos(State s, gfn::Mask legal) const {
    legal[0] = s > 0;
    called("legal_undos");
  }
  void undo(State& s, gfn::Action) const { --s; }
  double log_reward(State) const { return 0; }
  void encode(State s, gfn::Features out) const {
    out.one(s);
    called("encode");
    out.value((s + 1) % 10, 0.5);
  }
  std::uint64_t hash(State s) const {
    called("hash");
    return static_cast<std::uint64_t>(s);
  }
};

}  // namespace

TEST_CASE("a table is as before where the environment throws while a row is added") {
  const std::string member = GENERATE("legal_actions", "can_exit", "legal_undos", "encode", "hash");
  const bool group = GENERATE(true, false);
  if (member == "hash" && !group) return;  // it is not asked
  Throwing env{member};
  gfn::StateTable<Throwing> table(env, group);
  for (int s = 0; s < 3; ++s) table.find_or_add(s);
  env.calls_until = 0;
  CHECK(contains(message_of([&] { table.find_or_add(3); }), "in " + member));
  CHECK(table.rows() == 3);
  CHECK(table.features().rows() == 3);
  CHECK(table.find(3) == gfn::none);
  // and the same state is then added as if nothing had been
  CHECK(table.find_or_add(3) == 3);
  CHECK(table.find_or_add(4) == 4);
  CHECK(table.find_or_add(3) == (group ? 3 : 5));
  CHECK(table.features().rows() == table.rows());
  for (int row = 0; row < 5; ++row) {
    const auto features = table.features().row(row);
    REQUIRE(features.indices.size() == 2);
    CHECK(features.indices[0] == row);
    CHECK(features.values[1] == 0.5);
    CHECK(table.backward_choices(row) == (row > 0 ? 1 : 0));
  }
}

TEST_CASE("a state of the table's own can be added, though adding moves the states") {
  struct Vectors : Throwing {
    using State = std::vector<int>;
    State initial_state() const { return {}; }
    void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = s.size() < 9; }
    bool can_exit(const State&) const { return true; }
    void apply(State& s, gfn::Action) const { s.push_back(7); }
    void legal_undos(const State& s, gfn::Mask legal) const { legal[0] = !s.empty(); }
    void undo(State& s, gfn::Action) const { s.pop_back(); }
    double log_reward(const State&) const { return 0; }
    void encode(const State& s, gfn::Features out) const { out.one(static_cast<int>(s.size())); }
    std::uint64_t hash(const State& s) const { return s.size(); }
  };
  const Vectors env;
  gfn::StateTable<Vectors> table(env, false);
  table.find_or_add({7, 7, 7});
  for (int i = 0; i < 100; ++i) table.find_or_add(table.state(0));
  CHECK(table.rows() == 101);
  for (int row = 0; row < table.rows(); ++row) {
    CHECK(table.state(row) == std::vector<int>{7, 7, 7});
    CHECK(table.features().row(row).indices[0] == 3);
  }
}

TEST_CASE("a network does not take a copy of a table for its original") {
  using Table = gfn::StateTable<gfn::HyperGrid>;
  const gfn::HyperGrid env{{.dimension = 2, .side = 4}};
  gfn::Random random{1};
  gfn::Mlp<double> network(env.num_features(), {.hidden = {5}}, random);
  const int head = network.add_head("value", 1);
  auto state = [&](int x, int y) {
    auto s = env.initial_state();
    s.coordinates[0] = x;
    s.coordinates[1] = y;
    return s;
  };
  Table table(env), copy(env);
  const std::vector<int> rows{0, 1};
  table.find_or_add(state(0, 0));
  copy = table;
  table.find_or_add(state(1, 2));
  copy.find_or_add(state(3, 0));
  network.extend(head, table.block(rows));
  const double before = *network.output(head, 1);
  table = copy;  // in the same place, with another state in row 1
  network.extend(head, table.block(rows));
  CHECK(*network.output(head, 1) != before);
  // moved tables keep their states
  const Table moved = std::move(copy);
  CHECK(moved.state(1) == state(3, 0));
}

TEST_CASE("more than an int can count is refused in a sentence") {
  const std::size_t most = std::numeric_limits<int>::max();
  CHECK(gfn::require_int(most, "rows") == std::numeric_limits<int>::max());
  CHECK(message_of<gfn::Error>([&] { gfn::require_int(most + 1, "rows"); }) ==
        "there are 2147483648 rows, at most 2147483647 can be numbered");
}
