// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/error.hpp>
#include <gfn/data/table_reader.hpp>
#include <gfn/problems/alphabet.hpp>
#include <gfn/problems/reward_transform.hpp>
#include <gfn/problems/sequence_reward.hpp>
#include <gfn/problems/sequence_state.hpp>

namespace gfn {

/// A value for each sequence of one length.
struct SequenceTable {
  Alphabet alphabet;
  int length;
  std::vector<double> values;  ///< by sequence_index
  std::vector<bool> modes;     ///< which sequences the file marks; empty where it marks none

  SequenceOptions sequence_options() const { return {.length = length, .alphabet_size = alphabet.size()}; }
};

/// What a file of such values looks like: see TableReader, and the columns below. Others may be there.
struct SequenceTableOptions {
  std::string alphabet = "ACGT";
  int length = 8;
  std::string sequence_column = "seq";  ///< empty: none, the rows come in lexicographic order
  std::string value_column = "y";       ///< finite numbers
  std::string mode_column = "";         ///< 1 for modes, 0 for the others; empty: none
};

namespace detail {

/// kᴸ, the number of entries of a table. Throws std::invalid_argument, with the caller's name, where that does not fit
/// into an int.
inline std::size_t table_size(const char* caller, const SequenceOptions& options) {
  const auto size = static_cast<std::size_t>(options.alphabet_size);
  std::size_t count = 1;
  require(options.length >= 1, caller, ": the length is ", options.length, ", it must be at least 1");
  for (int i = 0; i < options.length; ++i) {
    require(count <= std::size_t{std::numeric_limits<int>::max()} / size, caller, ": ", options.length, " symbols of ",
            size, " make more sequences than a table may have, ", std::numeric_limits<int>::max());
    count *= size;
  }
  return count;
}

/// Reads a SequenceTable: see there.
class SequenceTableReader {
 public:
  SequenceTableReader(TableReader& reader, const SequenceTableOptions& options)
      : reader_(reader),
        table_{Alphabet(options.alphabet), options.length, {}, {}},
        sequence_column_(optional_column(options.sequence_column)),
        value_column_(reader_.column(options.value_column)),
        mode_column_(optional_column(options.mode_column)) {}

  SequenceTable read() {
    const std::size_t count = table_size("read_sequence_table", table_.sequence_options());
    table_.values.resize(count);
    if (mode_column_ != none) table_.modes.resize(count);
    if (sequence_column_ != none) lines_.resize(count);
    std::size_t rows = 0;
    for (; reader_.next_row(); ++rows) {
      const std::size_t i = sequence_column_ == none ? in_order(rows) : named();
      table_.values[i] = reader_.number(value_column_);
      if (mode_column_ != none) table_.modes[i] = reader_.integer(mode_column_, 0, 1) == 1;
    }
    if (rows < count) fail_missing(rows);
    reader_.require_last_line_has_end();
    return std::move(table_);
  }

 private:
  int optional_column(const std::string& column) const { return column.empty() ? none : reader_.column(column); }

  std::size_t in_order(std::size_t rows) const {
    if (rows == table_.values.size()) reader_.fail("there is a row too many, there are ", rows, " sequences");
    return rows;
  }

  /// The number of the sequence that the row names.
  std::size_t named() {
    const std::string_view text = reader_.field(sequence_column_);
    if (text.size() != static_cast<std::size_t>(table_.length))
      reader_.fail("the sequence '", text, "' has ", text.size(), " letters, not ", table_.length);
    std::size_t i = 0;
    for (const char letter : text) {
      const int symbol = table_.alphabet.symbol(letter);
      if (symbol == none)
        reader_.fail("the sequence '", text, "' is not one of the letters ", table_.alphabet.letters());
      i = i * static_cast<std::size_t>(table_.alphabet.size()) + static_cast<std::size_t>(symbol);
    }
    if (lines_[i] != 0) reader_.fail("the sequence '", text, "' has a value already, in line ", lines_[i]);
    lines_[i] = reader_.line();
    return i;
  }

  [[noreturn]] void fail_missing(std::size_t rows) const {
    const auto size = static_cast<std::size_t>(table_.alphabet.size());
    std::size_t first = rows;
    if (sequence_column_ != none)
      first = static_cast<std::size_t>(std::find(lines_.begin(), lines_.end(), 0) - lines_.begin());
    std::vector<Symbol> sequence(static_cast<std::size_t>(table_.length));
    for (std::size_t place = sequence.size(); place-- > 0; first /= size)
      sequence[place] = static_cast<Symbol>(first % size);
    reader_.fail("the file ends here, after ", rows, " of ", table_.values.size(), " sequences; the first missing is '",
                 table_.alphabet.text(sequence), "'");
  }

  TableReader& reader_;
  SequenceTable table_;
  std::vector<int> lines_;  // where each sequence was named, 0: not yet
  int sequence_column_;
  int value_column_;
  int mode_column_;
};

}  // namespace detail

/// Reads a table of values, one row for each sequence, in any order where there is a column of sequences. Throws
/// gfn::Error with the file's name and the line's number for a row that is not as it must be, one that is missing, one
/// that comes twice, and a last line without end; std::invalid_argument for options out of range.
[[nodiscard]] inline SequenceTable read_sequence_table(TableReader& reader, const SequenceTableOptions& options = {}) {
  return detail::SequenceTableReader(reader, options).read();
}

/// The same for a file of tab-separated values. For a compressed one see data/gzip.hpp:
/// `gfn::TableReader reader(gfn::read_gzip_file(path), path);`
[[nodiscard]] inline SequenceTable read_sequence_table(const std::filesystem::path& path,
                                                       const SequenceTableOptions& options = {}) {
  TableReader reader = TableReader::open(path);
  return read_sequence_table(reader, options);
}

/// The reward of sequences that a table gives.
class TableReward {
 public:
  /// The largest value of the table is that which the transform scales to its maximum. Throws gfn::Error, naming the
  /// sequence, for a value from which no reward comes: one below 0, without floor.
  explicit TableReward(const SequenceTable& table, const RewardTransformOptions& transform = {})
      : options_(table.sequence_options()), log_rewards_(table.values) {
    require(!log_rewards_.empty(), "TableReward: the table is empty");
    const RewardTransform apply(transform, *std::max_element(log_rewards_.begin(), log_rewards_.end()));
    for (std::size_t i = 0; i < log_rewards_.size(); ++i) {
      log_rewards_[i] = apply.log_reward(table.values[i]);
      if (!(log_rewards_[i] < -minus_infinity<>))
        fail("TableReward: the value ", table.values[i], " of the sequence number ", i, " gives no reward, log R is ",
             log_rewards_[i]);
    }
  }

  SequenceOptions sequence_options() const { return options_; }
  /// log R of all sequences, by sequence_index.
  std::span<const double> table() const { return log_rewards_; }
  double operator()(std::span<const Symbol> sequence) const {
    return log_rewards_[static_cast<std::size_t>(sequence_index(sequence, options_.alphabet_size))];
  }

 private:
  SequenceOptions options_;
  std::vector<double> log_rewards_;
};

/// Which of those that are as large as the smallest mode are modes too.
enum class Ties : std::uint8_t { by_order, all };

struct TopModesOptions {
  double fraction = 0.005;     ///< the number of modes is this part of all, rounded down; 0 to 1
  Ties ties = Ties::by_order;  ///< by_order: just that number, those that come first; all: more, where there are ties
};

/// Marks the objects with the largest values as modes.
[[nodiscard]] inline std::vector<bool> top_modes(std::span<const double> values, const TopModesOptions& options = {}) {
  require(options.fraction >= 0 && options.fraction <= 1, "top_modes: the fraction is ", options.fraction,
          ", it must be between 0 and 1");
  std::vector<bool> modes(values.size());
  const auto count = static_cast<std::size_t>(options.fraction * static_cast<double>(values.size()));
  if (count == 0) return modes;
  std::vector<double> sorted(values.begin(), values.end());
  const auto cut = sorted.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(sorted.begin(), cut, sorted.end(), std::greater<>());
  const auto above =
      static_cast<std::size_t>(std::count_if(values.begin(), values.end(), [&](double value) { return value > *cut; }));
  std::size_t ties_left = options.ties == Ties::all ? values.size() : count - above;
  for (std::size_t i = 0; i < values.size(); ++i) {
    modes[i] = values[i] > *cut || (values[i] == *cut && ties_left > 0);
    if (values[i] == *cut && ties_left > 0) --ties_left;
  }
  return modes;
}

}  // namespace gfn
