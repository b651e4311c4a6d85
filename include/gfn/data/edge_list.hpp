// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <gfn/data/table_reader.hpp>
#include <gfn/problems/dag.hpp>

namespace gfn {

/// Reads a graph on the named nodes from a table with the columns `parent` and `child`; others are passed over. Where
/// `graph` is not empty, only the rows that have it in the column `graph` count, so that a file can hold several
/// graphs. Throws gfn::Error, with the line, for an unknown node, an edge that is there already or one that closes a
/// cycle, where no row has the wanted `graph`, and for a last line without end.
template <int MaxNodes = 32>
[[nodiscard]] Dag<MaxNodes> read_edge_list(TableReader& reader, std::span<const std::string> names,
                                           std::string_view graph = {}) {
  Dag<MaxNodes> dag(static_cast<int>(names.size()));
  const auto node = [&](int column) {
    const auto found = std::find(names.begin(), names.end(), reader.field(column));
    if (found == names.end()) reader.fail("'", reader.field(column), "' is not the name of a variable");
    return static_cast<int>(found - names.begin());
  };
  const int parent = reader.column("parent");
  const int child = reader.column("child");
  const int graphs = graph.empty() ? parent : reader.column("graph");
  bool found = graph.empty();
  while (reader.next_row()) {
    if (!graph.empty() && reader.field(graphs) != graph) continue;
    found = true;
    try {
      dag.add_edge(node(parent), node(child));
    } catch (const std::invalid_argument& error) {
      reader.fail(error.what());
    }
  }
  if (!found) reader.fail("the table ends without a graph '", graph, "'");
  reader.require_last_line_has_end();
  return dag;
}

/// The same for a file of tab-separated values.
template <int MaxNodes = 32>
[[nodiscard]] Dag<MaxNodes> read_edge_list(const std::filesystem::path& path, std::span<const std::string> names,
                                           std::string_view graph = {}) {
  TableReader reader = TableReader::open(path);
  return read_edge_list<MaxNodes>(reader, names, graph);
}

}  // namespace gfn
