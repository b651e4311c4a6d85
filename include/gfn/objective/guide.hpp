// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <gfn/core/log_space.hpp>
#include <gfn/objective/rewards.hpp>
#include <gfn/rollout/batch.hpp>

namespace gfn {

/// A guide: a conditional law P_G(τ|x) of the trajectories to an object x, Markovian or not, that a backward policy is
/// pulled towards. guide(input, log_p) fills in log π_G of every step of a batch, 0 at the exits; a score that is only
/// proportional to a law, with a factor that depends on x alone, serves as well. It may also have `observe(batch)`,
/// which is shown each batch of the forward policy, with its rewards, first.
template <class G, class Input>
concept Guide = requires(G& guide, const Input& input, std::span<double> log_p) {
  guide(input, log_p);
};

/// R_B^G, the guided backward reward (Niu et al. 2024, Proposition 2): log π_B(s', a) − log π_G(s, a) for the step from
/// s' back to s; nothing for the exit. Refers to the guide.
template <class G>
class GuidedBackwardReward {
 public:
  explicit GuidedBackwardReward(G& guide) : guide_(&guide) {}

  template <class E>
  void observe(const Batch<E>& batch) const requires requires(G& guide) {
    guide.observe(batch);
  }
  { guide_->observe(batch); }
  template <class Input>
  void operator()(const Input& input, std::span<double> cost) const {
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
  /// `low_reward(state)` tells which states are poor; `cap` is the largest exit logit there.
  DiscouragedExit(LowReward low_reward, double cap) : low_reward_(std::move(low_reward)), cap_(cap) {}

  template <class Input>
  void operator()(const Input& input, std::span<double> log_p) {
    shift_.assign(static_cast<std::size_t>(input.batch.table().rows()), std::nan(""));
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      const Step& step = input.batch.steps()[k];
      if (step.child == none) {
        log_p[k] = 0;
        continue;
      }
      double& shift = shift_[static_cast<std::size_t>(step.row)];
      if (std::isnan(shift)) shift = log_mass(input, step.row);
      log_p[k] = input.forward.log_probability(step) - shift;
    }
  }

 private:
  /// The logarithm of the mass that the policy keeps at a row when its exit is capped.
  template <class Input>
  double log_mass(const Input& input, int row) const {
    const auto& table = input.batch.table();
    if (table.forward_choices(row) < 2 || !table.can_exit(row) || !low_reward_(table.state(row))) return 0;
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
  std::vector<double> shift_;
};

/// Discouraged exits in an environment's background states, as is_background(state) tells (the hypergrid's plateau R₀).
template <class E>
auto discouraged_exit(const E& env, double cap = std::log(1e-5)) {
  return DiscouragedExit([&env](const StateOf<E>& s) { return env.is_background(s); }, cap);
}
/// Discouraged exits in states whose log-reward is not above a threshold (Bayesian networks). The log-reward is asked
/// for once per distinct state of a batch.
template <class E>
auto discouraged_exit_below(const E& env, double log_reward_threshold, double cap = std::log(1e-10)) {
  return DiscouragedExit(
      [&env, log_reward_threshold](const StateOf<E>& s) { return log_reward(env, s) <= log_reward_threshold; }, cap);
}

}  // namespace gfn
