// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/random.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>

namespace gfn::testing {

struct EnvironmentLawOptions {
  int walks = 100;           ///< random walks from the initial state to an exit, and back again where there is undo
  int max_steps = 10000;     ///< no walk may be longer
  int moves_per_state = 16;  ///< moves, and undos, tried at each state on the way; drawn at random where more are legal
};

namespace detail {

/// A mask between two margins that show whether somebody wrote beside it.
class GuardedMask {
 public:
  /// Has `write(Mask)` fill a cleared mask of `size` entries. False where it wrote outside of them.
  template <class Write>
  [[nodiscard]] bool fill(int size, bool margin_value, Write&& write) {
    size_ = static_cast<std::size_t>(size);
    cells_.assign(size_ + 2 * margin, margin_value);
    std::fill_n(cells_.begin() + margin, size_, false);
    write(Mask(cells_.begin() + margin, size));
    const auto untouched = [=](bool cell) { return cell == margin_value; };
    return std::all_of(cells_.begin(), cells_.begin() + margin, untouched) &&
           std::all_of(cells_.end() - margin, cells_.end(), untouched);
  }
  ConstMask legal() const { return {cells_.begin() + margin, size_}; }

 private:
  static constexpr std::size_t margin = 32;
  AlignedBuffer<bool> cells_;
  std::size_t size_ = 0;
};

inline std::vector<int> legal_indices(ConstMask legal) {
  std::vector<int> indices;
  for (std::size_t i = 0; i < legal.size(); ++i)
    if (legal[i]) indices.push_back(static_cast<int>(i));
  return indices;
}

/// Rewards may be summed in another order, and pass through float.
inline bool nearly_equal(double a, double b) {
  return a == b || (std::isfinite(a) && std::abs(a - b) <= 1e-6 * std::max(1.0, std::abs(a)));
}

template <class E>
class EnvironmentLaws {
  using State = StateOf<E>;

 public:
  EnvironmentLaws(const E& env, const Random& random, const EnvironmentLawOptions& options)
      : env_(env), random_(random), options_(options), start_(env.initial_state()), sizes_(sizes()) {}

  void check() {
    for (const int size : sizes_)
      if (size < 0) broken("the numbers of actions and features are fixed", start_, ": one of them is ", size);
    check_copy(start_);
    if (!(env_.initial_state() == start_))
      broken("the initial state never changes", start_, ": a second call gives ", describe(env_.initial_state()));
    for (int i = 0; i < options_.walks; ++i) {
      Stream stream = random_.stream(Purpose::user, static_cast<std::uint64_t>(i));
      const State end = walk(stream, i % 2 == 1);
      if (std::find(ends_.begin(), ends_.end(), end) == ends_.end()) ends_.push_back(end);
      if constexpr (Environment<E>) walk_back(end, stream);
    }
    if constexpr (member::log_rewards<E>) check_batch();
  }

 private:
  struct Masks {
    std::vector<int> moves;  // without the exit
    std::vector<int> undos;
    bool exit = false;
    bool operator==(const Masks&) const = default;
  };

  template <class... Parts>
  [[noreturn]] static void broken(const char* law, const State& s, const Parts&... parts) {
    fail("environment law broken: ", law, ": at the state ", describe(s), parts...);
  }

  // ---- walks

  /// Walks at random to an exit, by way of moves only as long as there are any if `leave_late`.
  State walk(Stream& stream, bool leave_late) {
    std::vector<State> path{start_};
    for (;;) {
      const State s = path.back();
      const Masks masks = check_state(s, stream);
      const int choices = static_cast<int>(masks.moves.size()) + (masks.exit && !(leave_late && !masks.moves.empty()));
      const int choice = stream.below(choices);
      if (choice == static_cast<int>(masks.moves.size())) return s;
      if (static_cast<int>(path.size()) > options_.max_steps)
        broken("walks end within max_steps", s, ", reached in ", options_.max_steps, " steps, with moves left");
      const Action a = masks.moves[static_cast<std::size_t>(choice)];
      State next = s;
      env_.apply(next, a);
      if (std::find(path.begin(), path.end(), next) != path.end())
        broken("no state repeats along a walk", s, ", action ", a, " leads back to ", describe(next));
      path.push_back(std::move(next));
    }
  }

  /// Walks back at random from a state that can exit, and forth again by the same moves.
  void walk_back(State s, Stream& stream) {
    std::vector<State> met;
    std::vector<Action> moves;
    while (!(s == start_)) {
      const Masks masks = check_state(s, stream);
      if (static_cast<int>(moves.size()) == options_.max_steps)
        broken("backward walks reach the initial state within max_steps", s, ", reached in ", moves.size(), " undos");
      const Action b = masks.undos[static_cast<std::size_t>(stream.below(static_cast<int>(masks.undos.size())))];
      met.push_back(s);
      moves.push_back(forward_action(env_, s, b));
      env_.undo(s, b);
    }
    check_equal(start_, s, {"there by a walk back"});
    retrace(met, moves);
  }

  /// Takes the moves, the last one first, from the initial state, past the states met on the way back.
  void retrace(const std::vector<State>& met, const std::vector<Action>& moves) {
    State s = start_;
    for (std::size_t i = moves.size(); i-- > 0;) {
      const State before = s;
      env_.apply(s, moves[i]);
      if (!(s == met[i]))
        broken("the moves of a backward walk lead forth by its states", before, ", action ", moves[i], " leads to ",
               describe(s), ", and not to ", describe(met[i]), " as on the way back");
      check_equal(met[i], s, {"there from the initial state by action ", moves[i]});
    }
  }

  // ---- one state

  /// Checks all that can be seen from one state, and returns its masks.
  Masks check_state(const State& s, Stream& stream) {
    const State copy = check_copy(s);
    if (sizes() != sizes_)
      broken("the numbers of actions and features are fixed", s, ": they were ", describe(sizes_), " and are ",
             describe(sizes()));
    const Masks masks = masks_of(s);
    if (masks.moves.empty() && !masks.exit)
      broken("every state has a legal choice", s, ": no action is legal, and it can't exit");
    check_equal(s, copy, {"in a copy"});
    for (const Action a : some(masks.moves, stream)) check_move(s, a);
    if constexpr (Environment<E>) {
      const bool at_start = s == start_;
      if (at_start && !masks.undos.empty())
        broken("the initial state has no legal undo", s, ": backward action ", masks.undos.front(), " is legal");
      if (!at_start && masks.undos.empty())
        broken("every other state has a legal undo", s, ": it has none, and is not the initial state");
      for (const Action b : some(masks.undos, stream)) check_undo(s, b);
    }
    return masks;
  }

  static State check_copy(const State& s) {
    State copy = s;
    if (!(copy == s)) broken("a copy equals its original", s, ": its copy ", describe(copy), " does not");
    return copy;
  }

  Masks masks_of(const State& s) {
    Masks masks;
    masks.moves = mask_of(s, "legal_actions", env_.num_actions(), [&](Mask legal) { env_.legal_actions(s, legal); });
    masks.exit = env_.can_exit(s);
    if (masks.exit != static_cast<bool>(env_.can_exit(s)))
      broken("the masks of a state never change", s, ": can_exit says yes and no");
    if constexpr (Environment<E>)
      masks.undos =
          mask_of(s, "legal_undos", num_backward_actions(env_), [&](Mask legal) { env_.legal_undos(s, legal); });
    return masks;
  }

  /// Asks twice, with different margins: whatever value is written beside the mask, one of the two shows it.
  template <class Write>
  std::vector<int> mask_of(const State& s, const char* member, int size, Write&& write) {
    std::vector<int> first;
    for (const bool margin_value : {false, true}) {
      if (!mask_.fill(size, margin_value, write))
        broken("masks are written within their range", s, ": ", member, " writes outside of its ", size, " entries");
      std::vector<int> indices = legal_indices(mask_.legal());
      if (!margin_value)
        first = std::move(indices);
      else if (indices != first)
        broken("the masks of a state never change", s, ": two calls of ", member, " give ", describe(first), " and ",
               describe(indices));
    }
    return first;
  }

  /// How a state came to be equal to another, for messages.
  struct Origin {
    const char* how;
    Action action = none;
    friend std::ostream& operator<<(std::ostream& out, const Origin& origin) {
      out << origin.how;
      return origin.action == none ? out : out << origin.action;
    }
  };

  /// s and t are equal: nothing that the library asks may tell them apart.
  void check_equal(const State& s, const State& t, const Origin& origin) {
    const Masks masks = masks_of(s);
    const Masks other = masks_of(t);
    if (!(masks == other))
      broken("equal states have equal masks", s, ": moves ", describe(masks.moves), ", exit ", masks.exit, ", undos ",
             describe(masks.undos), "; ", origin, ": moves ", describe(other.moves), ", exit ", other.exit, ", undos ",
             describe(other.undos));
    if (masks.exit) {
      const double first = reward_of(s);
      const double second = reward_of(t);
      if (!nearly_equal(first, second))
        broken("equal states have equal log-rewards", s, ": ", first, "; ", origin, ": ", second);
    }
    if constexpr (has_state_hash<E>) {
      const std::uint64_t first = hash_state(env_, s);
      const std::uint64_t second = hash_state(env_, t);
      if (first != second) broken("equal states have equal hashes", s, ": ", first, "; ", origin, ": ", second);
    }
    if constexpr (EncodedEnvironment<E>) {
      const std::vector<double> first = encoding_of(s);
      const std::vector<double> second = encoding_of(t);
      const auto differ = std::mismatch(first.begin(), first.end(), second.begin());
      if (differ.first != first.end())
        broken("equal states have equal encodings", s, ": feature ", differ.first - first.begin(), " is ",
               *differ.first, "; ", origin, ": ", *differ.second);
    }
  }

  // ---- one edge

  void check_move(const State& s, Action a) {
    State child = s;
    env_.apply(child, a);
    State again = s;
    env_.apply(again, a);
    if (!(again == child))
      broken("apply gives the same state every time", s, ", action ", a, " gives ", describe(child), " and ",
             describe(again));
    if constexpr (Environment<E>) {
      const Action b = backward_action(env_, s, a);
      if (!contains(masks_of(child).undos, b))
        broken("backward_action is a legal undo", s, ", action ", a, " leads to ", describe(child),
               ", where backward action ", b, " is not legal");
      State back = child;
      env_.undo(back, b);
      if (!(back == s))
        broken("undo after apply restores the state", s, ", action ", a, " leads to ", describe(child),
               ", and backward action ", b, " from there to ", describe(back));
      const Action inverse = forward_action(env_, child, b);
      if (inverse != a)
        broken("forward_action inverts backward_action", s, ", action ", a, " is undone by backward action ", b,
               ", which is said to undo action ", inverse);
      check_equal(s, back, {"there again by the undo of action ", a});
    }
  }

  void check_undo(const State& s, Action b) requires Environment<E> {
    State parent = s;
    env_.undo(parent, b);
    State again = s;
    env_.undo(again, b);
    if (!(again == parent))
      broken("undo gives the same state every time", s, ", backward action ", b, " gives ", describe(parent), " and ",
             describe(again));
    const Action a = forward_action(env_, s, b);
    if (!contains(masks_of(parent).moves, a))
      broken("forward_action is a legal move", s, ", backward action ", b, " leads to ", describe(parent),
             ", where action ", a, " is not legal");
    State back = parent;
    env_.apply(back, a);
    if (!(back == s))
      broken("apply after undo restores the state", s, ", backward action ", b, " leads to ", describe(parent),
             ", and action ", a, " from there to ", describe(back));
    const Action inverse = backward_action(env_, parent, a);
    if (inverse != b)
      broken("backward_action inverts forward_action", s, ", backward action ", b, " undoes action ", a,
             ", which is said to be undone by backward action ", inverse);
    check_equal(s, back, {"there again after backward action ", b});
  }

  // ---- what the environment says

  std::vector<int> sizes() const {
    std::vector<int> sizes{env_.num_actions()};
    if constexpr (Environment<E>) sizes.push_back(num_backward_actions(env_));
    if constexpr (EncodedEnvironment<E>) sizes.push_back(env_.num_features());
    return sizes;
  }

  double reward_of(const State& s) const {
    try {
      return log_reward(env_, s);
    } catch (const Error& error) {
      broken("log-rewards are numbers below +infinity", s, ": ", error.what());
    }
  }

  std::vector<double> encoding_of(const State& s) {
    encoded_.clear(env_.num_features());
    try {
      env_.encode(s, Features(encoded_));
    } catch (const Error& error) {
      broken("encodings are finite and in range", s, ": ", error.what());
    }
    encoded_.finish_row();
    std::vector<double> features(static_cast<std::size_t>(encoded_.num_features()));
    const SparseRows::Row row = encoded_.row(0);
    for (std::size_t k = 0; k < row.indices.size(); ++k)
      features[static_cast<std::size_t>(row.indices[k])] += row.values.empty() ? 1.0 : row.values[k];
    return features;
  }

  void check_batch() const {
    std::vector<double> batch(ends_.size());
    log_rewards(env_, std::span<const State>(ends_), std::span<double>(batch));
    for (std::size_t i = 0; i < ends_.size(); ++i)
      if (const double alone = reward_of(ends_[i]); !nearly_equal(alone, batch[i]))
        broken("log_rewards agrees with log_reward", ends_[i], ": alone ", alone, ", in a batch of ", ends_.size(), " ",
               batch[i]);
  }

  static bool contains(const std::vector<int>& actions, Action a) {
    return std::find(actions.begin(), actions.end(), a) != actions.end();
  }

  /// moves_per_state of the actions, drawn at random, or all of them.
  std::vector<int> some(std::vector<int> actions, Stream& stream) const {
    const std::size_t wanted = static_cast<std::size_t>(options_.moves_per_state);
    if (actions.size() <= wanted) return actions;
    for (std::size_t i = 0; i < wanted; ++i)
      std::swap(actions[i], actions[i + static_cast<std::size_t>(stream.below(static_cast<int>(actions.size() - i)))]);
    actions.resize(wanted);
    return actions;
  }

  const E& env_;
  const Random& random_;
  const EnvironmentLawOptions& options_;
  State start_;
  std::vector<int> sizes_;
  std::vector<State> ends_;  // distinct
  GuardedMask mask_;
  SparseRows encoded_;
};

}  // namespace detail

/// Walks an environment at random, and tries moves and undos at every state on the way. Throws gfn::Error that names
/// the law, the state and the action where one of these is broken:
///
///   the numbers of actions and features are fixed         the initial state never changes
///   a copy equals its original                            every state has a legal choice (the exit is one)
///   masks are written within their range                  the masks of a state never change
///   apply gives the same state every time                 no state repeats along a walk
///   walks end within max_steps                            log-rewards are numbers below +infinity (−∞ is one)
///   log_rewards agrees with log_reward                    encodings are finite and in range
///   equal states have equal masks                         equal states have equal log-rewards
///   equal states have equal hashes                        equal states have equal encodings
///
/// and for an Environment:
///
///   the initial state has no legal undo                   every other state has a legal undo
///   backward_action is a legal undo                       forward_action is a legal move
///   undo after apply restores the state                   apply after undo restores the state
///   forward_action inverts backward_action                backward_action inverts forward_action
///   undo gives the same state every time                  backward walks reach the initial state within max_steps
///   the moves of a backward walk lead forth by its states
///
/// States count as equal that compare so, however they were reached: by one move, by its undo, at the end of a walk
/// back, or by the moves of that walk from the initial state. What a state keeps must not depend on the way to it.
///
/// The concepts check an environment's spelling, this checks its meaning: call it in a test.
template <class E>
void check_environment_laws(const E& env, const Random& random = Random(), const EnvironmentLawOptions& options = {}) {
  static_assert(check_forward_environment_concept<E>());
  if constexpr (member::names_undo<E>) static_assert(check_environment_concept<E>());
  if constexpr (member::names_encode<E>) static_assert(check_encoding_concept<E>());
  require(options.walks >= 1 && options.max_steps >= 0 && options.moves_per_state >= 0,
          "check_environment_laws: ", options.walks, " walks of at most ", options.max_steps, " steps with ",
          options.moves_per_state, " moves tried at each state, there must be at least 1 walk, and nothing negative");
  if constexpr (ForwardEnvironment<E>) detail::EnvironmentLaws<E>(env, random, options).check();
}

}  // namespace gfn::testing
