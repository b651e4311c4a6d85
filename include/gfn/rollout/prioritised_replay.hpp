// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/random.hpp>

namespace gfn {

/// Options of a prioritised replay buffer.
struct PrioritisedReplayOptions {
  std::size_t capacity = 100000;  ///< items that are kept; the oldest goes first
  double alpha = 0.5;             ///< items are drawn in proportion to priority^alpha; 0: uniformly
};

/// A buffer of items that are drawn by priority (Schaul, Quan, Antonoglou, Silver: "Prioritized experience replay",
/// ICLR 2016). A new item has the largest priority seen so far, at least 1. Adding, drawing and changing a priority
/// take time logarithmic in the number of items; memory grows with the items.
template <class Item>
class PrioritisedReplay {
 public:
  explicit PrioritisedReplay(const PrioritisedReplayOptions& options = {}) : options_(options) {
    require(options.capacity >= 1, "PrioritisedReplay: the capacity is 0");
    require(options.alpha >= 0 && options.alpha <= 1, "PrioritisedReplay: alpha is ", options.alpha, ", not in [0, 1]");
  }

  std::size_t size() const { return items_.size(); }
  const Item& operator[](std::size_t i) const { return items_[i]; }

  void add(const Item& item) { next_place(item) = item; }

  /// Adds an item that is yet to be written: a copy of `blank` while there is room, and afterwards the oldest item, as
  /// it is. Assigned part by part, it keeps the memory that its parts hold.
  Item& next_place(const Item& blank) {
    std::size_t place = next_;
    if (items_.size() < options_.capacity) {
      place = items_.size();
      if (place == leaves_) grow();
      items_.push_back(blank);
    } else {
      remember_overwritten(place);
      next_ = (next_ + 1) % options_.capacity;
    }
    set(place, largest_);
    return items_[place];
  }

  /// From here on, until the next call, what is added can be taken back. (Items that are overwritten are copied.)
  void begin_additions() {
    size_before_ = items_.size();
    next_before_ = next_;
    num_overwritten_ = 0;
  }
  /// Takes back all that was added since begin_additions. Priorities that were changed since stay so.
  void take_back_additions() {
    while (items_.size() > size_before_) {
      set(items_.size() - 1, 0);
      items_.pop_back();
    }
    for (; num_overwritten_ > 0; --num_overwritten_) {
      const Overwritten& old = overwritten_[num_overwritten_ - 1];
      items_[old.place] = old.item;
      set(old.place, old.scaled);
    }
    next_ = next_before_;
  }

  /// Draws an item, with replacement, in proportion to priority^alpha.
  std::size_t sample(Stream& stream) const {
    require(!items_.empty(), "PrioritisedReplay: there is nothing to draw");
    double u = stream.uniform() * sums_[1];
    std::size_t node = 1;
    while (node < leaves_) {
      node *= 2;
      if (u >= sums_[node] && sums_[node + 1] > 0) u -= sums_[node++];
    }
    return std::min(node - leaves_, items_.size() - 1);
  }
  /// (n·P(i))^−β: what takes the bias out of a draw for β = 1. Not normalised.
  double weight(std::size_t i, double beta) const {
    const double probability = sums_[leaves_ + i] / sums_[1];
    return std::pow(static_cast<double>(items_.size()) * probability, -beta);
  }
  /// Sets the priority of an item, a positive number.
  void update(std::size_t i, double priority) {
    require(std::isfinite(priority) && priority > 0, "PrioritisedReplay: a priority is ", priority);
    const double scaled = std::pow(priority, options_.alpha);
    largest_ = std::max(largest_, scaled);
    set(i, scaled);
  }

 private:
  struct Overwritten {
    std::size_t place;
    double scaled;  // its priority^alpha
    Item item;
  };

  void remember_overwritten(std::size_t place) {
    if (num_overwritten_ == overwritten_.size()) {
      overwritten_.push_back({place, sums_[leaves_ + place], items_[place]});
    } else {  // the memory that its parts hold is used again
      Overwritten& old = overwritten_[num_overwritten_];
      old.place = place;
      old.scaled = sums_[leaves_ + place];
      old.item = items_[place];
    }
    ++num_overwritten_;
  }
  void set(std::size_t i, double scaled) {
    std::size_t node = leaves_ + i;
    sums_[node] = scaled;
    while (node > 1) {
      node /= 2;
      sums_[node] = sums_[2 * node] + sums_[2 * node + 1];
    }
  }
  /// Doubles the tree of sums: the node i has the children 2i and 2i + 1, and the leaves are the items.
  void grow() {
    const std::size_t old = leaves_;
    leaves_ *= 2;
    std::vector<double> sums(2 * leaves_, 0.0);
    std::copy_n(sums_.begin() + static_cast<std::ptrdiff_t>(old), old,
                sums.begin() + static_cast<std::ptrdiff_t>(leaves_));
    sums_ = std::move(sums);
    for (std::size_t node = leaves_; node-- > 1;) sums_[node] = sums_[2 * node] + sums_[2 * node + 1];
  }

  PrioritisedReplayOptions options_;
  std::vector<Item> items_;
  std::size_t next_ = 0;  // the oldest, once the capacity is reached
  std::size_t leaves_ = 16;
  std::vector<double> sums_ = std::vector<double>(32, 0.0);
  double largest_ = 1;

  // as of begin_additions
  std::size_t size_before_ = 0, next_before_ = 0;
  std::vector<Overwritten> overwritten_;  // the first num_overwritten_ of them since then, in order
  std::size_t num_overwritten_ = 0;
};

}  // namespace gfn
