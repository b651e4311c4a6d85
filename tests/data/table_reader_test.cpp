// SPDX-License-Identifier: MIT
#include <gfn/data/table_reader.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
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
  CHECK(outcome("a\tb\n+1\t+2.5e-1\n") == "1.250000");
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

TEST_CASE("TableReader passes over a byte order mark") {
  TableReader reader("\xEF\xBB\xBFn\n7\n", "t.tsv");
  CHECK(reader.names() == std::vector<std::string>{"n"});
  REQUIRE(reader.next_row());
  CHECK(reader.line() == 2);
  CHECK(reader.number(0) == 7);
  TableReader commented("\xEF\xBB\xBF# one\nn\n", "t.tsv");
  CHECK(commented.comments() == std::vector<std::string>{" one"});
  CHECK(outcome("\xEF\xBB\xBF") == "'t.tsv' is empty, it must begin with a line of column names");
  CHECK(outcome("\xEF\xBB\xBF\xEF\xBB\xBFn\n\xEF\xBB\xBF"
                "7\n") ==
        "'t.tsv', line 2: column '\xEF\xBB\xBFn' holds '\xEF\xBB\xBF"
        "7', which is not a finite number");
}

TEST_CASE("TableReader passes over empty lines at the end, and nowhere else") {
  for (const std::string end : {"\n", "\n\n", "\r\n", "\n\r\n", "\r\n\n\n"}) {
    CHECK(outcome("a\tb\n1\t2\n" + end) == "3.000000");
    CHECK(outcome("a\tb\r\n1\t2\r\n" + end) == "3.000000");
    CHECK(outcome("a\n1\n2\n" + end) == "3.000000");
    CHECK(outcome("a\tb\n" + end) == "0.000000");
    CHECK(outcome("# nothing else\n" + end) == "'t.tsv' is empty, it must begin with a line of column names");
    CHECK(outcome("a\tb\n1\t2\n" + end + "3\t4\n") == "'t.tsv', line 3: the number of fields is 1, the header has 2");
    CHECK(outcome("a\n1\n" + end + "3\n") == "'t.tsv', line 3: column 'a' holds '', which is not a finite number");
    TableReader reader("a\n1\n" + end, "t.tsv");
    REQUIRE(reader.next_row());
    CHECK(!reader.next_row());
    CHECK(reader.line() == 2);
    CHECK(reader.last_line_has_end());
  }
  CHECK(outcome("\n\n") == "'t.tsv', line 1: column 1 has no name");
  CHECK(outcome("a\tb\n1\t2\n\t\n") == "'t.tsv', line 3: column 'a' holds '', which is not a finite number");
  CHECK(outcome("a\tb\n1\t2\n \n") == "'t.tsv', line 3: the number of fields is 1, the header has 2");
  // in a table of one column an empty field is a row like any other, but at the end it must be told from an empty line
  TableReader reader("a\nx\n\n\"\"\n\n", "t.tsv");
  std::vector<std::string> fields;
  while (reader.next_row()) fields.emplace_back(reader.field(0));
  CHECK(fields == std::vector<std::string>{"x", "", ""});
}

TEST_CASE("TableReader reads fields in quotes") {
  TableReader reader(
      "\"a,b\",\"say \"\"x\"\"\",c\r\n"
      "\"1\",\"\",\"\"\"\"\r\n"
      "\",\"\",\",x\"y,\"p \"\"q\"\" r\"\n",
      "t.csv", ',');
  CHECK(reader.names() == std::vector<std::string>{"a,b", "say \"x\"", "c"});
  REQUIRE(reader.next_row());
  CHECK(reader.number(0) == 1);
  const std::string_view kept = reader.field(2);
  CHECK(reader.field(1).empty());
  CHECK(kept == "\"");
  REQUIRE(reader.next_row());
  CHECK(reader.field(0) == ",\",");
  CHECK(reader.field(1) == "x\"y");  // only at the beginning of a field are they special
  CHECK(reader.field(2) == "p \"q\" r");
  CHECK(kept == "\"");  // fields are valid as long as the reader
  CHECK(!reader.next_row());

  CHECK(outcome("a\tb\n\"1\"\t\"2\"\n") == "3.000000");
  const std::string open = "a field in quotes does not end, and no line break may stand in quotes";
  CHECK(outcome("a\tb\n1\t\"2\n3\t4\"\n") == "'t.tsv', line 2: " + open);
  CHECK(outcome("a\tb\n1\t\"2\"\"\n") == "'t.tsv', line 2: " + open);
  CHECK(outcome("a\tb\n1\t\"") == "'t.tsv', line 2: " + open);
  CHECK(outcome("a\t\"b\n1\t2\n") == "'t.tsv', line 1: " + open);
  CHECK(outcome("a\tb\n\"1\"2\t3\n") ==
        "'t.tsv', line 2: a field in quotes is followed by '2\\x093', not by a separator");
}

TEST_CASE("TableReader refuses what is compressed, and tells how to read it") {
  CHECK(outcome("\x1F\x8B\x08\x01\x02") ==
        "'t.tsv' is compressed: read it by gfn::read_gzip_file of gfn/data/gzip.hpp, or with a program that was built "
        "with zlib");
}

TEST_CASE("TableReader shows what it refuses without raw bytes") {
  CHECK(outcome("a\n\x1B[2J\xFFé\n") ==
        "'t.tsv', line 2: column 'a' holds '\\x1B[2J\\xFFé', which is not a finite number");
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
