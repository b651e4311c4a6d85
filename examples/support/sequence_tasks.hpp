// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gfn/gfn.hpp>

#include "data_file.hpp"
#include "training_run.hpp"

namespace examples {

/// A landscape: where its values stand in a file, and how they become rewards (Niu et al. 2024).
struct SequenceTask {
  std::string name;
  std::string file;  ///< its usual name; empty: the table is made here
  gfn::SequenceTableOptions table;
  gfn::RewardTransformOptions transform;
  double modes = 0.005;  ///< those are modes that have the best rewards, this part of all, unless the file marks others
  int trees = 0;         ///< the file has that many trees, whose sum is the value; 0: it has a table
};
inline const SequenceTask sequence_tasks[] = {
    {"synthetic", "", {.length = 6}, {.floor = 1e-3, .exponent = 3, .maximum = 10}},
    {"six6",
     "tfbind8_six6_ref_r1.tsv.gz",
     {.length = 8, .mode_column = "is_mode"},
     {.floor = 1e-3, .exponent = 3, .maximum = 10}},
    {"qm9",
     "qm9str_11x5.tsv.gz",
     {.alphabet = "0123456789a", .length = 5, .value_column = "gap"},
     {.floor = 1e-3, .exponent = 5, .maximum = 10}},
    {"pho4",
     "tfbind10_pho4_ddg.tsv.gz",
     {.length = 10, .sequence_column = "", .value_column = "ddG"},
     {.sigmoid_slope = 3, .floor = 0, .exponent = 3, .maximum = 10}},
    {"seh",
     "sehstr_gbt_trees.tsv",
     {.alphabet = "0123456789abcdefgh", .length = 6},
     {.floor = 1e-3, .exponent = 6, .maximum = 10},
     0.001,
     100}};

/// Random effects of each letter at each place, and of each pair of neighbours, scaled to [0, 1].
inline gfn::SequenceTable synthetic_table(const gfn::SequenceTableOptions& options) {
  gfn::SequenceTable table{gfn::Alphabet(options.alphabet), options.length, {}, {}};
  const int k = table.alphabet.size(), length = table.length;
  gfn::Stream stream(1, gfn::Purpose::user, 0, 0);
  Eigen::MatrixXd single(length, k), pair(length, k * k);
  for (double& x : single.reshaped()) x = stream.normal();
  for (double& x : pair.reshaped()) x = stream.normal();
  std::vector<int> word(static_cast<std::size_t>(length));
  for (bool more = true; more;) {
    double value = 0;
    for (int i = 0; i < length; ++i) {
      const int symbol = word[static_cast<std::size_t>(i)];
      value += single(i, symbol);
      if (i > 0) value += pair(i, k * word[static_cast<std::size_t>(i - 1)] + symbol);
    }
    table.values.push_back(value);
    int i = length;  // the next word
    while (i > 0 && ++word[static_cast<std::size_t>(i - 1)] == k) word[static_cast<std::size_t>(--i)] = 0;
    more = i > 0;
  }
  const auto [low, high] = std::minmax_element(table.values.begin(), table.values.end());
  for (const double from = *low, range = *high - *low; double& y : table.values) y = (y - from) / range;
  return table;
}

inline gfn::SequenceTable read_table(const std::string& path, const SequenceTask& task) {
  gfn::TableReader reader = open_table(path);
  if (task.trees == 0) return gfn::read_sequence_table(reader, task.table);
  const gfn::Alphabet alphabet(task.table.alphabet);
  return gfn::tabulate(
      gfn::read_tree_ensemble(reader,
                              {.length = task.table.length, .alphabet_size = alphabet.size(), .num_trees = task.trees}),
      alphabet);
}

/// The task of that name. Throws std::invalid_argument where there is none.
inline const SequenceTask& sequence_task(const std::string& name) {
  const auto* const task =
      std::find_if(std::begin(sequence_tasks), std::end(sequence_tasks), [&](const auto& t) { return t.name == name; });
  gfn::require(task != std::end(sequence_tasks), "unknown task '", name,
               "', there are: synthetic, six6, qm9, pho4, seh");
  return *task;
}

/// The modes found so far: at each evaluation there are as many fresh samples as there are modes.
template <class E>
class ModesProbe : public NoProbe {
 public:
  using State = typename E::State;

  /// Modes are those that the table marks, or the best of the part that the task names.
  ModesProbe(const E& env, const gfn::SequenceTable& table, const SequenceTask& task, std::int64_t seed)
      : env_(env),
        random_(seed),
        modes_(table.modes.empty() ? gfn::top_modes(env.reward().table(), {.fraction = task.modes}) : table.modes) {}

  template <class Forward>
  void evaluate(Forward& forward, std::int64_t iteration) {
    for (const State& x : draw(forward, modes_.total(), iteration))
      modes_.add(static_cast<std::size_t>(env_.object_index(x)));
  }
  void write(gfn::JsonObject& line) const { line.add("modes_found", modes_.count()); }
  std::vector<double> numbers() const { return {modes_.found().begin(), modes_.found().end()}; }
  void restore(std::span<const double> numbers) {
    for (const double x : numbers) modes_.add(static_cast<std::size_t>(x));
  }

 protected:
  /// Fresh samples; other ones for each iteration from 0 on, and for each seed.
  template <class Forward>
  std::vector<State> draw(Forward& forward, int count, std::int64_t iteration) const {
    return gfn::sampled::sample_objects(env_, forward, count, random_, static_cast<std::uint64_t>(iteration) + 3);
  }

  const E& env_;
  gfn::Random random_;
  gfn::sampled::ModesFound modes_;
};

}  // namespace examples
