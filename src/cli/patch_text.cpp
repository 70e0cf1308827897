// SPDX-License-Identifier: Apache-2.0
#include "cli/patch_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace ebb::cli {
namespace {

constexpr std::size_t kColumns = 96;  // of a line shown
constexpr std::size_t kAround = 32;   // bytes before a change in a long line
constexpr std::size_t kLines = 24;    // of one change

/// `at`, or the end of the UTF-8 character that `at` is inside of.
std::size_t character_end(std::string_view text, std::size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

std::string shortened(std::string_view line) {
  if (line.size() <= kColumns) return std::string(line);
  return std::string(line.substr(0, character_end(line, kColumns - 3))) + "...";
}

void add_lines(std::string& out, char mark, std::string_view text) {
  std::size_t shown = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at = end + 1;
    if (line.empty() && at > text.size()) break;
    if (++shown > kLines) {
      out += fmt::format("{} ...\n", mark);
      return;
    }
    out += fmt::format("{} {}\n", mark, shortened(line));
  }
}

/// A change with the rest of the lines it begins and ends in, as far as they are short.
struct Hunk {
  std::size_t begin = 0, end = 0;  ///< in the original
  std::string after;
};

// A line may be the whole file: no more of it is looked at than is shown.
std::size_t line_begin(std::string_view text, std::size_t at) {
  const std::size_t least = at - std::min(at, kColumns + 1);
  const std::size_t before = text.substr(least, at - least).rfind('\n');
  if (before != text.npos) return least + before + 1;
  return at <= kColumns ? 0 : character_end(text, at - kAround);
}

std::size_t line_end(std::string_view text, std::size_t at) {
  const std::size_t after = text.substr(at, kColumns + 1).find('\n');
  if (after != text.npos) return at + after;
  return text.size() - at <= kColumns ? text.size() : character_end(text, at + kAround);
}

std::vector<Hunk> hunks_of(const PatchResult& result) {
  const std::string_view text = result.original;
  std::vector<Hunk> hunks;
  for (const Span& span : result.patch.spans) {
    const auto from = static_cast<std::size_t>(span.offset), to = from + span.removed.size();
    const std::size_t begin = line_begin(text, from), end = line_end(text, to);
    if (!hunks.empty() && begin < hunks.back().end) {  // goes on in a line that changed already
      Hunk& last = hunks.back();
      last.after.resize(last.after.size() - (last.end > from ? last.end - from : 0));
      if (from > last.end) last.after += text.substr(last.end, from - last.end);
      last.after += span.inserted;
      last.after += text.substr(to, end - to);
      last.end = end;
    } else {
      hunks.push_back({begin, end,
                       std::string(text.substr(begin, from - begin)) + span.inserted +
                           std::string(text.substr(to, end - to))});
    }
  }
  return hunks;
}

}  // namespace

std::string words_of(const PatchResult& result) {
  std::string text;
  for (const PlanLine& line : result.plan) text += "  " + line.text() + "\n";
  for (const Change& change : result.patch.changes) {
    text += fmt::format("  {:<6} node {}: {}\n", change.kind, change.node, change.words);
  }
  for (const std::string& note : result.patch.notes) text += "  note   " + note + "\n";
  for (const std::string& refusal : result.patch.refusals) text += "  not    " + refusal + "\n";
  return text;
}

std::string lines_of(const PatchResult& result) {
  std::string out;
  std::size_t counted = 0, line = 1;
  for (const Hunk& hunk : hunks_of(result)) {
    const std::string_view text = result.original;
    line += static_cast<std::size_t>(std::count(text.begin() + std::ptrdiff_t(counted),
                                                text.begin() + std::ptrdiff_t(hunk.begin), '\n'));
    counted = hunk.begin;
    out += fmt::format("@@ line {}\n", line);
    add_lines(out, '-', text.substr(hunk.begin, hunk.end - hunk.begin));
    add_lines(out, '+', hunk.after);
  }
  return out;
}

}  // namespace ebb::cli
