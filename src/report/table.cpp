// SPDX-License-Identifier: Apache-2.0
// Layout of text tables.
#include "report/table.h"

#include <algorithm>

#include "base/text.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr int kGap = 2;
constexpr int kColumnLeast = 8;  // a shortened name of fewer columns tells nothing

std::string spaces(int count) {
  return std::string(static_cast<std::size_t>(std::max(count, 0)), ' ');
}

void end_line(std::string& out) {
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out += '\n';
}

}  // namespace

void TextTable::row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back({std::move(cells), {}});
}

void TextTable::line(std::string text) { rows_.push_back({{}, std::move(text)}); }

/// Width of every column, 0 for one that is left out; text columns give way until all fit.
std::vector<int> TextTable::widths(int room) const {
  std::vector<int> widths(columns_.size(), 0);
  int total = 0;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    bool used = false;
    int width = std::max(display_width(columns_[c].head), display_width(columns_[c].unit));
    for (const Row& row : rows_) {
      if (row.cells.empty()) continue;
      used = used || (!row.cells[c].empty() && row.cells[c] != "-");
      width = std::max(width, display_width(row.cells[c]));
    }
    if (!used) continue;
    widths[c] = width;
    total += width + (total > 0 ? kGap : 0);
  }
  while (total > room) {
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (columns_[c].overflow == Overflow::keep || widths[c] <= kColumnLeast) continue;
      if (widest == columns_.size() || widths[c] > widths[widest]) widest = c;
    }
    if (widest == columns_.size()) break;
    --widths[widest], --total;
  }
  return widths;
}

void TextTable::put(std::string& out, const std::vector<std::string>& cells,
                    const std::vector<int>& widths, int indent) const {
  std::vector<std::vector<std::string>> wrapped(cells.size());
  std::size_t height = 1;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    if (widths[c] == 0) continue;
    if (columns_[c].overflow == Overflow::wrap) {
      wrapped[c] = wrap_text(cells[c], widths[c]);
    } else if (columns_[c].overflow == Overflow::shorten) {
      wrapped[c] = {shorten_middle(cells[c], widths[c])};
    } else {
      wrapped[c] = {cells[c]};
    }
    height = std::max(height, wrapped[c].size());
  }
  for (std::size_t l = 0; l < height; ++l) {
    out += spaces(indent);
    bool first = true;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (widths[c] == 0) continue;
      if (!first) out += spaces(kGap);
      first = false;
      const std::string text = l < wrapped[c].size() ? wrapped[c][l] : "";
      const int pad = widths[c] - display_width(text);
      out += columns_[c].align == Align::right ? spaces(pad) + text : text + spaces(pad);
    }
    end_line(out);
  }
}

std::string TextTable::layout(int indent, int columns_max) const {
  const std::vector<int> width = widths(columns_max - indent);
  std::string out;
  std::vector<std::string> heads, units;
  bool any_unit = false;
  for (const TableColumn& column : columns_) {
    heads.push_back(column.head);
    units.push_back(column.unit);
    any_unit = any_unit || !column.unit.empty();
  }
  put(out, heads, width, indent);
  if (any_unit) put(out, units, width, indent);
  for (const Row& row : rows_) {
    if (row.cells.empty()) {
      put_wrapped(out, row.line, indent + 2, indent + 4, columns_max);
    } else {
      put(out, row.cells, width, indent);
    }
  }
  return out;
}

void put_wrapped(std::string& out, const std::string& text, int first, int rest, int columns_max) {
  const int room = columns_max - std::max(first, rest);
  const auto lines = wrap_text(glue_units(text), room);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string line = lines[i];
    for (auto at = line.find(kNoBreak); at != std::string::npos; at = line.find(kNoBreak, at)) {
      line.replace(at, 2, " ");
    }
    out += spaces(i == 0 ? first : rest) + line;
    end_line(out);
  }
}

std::string fit_lines(const std::string& text, int columns) {
  std::string out;
  for (std::string_view line : split(text, '\n')) {
    std::string fitted = shorten_middle(line, columns);
    while (!fitted.empty() && fitted.back() == ' ') fitted.pop_back();
    out += fitted + '\n';
  }
  if (!text.empty() && text.back() == '\n') out.pop_back();  // split saw an empty last line
  return out;
}

}  // namespace ebb
