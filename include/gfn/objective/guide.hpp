// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/core/log_space.hpp>
#include <gfn/objective/rewards.hpp>
#include <gfn/rollout/batch.hpp>

namespace gfn {

/// A guide: a conditional law P_G(τ|x) of the trajectories to an object x, Markovian or not, that a backward policy is
/// pulled towards. guide(input, log_p) fills in log π_G of every step of a batch, 0 at the exits; a score that is only
/// proportional to a law, with a factor that depends on x alone, serves as well. It is called after the forward policy
/// has moved: where it may throw, training keeps a copy of the state before. A guide that can't says `noexcept`, or
/// `static constexpr bool only_prepare_throws = true`.
///
/// It may also have
///   prepare(batch), which comes before any parameter moves, on the batch of backward walks (Batch<E>&): here belongs
///     what it asks the environment for (rewards by batch.compute_rewards_where, with those of terminal states known);
///   observe(batch), which is shown each batch of the forward policy, with its rewards, first;
///   environment(), the environment that it was made for: it is then refused by trainers of another one.
template <class G, class Input>
concept Guide = requires(G& guide, const Input& input, std::span<double> log_p) {
  guide(input, log_p);
};

/// R_B^G, the guided backward reward (Niu et al. 2024, Proposition 2): log π_B(s', a) − log π_G(s, a) for the step from
/// s' back to s; nothing for the exit. Refers to the guide, which must live as long as it is used.
template <class G>
class GuidedBackwardReward {
 public:
  static constexpr bool only_prepare_throws = requires { requires G::only_prepare_throws; };

  explicit GuidedBackwardReward(G& guide) : guide_(&guide) {}
  explicit GuidedBackwardReward(const G&&) = delete;  // a temporary would be gone after this line

  // clang-format off
  template <class E>
    requires requires(G& guide, const Batch<E>& batch) { guide.observe(batch); }
  void observe(const Batch<E>& batch) const {
    guide_->observe(batch);
  }
  template <class E>
    requires requires(G& guide, Batch<E>& batch) { guide.prepare(batch); }
  void prepare(Batch<E>& batch) const {
    guide_->prepare(batch);
  }
  // clang-format on
  /// Throws std::invalid_argument where the guide was made for another environment.
  template <class E>
  void require_environment(const E& env) const {
    if constexpr (requires(G & guide) { guide.environment(); })
      require(static_cast<const void*>(&guide_->environment()) == static_cast<const void*>(&env),
              "the guide was made for another environment than the trainer's");
  }
  template <class Input>
  void operator()(const Input& input, std::span<double> cost) const
      noexcept(noexcept(std::declval<G&>()(input, cost))) {
    static_assert(Guide<G, Input>, "Guide: needs `void operator()(const Input&, std::span<double> log_p)`");
    (*guide_)(input, cost);
    for (std::size_t k = 0; k < cost.size(); ++k) {
      const Step& step = input.batch.steps()[k];
      cost[k] = step.child == none ? 0.0 : input.backward.log_probability(step) - cost[k];
    }
  }

 private:
  G* guide_;
};

/// The guide that discourages exits in poor states (Niu et al. 2024): the current forward policy, with the logit of the
/// exit capped in states of low reward. Since exits are not scored, π_G(a|s) ≈ π_F(a|s) / (1 − π_F(exit|s)) there.
template <class LowReward>
class DiscouragedExit {
 public:
  static constexpr bool only_prepare_throws = true;

  /// `low_reward` tells which states are poor: low_reward(state), or low_reward(batch, row), which may look at
  /// batch.environment_log_reward_of_row(row). `cap` is the largest exit logit there.
  DiscouragedExit(LowReward low_reward, double cap) : low_reward_(std::move(low_reward)), cap_(cap) {}

  // clang-format off
  const auto& environment() const
    requires requires(const LowReward& low) { low.environment(); }
  {
    return low_reward_.environment();
  }
  // clang-format on

  /// Asks once per distinct state of the batch that has a choice and can exit.
  template <class E>
  void prepare(Batch<E>& batch) {
    if constexpr (by_row<E>) batch.compute_rewards_where([&](int row) { return is_asked(batch.table(), row); });
    ask(batch);
  }
  template <class Input>
  void operator()(const Input& input, std::span<double> log_p) {
    const auto& table = input.batch.table();
    if (!(asked_ == table.identity()) || rows_.size() < static_cast<std::size_t>(table.rows())) ask(input.batch);
    for (Row& row : rows_) row.known = false;
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      const Step& step = input.batch.steps()[k];
      log_p[k] = step.child == none ? 0.0 : input.forward.log_probability(step) - log_mass(input, step.row);
    }
  }

 private:
  struct Row {
    double log_mass = 0;  // of what the policy keeps there when its exit is capped
    bool known = false;
    bool poor = false;
  };
  template <class E>
  static constexpr bool by_row = std::is_invocable_v<const LowReward&, const Batch<E>&, int>;

  template <class E>
  static bool is_asked(const StateTable<E>& table, int row) {
    return table.forward_choices(row) >= 2 && table.can_exit(row);
  }
  template <class E>
  void ask(const Batch<E>& batch) {
    asked_ = {};
    rows_.assign(static_cast<std::size_t>(batch.table().rows()), {});
    for (int row = 0; row < batch.table().rows(); ++row)
      if (is_asked(batch.table(), row)) rows_[static_cast<std::size_t>(row)].poor = is_poor(batch, row);
    asked_ = batch.table().identity();
  }
  template <class E>
  bool is_poor(const Batch<E>& batch, int row) const {
    if constexpr (by_row<E>)
      return low_reward_(batch, row);
    else
      return low_reward_(batch.table().state(row));
  }
  template <class Input>
  double log_mass(const Input& input, int row) {
    Row& r = rows_[static_cast<std::size_t>(row)];
    if (!r.known) r.log_mass = r.poor ? capped_log_mass(input, row) : 0.0;
    r.known = true;
    return r.log_mass;
  }
  template <class Input>
  double capped_log_mass(const Input& input, int row) const {
    const auto& table = input.batch.table();
    const Action exit = table.exit_action();
    const double excess = static_cast<double>(input.forward.logit(row, exit)) - cap_;
    if (excess <= 0) return 0;
    double mass = input.forward.log_probability(row, exit) - excess;
    for (Action a = 0; a < exit; ++a)
      if (table.forward_mask(row)[static_cast<std::size_t>(a)])
        mass = log_add_exp(mass, input.forward.log_probability(row, a));
    return mass;
  }

  LowReward low_reward_;
  double cap_;
  std::vector<Row> rows_;
  RowsIdentity asked_;  // whose rows these are
};

namespace detail {

/// The states that an environment calls background.
template <class E>
struct BackgroundStates {
  const E* env;
  const E& environment() const { return *env; }
  bool operator()(const StateOf<E>& s) const { return env->is_background(s); }
};

/// The states whose log-reward is not above a threshold.
template <class E>
struct StatesBelow {
  const E* env;
  double log_reward;
  const E& environment() const { return *env; }
  bool operator()(const Batch<E>& batch, int row) const {
    return (batch.has_reward(row) ? batch.environment_log_reward_of_row(row)
                                  : gfn::log_reward(*env, batch.table().state(row))) <= log_reward;
  }
};

}  // namespace detail

/// Discouraged exits in an environment's background states, as is_background(state) tells (the hypergrid's plateau R₀).
/// Refers to the environment.
template <class E>
auto discouraged_exit(const E& env, double cap = std::log(1e-5)) {
  return DiscouragedExit(detail::BackgroundStates<E>{&env}, cap);
}
template <class E>
void discouraged_exit(const E&&, double = 0) = delete;  // a temporary would be gone after this line
/// Discouraged exits in states whose log-reward is not above a threshold (Bayesian networks), whatever the reward
/// exponent. The log-reward is asked for once per distinct state of a batch. Refers to the environment.
template <class E>
auto discouraged_exit_below(const E& env, double log_reward_threshold, double cap = std::log(1e-10)) {
  return DiscouragedExit(detail::StatesBelow<E>{&env, log_reward_threshold}, cap);
}
template <class E>
void discouraged_exit_below(const E&&, double, double = 0) = delete;  // a temporary would be gone after this line

}  // namespace gfn
