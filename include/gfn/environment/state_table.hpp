// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/core/mask.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/core/state_block.hpp>
#include <gfn/core/unique_number.hpp>
#include <gfn/environment/concepts.hpp>
#include <gfn/environment/describe.hpp>
#include <gfn/environment/state_hash.hpp>
#include <gfn/environment/traits.hpp>

namespace gfn {

/// Distinct states in rows, with their encodings and masks: each state is encoded, and asked for its legal actions,
/// once. Rows are only ever appended; `clear` forgets them and keeps all memory (state slots are assigned anew, not
/// constructed). Where the environment throws while a row is added, the table is as before.
template <class E>
class StateTable {
  static_assert(check_forward_environment_concept<E>() && is_forward_environment<E>);

 public:
  using State = StateOf<E>;

  /// Refers to the environment. With `group` off (or for states without a hash) equal states get rows of their own.
  explicit StateTable(const E&&, bool = true) = delete;  // a temporary would be gone after this line
  explicit StateTable(const E& env, bool group = true)
      : env_(&env), group_(group), num_forward_(num_forward_choices(env)), changed_(env.initial_state()) {
    require(env.num_actions() >= 0, "num_actions() is ", env.num_actions());
    if constexpr (Environment<E>) num_backward_ = gfn::num_backward_actions(env);
    clear();
  }

  void clear() {
    num_rows_ = 0;
    origin_ = {};
    content_.renew();
    index_.clear();
    if constexpr (EncodedEnvironment<E>) features_.clear(env_->num_features());
  }

  const E& environment() const { return *env_; }
  int rows() const { return num_rows_; }
  const State& state(int row) const { return states_[static_cast<std::size_t>(row)]; }
  std::span<const State> states() const { return {states_.data(), static_cast<std::size_t>(num_rows_)}; }
  const SparseRows& features() const { return features_; }
  RowsIdentity identity() const { return {this, content_.value()}; }
  StateBlock<State> block(std::span<const int> rows) const { return {states(), &features_, rows, identity()}; }

  /// The number of forward choices, the exit (the last one) included.
  int num_forward() const { return num_forward_; }
  int num_backward() const { return num_backward_; }
  Action exit_action() const { return num_forward_ - 1; }
  /// Which forward choices are legal: num_forward() entries, the exit last.
  ConstMask forward_mask(int row) const { return mask(forward_masks_, row, num_forward_); }
  ConstMask backward_mask(int row) const { return mask(backward_masks_, row, num_backward_); }
  /// The masks of all rows, one after the other.
  const bool* forward_masks() const { return forward_masks_.data(); }
  const bool* backward_masks() const { return backward_masks_.data(); }
  int forward_choices(int row) const { return forward_choices_[static_cast<std::size_t>(row)]; }
  int backward_choices(int row) const { return backward_choices_[static_cast<std::size_t>(row)]; }
  /// Throws gfn::Error, naming both states and the action, unless `action` (of the state in row `parent`) and `back`
  /// (of the one in row `child`) are legal there, as the two names of one edge must be.
  void check_edge(int parent, Action action, int child, Action back) const {
    if constexpr (Environment<E>) {
      if (!is_legal(forward_mask(parent), action) || action == exit_action()) [[unlikely]]
        refuse_edge(parent, action, child, back, true);
      if (!is_legal(backward_mask(child), back)) [[unlikely]]
        refuse_edge(parent, action, child, back, false);
    }
  }
  /// The state of a row as text, for messages: as describe() has it or, where it can't be printed, by the actions that
  /// lead to it, as far as they are known.
  [[gnu::cold, gnu::noinline]] std::string describe_row(int row) const {
    if constexpr (is_describable<State>) {
      return describe(state(row));
    } else {
      std::vector<Action> actions;
      while (!(state(row) == env_->initial_state())) {
        const Origin& origin = origins_[static_cast<std::size_t>(row)];
        if (origin.parent == none) return describe(state(row));
        actions.push_back(origin.action);
        row = origin.parent;
      }
      std::reverse(actions.begin(), actions.end());
      return describe_actions(actions);
    }
  }
  bool can_exit(int row) const { return forward_mask(row)[static_cast<std::size_t>(exit_action())]; }

  /// The row of an equal state, or none; always none where states are not grouped.
  int find(const State& s) const {
    if constexpr (has_state_hash<E>)
      if (group_) return index_.find(hash_state(*env_, s), [&](int row) { return state(row) == s; });
    return none;
  }
  /// The row of an equal state, or that of a new row. Throws gfn::Error, naming the state, if a new one leaves no
  /// choice at all, and for more rows than an int can count. The state may be one of the table's own.
  int find_or_add(const State& s) {
    if constexpr (has_state_hash<E>)
      if (group_) {
        const std::uint64_t hash = hash_state(*env_, s);
        const int row = index_.find(hash, [&](int r) { return state(r) == s; });
        if (row != none) return row;
        index_.reserve_one();
        add(s);
        index_.insert(hash, num_rows_ - 1);
        return num_rows_ - 1;
      }
    add(s);
    return num_rows_ - 1;
  }
  /// The same for what change(state) makes of the state in a row; `action` is the forward action that does so, or none.
  template <class Change>
  int find_or_add_changed(int row, const Change& change, Action action = none) {
    changed_ = state(row);
    change(changed_);
    origin_ = {action == none ? none : row, action};
    const int found = find_or_add(changed_);
    origin_ = {};
    return found;
  }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] void refuse_edge(int parent, Action action, int child, Action back,
                                                          bool undone) const {
    if (undone)
      fail("the environment undoes backward action ", back, " of state ", describe_row(child), " by the action ",
           action, ", which is not legal at state ", describe_row(parent), " where it leads");
    fail("the environment undoes action ", action, " of state ", describe_row(parent), " by the backward action ", back,
         ", which is not legal at state ", describe_row(child), " where it leads");
  }
  static bool is_legal(ConstMask legal, Action a) {
    return a >= 0 && static_cast<std::size_t>(a) < legal.size() && legal[static_cast<std::size_t>(a)];
  }
  static ConstMask mask(const AlignedBuffer<bool>& masks, int row, int width) {
    return {masks.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(width),
            static_cast<std::size_t>(width)};
  }

  /// Fills the slots of one row more, and counts it in the end.
  [[gnu::noinline]] void add(const State& s) {
    const auto row = static_cast<std::size_t>(num_rows_);
    require_int(row + 1, "states in a table");
    if constexpr (!is_describable<State>) {
      origins_.resize(row);
      origins_.push_back(origin_);
    }
    if (row < states_.size())
      states_[row] = s;
    else
      states_.push_back(s);
    const State& own = states_[row];  // s may have moved
    add_forward_mask(own, row);
    if constexpr (Environment<E>) add_backward_mask(own, row);
    if constexpr (EncodedEnvironment<E>) encode(own);
    ++num_rows_;
  }
  void encode(const State& s) {
    try {
      env_->encode(s, Features(features_));
      features_.finish_row();
    } catch (const std::exception& error) {
      features_.truncate(num_rows_);
      fail("at state ", describe_row(num_rows_), ": ", error.what());
    } catch (...) {
      features_.truncate(num_rows_);
      throw;
    }
  }
  void add_forward_mask(const State& s, std::size_t row) {
    const Mask legal = append(forward_masks_, row, num_forward_);
    fill_forward_mask(*env_, s, legal);
    const int choices = append_count(forward_choices_, row, legal);
    if (choices == 0) fail("the environment allows no action and no exit at state ", describe_row(num_rows_));
  }
  void add_backward_mask(const State& s, std::size_t row) {
    const Mask legal = append(backward_masks_, row, num_backward_);
    fill_backward_mask(*env_, s, legal);
    append_count(backward_choices_, row, legal);
  }
  static Mask append(AlignedBuffer<bool>& masks, std::size_t row, int width) {
    const auto count = static_cast<std::size_t>(width);
    masks.resize((row + 1) * count);
    return {masks.data() + row * count, width};
  }
  static int append_count(AlignedBuffer<int>& counts, std::size_t row, Mask legal) {
    counts.resize(row + 1);
    return counts[row] = count_legal({legal.begin(), static_cast<std::size_t>(legal.size())});
  }

  /// Where a state was first met: by an action from another row.
  struct Origin {
    int parent = none;
    Action action = none;
  };

  const E* env_;
  bool group_;
  int num_forward_;
  int num_backward_ = 0;
  int num_rows_ = 0;
  ContentNumber content_;
  std::vector<State> states_;
  State changed_;
  Origin origin_;                // of what find_or_add is about to add
  std::vector<Origin> origins_;  // by row, where states can't be printed
  HashIndex index_;
  SparseRows features_;
  AlignedBuffer<bool> forward_masks_, backward_masks_;
  AlignedBuffer<int> forward_choices_, backward_choices_;
};

}  // namespace gfn
