// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <gfn/core/aligned_buffer.hpp>
#include <gfn/policy/concepts.hpp>

namespace gfn {

/// The numeric outputs of a state function at rows of a table, evaluated some rows at a time. Incremental functions
/// keep them themselves; for others they are kept here.
template <class F, class State>
class OutputRows {
 public:
  using Scalar = typename F::Scalar;

  explicit OutputRows(F& function) : function_(&function) {}

  F& function() const { return *function_; }

  /// Evaluates the function at those rows of the block that have not been met since the states or the parameters last
  /// changed.
  void extend(const StateBlock<State>& block) {
    if constexpr (IncrementalStateFunction<F, State>)
      function_->extend(block);
    else
      extend_here(block);
  }
  /// The outputs at a row that has been extended to.
  const Scalar* output(int row) const {
    if constexpr (IncrementalStateFunction<F, State>)
      return function_->output(row);
    else
      return values_.data() + position_[static_cast<std::size_t>(row)] * static_cast<std::size_t>(function_->outputs());
  }

 private:
  static constexpr std::size_t nowhere = ~std::size_t{0};

  void extend_here(const StateBlock<State>& block) {
    if (!(block.identity == identity_) || version_ != function_->parameters().version()) {
      identity_ = block.identity;
      version_ = function_->parameters().version();
      position_.clear();
      count_ = 0;
    }
    position_.resize(block.states.size(), nowhere);
    fresh_.clear();
    for (const int row : block.rows) {
      std::size_t& position = position_[static_cast<std::size_t>(row)];
      if (position != nowhere) continue;
      position = count_ + fresh_.size();
      fresh_.push_back(row);
    }
    if (fresh_.empty()) return;
    tape_.clear();
    StateBlock<State> part = block;
    part.rows = fresh_;
    const Var<Scalar> values = function_->record(tape_, part);
    require(values.shape() == Shape{static_cast<Eigen::Index>(fresh_.size()), function_->outputs()},
            "a state function gave ", values.rows(), " x ", values.cols(), " outputs for ", fresh_.size(),
            " states, and says that it has ", function_->outputs(), " outputs");
    const auto width = static_cast<std::size_t>(function_->outputs());
    values_.resize((count_ + fresh_.size()) * width);
    std::copy(values.value().data(), values.value().data() + values.value().size(), values_.data() + count_ * width);
    count_ += fresh_.size();
  }

  F* function_;
  Tape<Scalar> tape_;
  AlignedBuffer<Scalar> values_;
  std::vector<std::size_t> position_;
  std::vector<int> fresh_;
  std::size_t count_ = 0;
  std::uint64_t version_ = 0;
  RowsIdentity identity_;
};

}  // namespace gfn
