// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
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

/// What the examination of a sound environment has met.
///
/// States that a network can't tell apart are no error, but what it learns at one of them it does at all. Two numbers
/// count pairs of distinct states with equal encodings. equal_encodings counts all of them: they are one state to a
/// state flow and to a value function. look_alikes counts those with the same legal moves and exit too, two choices at
/// least: a forward policy must choose alike at both. (Legal choices that differ tell two states apart, though not
/// always enough; a single choice asks nothing of a policy.)
struct EnvironmentLawReport {
  int walks = 0;                     ///< walks from the initial state to an exit
  int longest_walk = 0;              ///< moves in the longest walk, there or back
  int states = 0;                    ///< distinct states that the walks have passed, the initial state included
  int terminal_states = 0;           ///< those of them that can exit
  std::int64_t moves = 0;            ///< moves tried: some or all at each state on each walk, the same ones repeatedly
  std::int64_t undos = 0;            ///< undos tried in the same way
  bool encoded = false;              ///< whether the environment has encodings; without, the pairs are not counted
  std::int64_t equal_encodings = 0;  ///< pairs of distinct states with equal encodings
  std::int64_t look_alikes = 0;      ///< those of them with the same legal choices, two at least
  /// Two look-alikes, or where there are none two states with equal encodings, described; empty where there are none.
  std::pair<std::string, std::string> example;
};

/// Writes the counts as one line.
inline std::ostream& operator<<(std::ostream& out, const EnvironmentLawReport& report) {
  out << "walks: " << report.walks << ", longest walk: " << report.longest_walk << ", states: " << report.states
      << ", terminal states: " << report.terminal_states << ", moves: " << report.moves << ", undos: " << report.undos;
  if (!report.encoded) return out << ", no encodings";
  out << ", equal encodings: " << report.equal_encodings << ", look-alikes: " << report.look_alikes;
  if (report.equal_encodings > 0) out << " (as " << report.example.first << " and " << report.example.second << ")";
  return out;
}

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

/// Distinct states, numbered as they are met.
template <class State>
class MetStates {
 public:
  /// Takes s, to which the actions `way` lead, under a hash that equal states share. False where it is known already.
  bool add(const State& s, std::uint64_t hash, const std::vector<Action>& way) {
    if (index_.find_or_insert(hash, size(), [&](int row) { return state(row) == s; }) != none) return false;
    states_.push_back(s);
    if constexpr (!is_describable<State>) ways_.push_back(way);
    return true;
  }
  int size() const { return static_cast<int>(states_.size()); }
  const State& state(int row) const { return states_[static_cast<std::size_t>(row)]; }
  std::string text(int row) const {
    if constexpr (is_describable<State>) {
      return describe(state(row));
    } else {
      return describe_actions(ways_[static_cast<std::size_t>(row)]);
    }
  }

 private:
  std::deque<State> states_;               // a vector would have no references to states that are bools
  std::vector<std::vector<Action>> ways_;  // kept only where the states can't be described
  HashIndex index_;
};

/// The number of pairs within groups of states, and the first of them.
struct PairCount {
  std::int64_t pairs = 0;
  int first = none;
  int second = none;

  void add_group(const std::vector<int>& rows) {
    const auto size = static_cast<std::int64_t>(rows.size());
    pairs += size * (size - 1) / 2;
    if (size < 2 || first != none) return;
    first = rows[0];
    second = rows[1];
  }
};

template <class E>
class EnvironmentLaws {
  using State = StateOf<E>;

 public:
  EnvironmentLaws(const E& env, const Random& random, const EnvironmentLawOptions& options)
      : env_(env), random_(random), options_(options), start_(env.initial_state()), sizes_(sizes()) {}

  EnvironmentLawReport check() {
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
    report_.walks = options_.walks;
    report_.states = met_.size();
    if constexpr (EncodedEnvironment<E>) count_pairs();
    return report_;
  }

 private:
  struct Masks {
    std::vector<int> moves;  // without the exit
    std::vector<int> undos;
    bool exit = false;
    bool operator==(const Masks&) const = default;
  };
  using NonzeroFeatures = std::vector<std::pair<int, double>>;

  template <class... Parts>
  [[noreturn]] static void broken(const char* law, const State& s, const Parts&... parts) {
    fail("environment law broken: ", law, ": at the state ", describe(s), parts...);
  }

  // ---- walks

  /// Walks at random to an exit, by way of moves only as long as there are any if `leave_late`.
  State walk(Stream& stream, bool leave_late) {
    std::vector<State> path{start_};
    std::vector<Action> way;
    for (;;) {
      const State s = path.back();
      const Masks masks = check_state(s, stream);
      meet(s, masks, way);
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
      way.push_back(a);
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
    std::vector<Action> way;
    for (std::size_t i = moves.size(); i-- > 0;) {
      const State before = s;
      env_.apply(s, moves[i]);
      way.push_back(moves[i]);
      if (!(s == met[i]))
        broken("the moves of a backward walk lead forth by its states", before, ", action ", moves[i], " leads to ",
               describe(s), ", and not to ", describe(met[i]), " as on the way back");
      check_equal(met[i], s, {"there from the initial state by action ", moves[i]});
      meet(met[i], masks_of(met[i]), way);
    }
  }

  // ---- the report

  /// Counts s, to which the actions `way` lead from the initial state.
  void meet(const State& s, const Masks& masks, const std::vector<Action>& way) {
    report_.longest_walk = std::max(report_.longest_walk, static_cast<int>(way.size()));
    // All that equal states have in common, as they may have no hash.
    std::uint64_t hash = hash_of(masks.moves, masks.undos, masks.exit);
    if constexpr (has_state_hash<E>) hash = hash_of(hash, hash_state(env_, s));
    NonzeroFeatures features;
    if constexpr (EncodedEnvironment<E>) features = nonzero_features(s);
    const int row = met_.size();
    if (!met_.add(s, hash_of(hash, features), way)) return;
    if (masks.exit) ++report_.terminal_states;
    if constexpr (EncodedEnvironment<E>) rows_by_features_[std::move(features)].push_back(row);
  }

  NonzeroFeatures nonzero_features(const State& s) {
    const std::vector<double> features = encoding_of(s);
    NonzeroFeatures nonzero;
    for (std::size_t i = 0; i < features.size(); ++i)
      if (features[i] != 0) nonzero.emplace_back(static_cast<int>(i), features[i]);
    return nonzero;
  }

  void count_pairs() {
    PairCount equal_encodings;
    PairCount look_alikes;
    for (const auto& [features, rows] : rows_by_features_) {
      if (rows.size() == 1) continue;
      equal_encodings.add_group(rows);
      std::map<std::pair<std::vector<int>, bool>, std::vector<int>> rows_by_choices;
      for (const int row : rows) {
        const Masks masks = masks_of(met_.state(row));
        if (masks.moves.size() + masks.exit >= 2) rows_by_choices[{masks.moves, masks.exit}].push_back(row);
      }
      for (const auto& [choices, alike] : rows_by_choices) look_alikes.add_group(alike);
    }
    report_.encoded = true;
    report_.equal_encodings = equal_encodings.pairs;
    report_.look_alikes = look_alikes.pairs;
    const PairCount& shown = look_alikes.pairs > 0 ? look_alikes : equal_encodings;
    if (shown.pairs > 0) report_.example = {met_.text(shown.first), met_.text(shown.second)};
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
    ++report_.moves;
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
    ++report_.undos;
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
  MetStates<State> met_;
  std::map<NonzeroFeatures, std::vector<int>> rows_by_features_;
  EnvironmentLawReport report_;
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
/// The concepts check an environment's spelling, this checks its meaning: call it in a test. Returns what it has met; a
/// caller may ignore it.
template <class E>
EnvironmentLawReport check_environment_laws(const E& env, const Random& random = Random(),
                                            const EnvironmentLawOptions& options = {}) {
  static_assert(check_forward_environment_concept<E>());
  if constexpr (member::names_undo<E>) static_assert(check_environment_concept<E>());
  if constexpr (member::names_encode<E>) static_assert(check_encoding_concept<E>());
  require(options.walks >= 1 && options.max_steps >= 0 && options.moves_per_state >= 0,
          "check_environment_laws: ", options.walks, " walks of at most ", options.max_steps, " steps with ",
          options.moves_per_state, " moves tried at each state, there must be at least 1 walk, and nothing negative");
  if constexpr (ForwardEnvironment<E>)
    return detail::EnvironmentLaws<E>(env, random, options).check();
  else
    return {};
}

}  // namespace gfn::testing
