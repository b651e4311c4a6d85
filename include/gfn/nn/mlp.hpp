// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gfn/ad/affine.hpp>
#include <gfn/ad/rows.hpp>
#include <gfn/ad/sparse_affine.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/core/describe_to.hpp>
#include <gfn/core/random.hpp>
#include <gfn/core/sparse_rows.hpp>
#include <gfn/core/state_block.hpp>
#include <gfn/nn/initialisers.hpp>

namespace gfn {

/// Options of a multi-layer perceptron.
struct MlpOptions {
  std::vector<int> hidden = {256, 256};                        ///< widths of the hidden layers
  Initialiser initialiser = Initialiser::uniform_fan_in;       ///< of the hidden layers
  Initialiser head_initialiser = Initialiser::uniform_fan_in;  ///< of the output layers
};

/// A multi-layer perceptron over sparse encodings: a trunk of hidden layers h ← F(h W + b), perhaps of none, and any
/// number of linear heads on it. The first layer sums the weight rows of the active features.
///
/// It can be evaluated block by block (`extend`), keeps the activations of all rows since the states or the parameters
/// last changed, and is then differentiated once over all of them: `record` adopts the finished activations.
template <class T, class F = Relu>
class Mlp {
 public:
  using Scalar = T;

  Mlp(int inputs, const MlpOptions& options, Random& random)
      : inputs_(inputs), head_initialiser_(options.head_initialiser), stream_(random.next_initialisation()) {
    require(inputs >= 1, "Mlp: the encoding has ", inputs, " features, at least 1 is needed");
    int width = inputs;
    for (const int next : options.hidden) {
      require(next >= 1, "Mlp: hidden layer ", layers_.size() + 1, " has width ", next, ", at least 1 is needed");
      layers_.push_back(
          {add_layer("hidden " + std::to_string(layers_.size() + 1), width, next, options.initialiser), {}});
      width = next;
    }
  }
  Mlp(const Mlp&) = delete;
  Mlp& operator=(const Mlp&) = delete;

  /// Adds a linear layer of `outputs` numbers on top of the trunk, and returns its number. Throws std::invalid_argument
  /// once the network has been evaluated.
  int add_head(const std::string& name, int outputs) {
    require(outputs >= 1, "Mlp: head '", name, "' has ", outputs, " outputs, at least 1 is needed");
    const Blocks blocks = add_layer(name, trunk_width(), outputs, head_initialiser_);  // throws before anything moves
    heads_.push_back({blocks, {}, 0, 0});
    return static_cast<int>(heads_.size()) - 1;
  }

  int inputs() const { return inputs_; }
  /// What the network is: "perceptron of 64 features, hidden layers 256 256 with ReLU".
  std::string description() const {
    std::string text = detail::concatenate("perceptron of ", inputs_, " features, hidden layers");
    for (const Layer& layer : layers_) text += ' ' + std::to_string(width(layer.weights));
    return layers_.empty() ? text + " none" : text + " with " + description_of(F{});
  }
  int outputs(int head) const { return width(heads_[index(head)].weights); }
  Parameters<T>& parameters() { return parameters_; }
  const Parameters<T>& parameters() const { return parameters_; }

  /// Evaluates the trunk and a head at those of the rows that have not been met since the states or the parameters
  /// last changed.
  template <class State>
  void extend(int head, const StateBlock<State>& block) {
    extend_trunk(block);
    extend_head(heads_[index(head)], block);
  }
  /// The outputs of a head at a row that it has been extended to.
  const T* output(int head, int row) const {
    const Head& h = heads_[index(head)];
    return h.values.data() + index(position_[index(row)]) * index(outputs(head));
  }
  /// Records a head: one row of outputs per row of the block.
  template <class State>
  Var<T> record(Tape<T>& tape, int head, const StateBlock<State>& block) {
    extend(head, block);
    const Var<T> all = record_all(tape, heads_[index(head)], block);
    if (block.rows.size() == rows_.size() && std::equal(rows_.begin(), rows_.end(), block.rows.begin())) return all;
    int* positions = tape.template allocate<int>(block.rows.size());
    for (std::size_t i = 0; i < block.rows.size(); ++i) positions[i] = position_[index(block.rows[i])];
    return gather_rows(all, std::span<const int>(positions, block.rows.size()));
  }

 private:
  struct Blocks {
    int weights;
    int biases;
  };
  struct Layer : Blocks {
    AlignedBuffer<T> values;  // rows × width
  };
  struct Head : Blocks {
    AlignedBuffer<T> values;
    std::size_t rows = 0;     // how many of the trunk's rows it has been evaluated at
    std::uint64_t stamp = 0;  // of its own values: a head that moves leaves the trunk and the other heads valid
  };
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  Blocks add_layer(const std::string& name, int inputs, int outputs, Initialiser initialiser) {
    const Blocks blocks{parameters_.add(name + " weights", inputs, outputs),
                        parameters_.add(name + " biases", 1, outputs)};
    initialise(initialiser, parameters_, blocks.weights, blocks.biases, stream_);
    return blocks;
  }
  int width(int weights) const { return static_cast<int>(parameters_.block(weights).shape.cols); }
  int trunk_width() const { return layers_.empty() ? inputs_ : width(layers_.back().weights); }
  /// The rows first … of a layer's activations.
  Out<T> rows_from(AlignedBuffer<T>& values, std::size_t first, int width) const {
    return {values.data() + first * index(width), static_cast<Eigen::Index>(rows_.size() - first), width};
  }

  void forget_if_stale(const RowsIdentity& identity) {
    if (identity == identity_ && version_ == parameters_.version()) return;
    identity_ = identity;
    version_ = parameters_.version();
    ++stamp_;
    rows_.clear();
    position_.clear();
    for (Head& head : heads_) {
      head.rows = 0;
      ++head.stamp;
    }
  }

  void require_features(const SparseRows* features) const {
    require(features != nullptr && features->num_features() == inputs_, "a network takes ", inputs_,
            " features, the environment's encoding has ", features == nullptr ? 0 : features->num_features());
  }
  template <class State>
  void extend_trunk(const StateBlock<State>& block) {
    parameters_.mark_in_use();
    forget_if_stale(block.identity);
    if (rows_.empty()) require_features(block.features);
    const std::size_t first = rows_.size();
    if (position_.size() < block.states.size()) position_.resize(block.states.size(), none);
    for (const int row : block.rows) {
      if (position_[index(row)] != none) continue;
      position_[index(row)] = static_cast<int>(rows_.size());
      rows_.push_back(row);
    }
    if (rows_.size() == first) return;
    for (std::size_t l = 0; l < layers_.size(); ++l) evaluate(layers_[l], stamp_, l, F{}, first, block.features);
  }
  template <class State>
  void extend_head(Head& head, const StateBlock<State>& block) {
    if (head.rows == rows_.size()) return;
    evaluate(head, head.stamp, layers_.size(), Identity{}, head.rows, block.features);
    head.rows = rows_.size();
  }
  /// Runs a layer that stands above `depth` hidden ones, at all rows from `first` on; `stamp` counts its moves.
  template <class L, class Activation>
  void evaluate(L& layer, std::uint64_t& stamp, std::size_t depth, Activation activation, std::size_t first,
                const SparseRows* features) {
    const int outputs = width(layer.weights);
    const T* before = layer.values.data();
    layer.values.resize(rows_.size() * index(outputs));
    if (layer.values.data() != before) ++stamp;
    const Out<T> y = rows_from(layer.values, first, outputs);
    const In<T> w = std::as_const(parameters_).value(layer.weights);
    const In<T> b = std::as_const(parameters_).value(layer.biases);
    if (depth == 0) {
      const SparseDense<Activation> op{features, rows_.data() + first, static_cast<int>(y.rows()), activation};
      op.forward(y, w, b);
    } else {
      const int inner = width(layers_[depth - 1].weights);
      const Out<T> x = rows_from(layers_[depth - 1].values, first, inner);
      const Dense<Activation> op{activation};
      op.forward(y, In<T>(x.data(), x.rows(), x.cols()), w, b);
    }
  }

  /// Adopts a head's outputs at all rows evaluated so far; the trunk is adopted once per tape, whatever hangs on it.
  template <class State>
  Var<T> record_all(Tape<T>& tape, Head& head, const StateBlock<State>& block) {
    if (trunk_generation_ != tape.generation() || trunk_stamp_ != stamp_ || trunk_rows_ != rows_.size()) {
      trunk_generation_ = tape.generation();
      trunk_stamp_ = stamp_;
      trunk_rows_ = rows_.size();
      int* rows = tape.template allocate<int>(rows_.size());  // rows_ may grow while the tape is in use
      std::copy(rows_.begin(), rows_.end(), rows);
      trunk_row_list_ = rows;
      for (std::size_t l = 0; l < layers_.size(); ++l)
        trunk_ = adopt_layer(tape, layers_[l], stamp_, l, F{}, trunk_, block.features);
    }
    return adopt_layer(tape, head, head.stamp, layers_.size(), Identity{}, trunk_, block.features);
  }
  template <class L, class Activation>
  Var<T> adopt_layer(Tape<T>& tape, L& layer, const std::uint64_t& stamp, std::size_t depth, Activation activation,
                     const Var<T>& below, const SparseRows* features) {
    const Finished<T> finished{layer.values.data(), &parameters_, version_, &stamp};
    const Var<T> w = tape.parameter(parameters_, layer.weights);
    const Var<T> b = tape.parameter(parameters_, layer.biases);
    if (depth == 0)
      return tape.adopt(finished,
                        SparseDense<Activation>{features, trunk_row_list_, static_cast<int>(trunk_rows_), activation},
                        w, b);
    return tape.adopt(finished, Dense<Activation>{activation}, below, w, b);
  }

  int inputs_;
  Initialiser head_initialiser_;
  Stream stream_;
  Parameters<T> parameters_;
  std::vector<Layer> layers_;
  std::vector<Head> heads_;

  // the rows evaluated so far, and where each row of the table stands among them
  RowsIdentity identity_;
  std::uint64_t version_ = 0;
  std::uint64_t stamp_ = 0;  // counts how often the trunk's values were overwritten or moved
  std::vector<int> rows_;
  std::vector<int> position_;

  // what was last adopted
  std::uint64_t trunk_generation_ = 0, trunk_stamp_ = 0;
  std::size_t trunk_rows_ = 0;
  const int* trunk_row_list_ = nullptr;
  Var<T> trunk_;
};

}  // namespace gfn
