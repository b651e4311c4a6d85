// SPDX-License-Identifier: MIT
#include <gfn/testing/environment_laws.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "environment/environments.hpp"

namespace {

using gfn::Action;
using gfn::Features;
using gfn::Mask;

/// The message of the broken law, or "sound".
template <class E>
std::string message(const E& env, const gfn::testing::EnvironmentLawOptions& options = {.walks = 50, .max_steps = 50}) {
  try {
    gfn::testing::check_environment_laws(env, gfn::Random(1), options);
  } catch (const gfn::Error& error) {
    return error.what();
  }
  return "sound";
}

/// The name of the broken law, or the whole message where it has another form.
template <class E>
std::string law(const E& env) {
  const std::string text = message(env);
  const std::string start = "environment law broken: ";
  const std::size_t end = text.find(": at the state ");
  if (text.find(start) != 0 || end == std::string::npos) return text;
  return text.substr(start.size(), end - start.size());
}

/// A sound environment, the 3 × 3 grid. Its states carry a mark that their comparison ignores, and that must not show.
struct Grid {
  struct State {
    int x = 0, y = 0, mark = 0;
    bool operator==(const State& other) const { return x == other.x && y == other.y; }
    friend std::ostream& operator<<(std::ostream& out, const State& s) {
      return out << '(' << s.x << ", " << s.y << ')';
    }
  };
  mutable int calls = 0;  // for those that change with time

  State initial_state() const { return {}; }
  int num_actions() const { return 2; }
  void legal_actions(const State& s, Mask legal) const {
    legal[0] = s.x < 2;
    legal[1] = s.y < 2;
  }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, Action a) const { ++(a == 0 ? s.x : s.y); }
  void legal_undos(const State& s, Mask legal) const {
    legal[0] = s.x > 0;
    legal[1] = s.y > 0;
  }
  void undo(State& s, Action a) const {
    --(a == 0 ? s.x : s.y);
    s.mark = 1;
  }
  double log_reward(const State& s) const { return s.x - s.y; }
  std::uint64_t hash(const State& s) const { return static_cast<std::uint64_t>(3 * s.x + s.y); }
  int num_features() const { return 3; }
  void encode(const State& s, Features out) const {
    out.value(0, s.x);
    out.value(1, s.y);
  }
};

/// The grid with a mark, the area under the path, that is right as long as each undo takes back the last move, or is
/// taken back at once. By any other way round it comes out different, and shows where a test lets it.
struct AreaGrid : Grid {
  void apply(State& s, Action a) const {
    if (a == 0) s.mark += s.y;
    Grid::apply(s, a);
  }
  void undo(State& s, Action a) const {
    const int mark = s.mark - (a == 0 ? s.y : 0);
    Grid::undo(s, a);
    s.mark = mark;
  }
};

/// A chain 0 → 1 → 2 → exit by action 0, and another way to 2, by action 1: … → −3 → −2 → −1 → 2.
/// It starts nowhere: 2 has no end of ancestors.
struct Chain {
  using State = int;
  mutable int calls = 0;

  State initial_state() const { return 0; }
  int num_actions() const { return 2; }
  void legal_actions(const State& s, Mask legal) const {
    legal[0] = s == 0 || s == 1;
    legal[1] = s < 0;
  }
  bool can_exit(const State& s) const { return s == 2; }
  void apply(State& s, Action) const { s = s == -1 ? 2 : s + 1; }
  void legal_undos(const State& s, Mask legal) const {
    legal[0] = s == 1 || s == 2;
    legal[1] = s == 2 || s < 0;
  }
  void undo(State& s, Action b) const { s = b == 1 && s == 2 ? -1 : s - 1; }
  double log_reward(const State&) const { return 0; }
};

/// The chain 0 → 1 → 2 → exit, by two actions each, undone by two.
struct ParallelChain {
  using State = int;
  State initial_state() const { return 0; }
  int num_actions() const { return 2; }
  void legal_actions(const State& s, Mask legal) const { legal[0] = legal[1] = s < 2; }
  bool can_exit(const State& s) const { return s == 2; }
  void apply(State& s, Action) const { ++s; }
  int num_backward_actions() const { return 2; }
  void legal_undos(const State& s, Mask legal) const { legal[0] = legal[1] = s > 0; }
  void undo(State& s, Action) const { --s; }
  Action backward_action(const State&, Action a) const { return 1 - a; }
  Action forward_action(const State&, Action b) const { return 1 - b; }
  double log_reward(const State&) const { return 0; }
};

/// Forward only: 0 → 1 → … → 9 → exit.
struct Line {
  using State = int;
  State initial_state() const { return 0; }
  int num_actions() const { return 1; }
  void legal_actions(const State& s, Mask legal) const { legal[0] = s < 9; }
  bool can_exit(const State& s) const { return s > 4; }
  void apply(State& s, Action) const { ++s; }
  double log_reward(const State&) const { return 0; }
};

/// 0 or 1 is appended, until there are `length` of them. The states have no hash, and can't be printed.
struct Bits {
  struct State {
    std::vector<int> bits;
    bool operator==(const State&) const = default;
  };
  int length = 2;

  State initial_state() const { return {}; }
  int num_actions() const { return 2; }
  void legal_actions(const State& s, Mask legal) const { legal[0] = legal[1] = !can_exit(s); }
  bool can_exit(const State& s) const { return static_cast<int>(s.bits.size()) == length; }
  void apply(State& s, Action a) const { s.bits.push_back(a); }
  void legal_undos(const State& s, Mask legal) const {
    for (int a = 0; a < 2; ++a) legal[a] = !s.bits.empty() && s.bits.back() == a;
  }
  void undo(State& s, Action) const { s.bits.pop_back(); }
  double log_reward(const State&) const { return 0; }
};

/// Encodes how many bits there are and, where `first`, the first of them.
struct EncodedBits : Bits {
  bool first = false;
  int num_features() const { return 2; }
  void encode(const State& s, Features out) const {
    out.value(0, static_cast<double>(s.bits.size()));
    if (first && !s.bits.empty()) out.value(1, s.bits[0]);
  }
};

template <class E>
gfn::testing::EnvironmentLawReport report(const E& env, int walks) {
  return gfn::testing::check_environment_laws(env, gfn::Random(1), {.walks = walks});
}

std::string text(const gfn::testing::EnvironmentLawReport& report) {
  std::ostringstream out;
  out << report;
  return out.str();
}

}  // namespace

TEST_CASE("sound environments keep the laws") {
  CHECK(message(environments::Subsets()) == "sound");
  CHECK(message(environments::Subsets{.n = 1, .k = 1}) == "sound");
  CHECK(message(environments::Subsets{.n = 5, .k = 0}) == "sound");
  CHECK(message(environments::PrependAppend()) == "sound");
  CHECK(message(environments::PrependAppend{.letters = 5, .length = 8}) == "sound");
  CHECK(message(environments::PrependAppend{.letters = 1, .length = 1}) == "sound");
  CHECK(message(environments::PrependAppend(), {.walks = 5, .moves_per_state = 1}) == "sound");
  CHECK(message(Grid()) == "sound");
  CHECK(message(ParallelChain()) == "sound");
  CHECK(message(Line()) == "sound");
  CHECK_THROWS_AS(gfn::testing::check_environment_laws(Line(), gfn::Random(), {.walks = 0}), std::invalid_argument);
}

TEST_CASE("a broken law names the state and the action") {
  struct Broken : Grid {
    void undo(State& s, Action a) const {
      Grid::undo(s, a);
      if (a == 0) s.y = 2;
    }
  };
  CHECK(message(Broken()) ==
        "environment law broken: undo after apply restores the state: at the state (0, 0), action 0 leads to (1, 0), "
        "and backward action 0 from there to (0, 2)");
}

TEST_CASE("sizes and the initial state are fixed") {
  SECTION("growing") {
    struct Broken : Grid {
      int num_actions() const { return ++calls > 20 ? 3 : 2; }
    };
    CHECK(law(Broken()) == "the numbers of actions and features are fixed");
  }
  SECTION("negative") {
    struct Broken : Grid {
      int num_features() const { return -1; }
    };
    CHECK(law(Broken()) == "the numbers of actions and features are fixed");
  }
  SECTION("another start at each call") {
    struct Broken : Grid {
      State initial_state() const { return {++calls % 2, 0}; }
    };
    CHECK(law(Broken()) == "the initial state never changes");
  }
}

TEST_CASE("a state equals its copy") {
  struct Broken : Grid {
    struct State : Grid::State {
      bool operator==(const State&) const { return false; }
    };
    State initial_state() const { return {}; }
  };
  CHECK(law(Broken()) == "a copy equals its original");
}

TEST_CASE("masks offer a choice, stay in range and do not change") {
  SECTION("a dead end") {
    struct Broken : Grid {
      bool can_exit(const State& s) const { return s.x + s.y < 4; }
    };
    CHECK(law(Broken()) == "every state has a legal choice");
  }
  SECTION("legal_actions marks the exit") {
    struct Broken : Grid {
      void legal_actions(const State& s, Mask legal) const {
        Grid::legal_actions(s, legal);
        *legal.end() = true;
      }
    };
    CHECK(law(Broken()) == "masks are written within their range");
  }
  SECTION("legal_undos clears too much") {
    struct Broken : Grid {
      void legal_undos(const State& s, Mask legal) const {
        Grid::legal_undos(s, legal);
        *(legal.begin() - 1) = false;
      }
    };
    CHECK(law(Broken()) == "masks are written within their range");
  }
  SECTION("legal_actions changes") {
    struct Broken : Grid {
      void legal_actions(const State& s, Mask legal) const {
        Grid::legal_actions(s, legal);
        if (s.y == 0) legal[0] = ++calls % 2 == 0;
      }
    };
    CHECK(law(Broken()) == "the masks of a state never change");
  }
  SECTION("can_exit changes") {
    struct Broken : Grid {
      bool can_exit(const State&) const { return ++calls % 2 == 0; }
    };
    CHECK(law(Broken()) == "the masks of a state never change");
  }
}

TEST_CASE("moves are deterministic, and walks end") {
  SECTION("apply changes its mind") {
    struct Broken : Grid {
      void apply(State& s, Action) const { ++(++calls % 2 == 0 ? s.x : s.y); }
    };
    CHECK(law(Broken()) == "apply gives the same state every time");
  }
  SECTION("undo changes its mind") {
    struct Broken : Chain {
      void undo(State& s, Action b) const { s = b == 1 && s == 2 ? -1 - ++calls % 2 : s - 1; }
    };
    CHECK(law(Broken()) == "undo gives the same state every time");
  }
  SECTION("a cycle") {
    struct Broken : Line {
      void apply(State& s, Action) const { s = (s + 1) % 7; }
    };
    CHECK(law(Broken()) == "no state repeats along a walk");
  }
  SECTION("an apply that does nothing") {
    struct Broken : Line {
      void apply(State, Action) const {}
    };
    CHECK(law(Broken()) == "no state repeats along a walk");
  }
  SECTION("no end") {
    struct Broken : Line {
      void legal_actions(const State&, Mask legal) const { legal[0] = true; }
    };
    CHECK(law(Broken()) == "walks end within max_steps");
  }
  SECTION("no start") { CHECK(law(Chain()) == "backward walks reach the initial state within max_steps"); }
}

TEST_CASE("log-rewards are numbers, and come the same in batches") {
  SECTION("NaN") {
    struct Broken : Grid {
      double log_reward(const State& s) const { return std::log(1.0 - s.x); }
    };
    CHECK(law(Broken()) == "log-rewards are numbers below +infinity");
  }
  SECTION("+infinity") {
    struct Broken : Grid {
      double log_reward(const State& s) const { return s.x == 2 ? std::numeric_limits<double>::infinity() : 0.0; }
    };
    CHECK(law(Broken()) == "log-rewards are numbers below +infinity");
  }
  SECTION("−infinity is one") {
    struct Sound : Grid {
      double log_reward(const State& s) const { return s.x == 2 ? -std::numeric_limits<double>::infinity() : 0.0; }
    };
    CHECK(law(Sound()) == "sound");
  }
  SECTION("beside log_reward") {
    struct Broken : Grid {
      void log_rewards(std::span<const State> states, std::span<double> out) const {
        for (std::size_t i = 0; i < states.size(); ++i) out[i] = states[i].x;
      }
    };
    CHECK(law(Broken()) == "log_rewards agrees with log_reward");
  }
  SECTION("instead of log_reward") {
    struct Sound : Line {
      double log_reward(const State&) const = delete;
    };
    STATIC_REQUIRE(!gfn::ForwardEnvironment<Sound>);
    struct Batch {
      using State = int;
      double step = 0;
      State initial_state() const { return 0; }
      int num_actions() const { return 1; }
      void legal_actions(const State& s, Mask legal) const { legal[0] = s < 9; }
      bool can_exit(const State& s) const { return s > 4; }
      void apply(State& s, Action) const { ++s; }
      void log_rewards(std::span<const State> states, std::span<double> out) const {
        for (std::size_t i = 0; i < states.size(); ++i) out[i] = states[i] + step * static_cast<double>(i);
      }
    };
    CHECK(law(Batch()) == "sound");
    CHECK(law(Batch{.step = 1}) == "log_rewards agrees with log_reward");
  }
}

TEST_CASE("encodings are finite and in range") {
  SECTION("out of range") {
    struct Broken : Grid {
      void encode(const State& s, Features out) const { out.one(s.x + s.y); }
    };
    CHECK(law(Broken()) == "encodings are finite and in range");
    CHECK(message(Broken()).find("feature 3 is out of range, num_features() is 3") != std::string::npos);
  }
  SECTION("not finite") {
    struct Broken : Grid {
      void encode(const State& s, Features out) const { out.value(0, 1.0 / (2 - s.x)); }
    };
    CHECK(law(Broken()) == "encodings are finite and in range");
  }
}

TEST_CASE("equal states are treated equally, however they were reached") {
  SECTION("masks") {  // as a cache of the legal moves that undo does not keep up to date
    struct Broken : Grid {
      void legal_actions(const State& s, Mask legal) const {
        Grid::legal_actions(s, legal);
        if (s.mark) legal[0] = false;
      }
    };
    CHECK(law(Broken()) == "equal states have equal masks");
    CHECK(message(Broken()).find("there again by the undo of action ") != std::string::npos);
  }
  SECTION("log-rewards") {
    struct Broken : Grid {
      double log_reward(const State& s) const { return s.mark; }
    };
    CHECK(law(Broken()) == "equal states have equal log-rewards");
  }
  SECTION("log-rewards that are −infinity once") {
    struct Broken : Grid {
      double log_reward(const State& s) const { return s.mark ? 1.0 : -std::numeric_limits<double>::infinity(); }
    };
    CHECK(law(Broken()) == "equal states have equal log-rewards");
  }
  SECTION("hashes") {
    struct Broken : Grid {
      std::uint64_t hash(const State& s) const { return static_cast<std::uint64_t>(s.mark); }
    };
    CHECK(law(Broken()) == "equal states have equal hashes");
  }
  SECTION("encodings") {
    struct Broken : Grid {
      void encode(const State& s, Features out) const { out.one(s.mark); }
    };
    CHECK(law(Broken()) == "equal states have equal encodings");
  }
}

TEST_CASE("a state that is right in last-in-first-out order only is caught by walking back another way") {
  CHECK(message(AreaGrid()) == "sound");  // as long as nothing shows the mark
  SECTION("at the initial state") {
    struct Broken : AreaGrid {
      void encode(const State& s, Features out) const { out.value(0, s == State{} ? s.mark : 0); }
    };
    CHECK(law(Broken()) == "equal states have equal encodings");
    CHECK(message(Broken()).find("there by a walk back: ") != std::string::npos);
  }
  SECTION("on the way") {
    struct Broken : AreaGrid {
      std::uint64_t hash(const State& s) const { return static_cast<std::uint64_t>(s == State{} ? 0 : s.mark); }
    };
    CHECK(law(Broken()) == "equal states have equal hashes");
    CHECK(message(Broken()).find("there from the initial state by action ") != std::string::npos);
  }
  SECTION("in where moves lead") {  // from (1, 1), where an odd mark swaps the axes
    struct Broken : AreaGrid {
      static int swap(const State& s) { return s == State{1, 1} && s.mark % 2 != 0; }
      void apply(State& s, Action a) const { AreaGrid::apply(s, backward_action(s, a)); }
      int num_backward_actions() const { return 2; }
      Action backward_action(const State& s, Action a) const { return swap(s) ? 1 - a : a; }
      Action forward_action(State s, Action b) const {
        undo(s, b);
        return swap(s) ? 1 - b : b;
      }
    };
    CHECK(law(Broken()) == "the moves of a backward walk lead forth by its states");
  }
}

TEST_CASE("only the initial state has no legal undo") {
  SECTION("the initial state has one") {
    struct Broken : Grid {
      void legal_undos(const State& s, Mask legal) const {
        Grid::legal_undos(s, legal);
        if (s == State{}) legal[0] = true;
      }
    };
    CHECK(law(Broken()) == "the initial state has no legal undo");
  }
  SECTION("another has none") {
    struct Broken : Chain {
      void legal_undos(const State& s, Mask legal) const {
        legal[0] = s == 1 || s == 2;
        legal[1] = s == 2;  // −1 is an orphan
      }
    };
    CHECK(law(Broken()) == "every other state has a legal undo");
  }
}

TEST_CASE("undo and apply invert each other") {
  SECTION("a move that can't be undone") {
    struct Broken : Grid {
      void legal_undos(const State& s, Mask legal) const {
        Grid::legal_undos(s, legal);
        if (s.x == 1 && s.y == 1) legal[0] = false;
      }
    };
    CHECK(law(Broken()) == "backward_action is a legal undo");
  }
  SECTION("a backward action out of range") {
    struct Broken : ParallelChain {
      Action backward_action(const State&, Action a) const { return a + 1; }
    };
    CHECK(law(Broken()) == "backward_action is a legal undo");
  }
  SECTION("an undo to elsewhere") {
    struct Broken : Grid {
      void undo(State& s, Action) const { s = {}; }
    };
    CHECK(law(Broken()) == "undo after apply restores the state");
  }
  SECTION("an undo whose move is not legal") {
    struct Broken : Chain {
      void legal_actions(const State& s, Mask legal) const { legal[0] = s == 0 || s == 1; }
    };
    CHECK(law(Broken()) == "forward_action is a legal move");
  }
  SECTION("a forward action out of range") {
    struct Broken : Chain {
      int num_backward_actions() const { return 2; }
      Action backward_action(const State&, Action a) const { return a; }
      Action forward_action(const State&, Action b) const { return b == 1 ? 2 : 0; }
    };
    CHECK(law(Broken()) == "forward_action is a legal move");
  }
  SECTION("an undo whose move leads elsewhere") {
    struct Broken : Chain {
      void apply(State& s, Action) const { s = s == -1 ? 1 : s + 1; }
    };
    CHECK(law(Broken()) == "apply after undo restores the state");
  }
  SECTION("two actions with one backward action") {
    struct Broken : ParallelChain {
      void legal_undos(const State& s, Mask legal) const { legal[0] = s > 0; }
      Action backward_action(const State&, Action) const { return 0; }
      Action forward_action(const State&, Action) const { return 1; }
    };
    CHECK(law(Broken()) == "forward_action inverts backward_action");
  }
  SECTION("two backward actions for one action") {
    struct Broken : ParallelChain {
      void legal_actions(const State& s, Mask legal) const { legal[0] = s < 2; }
      Action backward_action(const State&, Action) const { return 0; }
      Action forward_action(const State&, Action) const { return 0; }
    };
    CHECK(law(Broken()) == "backward_action inverts forward_action");
  }
}

TEST_CASE("the report counts what the examination has met") {
  SECTION("there and back along a chain") {
    // Each walk there tries 2 moves at 0 and at 1, and 2 undos at 1 and at 2; back, 2 moves at 1, and the same undos.
    const auto chain = report(ParallelChain(), 3);
    CHECK(chain.walks == 3);
    CHECK(chain.longest_walk == 2);
    CHECK(chain.states == 3);
    CHECK(chain.terminal_states == 1);
    CHECK(chain.moves == 3 * 6);
    CHECK(chain.undos == 3 * 8);
    CHECK(!chain.encoded);
    CHECK(text(chain) ==
          "walks: 3, longest walk: 2, states: 3, terminal states: 1, moves: 18, undos: 24, no encodings");
  }
  SECTION("forward only") {
    const auto line = report(Line(), 2);  // the second walk takes all moves that there are
    CHECK(line.longest_walk == 9);
    CHECK(line.states == 10);
    CHECK(line.terminal_states == 5);
    CHECK(line.undos == 0);
  }
  SECTION("a grid, of which every cell is encoded by itself") {
    const auto grid = report(Grid(), 100);
    CHECK(grid.longest_walk == 4);
    CHECK(grid.states == 9);
    CHECK(grid.terminal_states == 9);
    CHECK(grid.encoded);
    CHECK(grid.equal_encodings == 0);
    CHECK(grid.look_alikes == 0);
    CHECK(grid.example == std::pair<std::string, std::string>());
    CHECK(text(grid).find(", equal encodings: 0, look-alikes: 0") == text(grid).size() - 36);
  }
  SECTION("states that are bools") {
    struct Switch {
      using State = bool;
      State initial_state() const { return false; }
      int num_actions() const { return 1; }
      void legal_actions(const State& s, Mask legal) const { legal[0] = !s; }
      bool can_exit(const State&) const { return true; }
      void apply(State& s, Action) const { s = true; }
      double log_reward(const State&) const { return 0; }
      int num_features() const { return 1; }
      void encode(const State&, Features) const {}
    };
    const auto both = report(Switch(), 10);
    CHECK(both.states == 2);
    CHECK(both.equal_encodings == 1);
    CHECK(both.example == std::pair<std::string, std::string>("0", "1"));
  }
  SECTION("states without a hash") {
    const auto bits = report(Bits{.length = 3}, 100);
    CHECK(bits.states == 1 + 2 + 4 + 8);
    CHECK(bits.terminal_states == 8);
  }
}

TEST_CASE("the report counts states that look alike to a network") {
  SECTION("two states, with the same legal choices") {
    struct Blurred : Grid {  // takes (0, 1) for (1, 0)
      void encode(const State& s, Features out) const {
        if (s.x + s.y == 1) return out.value(0, 1);
        Grid::encode(s, out);
      }
    };
    const auto grid = report(Blurred(), 100);
    CHECK(grid.states == 9);
    CHECK(grid.equal_encodings == 1);
    CHECK(grid.look_alikes == 1);
    CHECK((grid.example == std::pair<std::string, std::string>("(0, 1)", "(1, 0)") ||
           grid.example == std::pair<std::string, std::string>("(1, 0)", "(0, 1)")));
    CHECK(text(grid).find(", equal encodings: 1, look-alikes: 1 (as (") != std::string::npos);
  }
  SECTION("two states, of which one has more legal choices than the other") {
    struct Blurred : Grid {  // takes (0, 2) for (0, 0)
      void encode(const State& s, Features out) const {
        if (!(s == State{0, 2})) Grid::encode(s, out);
      }
    };
    const auto grid = report(Blurred(), 100);
    CHECK(grid.equal_encodings == 1);
    CHECK(grid.look_alikes == 0);
    CHECK(grid.example == std::pair<std::string, std::string>("(0, 0)", "(0, 2)"));
  }
  SECTION("groups, of states named by the actions that lead to them") {
    // Of length 1, 2, 3 there are 2, 4, 8 words. Those of length 3 can do nothing but exit.
    const auto bits = report(EncodedBits{{.length = 3}}, 100);
    CHECK(bits.states == 15);
    CHECK(bits.equal_encodings == 1 + 6 + 28);
    CHECK(bits.look_alikes == 1 + 6);
    const std::string start = "(reached by the action ";
    CHECK((bits.example == std::pair(start + "0)", start + "1)") ||
           bits.example == std::pair(start + "1)", start + "0)")));
    // One of each length that begins with 0, and one that begins with 1.
    const auto first = report(EncodedBits{{.length = 3}, true}, 100);
    CHECK(first.equal_encodings == 2 * (1 + 6));
    CHECK(first.look_alikes == 2);
  }
  SECTION("zeros, named or not, and sums are one encoding") {
    struct Blurred : Grid {
      void encode(const State& s, Features out) const {
        if (s == State{0, 1}) return out.value(2, -0.0);
        if (s == State{1, 0}) return;
        Grid::encode(s, out);
        out.one(2);
        if (s == State{1, 1}) return out.one(2);
        if (s == State{1, 2}) out.value(1, -1.0), out.value(2, 1.0);
      }
    };
    CHECK(report(Blurred(), 100).equal_encodings == 2);
  }
}
