// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gfn/ad/matrix.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/unique_number.hpp>

namespace gfn {

/// All parameters of a network in one flat vector, with their gradient and a tangent in the same layout (the tangent
/// from its first use on, which recording on a tape is). Blocks borrow from it, so that optimisers, conjugate
/// gradients, line searches and checkpoints are vector code. Blocks start at 64-byte boundaries; the padding between
/// them is zero in all three vectors and stays so.
///
/// Every change of the values goes through `modify` or an assignment. Each gives them a version of their own, a
/// unique_number(): activations that were computed under another version are recognised as such, and computed anew.
/// Equal versions mean equal values, in copies too.
template <class T>
class Parameters {
 public:
  /// A matrix inside the flat vector.
  struct Block {
    std::string name;
    Shape shape;
    std::size_t offset = 0;
  };
  using VectorMap = Eigen::Map<Vector<T>>;
  using ConstVectorMap = Eigen::Map<const Vector<T>>;

  Parameters() = default;
  /// A copy is nobody's yet: blocks may be added to it.
  Parameters(const Parameters& other)
      : value_(other.value_),
        grad_(other.grad_),
        tangent_(other.tangent_),
        blocks_(other.blocks_),
        version_(other.version_) {}
  Parameters(Parameters&&) noexcept = default;
  /// Takes over values, gradient, tangent and version, in place. Throws std::invalid_argument, naming the first block
  /// that differs, where these parameters are in use and have other blocks.
  Parameters& operator=(const Parameters& other) {
    if (this == &other) return *this;
    if (in_use_)
      require_same_blocks(other, "Parameters: assignment", "here", "there");
    else
      blocks_ = other.blocks_;
    value_ = other.value_;
    grad_ = other.grad_;
    tangent_ = other.tangent_;
    version_ = other.version_;
    return *this;
  }
  ~Parameters() = default;

  /// Adds a rows × cols block of zeros, and returns its number. Moves the memory: throws std::invalid_argument once a
  /// block has been recorded on a tape, a network evaluated or an optimiser made.
  int add(std::string name, Eigen::Index rows, Eigen::Index cols) {
    require(!in_use_, "Parameters::add: block '", name, "' comes too late, the others are in use already");
    require(rows >= 0 && cols >= 0, "Parameters::add: block '", name, "' cannot be ", rows, " x ", cols);
    constexpr std::size_t per_line = alignment / sizeof(T) > 0 ? alignment / sizeof(T) : 1;
    const std::size_t offset = value_.size();
    const auto count = static_cast<std::size_t>(rows * cols);
    const std::size_t padded = (count + per_line - 1) / per_line * per_line;
    grow(value_, padded);
    grow(grad_, padded);
    if (tangent_.size() > 0) grow(tangent_, padded);
    blocks_.push_back({std::move(name), {rows, cols}, offset});
    version_ = unique_number();
    return static_cast<int>(blocks_.size()) - 1;
  }

  /// Tells that somebody keeps pointers to the blocks, or their sizes, from now on.
  void mark_in_use() { in_use_ = true; }
  /// Throws std::invalid_argument, naming the first difference, unless both have blocks of the same shapes; `caller`
  /// begins the message, and the other two name the sides.
  void require_same_blocks(const Parameters& other, const char* caller, const char* here, const char* there) const {
    require(blocks_.size() == other.blocks_.size(), caller, ": ", blocks_.size(), " blocks of parameters ", here, ", ",
            other.blocks_.size(), ' ', there);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const Shape a = blocks_[i].shape, b = other.blocks_[i].shape;
      require(a == b, caller, ": '", blocks_[i].name, "' is ", a.rows, " x ", a.cols, ' ', here, ", ", b.rows, " x ",
              b.cols, ' ', there);
    }
  }

  /// The length of the flat vectors, padding included.
  Eigen::Index size() const { return static_cast<Eigen::Index>(value_.size()); }
  const std::vector<Block>& blocks() const { return blocks_; }
  const Block& block(int i) const { return blocks_[static_cast<std::size_t>(i)]; }
  std::uint64_t version() const { return version_; }

  ConstVectorMap value() const { return {value_.data(), size()}; }
  In<T> value(int i) const { return {value_.data() + block(i).offset, block(i).shape.rows, block(i).shape.cols}; }

  /// The values to be written, at once: they have a new version from this call on.
  VectorMap modify() {
    version_ = unique_number();
    return {value_.data(), size()};
  }
  Out<T> modify(int i) {
    version_ = unique_number();
    return {value_.data() + block(i).offset, block(i).shape.rows, block(i).shape.cols};
  }

  /// The gradient. Passes over a tape add to it; an optimiser's step uses it up and leaves it zero.
  VectorMap grad() { return {grad_.data(), size()}; }
  ConstVectorMap grad() const { return {grad_.data(), size()}; }
  Out<T> grad(int i) { return {grad_.data() + block(i).offset, block(i).shape.rows, block(i).shape.cols}; }
  void zero_grad() { grad().setZero(); }

  /// The direction of forward-mode passes; zero until it is set. The first call makes room for it.
  VectorMap tangent() {
    if (tangent_.size() != value_.size()) tangent_.assign(value_.size(), T(0));
    return {tangent_.data(), size()};
  }
  Out<T> tangent(int i) {
    tangent();
    return {tangent_.data() + block(i).offset, block(i).shape.rows, block(i).shape.cols};
  }

 private:
  static void grow(AlignedBuffer<T>& buffer, std::size_t count) {
    const std::size_t old = buffer.size();
    buffer.resize(old + count);
    std::fill(buffer.begin() + old, buffer.end(), T(0));
  }

  AlignedBuffer<T> value_, grad_, tangent_;
  std::vector<Block> blocks_;
  std::uint64_t version_ = unique_number();
  bool in_use_ = false;
};

}  // namespace gfn
