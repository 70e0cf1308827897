// SPDX-License-Identifier: Apache-2.0
// A table for a terminal: columns as wide as needed, empty ones dropped, long text shortened or
// wrapped so that no line is longer than asked for.
#pragma once

#include <string>
#include <vector>

namespace ebb {

enum class Align { left, right };
enum class Overflow { keep, shorten, wrap };

struct TableColumn {
  std::string head;
  std::string unit;  ///< second line of the heading; may be empty
  Align align = Align::left;
  Overflow overflow = Overflow::keep;
};

class TextTable {
 public:
  explicit TextTable(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

  void row(std::vector<std::string> cells);
  /// A whole line between the rows, indented and wrapped.
  void line(std::string text);
  bool empty() const { return rows_.empty(); }

  /// The table with a line break after each line, indented by `indent`. A column in which every
  /// cell is empty or `-` is left out.
  std::string layout(int indent, int columns_max) const;

 private:
  struct Row {
    std::vector<std::string> cells;  ///< empty for a whole line
    std::string line;
  };
  std::vector<int> widths(int room) const;
  void put(std::string& out, const std::vector<std::string>& cells, const std::vector<int>& widths,
           int indent) const;

  std::vector<TableColumn> columns_;
  std::vector<Row> rows_;
};

/// Appends `text` wrapped to `columns_max`, first line indented by `first`, the others by `rest`.
void put_wrapped(std::string& out, const std::string& text, int first, int rest, int columns_max);

/// No line longer than `columns`, no space before a line break.
std::string fit_lines(const std::string& text, int columns);

}  // namespace ebb
