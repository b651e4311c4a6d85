// SPDX-License-Identifier: MIT
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <gfn/core/sparse_rows.hpp>

#include "catch.hpp"
#include "messages.hpp"

namespace {

std::vector<int> indices(const gfn::SparseRows& rows, int i) {
  const auto list = rows.row(i).indices;
  return {list.begin(), list.end()};
}
std::vector<double> values(const gfn::SparseRows& rows, int i) {
  const auto list = rows.row(i).values;
  return {list.begin(), list.end()};
}

}  // namespace

TEST_CASE("rows of ones are lists of indices, in the order in which they came") {
  gfn::SparseRows rows;
  rows.clear(5);
  const gfn::Features out(rows);
  CHECK(out.size() == 5);
  out.one(3);
  out.one(0);
  out.one(3);  // adds up
  rows.finish_row();
  rows.finish_row();
  out.one(4);
  rows.finish_row();
  REQUIRE(rows.rows() == 3);
  CHECK_FALSE(rows.has_values());
  CHECK(indices(rows, 0) == std::vector<int>{3, 0, 3});
  CHECK(indices(rows, 1).empty());
  CHECK(indices(rows, 2) == std::vector<int>{4});
  CHECK(values(rows, 0).empty());
}

TEST_CASE("one value makes the whole set carry values, those before it ones") {
  gfn::SparseRows rows;
  rows.clear(5);
  const gfn::Features out(rows);
  out.one(1);
  out.one(2);
  rows.finish_row();
  out.one(0);
  out.value(4, -2.5);
  out.one(3);
  rows.finish_row();
  out.one(2);
  rows.finish_row();
  CHECK(rows.has_values());
  CHECK(values(rows, 0) == std::vector<double>{1, 1});
  CHECK(indices(rows, 1) == std::vector<int>{0, 4, 3});
  CHECK(values(rows, 1) == std::vector<double>{1, -2.5, 1});
  CHECK(values(rows, 2) == std::vector<double>{1});
  rows.clear(2);  // forgets it
  CHECK(rows.rows() == 0);
  CHECK(rows.num_features() == 2);
  CHECK_FALSE(rows.has_values());
  out.one(1);
  rows.finish_row();
  CHECK(indices(rows, 0) == std::vector<int>{1});
  CHECK(values(rows, 0).empty());
}

TEST_CASE("features out of range and values that are not finite are refused with the numbers") {
  gfn::SparseRows rows;
  rows.clear(5);
  const gfn::Features out(rows);
  CHECK(message_of<gfn::Error>([&] { out.one(5); }) == "encode: feature 5 is out of range, num_features() is 5");
  CHECK(message_of<gfn::Error>([&] { out.one(-1); }) == "encode: feature -1 is out of range, num_features() is 5");
  CHECK(message_of<gfn::Error>([&] { out.value(7, 1); }) == "encode: feature 7 is out of range, num_features() is 5");
  CHECK(message_of<gfn::Error>([&] { out.value(2, std::numeric_limits<double>::infinity()); }) ==
        "encode: feature 2 has the value inf, which is not finite");
  CHECK(message_of<gfn::Error>([&] { out.value(2, std::numeric_limits<double>::quiet_NaN()); }) != "");
  rows.finish_row();
  CHECK(indices(rows, 0).empty());
}
