// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <ostream>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/sparse_rows.hpp>

namespace gfn {

/// The reward of a HyperGrid; see BasicHyperGrid.
enum class HyperGridReward : std::uint8_t { paper, cosine };

struct HyperGridOptions {
  int dimension = 2;  ///< number of axes, 1 to the template's maximum
  int side = 8;       ///< number of cells along each axis, at least 1
  double r0 = 0.01;   ///< background reward; it and the next two are not negative
  double r1 = 0.5;    ///< added on the outer plateaus
  double r2 = 2.0;    ///< added on the modes
  HyperGridReward reward = HyperGridReward::paper;
};

/// The hypergrid: states {0, …, H−1}ᴰ, start 0, action i adds 1 to coordinate i, every state can exit.
/// With a_i = |x_i/(H−1) − ½| (a_i = 0, the centre, when H = 1) the rewards are
///   paper:   R(x) = R0 + R1·Π_i 1[¼ < a_i] + R2·Π_i 1[0.3 < a_i < 0.4]
///   cosine:  R(x) = R0 + R1·Π_i (cos(50 a_i) + 1)·φ(5 a_i),  φ the standard normal density (R2 is not used).
/// The paper's is decided in integers, so no rounding moves a cell across a border. A reward of 0 is legal (log R =
/// −∞). Encoding: one one-hot of width H per axis. Bengio et al. 2021; Niu et al. 2024.
template <int MaxDimension>
class BasicHyperGrid {
  static_assert(MaxDimension >= 1, "BasicHyperGrid: the maximum dimension is at least 1");

 public:
  /// A cell, its coordinates inline; those beyond the grid's dimension are −1.
  struct State {
    std::array<std::int32_t, std::size_t{MaxDimension}> coordinates;

    std::int32_t operator[](int axis) const { return coordinates[static_cast<std::size_t>(axis)]; }
    friend bool operator==(const State&, const State&) = default;
    friend std::ostream& operator<<(std::ostream& out, const State& s) {
      const char* separator = "(";
      for (const std::int32_t x : s.coordinates) {
        if (x < 0) break;
        out << separator << x;
        separator = ", ";
      }
      return out << ')';
    }
  };

  /// Throws std::invalid_argument for options out of range.
  explicit BasicHyperGrid(const HyperGridOptions& options = {}) : options_(options) {
    require(options.dimension >= 1 && options.dimension <= MaxDimension, "HyperGrid: the dimension is ",
            options.dimension, ", it must be between 1 and ", MaxDimension);
    require(options.side >= 1, "HyperGrid: the side is ", options.side, ", it must be at least 1");
    require(options.side <= std::numeric_limits<int>::max() / options.dimension, "HyperGrid: ", options.dimension,
            " axes of side ", options.side, " have more features than an int can count");
    require_reward("r0", options.r0);
    require_reward("r1", options.r1);
    require_reward("r2", options.r2);
    rewards_ = {options.r0, options.r0 + options.r1, options.r0 + options.r1 + options.r2};
    require(std::isfinite(rewards_[2]), "HyperGrid: the sum of r0 = ", options.r0, ", r1 = ", options.r1,
            " and r2 = ", options.r2, " is not finite");
    for (std::size_t level = 0; level < 3; ++level) log_rewards_[level] = std::log(rewards_[level]);
  }

  const HyperGridOptions& options() const { return options_; }
  int dimension() const { return options_.dimension; }
  int side() const { return options_.side; }

  State initial_state() const {
    State s;
    s.coordinates.fill(-1);
    std::fill_n(s.coordinates.begin(), dimension(), 0);
    return s;
  }
  int num_actions() const { return dimension(); }
  void legal_actions(const State& s, Mask legal) const {
    for (int i = 0; i < dimension(); ++i) legal[i] = s[i] < side() - 1;
  }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, Action axis) const { ++s.coordinates[static_cast<std::size_t>(axis)]; }
  void legal_undos(const State& s, Mask legal) const {
    for (int i = 0; i < dimension(); ++i) legal[i] = s[i] > 0;
  }
  void undo(State& s, Action axis) const { --s.coordinates[static_cast<std::size_t>(axis)]; }

  double log_reward(const State& s) const {
    return options_.reward == HyperGridReward::paper ? log_rewards_[level(s)] : std::log(cosine_reward(s));
  }
  double reward(const State& s) const {
    return options_.reward == HyperGridReward::paper ? rewards_[level(s)] : cosine_reward(s);
  }
  /// Whether R(s) is no more than the background R0: exact for the paper's reward.
  bool is_background(const State& s) const { return reward(s) <= options_.r0; }

  int num_features() const { return dimension() * side(); }
  void encode(const State& s, Features out) const {
    for (int i = 0; i < dimension(); ++i) out.one(i * side() + s[i]);
  }

  /// Hᴰ. Throws gfn::Error where that is 2⁶³ or more.
  std::int64_t num_states() const {
    std::int64_t count = 1;
    for (int i = 0; i < dimension(); ++i) {
      if (count > std::numeric_limits<std::int64_t>::max() / side())
        fail("HyperGrid: the number of states, ", side(), " to the power of ", dimension(), ", is 2^63 or more");
      count *= side();
    }
    return count;
  }
  /// The number of s in lexicographic order, 0 to num_states() − 1: parents come before their children.
  std::int64_t index(const State& s) const { return static_cast<std::int64_t>(hash(s)); }
  /// The same modulo 2⁶⁴: for all but enormous grids no two states share a hash.
  std::uint64_t hash(const State& s) const {
    std::uint64_t h = 0;
    for (int i = 0; i < dimension(); ++i) h = h * static_cast<std::uint64_t>(side()) + static_cast<std::uint64_t>(s[i]);
    return h;
  }

 private:
  static void require_reward(const char* name, double value) {
    require(std::isfinite(value) && value >= 0, "HyperGrid: ", name, " is ", value,
            ", it must be finite and at least 0");
  }

  /// m = 2(H−1)·a for one coordinate.
  std::int64_t twice_distance(std::int32_t x) const { return std::llabs(2 * std::int64_t{x} - (side() - 1)); }

  /// 2 where every coordinate lies in the band 0.3 < a < 0.4, 1 where every one has a > ¼, else 0.
  std::size_t level(const State& s) const {
    const std::int64_t width = side() - 1;
    std::size_t lowest = 2;
    for (int i = 0; i < dimension(); ++i) {
      const std::int64_t m = twice_distance(s[i]);
      if (2 * m <= width) return 0;
      if (5 * m <= 3 * width || 5 * m >= 4 * width) lowest = 1;
    }
    return lowest;
  }

  double cosine_reward(const State& s) const {
    double product = 1;
    for (int i = 0; i < dimension(); ++i) {
      const double a = side() == 1 ? 0.0 : static_cast<double>(twice_distance(s[i])) / (2.0 * (side() - 1));
      const double density = std::exp(-12.5 * a * a) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
      product *= (std::cos(50 * a) + 1) * density;
    }
    return options_.r0 + options_.r1 * product;
  }

  HyperGridOptions options_;
  std::array<double, 3> rewards_{};  // by level
  std::array<double, 3> log_rewards_{};
};

/// The hypergrid of up to eight axes.
using HyperGrid = BasicHyperGrid<8>;

}  // namespace gfn
