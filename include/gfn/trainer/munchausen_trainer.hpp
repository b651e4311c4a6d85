// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

#include <gfn/ad/arithmetic.hpp>
#include <gfn/ad/elementwise.hpp>
#include <gfn/ad/reduce.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/log_space.hpp>
#include <gfn/core/random.hpp>
#include <gfn/nn/adam.hpp>
#include <gfn/objective/rewards.hpp>
#include <gfn/policy/output_rows.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/rollout/exploration.hpp>
#include <gfn/rollout/prioritised_replay.hpp>
#include <gfn/rollout/sampler.hpp>
#include <gfn/trainer/arguments.hpp>
#include <gfn/trainer/report.hpp>

namespace gfn {

/// Options of Munchausen DQN. Defaults: Tiapkin et al. 2024, on grids.
struct MunchausenOptions {
  double alpha = 0.15;             ///< weight of the Munchausen term, in [0, 1); 0: soft DQN
  double least_log_policy = -100;  ///< the Munchausen term is not taken below it
  double target_rate = 0.25;       ///< of the target network, which moves towards the other by this share an iteration
  int transitions = 256;           ///< drawn from the buffer for each update
  int learning_starts = 16;        ///< iterations that only fill the buffer
  double huber = 1;                ///< δ of the Huber loss
  double leaf_coefficient = 1;     ///< multiplies the temporal-difference error of exits, at least 0
  double learning_rate = 1e-3;
  Exploration exploration{};  ///< off by default: the entropy explores
  PrioritisedReplayOptions replay{};
  std::uint64_t beta_iterations = 2000;  ///< the exponent of the importance weights grows from 0 to 1 in so many
  double log_reward_floor = minus_infinity<>;
  double initial_log_z = 0;  ///< the origin of log-rewards: Q is learned less it
};

/// Trains by Munchausen DQN (Tiapkin, Morozov, Naumov, Vetrov: "Generative flow networks as entropy-regularized RL",
/// AISTATS 2024; Q-Much in Niu et al. 2024), with the uniform backward policy. The MDP pays log π_B(s', a) for a move
/// and log R(x) for the exit; with the temperature τ = 1 / (1 − α) and a slowly moving copy Q̄ of Q,
///
///     y = log π_B(s', a) + τ log Σ_{a'} exp(Q̄(s', a') / τ)    for a move,    y = log R(x)    for the exit,
///         + α·max(τ log π̄(a|s), least),    π̄ = softmax(Q̄(s, ·) / τ),
///
/// and the loss is the Huber loss of Q(s, a) − y on transitions drawn by priority. The networks give Q / τ, so that the
/// policy π = softmax(Q / τ) is the softmax of their outputs, as with every other method. log Z is τ log Σ exp(Q(s₀, ·)
/// / τ).
template <class E, class Q>
class MunchausenTrainer {
 public:
  using T = typename Q::Scalar;
  using State = StateOf<E>;
  using Environment = E;
  static_assert(check_environment_concept<E>());

  /// `target` is a second network of the same kind; it starts as a copy of the first. Both must live as long as the
  /// trainer, as the environment must. Throws std::invalid_argument for options out of range, for networks that do not
  /// fit the environment, and for two that are not alike.
  MunchausenTrainer(const E& env, Q& q, Q& target, const MunchausenOptions& options)
      : options_(options),
        temperature_(1 / (1 - options.alpha)),
        batch_(env),
        sampler_(env),
        policy_(q, env, Direction::forward, Sampling::yes),
        table_(env),
        q_(q),
        target_(target),
        replay_(options.replay),
        blank_{env.initial_state(), none, env.initial_state(), false, 0} {
    require(options.alpha >= 0 && options.alpha < 1, "alpha is ", options.alpha, ", not in [0, 1)");
    require(options.target_rate >= 0 && options.target_rate <= 1, "target_rate is ", options.target_rate,
            ", not in [0, 1]");
    require(options.least_log_policy <= 0, "least_log_policy is ", options.least_log_policy, ", not at most 0");
    require(options.learning_starts >= 0, "learning_starts is ", options.learning_starts, ", at least 0 is needed");
    require(std::isfinite(options.huber) && options.huber > 0, "huber is ", options.huber,
            ", it must be finite and above 0");
    require(std::isfinite(options.leaf_coefficient) && options.leaf_coefficient >= 0, "leaf_coefficient is ",
            options.leaf_coefficient, ", it must be finite and at least 0");
    options.exploration.check();
    require(options.transitions >= 1, "transitions is ", options.transitions, ", at least 1 is needed");
    require(&q.parameters() != &target.parameters(), "MunchausenTrainer: the target must be a network of its own");
    q.parameters().require_same_blocks(target.parameters(), "MunchausenTrainer", "in the network", "in the target");
    target.parameters().mark_in_use();
    target.parameters().modify() = q.parameters().value();
    batch_.set_log_reward_origin(options.initial_log_z);
    adam_.add(q.parameters(), {.learning_rate = options.learning_rate});
  }

  /// One iteration: `trajectories` new ones go to the buffer, then one update. Throws gfn::Error for a loss that is not
  /// finite. After an exception networks, optimiser, buffer and iteration are as before, and gradients are zero.
  IterationReport step(const Random& random, int trajectories) {
    require(trajectories >= 1, "a step on ", trajectories, " trajectories");
    replay_.begin_additions();
    return detail::guarded([&] { return sample_and_train(random, trajectories); },
                           [&] {
                             replay_.take_back_additions();
                             adam_.zero_gradients();
                             tape_.clear();
                           });
  }

  const E& environment() const { return batch_.environment(); }
  std::uint64_t iteration() const { return iteration_; }
  double log_z_estimate() const { return log_z_; }
  const Batch<E>& batch() const { return batch_; }
  const PhaseSeconds& seconds() const { return seconds_; }
  /// The targets y of the transitions of the last update, in the order in which they were drawn.
  std::span<const double> targets() const { return y_; }

 private:
  struct Transition {
    State state;
    Action action;
    State child;  ///< the state itself for the exit
    bool exit;
    double reward;  ///< log π_B for a move, log R for the exit
  };

  IterationReport sample_and_train(const Random& random, int trajectories) {
    PhaseClock clock(seconds_);
    const double before = seconds_.total();
    const double epsilon = options_.exploration.epsilon(iteration_);
    sampler_.sample(batch_, policy_, trajectories, random, iteration_, {.epsilon = epsilon});
    batch_.compute_rewards();
    large_rewards_.look_at(batch_);
    const double log_z = log_z_at_start();
    remember();
    clock.mark(&PhaseSeconds::rollout);
    double loss = 0;
    if (iteration_ >= static_cast<std::uint64_t>(options_.learning_starts)) {
      draw(random);
      compute_targets();
      clock.mark(&PhaseSeconds::forward);
      loss = accumulate_gradient();
      clock.mark(&PhaseSeconds::reverse);
      update();
      clock.mark(&PhaseSeconds::optimiser);
    }
    tape_.clear();  // here rather than in the next step: it gathers the memory that has been added in this one
    log_z_ = log_z;
    ++iteration_;
    return {.iteration = iteration_,
            .trajectories = trajectories,
            .transitions = batch_.num_steps(),
            .distinct_states = batch_.table().rows(),
            .loss = loss,
            .log_z = log_z_,
            .epsilon = epsilon,
            .seconds = seconds_.total() - before};
  }

  void remember() {
    const StateTable<E>& table = batch_.table();
    for (int i = 0; i < batch_.trajectories(); ++i)
      for (const Step& step : batch_.steps(i)) {
        const bool exit = step.child == none;
        const double reward = exit ? training_log_reward(batch_, i, options_.log_reward_floor)
                                   : -std::log(static_cast<double>(table.backward_choices(step.child)));
        Transition& place = replay_.next_place(blank_);  // states may hold memory, which is used again
        place.state = table.state(step.row);
        place.action = step.action;
        place.child = table.state(exit ? step.row : step.child);
        place.exit = exit;
        place.reward = reward;
      }
  }

  /// Draws transitions, and gives their states rows: first where they start, then where they lead.
  void draw(const Random& random) {
    Stream stream = random.stream(Purpose::replay, iteration_);
    const double beta = std::min(1.0, static_cast<double>(iteration_) / static_cast<double>(options_.beta_iterations));
    drawn_.clear();
    weights_.clear();
    leaf_factors_.clear();
    rows_.clear();
    actions_.clear();
    children_.clear();
    table_.clear();
    for (int k = 0; k < options_.transitions; ++k) {
      drawn_.push_back(replay_.sample(stream));
      weights_.push_back(replay_.weight(drawn_.back(), beta));
    }
    const double largest = *std::max_element(weights_.begin(), weights_.end());
    for (std::size_t k = 0; k < drawn_.size(); ++k) {
      const Transition& transition = replay_[drawn_[k]];
      weights_[k] /= largest;
      leaf_factors_.push_back(transition.exit ? options_.leaf_coefficient : 1.0);
      rows_.push_back(table_.find_or_add(transition.state));
      actions_.push_back(transition.action);
    }
    start_rows_.resize(static_cast<std::size_t>(table_.rows()));
    for (const std::size_t i : drawn_) children_.push_back(table_.find_or_add(replay_[i].child));
    all_rows_.resize(static_cast<std::size_t>(table_.rows()));
    std::iota(start_rows_.begin(), start_rows_.end(), 0);
    std::iota(all_rows_.begin(), all_rows_.end(), 0);
  }

  void compute_targets() {
    target_.extend(table_.block(all_rows_));
    log_sums_.clear();
    for (const int row : all_rows_) log_sums_.push_back(log_sum_exp_legal(target_.output(row), table_, row));
    y_.clear();
    for (std::size_t k = 0; k < drawn_.size(); ++k) {
      const Transition& transition = replay_[drawn_[k]];
      const double log_policy = static_cast<double>(target_.output(rows_[k])[actions_[k]]) - log_sum(rows_[k]);
      y_.push_back(transition.reward + (transition.exit ? 0.0 : temperature_ * log_sum(children_[k])) +
                   options_.alpha * std::max(temperature_ * log_policy, options_.least_log_policy));
    }
  }
  double log_sum(int row) const { return log_sums_[static_cast<std::size_t>(row)]; }
  static double log_sum_exp_legal(const T* outputs, const StateTable<E>& table, int row) {
    double total = minus_infinity<>;
    const ConstMask legal = table.forward_mask(row);
    for (std::size_t a = 0; a < legal.size(); ++a)
      if (legal[a]) total = log_add_exp(total, static_cast<double>(outputs[a]));
    return total;
  }
  double log_z_at_start() {
    const int start = batch_.steps().front().row;
    q_.extend(batch_.table().block({&start, 1}));
    return batch_.log_reward_shift() + temperature_ * log_sum_exp_legal(q_.output(start), batch_.table(), start);
  }

  double accumulate_gradient() {
    tape_.clear();
    const Var<T> all = q_.function().record(tape_, table_.block(start_rows_));
    const Var<T> q = scale(pick(all, std::span<const int>(rows_), std::span<const Action>(actions_)), temperature_);
    const Var<T> error = multiply(subtract(q, as_column(y_)), as_column(leaf_factors_));
    const Var<T> loss = mean(multiply(elementwise(Huber{options_.huber}, error), as_column(weights_)));
    const double value = static_cast<double>(loss.scalar());
    if (!std::isfinite(value)) fail("the loss is ", value, " in iteration ", iteration_ + 1);
    tape_.backward(loss);
    for (std::size_t k = 0; k < drawn_.size(); ++k)
      replay_.update(drawn_[k], std::abs(static_cast<double>(error.value()(static_cast<Eigen::Index>(k), 0))) + 1e-6);
    return value;
  }
  void update() {
    adam_.step();
    Parameters<T>& target = target_.function().parameters();
    const T rate = static_cast<T>(options_.target_rate);
    target.modify() += rate * (q_.function().parameters().value() - target.value());
  }
  static Eigen::Map<const Vector<double>> as_column(const std::vector<double>& x) {
    return {x.data(), static_cast<Eigen::Index>(x.size())};
  }

  MunchausenOptions options_;
  double temperature_;
  Batch<E> batch_;
  ForwardSampler<E> sampler_;
  PolicyEvaluation<T, Q, E> policy_;
  StateTable<E> table_;  // of the drawn transitions
  OutputRows<Q, State> q_, target_;
  PrioritisedReplay<Transition> replay_;
  Transition blank_;
  Tape<T> tape_;
  Adam<T> adam_;

  std::vector<std::size_t> drawn_;
  std::vector<double> weights_, leaf_factors_, y_, log_sums_;
  std::vector<int> rows_, children_, start_rows_, all_rows_;
  std::vector<Action> actions_;
  detail::LargeRewards<T> large_rewards_;
  std::uint64_t iteration_ = 0;
  double log_z_ = 0;
  PhaseSeconds seconds_;
};

/// Munchausen DQN; soft DQN with alpha = 0.
template <class E, class Q, class Target>
auto munchausen_trainer(E&& env, Q&& q, Target&& target, const MunchausenOptions& options = {}) {
  constexpr bool alike = std::is_same_v<std::remove_cvref_t<Q>, std::remove_cvref_t<Target>>;
  static_assert(alike, "munchausen_trainer: the target must be a network of the same type as the first");
  if constexpr (alike && check_trainer_arguments<E, Q, UniformPolicy, Target>())
    return MunchausenTrainer<std::remove_cvref_t<E>, std::remove_reference_t<Q>>(env, q, target, options);
}

}  // namespace gfn
