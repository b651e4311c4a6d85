// SPDX-License-Identifier: MIT
#include <gfn/data/table_reader.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "catch.hpp"

namespace {

using gfn::TableReader;

/// What reading all numbers of a text ends with: their sum, or the message of the refusal.
std::string outcome(const std::string& text) {
  try {
    TableReader reader(text, "t.tsv");
    double sum = 0;
    while (reader.next_row())
      for (std::size_t i = 0; i < reader.names().size(); ++i) sum += reader.number(static_cast<int>(i));
    return std::to_string(sum);
  } catch (const gfn::Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("TableReader reads names, fields and numbers, and knows the line") {
  TableReader reader("name\tx\ny\t-1.5e2\r\n\t7", "t.tsv");
  CHECK(reader.names() == std::vector<std::string>{"name", "x"});
  CHECK(reader.column("x") == 1);
  CHECK(reader.has_column("name"));
  CHECK(!reader.has_column("y"));
  REQUIRE(reader.next_row());
  CHECK(reader.line() == 2);
  CHECK(reader.field(0) == "y");
  CHECK(reader.number(1) == -150);
  REQUIRE(reader.next_row());
  CHECK(reader.field(0).empty());
  CHECK(reader.number(1) == 7);
  CHECK(!reader.next_row());
  CHECK(!reader.next_row());
  CHECK_THROWS_AS(reader.column("y"), gfn::Error);

  TableReader commas("a,b\n1,2\n", "t.csv", ',');
  REQUIRE(commas.next_row());
  CHECK(commas.number(1) == 2);
}

TEST_CASE("TableReader reads comments and integers") {
  TableReader reader("# one\n#two\r\nn\n7\n#8\n", "t.tsv");
  CHECK(reader.comments() == std::vector<std::string>{" one", "two"});
  CHECK(reader.last_line_has_end());
  REQUIRE(reader.next_row());
  CHECK(reader.line() == 4);
  CHECK(reader.integer(0, 7, 7) == 7);
  CHECK_THROWS_AS(reader.integer(0, 8, 9), gfn::Error);
  CHECK_THROWS_AS(reader.integer(0, 5, 6), gfn::Error);
  REQUIRE(reader.next_row());  // only before the header is # special
  CHECK_THROWS_AS(reader.integer(0, 0, 10), gfn::Error);
  CHECK(!TableReader("n\n7", "t.tsv").last_line_has_end());
  std::string message;
  try {
    reader.column("m");
  } catch (const gfn::Error& error) {
    message = error.what();
  }
  CHECK(message == "'t.tsv', line 3: there is no column 'm', there are n");
  CHECK(outcome("# nothing else\n") == "'t.tsv' is empty, it must begin with a line of column names");
}

TEST_CASE("TableReader refuses malformed tables with the line") {
  CHECK(outcome("a\tb\n1\t2\n3\t4\n") == "10.000000");
  CHECK(outcome("a\tb\n") == "0.000000");
  CHECK(outcome("") == "'t.tsv' is empty, it must begin with a line of column names");
  CHECK(outcome("a\t\n1\t2\n") == "'t.tsv', line 1: column 2 has no name");
  CHECK(outcome("a\tb\ta\n") == "'t.tsv', line 1: two columns have the name 'a'");
  CHECK(outcome("a\tb\n1\t2\n3\n") == "'t.tsv', line 3: the number of fields is 1, the header has 2");
  CHECK(outcome("a\tb\n1\t2\n\n3\t4\n") == "'t.tsv', line 3: the number of fields is 1, the header has 2");
  CHECK(outcome("a\tb\n1\t2\t3\n") == "'t.tsv', line 2: the number of fields is 3, the header has 2");
  for (const std::string bad : {"", "x", "1x", " 1", "1 ", "nan", "inf", "1e999", "1,5", "--1"})
    CHECK(outcome("a\tb\n1\t2\n3\t" + bad + "\n") ==
          "'t.tsv', line 3: column 'b' holds '" + bad + "', which is not a finite number");
}

TEST_CASE("TableReader opens files") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "gfn_table_reader_test.tsv";
  std::ofstream(path) << "a\n3\n";
  TableReader reader = TableReader::open(path);
  REQUIRE(reader.next_row());
  CHECK(reader.number(0) == 3);
  std::filesystem::remove(path);
  CHECK_THROWS_AS(TableReader::open(path), gfn::Error);
}
