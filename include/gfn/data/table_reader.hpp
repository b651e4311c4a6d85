// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gfn/core/error.hpp>
#include <gfn/core/number.hpp>
#include <gfn/data/file.hpp>

namespace gfn {

/// Reads a table of text row by row: comments, which begin with #, a header of column names, then as many fields in
/// every row, separated by tabs (or another character); lines end in \n or \r\n. A field may stand in quotes, with
/// separators inside and "" for a quote, but no line break. A byte order mark at the start and empty lines at the end
/// are passed over, also where there is one column: an empty field stands there as "". What is not so is refused by
/// gfn::Error with the name of the text and the number of the line; so is a text that is compressed by gzip.
class TableReader {
 public:
  /// Reads the header of a text; `name` stands for it in messages.
  TableReader(std::string text, std::string name, char separator = '\t')
      : text_(std::move(text)), name_(std::move(name)), separator_(separator) {
    if (text_.starts_with("\x1F\x8B"))
      gfn::fail("'", name_,
                "' is compressed: read it by gfn::read_gzip_file of gfn/data/gzip.hpp, or with a program that was "
                "built with zlib");
    if (text_.starts_with("\xEF\xBB\xBF")) next_ = 3;
    remove_empty_lines_at_end();
    while (text_.compare(next_, 1, "#") == 0) comments_.emplace_back(next_line_text().substr(1));
    if (!next_line()) gfn::fail("'", name_, "' is empty, it must begin with a line of column names");
    header_line_ = line_;
    names_.assign(fields_.begin(), fields_.end());
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i].empty()) fail("column ", i + 1, " has no name");
      if (std::find(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(i), names_[i]) !=
          names_.begin() + static_cast<std::ptrdiff_t>(i))
        fail("two columns have the name '", names_[i], "'");
    }
  }
  /// Reads the header of a file. Throws gfn::Error where it can't be read.
  static TableReader open(const std::filesystem::path& path, char separator = '\t') {
    return TableReader(read_file(path), path.string(), separator);
  }
  TableReader(const TableReader&) = delete;  // the fields point into the text
  TableReader& operator=(const TableReader&) = delete;

  const std::vector<std::string>& names() const { return names_; }
  /// The lines before the header, without their #.
  const std::vector<std::string>& comments() const { return comments_; }
  /// The number of the column with this name; throws gfn::Error, with the header's line and the names that there are,
  /// if there is none.
  int column(std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found != names_.end()) return static_cast<int>(found - names_.begin());
    std::string all;
    for (const std::string& other : names_) all += (all.empty() ? "" : ", ") + other;
    gfn::fail("'", name_, "', line ", header_line_, ": there is no column '", name, "', there are ", all);
  }
  bool has_column(std::string_view name) const { return std::find(names_.begin(), names_.end(), name) != names_.end(); }

  /// Goes to the next row; false at the end.
  bool next_row() {
    if (!next_line()) return false;
    if (fields_.size() != names_.size())
      fail("the number of fields is ", fields_.size(), ", the header has ", names_.size());
    return true;
  }
  /// A field of the row, valid as long as the reader.
  std::string_view field(int column) const { return fields_[static_cast<std::size_t>(column)]; }
  /// A field of the row as a finite number.
  double number(int column) const {
    const std::string_view text = field(column);
    double value = 0;
    if (!parse_number(text, value) || !std::isfinite(value))
      fail("column '", names_[static_cast<std::size_t>(column)], "' holds '", text, "', which is not a finite number");
    return value;
  }
  /// A field of the row as an integer, low ≤ … ≤ high.
  int integer(int column, int low, int high) const {
    const std::string_view text = field(column);
    int value = 0;
    if (!parse_number(text, value) || value < low || value > high)
      fail("column '", names_[static_cast<std::size_t>(column)], "' holds '", text,
           "', which is not an integer between ", low, " and ", high);
    return value;
  }

  /// The number of the row's line in the text, from 1.
  int line() const { return line_; }
  /// Whether the last line of the text has an end. One without may have been cut in the middle of a number.
  bool last_line_has_end() const { return text_.ends_with('\n'); }
  /// Throws gfn::Error, with the number of the last line, where that has no end.
  void require_last_line_has_end() const {
    if (!last_line_has_end()) fail("the last line has no end, the file may have been cut");
  }
  /// Throws gfn::Error with the name of the text, the number of the line and the parts.
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    gfn::fail("'", name_, "', line ", line_, ": ", parts...);
  }

 private:
  std::string_view next_line_text() {
    const std::size_t end = std::min(text_.find('\n', next_), text_.size());
    std::string_view line(text_.data() + next_, end - next_);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    next_ = std::min(end + 1, text_.size());
    ++line_;
    return line;
  }
  bool next_line() {
    if (next_ == text_.size()) return false;
    std::string_view line = next_line_text();
    fields_.clear();
    while (true) {
      fields_.push_back(line.starts_with('"') ? take_quoted(line) : take_plain(line));
      if (line.empty()) return true;
      line.remove_prefix(1);  // the separator
    }
  }
  /// Takes a field from the beginning of a line.
  std::string_view take_plain(std::string_view& line) const {
    const std::string_view field = line.substr(0, line.find(separator_));
    line.remove_prefix(field.size());
    return field;
  }
  /// The same for one in quotes. What they stand for takes its place in the text, where it is not longer.
  std::string_view take_quoted(std::string_view& line) {
    char* const field = text_.data() + (line.data() - text_.data());
    std::size_t size = 0, i = 1;
    for (; i < line.size() && (line[i] != '"' || line.substr(i + 1).starts_with('"')); ++i) {
      if (line[i] == '"') ++i;
      field[size++] = line[i];
    }
    if (i == line.size()) fail("a field in quotes does not end, and no line break may stand in quotes");
    line.remove_prefix(i + 1);
    if (!line.empty() && line.front() != separator_)
      fail("a field in quotes is followed by '", line, "', not by a separator");
    return {field, size};
  }
  void remove_empty_lines_at_end() {
    while (true)
      if (text_.ends_with("\n\n"))
        text_.pop_back();
      else if (text_.ends_with("\n\r\n"))
        text_.resize(text_.size() - 2);
      else
        return;
  }

  std::string text_;
  std::string name_;
  char separator_;
  std::size_t next_ = 0;  // where the next line begins
  int line_ = 0;
  int header_line_ = 0;
  std::vector<std::string> comments_;
  std::vector<std::string> names_;
  std::vector<std::string_view> fields_;
};

}  // namespace gfn
