// SPDX-License-Identifier: MIT
#include <gfn/data/sequence_table.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <gfn/core/log_space.hpp>
#include <gfn/data/table_reader.hpp>
#include <gfn/problems/sequence.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"

#ifdef GFN_TEST_GZIP
#include <gfn/data/gzip.hpp>

namespace {

/// The path of a data file, or nothing.
std::filesystem::path data_file(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(GFN_DATA_DIR) / name;
  if (std::filesystem::exists(path)) return path;
  WARN("skipped: " << name << " is not in the folder GFN_DATA_DIR = '" << GFN_DATA_DIR << "'");
  return {};
}

/// The files have float32 values in nine digits, which tell them apart; the reference was computed from those values.
gfn::SequenceTable read(const std::filesystem::path& path, const gfn::SequenceTableOptions& options) {
  gfn::TableReader reader(gfn::read_gzip_file(path), path.string());
  gfn::SequenceTable table = gfn::read_sequence_table(reader, options);
  for (double& value : table.values) value = static_cast<float>(value);
  return table;
}

struct Landscape {
  double sum, log_z, mean_reward, uniform_mean, mean_log_reward;
};

void check_landscape(const gfn::TableReward& reward, const Landscape& expected) {
  double sum = 0, squares = 0, logs = 0, largest = 0;
  for (const double log_reward : reward.table()) {
    const double r = std::exp(log_reward);
    sum += r;
    squares += r * r;
    logs += r * log_reward;
    largest = std::max(largest, r);
  }
  CHECK(largest == Approx(10).epsilon(1e-12));
  CHECK(std::abs(sum - expected.sum) < 1e-11 * expected.sum);
  CHECK(std::abs(gfn::log_sum_exp(reward.table()) - expected.log_z) < 5.1e-11);
  CHECK(std::abs(squares / sum - expected.mean_reward) < 5.1e-11);
  CHECK(std::abs(sum / static_cast<double>(reward.table().size()) - expected.uniform_mean) < 1e-10);
  CHECK(std::abs(logs / sum - expected.mean_log_reward) < 5.1e-11);
}

struct Modes {
  int count;
  double lowest, mass;
};

/// How many there are, their lowest reward, and their part of the target distribution.
Modes summary(const gfn::TableReward& reward, const std::vector<bool>& modes) {
  Modes result{0, 1e300, 0};
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (!modes[i]) continue;
    ++result.count;
    result.lowest = std::min(result.lowest, std::exp(reward.table()[i]));
    result.mass += std::exp(reward.table()[i]);
  }
  result.mass /= std::exp(gfn::log_sum_exp(reward.table()));
  return result;
}

}  // namespace

TEST_CASE("The SIX6 table gives the reference values") {
  const std::filesystem::path path = data_file("tfbind8_six6_ref_r1.tsv.gz");
  if (path.empty()) return;
  const gfn::SequenceTable table = read(path, {.length = 8, .mode_column = "is_mode"});
  const gfn::TableReward reward(table, {.floor = 1e-3, .exponent = 3, .maximum = 10});
  check_landscape(reward, {95048.9290461, 11.4621470806, 3.3199547554, 1.4503315590, 0.8708234061});
  const Modes modes = summary(reward, table.modes);
  CHECK(modes.count == 328);
  CHECK(std::abs(modes.mass - 0.0280908) < 5.1e-8);
  gfn::testing::check_environment_laws(gfn::SlotSequence(reward), gfn::Random(1), {.walks = 5});
  gfn::testing::check_environment_laws(gfn::PrependAppendSequence(reward), gfn::Random(2), {.walks = 5});
}

TEST_CASE("The PHO4 table gives the reference values") {
  const std::filesystem::path path = data_file("tfbind10_pho4_ddg.tsv.gz");
  if (path.empty()) return;
  const gfn::SequenceTable table = read(path, {.length = 10, .sequence_column = "", .value_column = "ddG"});
  const gfn::TableReward reward(table, {.sigmoid_slope = 3, .floor = 0, .exponent = 3, .maximum = 10});
  double sum = 0, squares = 0;
  for (const double log_reward : reward.table()) {
    sum += std::exp(log_reward);
    squares += std::exp(2 * log_reward);
  }
  CHECK(std::abs(std::log(sum) - 14.3886868302) < 5.1e-11);  // all in double
  CHECK(std::abs(squares / sum - 2.9620651974) < 5.1e-11);
  CHECK(std::abs(sum / 1048576 - 1.6917155967) < 5e-7);  // through float: the reference's seven digits
  const Modes modes = summary(reward, gfn::top_modes(reward.table()));
  CHECK(modes.count == 5242);
  CHECK(std::abs(modes.lowest - 6.921533429) < 1e-6);
  CHECK(std::abs(modes.mass - 0.0225896) < 5.1e-8);
  CHECK(summary(reward, gfn::top_modes(reward.table(), {.ties = gfn::Ties::all})).count == 5764);
}

TEST_CASE("The QM9 table gives the reference values") {
  const std::filesystem::path path = data_file("qm9str_11x5.tsv.gz");
  if (path.empty()) return;
  const gfn::SequenceTable table = read(path, {.alphabet = "0123456789a", .length = 5, .value_column = "gap"});
  const gfn::TableReward reward(table, {.floor = 1e-3, .exponent = 5, .maximum = 10});
  check_landscape(reward, {15125.1905566, 9.6241168816, 0.2032138846, 0.0939155333, -1.8711452397});
  for (const gfn::Ties ties : {gfn::Ties::by_order, gfn::Ties::all}) {
    const Modes modes = summary(reward, gfn::top_modes(reward.table(), {.ties = ties}));
    CHECK(modes.count == 805);
    CHECK(std::abs(modes.lowest - 0.400708047) < 5.1e-10);
    CHECK(std::abs(modes.mass - 0.0336651) < 5.1e-8);
  }
  const gfn::TableReward hundred(table, {.floor = 1e-3, .exponent = 5, .maximum = 100});
  CHECK(std::abs(gfn::log_sum_exp(hundred.table()) - 11.9267019746) < 5.1e-11);
  gfn::testing::check_environment_laws(gfn::SlotSequence(reward), gfn::Random(3), {.walks = 5});
}
#endif
