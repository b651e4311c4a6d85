// SPDX-License-Identifier: MIT
#include <gfn/policy/neural.hpp>

#include <optional>
#include <vector>

#include <gfn/environment/state_table.hpp>
#include <gfn/problems/hypergrid.hpp>

#include "catch.hpp"

namespace {

constexpr int first_row[] = {0};

}  // namespace

TEST_CASE("a network takes a new table for a new one, at an old address too") {
  const gfn::HyperGrid env{{.dimension = 1, .side = 2}};
  gfn::Random random{1};
  auto value = gfn::mlp_value<double>(env, {.hidden = {4}}, random);
  auto other = env.initial_state();
  env.apply(other, 0);
  std::optional<gfn::StateTable<gfn::HyperGrid>> table(env);
  table->find_or_add(env.initial_state());
  value.extend(table->block(first_row));
  const double at_start = value.output(0)[0];
  table.emplace(env);
  table->find_or_add(other);
  value.extend(table->block(first_row));
  CHECK(value.output(0)[0] != at_start);
}

TEST_CASE("a network takes a new tape for a new one, at an old address too") {
  const gfn::HyperGrid env{{.dimension = 1, .side = 2}};
  gfn::Random random{1};
  auto value = gfn::mlp_value<double>(env, {.hidden = {4}}, random);
  gfn::StateTable<gfn::HyperGrid> table(env);
  table.find_or_add(env.initial_state());
  std::optional<gfn::Tape<double>> tape;
  std::vector<double> gradient;
  for (int i = 0; i < 2; ++i) {
    tape.emplace();
    value.parameters().zero_grad();
    tape->backward(value.record(*tape, table.block(first_row)));
    const auto g = value.parameters().grad();
    if (i == 0) gradient.assign(g.data(), g.data() + g.size());
    CHECK(gradient == std::vector<double>(g.data(), g.data() + g.size()));
    CHECK(g.norm() > 0);
  }
}
