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
#include <gfn/policy/concepts.hpp>

namespace gfn {

/// One action of a trajectory.
struct Step {
  int row;                 ///< the state in which the action is taken
  Action action;           ///< forward action; the exit action at the end
  int child;               ///< the state that it leads to; none for the exit
  Action backward_action;  ///< what takes the child back to the state; none for the exit, and without undo
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
  explicit Batch(const E&&, bool = true) = delete;  // a temporary would be gone after this line

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
  BatchSource source() const { return source_; }
  /// Whether every action was drawn from a forward policy itself, without exploration: from some policy, as it was
  /// then.
  bool on_policy() const { return source_ == BatchSource::policy; }
  /// Whether every action was drawn from this forward policy, as it is now.
  template <class P>
  bool on_policy(P& forward) const {
    return source_ == BatchSource::policy && drawn_from_ == policy_version(forward);
  }
  /// Whether the trajectories were walked back by this backward policy, as it is now.
  template <class P>
  bool walked_back_by(P& backward) const {
    return source_ == BatchSource::given && drawn_from_ == policy_version(backward);
  }
  /// Has a batch of given trajectories count as drawn from a forward policy as it is now: a caller knows that it is, or
  /// that it does not matter.
  template <class P>
  void assume_on_policy(P& forward) {
    source_ = BatchSource::policy;
    drawn_from_ = policy_version(forward);
  }
  /// The same for walks back by a backward policy.
  template <class P>
  void assume_walked_back_by(P& backward) {
    source_ = BatchSource::given;
    drawn_from_ = policy_version(backward);
  }

  /// The log-reward of trajectory i's terminal state, times the reward exponent. Rewards are computed once per distinct
  /// terminal state, at the first call of `compute_rewards`; throws gfn::Error, naming the state, before that.
  double log_reward(int trajectory) const { return log_reward_of_row(terminal_row(trajectory)); }
  double log_reward_of_row(int row) const { return exponent_ * environment_log_reward_of_row(row); }
  /// log R as the environment gives it, whatever the reward exponent.
  double environment_log_reward(int trajectory) const {
    return environment_log_reward_of_row(terminal_row(trajectory));
  }
  double environment_log_reward_of_row(int row) const {
    if (!has_reward(row)) [[unlikely]]
      fail("the log-reward of the state ", table_.describe_row(row),
           " has not been computed: Batch::compute_rewards() comes first");
    return rewards_[static_cast<std::size_t>(row)].log_reward;
  }
  /// Whether the reward of a row has been computed.
  bool has_reward(int row) const {
    const auto i = static_cast<std::size_t>(row);
    return i < rewards_.size() && rewards_[i].known;
  }
  /// Takes rewards to a power above 0 from now on, those of this batch and of later ones (see RewardExponent).
  void set_reward_exponent(double exponent) {
    require(exponent > 0 && std::isfinite(exponent), "set_reward_exponent: ", exponent, ", it must be above 0");
    exponent_ = exponent;
  }
  /// The power that rewards are taken to; 1 unless it was set.
  double reward_exponent() const { return exponent_; }

  /// Sets the origin of log-rewards: training sees them less the origin, times the reward exponent as they are.
  void set_log_reward_origin(double origin) {
    require(std::isfinite(origin), "set_log_reward_origin: ", origin, ", it must be finite");
    origin_ = origin;
  }
  /// What training takes from log_reward, and what log Z and flows are learned less: origin · exponent; 0 unless set.
  double log_reward_shift() const { return exponent_ * origin_; }

  /// Computes the rewards of all terminal states that have none yet. Throws gfn::Error, naming the state, for NaN or
  /// +∞; those that were known before stay so.
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
  /// Takes the rewards of the terminal states from another batch, which has them: trajectory i of both ends in the same
  /// state.
  void take_rewards(const Batch& other) {
    require(other.trajectories() == trajectories(), "take_rewards: ", other.trajectories(), " trajectories there, ",
            trajectories(), " here");
    for (int i = 0; i < trajectories(); ++i)
      reward_of(terminal_row(i)) = {other.environment_log_reward(i), true, false};
  }

  // --- for samplers ---

  /// Starts anew; all memory is kept.
  void clear() {
    table_.clear();
    recorded_.clear();
    steps_.clear();
    offsets_.assign(1, 0);
    rewards_.clear();
    wanted_.clear();
    source_ = BatchSource::given;
    drawn_from_ = 0;
  }
  /// Notes a step of a trajectory. Steps of one trajectory come in order, forward or backward (then the exit first).
  void record(int trajectory, const Step& step) { recorded_.push_back({trajectory, step}); }
  /// Puts the noted steps in order; `backward` tells that they were noted from the end to the beginning, and
  /// `drawn_from` is the policy_version of what drew them all, 0 where there is no such policy. Throws gfn::Error for
  /// more steps than an int can count.
  void finish(int trajectories, bool backward, BatchSource source, std::uint64_t drawn_from = 0) {
    require_int(recorded_.size(), "steps in a batch");
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
    drawn_from_ = drawn_from;
  }

 private:
  struct Recorded {
    int trajectory;
    Step step;
  };

  struct Reward {
    double log_reward = 0;
    bool known = false;
    bool wanted = false;
  };

  Reward& reward_of(int row) {
    if (rewards_.size() < static_cast<std::size_t>(table_.rows()))
      rewards_.resize(static_cast<std::size_t>(table_.rows()));
    return rewards_[static_cast<std::size_t>(row)];
  }
  void want_reward(int row) {
    Reward& reward = reward_of(row);
    if (reward.known || reward.wanted) return;
    wanted_.push_back(row);
    reward.wanted = true;
  }
  [[gnu::noinline]] void compute_wanted() {
    try {
      ask_environment();
    } catch (...) {
      for (const int row : wanted_) reward_of(row).wanted = false;
      wanted_.clear();
      throw;
    }
    for (std::size_t k = 0; k < wanted_.size(); ++k) reward_of(wanted_[k]) = {wanted_rewards_[k], true, false};
    wanted_.clear();
  }
  void ask_environment() {
    const std::size_t count = wanted_.size();
    if (wanted_states_.size() < count) wanted_states_.resize(count, environment().initial_state());  // never shrinks
    for (std::size_t k = 0; k < count; ++k) wanted_states_[k] = table_.state(wanted_[k]);
    wanted_rewards_.assign(count, std::nan(""));  // one that a batched log_rewards leaves out is noticed
    detail::ask_log_rewards(environment(), std::span<const State>(wanted_states_.data(), count),
                            std::span<double>(wanted_rewards_));
    for (std::size_t k = 0; k < count; ++k)
      detail::require_log_reward(wanted_rewards_[k], [&] { return table_.describe_row(wanted_[k]); });
  }

  StateTable<E> table_;
  std::vector<Recorded> recorded_;
  std::vector<Step> steps_;
  std::vector<int> offsets_ = {0};
  std::vector<int> cursor_;
  std::vector<Reward> rewards_;  // by row
  std::vector<int> wanted_;
  std::vector<State> wanted_states_;
  std::vector<double> wanted_rewards_;
  double exponent_ = 1;
  double origin_ = 0;
  BatchSource source_ = BatchSource::given;
  std::uint64_t drawn_from_ = 0;
};

}  // namespace gfn
