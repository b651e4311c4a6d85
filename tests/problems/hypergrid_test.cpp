// SPDX-License-Identifier: MIT
#include <gfn/problems/hypergrid.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"
#include "messages.hpp"

namespace {

using gfn::HyperGrid;
using gfn::HyperGridOptions;
using gfn::HyperGridReward;

/// Visits every cell in lexicographic order.
template <class Visit>
void for_each_state(const HyperGrid& grid, Visit&& visit) {
  HyperGrid::State s = grid.initial_state();
  for (;;) {
    visit(s);
    int axis = grid.dimension() - 1;
    while (axis >= 0 && s[axis] == grid.side() - 1) s.coordinates[static_cast<std::size_t>(axis--)] = 0;
    if (axis < 0) return;
    ++s.coordinates[static_cast<std::size_t>(axis)];
  }
}

HyperGrid::State cell(const HyperGrid& grid, const std::vector<int>& coordinates) {
  HyperGrid::State s = grid.initial_state();
  for (std::size_t i = 0; i < coordinates.size(); ++i) s.coordinates[i] = coordinates[i];
  return s;
}

double log_or_zero(double x, double y) { return x > 0 ? x * std::log(x / y) : 0.0; }

std::string refusal(const HyperGridOptions& options) {
  try {
    HyperGrid grid(options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("HyperGrid has the exact constants of the paper's grids") {
  struct Constants {
    int dimension, side;
    std::int64_t states;
    double z, log_z, mean_reward, modes, total_variation, jensen_shannon;
  };
  const std::vector<Constants> table{
      {2, 8, 64, 16.64, 2.811809, 1.702308, 0.603365, .7212, .3502},
      {2, 128, 16384, 3563.84, 8.178594, 1.444969, 0.476104, .7155, .3375},
      {2, 256, 65536, 13847.36, 9.535850, 1.398562, 0.453155, .7145, .3351},
      {3, 64, 262144, 22461.44, 10.019555, 0.845138, 0.193099, .7729, .3455},
      {4, 32, 1048576, 45845.76, 10.733038, 0.544697, 0.070954, .7231, .3061},
  };
  for (const Constants& expected : table) {
    const HyperGrid grid{{.dimension = expected.dimension, .side = expected.side}};
    CAPTURE(expected.dimension, expected.side);
    std::int64_t count = 0;
    bool indexed = true;
    double z = 0, squares = 0, modes = 0;
    for_each_state(grid, [&](const HyperGrid::State& s) {
      indexed = indexed && grid.index(s) == count;
      ++count;
      const double reward = std::exp(grid.log_reward(s));
      z += reward;
      squares += reward * reward;
      if (reward > 2.5) modes += reward;
    });
    const double uniform = 1.0 / static_cast<double>(count);
    double total_variation = 0, jensen_shannon = 0;
    for_each_state(grid, [&](const HyperGrid::State& s) {
      const double p = grid.reward(s) / z;
      total_variation += 0.5 * std::abs(p - uniform);
      const double middle = 0.5 * (p + uniform);
      jensen_shannon += 0.5 * (log_or_zero(p, middle) + log_or_zero(uniform, middle));
    });
    CHECK(indexed);
    CHECK(count == expected.states);
    CHECK(grid.num_states() == expected.states);
    CHECK(std::abs(z - expected.z) < 1e-6);
    CHECK(std::abs(std::log(z) - expected.log_z) < 5.1e-7);
    CHECK(std::abs(squares / z - expected.mean_reward) < 5.1e-7);
    CHECK(std::abs(modes / z - expected.modes) < 5.1e-7);
    CHECK(std::abs(total_variation - expected.total_variation) < 5.1e-5);
    CHECK(std::abs(jensen_shannon - expected.jensen_shannon) < 5.1e-5);
  }
}

TEST_CASE("HyperGrid decides the borders of the paper's reward exactly") {
  // Side 16: a = 0.3 at x = 3 and 12, which a test in double takes into the band.
  const HyperGrid grid{{.dimension = 1, .side = 16}};
  for (const int x : {2, 13}) CHECK(grid.reward(cell(grid, {x})) == Approx(2.51));
  for (const int x : {0, 1, 3, 12, 14, 15}) CHECK(grid.reward(cell(grid, {x})) == Approx(0.51));
  for (int x = 4; x < 12; ++x) {
    CHECK(grid.reward(cell(grid, {x})) == 0.01);
    CHECK(grid.is_background(cell(grid, {x})));
  }
  CHECK(!grid.is_background(cell(grid, {3})));
  // Side 21: a = 1/4 at x = 5, and 0.3 and 0.4 at x = 4 and 2: all three borders fall on cells, and none belongs.
  const HyperGrid odd{{.dimension = 1, .side = 21}};
  CHECK(odd.reward(cell(odd, {5})) == 0.01);
  CHECK(odd.reward(cell(odd, {4})) == Approx(0.51));
  CHECK(odd.reward(cell(odd, {3})) == Approx(2.51));
  CHECK(odd.reward(cell(odd, {2})) == Approx(0.51));
  // Every coordinate counts.
  const HyperGrid plane{{.dimension = 2, .side = 16}};
  CHECK(plane.reward(cell(plane, {2, 13})) == Approx(2.51));
  CHECK(plane.reward(cell(plane, {2, 0})) == Approx(0.51));
  CHECK(plane.reward(cell(plane, {2, 7})) == 0.01);
}

TEST_CASE("HyperGrid has the cosine reward") {
  const HyperGrid grid{{.dimension = 2, .side = 8, .r0 = 0.1, .r1 = 3.0, .r2 = 7.0, .reward = HyperGridReward::cosine}};
  const auto factor = [](int x) {
    const double a = std::abs(x / 7.0 - 0.5);
    return (std::cos(50 * a) + 1) * std::exp(-0.5 * 25 * a * a) / std::sqrt(2 * std::acos(-1.0));
  };
  for_each_state(grid, [&](const HyperGrid::State& s) {
    const double expected = 0.1 + 3.0 * factor(s[0]) * factor(s[1]);
    CHECK(grid.reward(s) == Approx(expected).epsilon(1e-12));
    CHECK(grid.log_reward(s) == Approx(std::log(expected)).epsilon(1e-12));
  });
  const HyperGrid one{{.dimension = 1, .side = 1, .reward = HyperGridReward::cosine}};
  CHECK(one.reward(one.initial_state()) == Approx(0.01 + 0.5 * 2 / std::sqrt(2 * std::acos(-1.0))));
}

TEST_CASE("HyperGrid of side 1 is one state, the centre, and can only exit") {
  const HyperGrid grid{{.dimension = 3, .side = 1}};
  const HyperGrid::State s = grid.initial_state();
  std::array<bool, 4> legal{};
  gfn::fill_forward_mask(grid, s, {legal.data(), 4});
  CHECK(legal == std::array<bool, 4>{false, false, false, true});
  gfn::fill_backward_mask(grid, s, {legal.data(), 3});
  CHECK(gfn::count_legal({legal.data(), 3}) == 0);
  CHECK(grid.num_states() == 1);
  CHECK(grid.log_reward(s) == std::log(0.01));
  gfn::testing::check_environment_laws(grid);
}

TEST_CASE("HyperGrid keeps the laws of environments") {
  gfn::testing::check_environment_laws(HyperGrid());
  gfn::testing::check_environment_laws(HyperGrid{{.dimension = 1, .side = 2}});
  gfn::testing::check_environment_laws(HyperGrid{{.dimension = 2, .side = 64}}, gfn::Random(3), {.walks = 20});
  gfn::testing::check_environment_laws(HyperGrid{{.dimension = 8, .side = 5}}, gfn::Random(4), {.walks = 20});
  gfn::testing::check_environment_laws(gfn::BasicHyperGrid<12>{{.dimension = 12, .side = 3}}, gfn::Random(5),
                                       {.walks = 20});
  gfn::testing::check_environment_laws(HyperGrid{{.r0 = 0.0}});  // log-rewards of −∞
  gfn::testing::check_environment_laws(HyperGrid{{.reward = HyperGridReward::cosine}});
}

TEST_CASE("HyperGrid describes, hashes and numbers its states") {
  const HyperGrid grid{{.dimension = 3, .side = 10}};
  CHECK(gfn::describe(cell(grid, {1, 2, 3})) == "(1, 2, 3)");
  CHECK(grid.index(cell(grid, {1, 2, 3})) == 123);
  CHECK(gfn::hash_state(grid, cell(grid, {1, 2, 3})) == 123);
  const HyperGrid large{{.dimension = 8, .side = 230}};
  CHECK(large.num_states() == 7831098528100000000);
  const HyperGrid enormous{{.dimension = 8, .side = 1000}};
  CHECK_THROWS_AS(enormous.num_states(), gfn::Error);
}

TEST_CASE("HyperGrid refuses bad options, naming both numbers") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(refusal({.dimension = 8}) == "accepted");
  CHECK(refusal({.r0 = 0, .r1 = 0, .r2 = 1}) == "accepted");
  CHECK(refusal({.dimension = 0}) == "HyperGrid: the dimension is 0, it must be between 1 and 8");
  CHECK(refusal({.dimension = 9}) == "HyperGrid: the dimension is 9, it must be between 1 and 8");
  CHECK(refusal({.side = 0}) == "HyperGrid: the side is 0, it must be at least 1");
  CHECK(refusal({.side = -3}) == "HyperGrid: the side is -3, it must be at least 1");
  CHECK(contains(refusal({.dimension = 8, .side = 2000000000}), "8 axes of side 2000000000"));
  CHECK(refusal({.r0 = -0.5}) == "HyperGrid: r0 is -0.5, it must be finite and at least 0");
  CHECK(refusal({.r1 = nan}) == "HyperGrid: r1 is nan, it must be finite and at least 0");
  CHECK(refusal({.r2 = infinity}) == "HyperGrid: r2 is inf, it must be finite and at least 0");
  CHECK(contains(refusal({.r1 = 1.5e308, .r2 = 1.5e308}), "not finite"));
}
