// SPDX-License-Identifier: MIT
#include <gfn/data/tree_ensemble.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gfn/core/random.hpp>
#include <gfn/data/sequence_table.hpp>
#include <gfn/data/table_reader.hpp>
#include <gfn/environment/traits.hpp>
#include <gfn/problems/alphabet.hpp>
#include <gfn/problems/reward_transform.hpp>
#include <gfn/problems/sequence.hpp>
#include <gfn/testing/environment_laws.hpp>

#include "catch.hpp"

namespace {

using gfn::Symbol;
using gfn::TreeEnsemble;

const std::string header = "# baseline 0.5; and so on\ntree\tnode\tis_leaf\tposition\tblock\tleft\tright\tvalue\n";
const std::string first_tree = "0\t0\t0\t1\t2\t1\t2\t0\n0\t1\t1\t-1\t-1\t-1\t-1\t10\n0\t2\t1\t-1\t-1\t-1\t-1\t20\n";
const std::string second_tree =
    "1\t0\t0\t0\t0\t1\t4\t0\n1\t1\t0\t1\t1\t2\t3\t0\n1\t2\t1\t-1\t-1\t-1\t-1\t1\n1\t3\t1\t-1\t-1\t-1\t-1\t2\n"
    "1\t4\t1\t-1\t-1\t-1\t-1\t3\n";
const gfn::TreeEnsembleOptions options{.length = 2, .alphabet_size = 3, .num_trees = 2};

TreeEnsemble read(const std::string& text, const gfn::TreeEnsembleOptions& wanted = options) {
  gfn::TableReader reader(text, "t.tsv");
  return gfn::read_tree_ensemble(reader, wanted);
}

std::string refusal(const std::string& text, const gfn::TreeEnsembleOptions& wanted = options) {
  try {
    read(text, wanted);
  } catch (const gfn::Error& error) {
    return error.what();
  }
  return "accepted";
}

/// The leaves of a tree, each with the symbols that lead to it at every place, as bit sets.
struct Leaf {
  std::array<std::uint32_t, 6> symbols;
  double value;
};

std::vector<Leaf> leaves(const TreeEnsemble& trees, int node, const std::array<std::uint32_t, 6>& symbols) {
  const TreeEnsemble::Node& n = trees.nodes()[static_cast<std::size_t>(node)];
  if (n.place == gfn::none) return {{symbols, n.value}};
  const auto place = static_cast<std::size_t>(n.place);
  std::array<std::uint32_t, 6> left = symbols, right = symbols;
  left[place] &= ~(1u << n.symbol);
  right[place] &= 1u << n.symbol;
  std::vector<Leaf> all = leaves(trees, n.left, left);
  for (const Leaf& leaf : leaves(trees, n.right, right)) all.push_back(leaf);
  return all;
}

/// Trees that ask random questions, those of one place more than once on the way down too.
TreeEnsemble random_trees(const gfn::SequenceOptions& shape, int trees, int inner_nodes) {
  gfn::Stream stream(1, gfn::Purpose::user, static_cast<std::uint64_t>(shape.length), 0);
  std::vector<TreeEnsemble::Node> nodes;
  std::vector<int> roots;
  for (int tree = 0; tree < trees; ++tree) {
    roots.push_back(static_cast<int>(nodes.size()));
    std::vector<std::size_t> leaves{nodes.size()};
    nodes.push_back({.value = stream.normal()});
    for (int i = 0; i < inner_nodes; ++i) {  // a leaf becomes a node with two leaves
      std::size_t& leaf = leaves[static_cast<std::size_t>(stream.below(static_cast<int>(leaves.size())))];
      const int left = static_cast<int>(nodes.size());
      nodes[leaf] = {.place = stream.below(shape.length),
                     .symbol = stream.below(shape.alphabet_size),
                     .left = left,
                     .right = left + 1};
      nodes.push_back({.value = stream.normal()});
      nodes.push_back({.value = stream.normal()});
      leaf = static_cast<std::size_t>(left);
      leaves.push_back(static_cast<std::size_t>(left) + 1);
    }
  }
  return {shape, 0.25, std::move(nodes), std::move(roots)};
}

/// The folder of the sEH data, or nothing.
std::filesystem::path seh_folder() {
  const std::filesystem::path folder = GFN_DATA_DIR;
  if (std::filesystem::exists(folder / "sehstr_gbt_trees.tsv")) return folder;
  WARN("skipped: no sEH data in the folder GFN_DATA_DIR = '" << folder.string() << "'");
  return {};
}

TreeEnsemble read_seh(const std::filesystem::path& folder) {
  return gfn::read_tree_ensemble(folder / "sehstr_gbt_trees.tsv", {.num_trees = 100});
}

/// The part of all sequences of 6 symbols of 18 that come to both leaves.
double share(const Leaf& a, const Leaf& b) {
  double product = 1;
  for (std::size_t i = 0; i < 6; ++i) product *= std::popcount(a.symbols[i] & b.symbols[i]) / 18.0;
  return product;
}

}  // namespace

TEST_CASE("TreeEnsemble sums the leaves that a sequence comes to") {
  const TreeEnsemble trees = read(header + first_tree + second_tree);
  CHECK(trees.num_trees() == 2);
  CHECK(trees.baseline() == 0.5);
  const auto value = [&](Symbol first, Symbol second) { return trees(std::array<Symbol, 2>{first, second}); };
  CHECK(value(0, 0) == 13.5);
  CHECK(value(0, 2) == 23.5);
  CHECK(value(1, 0) == 11.5);
  CHECK(value(1, 1) == 12.5);
  CHECK(value(2, 2) == 21.5);

  const gfn::PrependAppendSequence env(gfn::TransformedReward(trees, gfn::RewardTransform({.exponent = 2})));
  CHECK(env.options() == gfn::SequenceOptions{.length = 2, .alphabet_size = 3});
  auto s = env.initial_state();
  env.apply(s, 1);
  env.apply(s, 3);
  CHECK(gfn::log_reward(env, s) == Approx(2 * std::log(13.5)).epsilon(1e-12));
  gfn::testing::check_environment_laws(env);

  const std::filesystem::path path = std::filesystem::temp_directory_path() / "gfn_tree_ensemble_test.tsv";
  std::ofstream(path) << header << first_tree;
  CHECK(gfn::read_tree_ensemble(path, {.length = 2, .alphabet_size = 3}).num_trees() == 1);
  std::filesystem::remove(path);
}

TEST_CASE("Trees that are not as they must be are refused with the line") {
  CHECK(refusal(header + first_tree + second_tree) == "accepted");
  const auto line = [](const std::string& row) { return refusal(header + first_tree + row); };
  const std::string line_6 = "'t.tsv', line 6: ";
  // malformed
  CHECK(line("1\t0\t0\t0\t0\t1\n") == line_6 + "the number of fields is 6, the header has 8");
  CHECK(line("1\t0\t1\t-1\t-1\t-1\t-1\tx\n") == line_6 + "column 'value' holds 'x', which is not a finite number");
  CHECK(line("1\t0\t2\t0\t0\t1\t2\t0\n") ==
        line_6 + "column 'is_leaf' holds '2', which is not an integer between 0 and 1");
  CHECK(line("1\t0\t0\t2\t0\t1\t2\t0\n") ==
        line_6 + "column 'position' holds '2', which is not an integer between 0 and 1");
  CHECK(line("1\t0\t0\t0\t3\t1\t2\t0\n") ==
        line_6 + "column 'block' holds '3', which is not an integer between 0 and 2");
  CHECK(line("1\t0\t0\t0\t0\t0\t2\t0\n").find(line_6 + "column 'left' holds '0', which is not an integer between 1") ==
        0);
  CHECK(line("1\t0\t0\t0\t0\t1\t1\t0\n") == line_6 + "node 1 is the child of two");
  CHECK(line("2\t0\t1\t-1\t-1\t-1\t-1\t1\n") == line_6 + "this is tree 2, the line before belongs to tree 0");
  CHECK(line("1\t1\t1\t-1\t-1\t-1\t-1\t1\n") == line_6 + "this is node 1, but node 0 comes next");
  CHECK(line("0\t3\t1\t-1\t-1\t-1\t-1\t1\n") == line_6 + "node 3 is not the child of one before it");
  CHECK(line("0\t2\t1\t-1\t-1\t-1\t-1\t1\n") == line_6 + "this is node 2, but node 3 comes next");  // twice
  // cut, and missing
  CHECK(line("1\t0\t0\t0\t0\t1\t2\t0\n") == line_6 + "tree 1 ends here, but its node 1 has not come");
  CHECK(line("1\t0\t0\t0\t0\t1\t2\t0\n2\t0\t1\t-1\t-1\t-1\t-1\t1\n") ==
        "'t.tsv', line 7: tree 1 ends here, but its node 1 has not come");
  CHECK(line("") == "'t.tsv', line 5: the file ends here, after 1 of 2 trees");
  CHECK(line("1\t0\t1\t-1\t-1\t-1\t-1\t1") == line_6 + "the last line has no end, the file may have been cut");
  CHECK(refusal(header) == "'t.tsv', line 2: the file ends here, without a tree");
  CHECK(refusal(header.substr(header.find('\n') + 1) + first_tree) ==
        "'t.tsv', line 1: there is no line '# baseline <number>' before the header");
  CHECK(refusal("# baseline\n" + header.substr(header.find('\n') + 1) + first_tree) ==
        "'t.tsv', line 2: there is no line '# baseline <number>' before the header");

  using Node = TreeEnsemble::Node;
  const gfn::SequenceOptions shape{.length = 2, .alphabet_size = 3};
  CHECK_THROWS_AS(TreeEnsemble(shape, 0, {Node{.value = 1}}, {1}), std::invalid_argument);
  CHECK_THROWS_AS(TreeEnsemble(shape, 0, {Node{.place = 0, .left = 0, .right = 0}}, {0}), std::invalid_argument);
  CHECK_THROWS_AS(TreeEnsemble(shape, 0, {Node{.place = 2, .left = 1, .right = 1}, Node{}}, {0}),
                  std::invalid_argument);
}

TEST_CASE("Tabulated trees have the values of one sequence at a time") {
  for (const gfn::SequenceOptions& shape :
       {gfn::SequenceOptions{.length = 1, .alphabet_size = 5}, gfn::SequenceOptions{.length = 2, .alphabet_size = 4},
        gfn::SequenceOptions{.length = 3, .alphabet_size = 5}, gfn::SequenceOptions{.length = 5, .alphabet_size = 3},
        gfn::SequenceOptions{.length = 7, .alphabet_size = 2}, gfn::SequenceOptions{.length = 3, .alphabet_size = 1}}) {
    CAPTURE(shape.length, shape.alphabet_size);
    const TreeEnsemble trees = random_trees(shape, 20, 15);
    const gfn::Alphabet letters(std::string("abcde").substr(0, static_cast<std::size_t>(shape.alphabet_size)));
    const gfn::SequenceTable table = gfn::tabulate(trees, letters);
    CHECK(table.sequence_options() == shape);
    CHECK(table.modes.empty());
    CHECK(static_cast<double>(table.values.size()) == std::pow(shape.alphabet_size, shape.length));
    double worst = 0;
    std::vector<Symbol> sequence(static_cast<std::size_t>(shape.length));
    for (std::size_t i = 0; i < table.values.size(); ++i) {
      for (std::size_t place = sequence.size(), rest = i; place-- > 0;
           rest /= static_cast<std::size_t>(shape.alphabet_size))
        sequence[place] = static_cast<Symbol>(rest % static_cast<std::size_t>(shape.alphabet_size));
      worst = std::max(worst, std::abs(table.values[i] - trees(sequence)));
    }
    CHECK(worst < 1e-12);
  }
  const TreeEnsemble trees = random_trees({.length = 2, .alphabet_size = 3}, 1, 2);
  CHECK_THROWS_AS(gfn::tabulate(trees, gfn::Alphabet("ab")), std::invalid_argument);
  const TreeEnsemble large = random_trees({.length = 16, .alphabet_size = 4}, 1, 2);
  CHECK_THROWS_AS(gfn::tabulate(large, gfn::Alphabet("ACGT")), std::invalid_argument);
}

TEST_CASE("The sEH trees give the reference predictions") {
  const std::filesystem::path folder = seh_folder();
  if (folder.empty()) return;
  const TreeEnsemble trees = read_seh(folder);
  CHECK(trees.nodes().size() == 6100);
  CHECK(trees.baseline() == 4.494287880695628);

  const gfn::Alphabet blocks("0123456789abcdefgh");
  gfn::TableReader check = gfn::TableReader::open(folder / "sehstr_check.tsv");
  int rows = 0;
  double worst = 0, largest = 0;
  for (; check.next_row(); ++rows) {
    std::array<Symbol, 6> sequence;
    for (std::size_t i = 0; i < 6; ++i)
      sequence[i] = static_cast<Symbol>(blocks.symbol(check.field(check.column("seq"))[i]));
    const double expected = check.number(check.column("prediction"));
    worst = std::max(worst, std::abs(trees(sequence) - expected));
    largest = std::max(largest, expected);
  }
  CHECK(rows == 2500);
  CHECK(worst < 1e-12);
  CHECK(std::abs(largest - 7.033253065) < 1e-9);

  // Over all 18^6 sequences, by the product sets of the leaves.
  std::vector<std::vector<Leaf>> all;
  std::array<std::uint32_t, 6> any;
  any.fill((1u << 18) - 1);
  for (const int root : trees.roots()) all.push_back(leaves(trees, root, any));
  double mean = trees.baseline(), square = 0, covered = 0;
  const Leaf everything{any, 0};
  std::vector<double> means;
  for (const std::vector<Leaf>& tree : all) {
    means.push_back(0);
    for (const Leaf& leaf : tree) {
      means.back() += share(leaf, everything) * leaf.value;
      covered += share(leaf, everything);
    }
    mean += means.back();
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      for (const Leaf& a : all[i])
        for (const Leaf& b : all[j]) square += 2 * share(a, b) * (a.value - means[i]) * (b.value - means[j]);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (const Leaf& a : all[i]) square += share(a, a) * (a.value - means[i]) * (a.value - means[i]);
  CHECK(covered == Approx(100).epsilon(1e-12));
  CHECK(std::abs(mean - 4.494294059) < 5.1e-10);
  CHECK(std::abs(square - 1.264517078) < 5.1e-10);
}

#ifdef GFN_TEST_OPTIMIZED  // 34 million values take too long without
TEST_CASE("The sEH table gives the reference values") {
  const std::filesystem::path folder = seh_folder();
  if (folder.empty()) return;
  const gfn::Alphabet blocks("0123456789abcdefgh");
  const TreeEnsemble trees = read_seh(folder);
  const gfn::SequenceTable table = gfn::tabulate(trees, blocks);
  REQUIRE(table.values.size() == 34012224);
  double worst = 0;
  for (std::size_t i = 0; i < table.values.size(); i += 9973) {
    std::array<Symbol, 6> sequence;
    for (std::size_t place = 6, rest = i; place-- > 0; rest /= 18) sequence[place] = static_cast<Symbol>(rest % 18);
    worst = std::max(worst, std::abs(table.values[i] - trees(sequence)));
  }
  CHECK(worst < 1e-12);

  const auto [least, largest] = std::minmax_element(table.values.begin(), table.values.end());
  CHECK(std::abs(*least + 2.610013468) < 5.1e-10);
  CHECK(std::abs(*largest - 7.033253065) < 5.1e-10);
  std::array<Symbol, 6> best;
  auto number = largest - table.values.begin();
  for (std::size_t place = 6; place-- > 0; number /= 18) best[place] = static_cast<Symbol>(number % 18);
  CHECK(blocks.text(best) == "ag550c");

  const auto count = static_cast<double>(table.values.size());
  double sum = 0, squares = 0;
  for (const double y : table.values) sum += y;
  for (const double y : table.values) squares += (y - sum / count) * (y - sum / count);
  CHECK(std::abs(sum / count - 4.494294059) < 5.1e-10);
  CHECK(std::abs(squares / count - 1.264517078) < 5.1e-10);

  const std::vector<bool> modes = gfn::top_modes(table.values, {.fraction = 0.001});
  CHECK(std::count(modes.begin(), modes.end(), true) == 34012);

  // This library's own figures: there are none to compare them with. They tell when a change of it changes them.
  const gfn::TableReward reward(table, {.floor = 1e-3, .exponent = 6, .maximum = 10});
  double rewards = 0, reward_squares = 0;
  for (const double log_r : reward.table()) {
    rewards += std::exp(log_r);
    reward_squares += std::exp(2 * log_r);
  }
  CHECK(std::abs(std::log(rewards) - 17.5523939972) < 1e-9);
  CHECK(std::abs(reward_squares / rewards - 2.454497601) < 1e-9);
}
#endif
