// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gfn/environment/state_hash.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/rollout/trajectories.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/train.hpp>

#include "catch.hpp"
#include "messages.hpp"

namespace {

/// Words of three letters out of two, in a state that can be neither hashed nor printed.
struct Words {
  struct State {
    std::vector<int> letters;
    bool operator==(const State&) const = default;
  };
  double reward_of_two_ones = 0;

  State initial_state() const { return {}; }
  int num_actions() const { return 2; }
  int num_features() const { return 6; }
  void legal_actions(const State& s, gfn::Mask legal) const { legal[0] = legal[1] = s.letters.size() < 3; }
  bool can_exit(const State& s) const { return s.letters.size() > 1; }
  void apply(State& s, gfn::Action a) const { s.letters.push_back(a); }
  int num_backward_actions() const { return 1; }
  gfn::Action backward_action(const State&, gfn::Action) const { return 0; }
  gfn::Action forward_action(const State& s, gfn::Action) const { return s.letters.back(); }
  void legal_undos(const State& s, gfn::Mask legal) const { legal[0] = !s.letters.empty(); }
  void undo(State& s, gfn::Action) const { s.letters.pop_back(); }
  double log_reward(const State& s) const { return s.letters == std::vector<int>{1, 1} ? reward_of_two_ones : 0; }
  void encode(const State& s, gfn::Features out) const {
    for (std::size_t i = 0; i < s.letters.size(); ++i) out.one(static_cast<int>(2 * i) + s.letters[i]);
  }
};

struct HashedWords : Words {
  std::uint64_t hash(const State& s) const { return gfn::hash_of(s.letters); }
};

std::vector<std::string> notices;

template <class E>
void train_a_little() {
  const E env;
  gfn::Random random{1};
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {4}}, random);
  auto trainer = gfn::trajectory_balance_trainer(env, forward, gfn::UniformPolicy{});
  gfn::train(trainer, {.iterations = 2, .batch = 8}, random);
  CHECK((trainer.batch().table().rows() < 15) == gfn::has_state_hash<E>);
}

}  // namespace

TEST_CASE("that states are not grouped is said once, with what to add") {
  const auto before = gfn::set_notice_handler([](const std::string& sentence) { notices.push_back(sentence); });
  train_a_little<HashedWords>();
  CHECK(notices.empty());
  train_a_little<Words>();
  train_a_little<Words>();
  REQUIRE(notices.size() == 1);
  CHECK(contains(notices[0], "have no hash, so equal ones are not grouped"));
  CHECK(contains(notices[0], "gfn::hash_of"));
  gfn::set_notice_handler(before);
}

TEST_CASE("a state that can't be printed is named by the actions that lead to it") {
  const Words env{std::numeric_limits<double>::quiet_NaN()};
  auto batch = gfn::batch_from_trajectories(env, std::vector<std::vector<gfn::Action>>{{0, 1, 2}, {1, 1, 2}});
  CHECK(contains(message_of<gfn::Error>([&] { batch.compute_rewards(); }),
                 "the log-reward of the state (reached by the actions 1, 1) is nan"));
  CHECK(contains(message_of<gfn::Error>([&] { static_cast<void>(batch.log_reward(0)); }),
                 "the state (reached by the actions 0, 1) has not been computed"));
  CHECK(contains(
      message_of([&] {
        static_cast<void>(gfn::batch_from_trajectories(env, std::vector<std::vector<gfn::Action>>{{1, 0, 1, 1, 2}}));
      }),
      "action 1 is not legal at state (reached by the actions 1, 0, 1)"));
  const auto refusal = [&](const std::vector<gfn::Action>& actions) {
    return message_of(
        [&] { static_cast<void>(gfn::batch_from_trajectories(env, std::vector<std::vector<gfn::Action>>{actions})); });
  };
  CHECK(contains(refusal({1, 0, 1, 1, 2}), "action 1 is not legal at state (reached by the actions 1, 0, 1)"));
  CHECK(contains(refusal({2}), "action 2 is not legal at state (the initial one)"));
  // in a rollout
  gfn::Random random{1};
  auto forward = gfn::mlp_policy<float>(env, {.hidden = {4}}, random);
  auto trainer = gfn::trajectory_balance_trainer(env, forward, gfn::UniformPolicy{});
  CHECK(contains(message_of<gfn::Error>([&] {
                   for (int i = 0; i < 100; ++i) trainer.step(random, 8);
                 }),
                 "the log-reward of the state (reached by the actions 1, 1) is nan"));
}
