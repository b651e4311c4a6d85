// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/environment/state_table.hpp>

namespace gfn {

/// One action of a trajectory.
struct Step {
  int row;                 ///< the state in which the action is taken
  Action action;           ///< forward action; the exit action at the end
  int child;               ///< the state that it leads to; none for the exit
  Action backward_action;  ///< what takes the child back to the state; none for the exit
};

/// Where the trajectories of a batch come from.
enum class BatchSource : std::uint8_t {
  policy,       ///< every action was drawn from the forward policy itself
  exploration,  ///< some actions were drawn otherwise
  given,        ///< from elsewhere: backward walks, data
};

/// Trajectories as a small part of the state graph: the distinct states that they visit, in rows, and the steps that
/// they take. Steps of a trajectory run from its first state to its terminal one, the exit last, in whichever direction
/// they were sampled. A batch knows states, actions and rewards, and no number of any network.
template <class E>
class Batch {
 public:
  using State = StateOf<E>;

  /// Refers to the environment. With `group` off equal states get rows of their own (slower; for tests).
  explicit Batch(const E& env, bool group = true) : table_(env, group) {}

  const StateTable<E>& table() const { return table_; }
  StateTable<E>& table() { return table_; }
  const E& environment() const { return table_.environment(); }

  int trajectories() const { return static_cast<int>(offsets_.size()) - 1; }
  int num_steps() const { return static_cast<int>(steps_.size()); }
  std::span<const Step> steps() const { return steps_; }
  std::span<const Step> steps(int trajectory) const {
    const auto i = static_cast<std::size_t>(trajectory);
    return {steps_.data() + offsets_[i], steps_.data() + offsets_[i + 1]};
  }
  /// The steps of trajectory i are offsets()[i] … offsets()[i + 1] − 1.
  std::span<const int> offsets() const { return offsets_; }
  int terminal_row(int trajectory) const { return steps(trajectory).back().row; }
  const State& terminal_state(int trajectory) const { return table_.state(terminal_row(trajectory)); }
  double mean_length() const { return trajectories() == 0 ? 0.0 : double(num_steps()) / trajectories(); }
  /// Whether every action was drawn from the forward policy itself, without exploration.
  bool on_policy() const { return source_ == BatchSource::policy; }
  BatchSource source() const { return source_; }

  /// The log-reward of trajectory i's terminal state. Rewards are computed once per distinct terminal state, at the
  /// first call of `compute_rewards`.
  double log_reward(int trajectory) const { return log_reward_of_row(terminal_row(trajectory)); }
  double log_reward_of_row(int row) const { return exponent_ * log_rewards_[static_cast<std::size_t>(row)]; }
  /// Takes rewards to a power above 0 from now on, those of this batch and of later ones (see RewardExponent).
  void set_reward_exponent(double exponent) {
    require(exponent > 0 && std::isfinite(exponent), "set_reward_exponent: ", exponent, ", it must be above 0");
    exponent_ = exponent;
  }
  /// The power that rewards are taken to; 1 unless it was set.
  double reward_exponent() const { return exponent_; }

  /// Computes the rewards of all terminal states that have none yet. Throws gfn::Error, naming the state, for NaN or
  /// +∞.
  void compute_rewards() {
    for (int i = 0; i < trajectories(); ++i) want_reward(terminal_row(i));
    compute_wanted();
  }
  /// The same for all rows for which wanted(row) holds; they must be able to exit.
  template <class Wanted>
  void compute_rewards_where(const Wanted& wanted) {
    for (int row = 0; row < table_.rows(); ++row)
      if (wanted(row)) want_reward(row);
    compute_wanted();
  }

  // --- for samplers ---

  /// Starts anew; all memory is kept.
  void clear() {
    table_.clear();
    recorded_.clear();
    steps_.clear();
    offsets_.assign(1, 0);
    log_rewards_.clear();
    wanted_.clear();
    source_ = BatchSource::given;
  }
  /// Notes a step of a trajectory. Steps of one trajectory come in order, forward or backward (then the exit first).
  void record(int trajectory, const Step& step) { recorded_.push_back({trajectory, step}); }
  /// Puts the noted steps in order; `backward` tells that they were noted from the end to the beginning.
  void finish(int trajectories, bool backward, BatchSource source) {
    offsets_.assign(static_cast<std::size_t>(trajectories) + 1, 0);
    for (const Recorded& r : recorded_) ++offsets_[static_cast<std::size_t>(r.trajectory) + 1];
    for (std::size_t i = 1; i < offsets_.size(); ++i) offsets_[i] += offsets_[i - 1];
    cursor_.assign(offsets_.begin(), offsets_.end() - 1);
    if (backward) cursor_.assign(offsets_.begin() + 1, offsets_.end());
    steps_.resize(recorded_.size());
    for (const Recorded& r : recorded_) {
      int& at = cursor_[static_cast<std::size_t>(r.trajectory)];
      steps_[static_cast<std::size_t>(backward ? --at : at++)] = r.step;
    }
    source_ = source;
  }

 private:
  struct Recorded {
    int trajectory;
    Step step;
  };

  double& reward_slot(int row) {
    if (log_rewards_.size() < static_cast<std::size_t>(table_.rows()))
      log_rewards_.resize(static_cast<std::size_t>(table_.rows()), std::nan(""));
    return log_rewards_[static_cast<std::size_t>(row)];
  }
  void want_reward(int row) {
    double& slot = reward_slot(row);
    if (!std::isnan(slot)) return;
    slot = minus_infinity<>;  // wanted once
    wanted_.push_back(row);
  }
  void compute_wanted() {
    const std::size_t count = wanted_.size();
    if (wanted_states_.size() < count) wanted_states_.resize(count, environment().initial_state());  // never shrinks
    for (std::size_t k = 0; k < count; ++k) wanted_states_[k] = table_.state(wanted_[k]);
    wanted_rewards_.assign(count, std::nan(""));
    log_rewards(environment(), std::span<const State>(wanted_states_.data(), count),
                std::span<double>(wanted_rewards_));
    for (std::size_t k = 0; k < count; ++k) reward_slot(wanted_[k]) = wanted_rewards_[k];
    wanted_.clear();
  }

  StateTable<E> table_;
  std::vector<Recorded> recorded_;
  std::vector<Step> steps_;
  std::vector<int> offsets_ = {0};
  std::vector<int> cursor_;
  std::vector<double> log_rewards_;
  std::vector<int> wanted_;
  std::vector<State> wanted_states_;
  std::vector<double> wanted_rewards_;
  double exponent_ = 1;
  BatchSource source_ = BatchSource::given;
};

}  // namespace gfn
