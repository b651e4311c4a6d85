// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <gfn/core/eigen.hpp>
#include <gfn/core/error.hpp>
#include <gfn/data/table_reader.hpp>

namespace gfn {

/// Which part of a table is wanted.
struct NumericTableOptions {
  std::vector<std::string> columns = {};  ///< those to read, in this order; all where empty
  std::vector<std::string> without = {};  ///< those of them to leave out: these need not be numbers
  int first_row = 0;                      ///< rows to leave out at the top, the header not counted
  int num_rows = -1;                      ///< rows to read, all that follow where negative
};

/// Samples of named variables.
struct NumericTable {
  std::vector<std::string> names;  ///< of the columns
  Eigen::MatrixXd values;          ///< one row per sample, one column per variable
};

/// Reads the chosen part of a table. Throws gfn::Error, with the line, for a row with more or fewer fields than the
/// header, a chosen field that is not a finite number, a chosen column that is not there, fewer rows than asked for,
/// and a last line without end; std::invalid_argument for options out of range.
[[nodiscard]] inline NumericTable read_numeric_table(TableReader& reader, const NumericTableOptions& options = {}) {
  require(options.first_row >= 0, "read_numeric_table: first_row is ", options.first_row, ", it must be at least 0");
  NumericTable table;
  for (const std::string& name : options.without) static_cast<void>(reader.column(name));  // it must be there
  for (const std::string& name : options.columns.empty() ? reader.names() : options.columns)
    if (std::find(options.without.begin(), options.without.end(), name) == options.without.end())
      table.names.push_back(name);
  std::vector<int> columns;
  for (const std::string& name : table.names) columns.push_back(reader.column(name));

  const long long first = options.first_row;
  const long long end = options.num_rows < 0 ? std::numeric_limits<long long>::max() : first + options.num_rows;
  std::vector<double> values;
  long long row = 0;
  for (; reader.next_row(); ++row)
    if (row >= first && row < end)
      for (const int column : columns) values.push_back(reader.number(column));
  if (const long long wanted = options.num_rows < 0 ? first : end; row < wanted)
    reader.fail("the table ends after ", row, " rows, ", wanted, " were asked for");
  reader.require_last_line_has_end();

  const auto num_columns = static_cast<Eigen::Index>(columns.size());
  const auto num_rows = static_cast<Eigen::Index>(std::min(row, end) - first);
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  table.values = Eigen::Map<const RowMajor>(values.data(), num_rows, num_columns);
  return table;
}

/// The same for a file of tab-separated values.
[[nodiscard]] inline NumericTable read_numeric_table(const std::filesystem::path& path,
                                                     const NumericTableOptions& options = {}) {
  TableReader reader = TableReader::open(path);
  return read_numeric_table(reader, options);
}

}  // namespace gfn
