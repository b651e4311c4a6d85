// SPDX-License-Identifier: MIT
#include <gfn/data/numeric_table.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/data/edge_list.hpp>
#include <gfn/environment/describe.hpp>

#include "catch.hpp"

namespace {

const std::string text = "condition\tx\ty\na\t1\t2\nb\t3\t4\nb\t5\t6\n";

gfn::NumericTable read(const gfn::NumericTableOptions& options) {
  gfn::TableReader reader(text, "t.tsv");
  return gfn::read_numeric_table(reader, options);
}

std::string refusal(const gfn::NumericTableOptions& options) {
  try {
    read(options);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

std::string graph(const std::string& edges, const std::string& name = "") {
  const std::vector<std::string> names{"x", "y", "z"};
  try {
    gfn::TableReader reader(edges, "g.tsv");
    return gfn::describe(gfn::read_edge_list<8>(reader, names, name));
  } catch (const gfn::Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("read_numeric_table reads the chosen rows and columns") {
  const gfn::NumericTable all = read({.without = {"condition"}});
  CHECK(all.names == std::vector<std::string>{"x", "y"});
  CHECK(all.values == (Eigen::MatrixXd(3, 2) << 1, 2, 3, 4, 5, 6).finished());
  const gfn::NumericTable turned = read({.columns = {"y", "x"}, .first_row = 1, .num_rows = 1});
  CHECK(turned.names == std::vector<std::string>{"y", "x"});
  CHECK(turned.values == (Eigen::MatrixXd(1, 2) << 4, 3).finished());
  CHECK(read({.columns = {"y"}, .first_row = 2}).values == Eigen::MatrixXd::Constant(1, 1, 6));
  CHECK(read({.columns = {"y"}, .first_row = 3}).values.rows() == 0);
  CHECK(read({.columns = {"y"}, .num_rows = 0}).values.rows() == 0);
}

TEST_CASE("read_numeric_table refuses what is not there, or is not a number") {
  CHECK(refusal({}) == "'t.tsv', line 2: column 'condition' holds 'a', which is not a finite number");
  CHECK(refusal({.columns = {"x", "q"}}) == "'t.tsv', line 1: there is no column 'q', there are condition, x, y");
  CHECK(refusal({.without = {"conditions"}}) ==
        "'t.tsv', line 1: there is no column 'conditions', there are condition, x, y");
  CHECK(refusal({.columns = {"x"}, .num_rows = 4}) == "'t.tsv', line 4: the table ends after 3 rows, 4 were asked for");
  CHECK(refusal({.columns = {"x"}, .first_row = 4}) ==
        "'t.tsv', line 4: the table ends after 3 rows, 4 were asked for");
  CHECK(refusal({.columns = {"x"}, .first_row = 2, .num_rows = 2}) ==
        "'t.tsv', line 4: the table ends after 3 rows, 4 were asked for");
  CHECK(refusal({.first_row = -1}) == "read_numeric_table: first_row is -1, it must be at least 0");
}

TEST_CASE("Tables and graphs whose last line has no end are refused") {
  gfn::TableReader cut("x\ty\n1\t2\n3\t45", "t.tsv");
  std::string message;
  try {
    static_cast<void>(gfn::read_numeric_table(cut));
  } catch (const gfn::Error& error) {
    message = error.what();
  }
  CHECK(message == "'t.tsv', line 3: the last line has no end, the file may have been cut");
  const std::string refused = "'g.tsv', line 2: the last line has no end, the file may have been cut";
  CHECK(graph("parent\tchild\nx\ty") == refused);
  CHECK(graph("graph\tparent\tchild\nfirst\tx\ty", "first") == refused);
}

TEST_CASE("read_edge_list reads graphs") {
  CHECK(graph("parent\tchild\tweight\nx\ty\t1\nz\ty\t?\n") == "{0->1, 2->1}");
  CHECK(graph("parent\tchild\n") == "{}");
  const std::string two = "graph\tparent\tchild\nfirst\tx\ty\nsecond\ty\tx\nsecond\tx\tz\n";
  CHECK(graph(two, "first") == "{0->1}");
  CHECK(graph(two, "second") == "{0->2, 1->0}");
  CHECK(graph(two, "third") == "'g.tsv', line 4: the table ends without a graph 'third'");
  CHECK(graph(two) == "'g.tsv', line 3: Dag: the edge 1->0 would close a cycle");
  CHECK(graph("parent\tchild\nx\tq\n") == "'g.tsv', line 2: 'q' is not the name of a variable");
  CHECK(graph("parent\tchild\nx\ty\nx\ty\n") == "'g.tsv', line 3: Dag: the edge 0->1 is there already");
  CHECK(graph("from\tto\nx\ty\n") == "'g.tsv', line 1: there is no column 'parent', there are from, to");
}
