// SPDX-License-Identifier: MIT
#include <gfn/data/sequence_table.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <gfn/data/table_reader.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/problems/alphabet.hpp>
#include <gfn/problems/reward_transform.hpp>
#include <gfn/problems/sequence.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"

namespace {

using gfn::RewardTransform;
using gfn::RewardTransformOptions;
using gfn::SequenceTable;
using gfn::SequenceTableOptions;
using gfn::Symbol;

const SequenceTableOptions named{.alphabet = "ab", .length = 2, .mode_column = "is_mode"};
const SequenceTableOptions in_order{.alphabet = "ab", .length = 2, .sequence_column = "", .value_column = "ddG"};

SequenceTable read(const std::string& text, const SequenceTableOptions& options = named) {
  gfn::TableReader reader(text, "t.tsv");
  return gfn::read_sequence_table(reader, options);
}

std::string refusal(const std::string& text, const SequenceTableOptions& options = named) {
  try {
    read(text, options);
  } catch (const gfn::Error& error) {
    return error.what();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string refusal(const RewardTransformOptions& options, std::optional<double> largest = {}) {
  try {
    const RewardTransform transform = largest ? RewardTransform(options, *largest) : RewardTransform(options);
    static_cast<void>(transform);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::vector<int> marked(const std::vector<bool>& marks) {
  std::vector<int> result;
  for (std::size_t i = 0; i < marks.size(); ++i)
    if (marks[i]) result.push_back(static_cast<int>(i));
  return result;
}

}  // namespace

TEST_CASE("Alphabets read and write sequences") {
  const gfn::Alphabet dna("ACGT");
  CHECK(dna.size() == 4);
  CHECK(dna.symbol('G') == 2);
  CHECK(dna.symbol('g') == gfn::none);
  CHECK(dna.text(std::array<Symbol, 4>{3, gfn::empty_place, 0, 1}) == "T_AC");
  CHECK_THROWS_AS(gfn::Alphabet("ACGA"), std::invalid_argument);
  CHECK_THROWS_AS(gfn::Alphabet(""), std::invalid_argument);
}

TEST_CASE("Sequence tables are read by name, in any order and with other columns") {
  const SequenceTable table = read("is_mode\tseq\tz\ty\n0\tba\tx\t3\n1\taa\tx\t1\n0\tbb\tx\t4.5e0\n0\tab\tx\t-2\n");
  CHECK(table.values == std::vector<double>{1, -2, 3, 4.5});
  CHECK(table.modes == std::vector<bool>{true, false, false, false});
  CHECK(table.sequence_options() == gfn::SequenceOptions{.length = 2, .alphabet_size = 2});
  CHECK(read("seq\ty\r\naa\t1\r\nab\t2\r\nba\t3\r\nbb\t4\r\n", {.alphabet = "ab", .length = 2}).modes.empty());

  const std::filesystem::path path = std::filesystem::temp_directory_path() / "gfn_sequence_table_test.tsv";
  std::ofstream(path) << "ddG\n1\n2\n3\n4\n";
  CHECK(gfn::read_sequence_table(path, in_order).values == std::vector<double>{1, 2, 3, 4});
  std::filesystem::remove(path);
  CHECK_THROWS_AS(gfn::read_sequence_table(path, in_order), gfn::Error);
}

TEST_CASE("Sequence tables that are not as they must be are refused with the line") {
  const std::string header = "seq\ty\tis_mode\n";
  const std::string three = header + "aa\t1\t0\nab\t2\t0\nba\t3\t1\n";
  CHECK(refusal(three + "bb\t4\t0\n") == "accepted");

  // malformed
  CHECK(refusal(header + "aa\t1\n") == "'t.tsv', line 2: the number of fields is 2, the header has 3");
  CHECK(refusal(three + "bb\t4\t0\t\n") == "'t.tsv', line 5: the number of fields is 4, the header has 3");
  CHECK(refusal(three + "\nbb\t4\t0\n") == "'t.tsv', line 5: the number of fields is 1, the header has 3");
  CHECK(refusal(three + "bb\tfour\t0\n") == "'t.tsv', line 5: column 'y' holds 'four', which is not a finite number");
  CHECK(refusal(three + "bb\tnan\t0\n") == "'t.tsv', line 5: column 'y' holds 'nan', which is not a finite number");
  CHECK(refusal(three + "bb\t\t0\n") == "'t.tsv', line 5: column 'y' holds '', which is not a finite number");
  CHECK(refusal(three + "bb\t4\t2\n") ==
        "'t.tsv', line 5: column 'is_mode' holds '2', which is not an integer between 0 and 1");
  CHECK(refusal("seq\tvalue\tis_mode\n") == "'t.tsv', line 1: there is no column 'y', there are seq, value, is_mode");
  CHECK(refusal("") == "'t.tsv' is empty, it must begin with a line of column names");
  // wrong alphabet, wrong length
  CHECK(refusal(three + "bc\t4\t0\n") == "'t.tsv', line 5: the sequence 'bc' is not one of the letters ab");
  CHECK(refusal(three + "BB\t4\t0\n") == "'t.tsv', line 5: the sequence 'BB' is not one of the letters ab");
  CHECK(refusal(three + "bba\t4\t0\n") == "'t.tsv', line 5: the sequence 'bba' has 3 letters, not 2");
  CHECK(refusal(three + "\t4\t0\n") == "'t.tsv', line 5: the sequence '' has 0 letters, not 2");
  // duplicate
  CHECK(refusal(three + "ab\t4\t0\nbb\t4\t0\n") == "'t.tsv', line 5: the sequence 'ab' has a value already, in line 3");
  CHECK(refusal(three + "bb\t4\t0\nbb\t4\t0\n") == "'t.tsv', line 6: the sequence 'bb' has a value already, in line 5");
  // missing
  CHECK(refusal(three) == "'t.tsv', line 4: the file ends here, after 3 of 4 sequences; the first missing is 'bb'");
  CHECK(refusal(header + "aa\t1\t0\nbb\t4\t0\n") ==
        "'t.tsv', line 3: the file ends here, after 2 of 4 sequences; the first missing is 'ab'");
  CHECK(refusal(header) == "'t.tsv', line 1: the file ends here, after 0 of 4 sequences; the first missing is 'aa'");
  // cut
  CHECK(refusal(three + "bb\t4") == "'t.tsv', line 5: the number of fields is 2, the header has 3");
  CHECK(refusal(three + "bb\t4\t0") == "'t.tsv', line 5: the last line has no end, the file may have been cut");

  CHECK(refusal("ddG\n1\n2\n3\n", in_order) ==
        "'t.tsv', line 4: the file ends here, after 3 of 4 sequences; the first missing is 'bb'");
  CHECK(refusal("ddG\n1\n2\n3\n4\n5\n", in_order) == "'t.tsv', line 6: there is a row too many, there are 4 sequences");
  CHECK(refusal("ddG\n1\n2\n\n4\n", in_order) ==
        "'t.tsv', line 4: column 'ddG' holds '', which is not a finite number");
  CHECK(refusal("ddG\n1\n2\n3\n4.25", in_order) ==
        "'t.tsv', line 5: the last line has no end, the file may have been cut");

  CHECK(refusal(three, {.alphabet = "aba", .length = 2}) == "Alphabet: the letter a of aba occurs twice");
  CHECK(refusal(three, {.length = 0}) == "read_sequence_table: the length is 0, it must be at least 1");
  CHECK(refusal(three, {.length = 16}) ==
        "read_sequence_table: 16 symbols of 4 make more sequences than a table may have, 2147483647");
}

TEST_CASE("Rewards are transformed in the paper's order") {
  const RewardTransformOptions options{.sigmoid_slope = 3, .floor = 0.2, .exponent = 4, .maximum = 10};
  const RewardTransform transform(options, 1.5);
  const auto expected = [](double y) {
    y = 1 / (1 + std::exp(-3 * y));
    y = std::max(y, 0.2);
    y = std::pow(y, 4);
    return std::log(y * 10 / std::pow(1 / (1 + std::exp(-4.5)), 4));
  };
  for (const double y : {-2.0, -0.1, 0.0, 0.7, 1.5})
    CHECK(transform.log_reward(y) == Approx(expected(y)).epsilon(1e-13));
  CHECK(transform.log_reward(1.5) == Approx(std::log(10)));
  // The floor comes before the exponent: at the floor R = floor^α, not the floor.
  CHECK(RewardTransform({.floor = 0.1, .exponent = 2}).log_reward(-7) == Approx(std::log(0.01)));
  CHECK(RewardTransform().log_reward(0.25) == std::log(0.25));
  CHECK(RewardTransform().log_reward(0) == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(RewardTransform().log_reward(-1)));
  CHECK(std::isnan(RewardTransform({.floor = 0.1}).log_reward(std::numeric_limits<double>::quiet_NaN())));

  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(refusal(RewardTransformOptions{.exponent = 0}) ==
        "RewardTransform: exponent is 0, it must be finite and above 0");
  CHECK(refusal(RewardTransformOptions{.sigmoid_slope = -3}) ==
        "RewardTransform: sigmoid_slope is -3, it must be finite and at least 0");
  CHECK(refusal(RewardTransformOptions{.floor = infinity}) ==
        "RewardTransform: floor is inf, it must be below +infinity");
  CHECK(refusal(RewardTransformOptions{.maximum = -1}) ==
        "RewardTransform: maximum is -1, it must be finite and at least 0");
  CHECK(refusal(RewardTransformOptions{.maximum = 10}, 0) ==
        "RewardTransform: the largest value, 0, can't be scaled to 10");
  CHECK(refusal(RewardTransformOptions{.maximum = 10}, -1) ==
        "RewardTransform: the largest value, -1, can't be scaled to 10");
  CHECK(refusal(RewardTransformOptions{.maximum = 10}) ==
        "RewardTransform: maximum is 10, but the largest value of all objects is not given, which is to be scaled to "
        "it");
  CHECK(refusal(RewardTransformOptions{.maximum = 10}, 1) == "accepted");
}

TEST_CASE("A table is the reward of sequence environments") {
  const SequenceTable table = read("ddG\n1\n-2\n3\n4\n", in_order);
  const gfn::TableReward reward(table, {.floor = 1, .exponent = 2, .maximum = 8});
  const gfn::SlotSequence env(reward);
  const std::vector<double> expected{0.5, 0.5, 4.5, 8};
  for (std::int64_t i = 0; i < env.num_states(); ++i) {
    const auto s = env.state(i);
    if (!env.can_exit(s)) continue;
    const auto object = static_cast<std::size_t>(env.object_index(s));
    CHECK(gfn::log_reward(env, s) == Approx(std::log(expected[object])));
    CHECK(gfn::log_reward(env, s) == reward.table()[object]);
  }
  gfn::testing::check_environment_laws(env);
  gfn::testing::check_environment_laws(gfn::PrependAppendSequence(reward));
  gfn::testing::check_environment_laws(gfn::AppendSequence(gfn::TableReward(table, {.floor = 0})));  // a reward of 0

  std::string message;
  try {
    gfn::TableReward bare(table);
  } catch (const gfn::Error& error) {
    message = error.what();
  }
  CHECK(message.find("TableReward: the value -2 of the sequence number 1 gives no reward, log R is") == 0);
  CHECK_THROWS_AS(gfn::SlotSequence({.length = 3, .alphabet_size = 2}, reward), std::invalid_argument);
}

TEST_CASE("The top part of the values are modes, ties in order or all") {
  const std::vector<double> values{3, 1, 4, 3, 5, 3, 0, 2, 1, 3};
  CHECK(marked(gfn::top_modes(values, {.fraction = 0.1})) == std::vector<int>{4});
  CHECK(marked(gfn::top_modes(values, {.fraction = 0.2})) == std::vector<int>{2, 4});
  CHECK(marked(gfn::top_modes(values, {.fraction = 0.45})) == std::vector<int>{0, 2, 3, 4});
  CHECK(marked(gfn::top_modes(values, {.fraction = 0.45, .ties = gfn::Ties::all})) ==
        std::vector<int>{0, 2, 3, 4, 5, 9});
  CHECK(gfn::top_modes(values, {.fraction = 1}) == std::vector<bool>(10, true));
  CHECK(gfn::top_modes(values, {.fraction = 0.05}) == std::vector<bool>(10, false));
  CHECK(gfn::top_modes(std::span<const double>()).empty());
  CHECK_THROWS_AS(gfn::top_modes(values, {.fraction = 1.5}), std::invalid_argument);
}
