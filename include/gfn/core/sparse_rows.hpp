// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include <gfn/core/error.hpp>

namespace gfn {

/// Encoded states: one row each, kept as the list of its active features. One-hot and k-hot encodings carry indices
/// alone; a row that uses `value` makes the whole set carry values. Rows are appended in order and never changed.
class SparseRows {
 public:
  /// One row: features `indices[k]`, with `values[k]`, or 1 each where `values` is empty.
  struct Row {
    std::span<const int> indices;
    std::span<const double> values;
  };

  /// Forgets all rows, keeps the memory, and sets the number of features.
  void clear(int num_features) {
    num_features_ = num_features;
    indices_.clear();
    values_.clear();
    ends_.clear();
    has_values_ = false;
  }
  int rows() const { return static_cast<int>(ends_.size()); }
  int num_features() const { return num_features_; }
  bool has_values() const { return has_values_; }

  Row row(int i) const {
    const std::size_t first = i == 0 ? 0 : ends_[static_cast<std::size_t>(i - 1)];
    const std::size_t count = ends_[static_cast<std::size_t>(i)] - first;
    return {{indices_.data() + first, count},
            has_values_ ? std::span<const double>(values_.data() + first, count) : std::span<const double>()};
  }

  /// Adds a feature to the row under construction. Throws gfn::Error for an index out of range or a value that is
  /// not finite.
  void add(int index) {
    check(index);
    indices_.push_back(index);
    if (has_values_) values_.push_back(1.0);
  }
  void add(int index, double value) {
    check(index);
    if (!std::isfinite(value)) fail("encode: feature ", index, " has the value ", value, ", which is not finite");
    if (!has_values_) {  // all that came before were ones
      values_.assign(indices_.size(), 1.0);
      has_values_ = true;
    }
    indices_.push_back(index);
    values_.push_back(value);
  }
  /// Ends the row under construction.
  void finish_row() { ends_.push_back(indices_.size()); }
  /// Forgets all rows from `rows` on, and the one under construction.
  void truncate(int rows) {
    ends_.resize(static_cast<std::size_t>(rows));
    const std::size_t count = ends_.empty() ? 0 : ends_.back();
    indices_.resize(count);
    if (has_values_) values_.resize(count);
  }

 private:
  void check(int index) const {
    if (index < 0 || index >= num_features_) [[unlikely]]
      fail("encode: feature ", index, " is out of range, num_features() is ", num_features_);
  }

  int num_features_ = 0;
  bool has_values_ = false;
  std::vector<int> indices_;
  std::vector<double> values_;
  std::vector<std::size_t> ends_;
};

/// What an environment writes a state's encoding to. Features that are not named are 0; one that is named twice adds
/// up.
class Features {
 public:
  explicit Features(SparseRows& rows) : rows_(&rows) {}
  /// Feature `index` is 1.
  void one(int index) const { rows_->add(index); }
  /// Feature `index` is `value` (finite).
  void value(int index, double value) const { rows_->add(index, value); }
  /// The width of the encoding.
  int size() const { return rows_->num_features(); }

 private:
  SparseRows* rows_;
};

}  // namespace gfn
