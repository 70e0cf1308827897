// SPDX-License-Identifier: Apache-2.0
// Sizes of model files that the workflow itself states: official templates write `(19.53 GB)`
// behind each link of their notes, and users copy the habit.
#include "workflow/stated.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "base/text.h"

namespace ebb {
namespace {

constexpr std::size_t kTextMax = 1 << 18;  // of one note that is read
constexpr std::size_t kFilesMax = 1'000;
/// Letters between a link and its size: `(rank 64, bf16, 1.2 GB)`, ` - 5.41 GB`.
constexpr std::size_t kGapMax = 32;
constexpr std::string_view kEndings[] = {".safetensors", ".sft", ".gguf", ".ckpt",
                                         ".pth",         ".pt",  ".bin",  ".onnx"};

bool names_model(std::string_view name) {
  return std::ranges::any_of(kEndings, [&](std::string_view end) { return name.ends_with(end); });
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A size and the place behind it.
struct Written : WrittenSize {
  std::size_t end = 0;
};

std::optional<Written> size_at(std::string_view line, std::size_t at) {
  if (!is_digit(line[at]) || (at > 0 && (is_digit(line[at - 1]) || line[at - 1] == '.'))) return {};
  Written size;
  std::size_t i = at;
  bool point = false;
  for (; i < line.size() && i < at + 16; ++i) {
    const char c = line[i];
    if (c == '.' && !point && i + 1 < line.size() && is_digit(line[i + 1])) {
      point = true;
    } else if (c == ',' && i + 3 < line.size() && is_digit(line[i + 1])) {
      continue;  // thousands
    } else if (is_digit(c)) {
      size.number = size.number * 10 + (c - '0');
      if (point) size.step /= 10;
    } else {
      break;
    }
  }
  size.number *= size.step;
  while (i < line.size() && line[i] == ' ') ++i;
  const std::string unit = lower(line.substr(i, 3));
  constexpr std::string_view kPrefixes = "kmg";
  const auto power = unit.empty() ? std::string_view::npos : kPrefixes.find(unit[0]);
  if (power == std::string_view::npos) return {};
  size.power = static_cast<int>(power) + 1;
  size.binary = unit.size() == 3 && unit.substr(1) == "ib";
  if (!size.binary && unit.substr(1, 1) != "b") return {};
  size.end = i + (size.binary ? 3 : 2);
  if ((size.end < line.size() && is_letter(line[size.end])) || size.number <= 0 ||
      size.number > 100'000) {
    return {};
  }
  return size;
}

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.starts_with(word); });
}

/// The size right behind a link: in brackets, where words such as `rank 64, bf16` may come first,
/// or after a dash. Not one of the memory that it needs.
std::optional<Written> size_behind(std::string_view text) {
  bool bracket = false;
  for (std::size_t i = 0; i < text.size() && i <= kGapMax; ++i) {
    if (text[i] == '[' || text[i] == ')') return {};
    bracket = bracket || text[i] == '(';
    const std::string rest = lower(text.substr(i, 8));
    if (is_letter(text[i]) && !bracket) return {};
    if (begins_with_any(rest, {"vram", "ram ", "need", "requir", "least", "min ", "card"})) {
      return {};
    }
    const auto size = size_at(text, i);
    if (!size) continue;
    const std::string after = lower(trim(text.substr(size->end, 12)));
    if (begins_with_any(after, {"vram", "ram", "of ", "gpu", "or more", "+"})) return {};
    return size;
  }
  return {};
}

std::string_view last_part(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const auto slash = url.rfind('/');
  return slash == std::string_view::npos ? url : url.substr(slash + 1);
}

class Reader {
 public:
  explicit Reader(std::map<std::string, WrittenSize>& files) : files_(files) {}

  void read(std::string_view note) {
    note = note.substr(0, kTextMax);
    for (const std::string_view line : split(note, '\n')) {
      links(line);
      trees(line);
    }
  }

 private:
  /// `[name](url) (19.53 GB)`
  void links(std::string_view line) {
    for (std::size_t at = 0; (at = line.find("](", at)) != std::string_view::npos; at += 2) {
      const auto open = line.rfind('[', at);
      const auto close = line.find(')', at);
      if (open == std::string_view::npos || close == std::string_view::npos) continue;
      const std::string_view behind = line.substr(close + 1);
      const auto size = size_behind(behind);
      if (!size) continue;
      const auto bracket = behind.find('(');
      const bool bare = bracket == std::string_view::npos || bracket > size->end;
      const std::string_view text = trim(line.substr(open + 1, at - open - 1));
      add(last_part(line.substr(at + 2, close - at - 2)), *size, bare);
      add(text, *size, bare);
    }
  }

  /// `└── name.safetensors   5.41 GB`
  void trees(std::string_view line) {
    const auto bar = line.find("\xE2\x94\x80");
    if (bar == std::string_view::npos) return;
    const std::string_view rest = line.substr(line.rfind("\xE2\x94\x80") + 3);
    for (const std::string_view end : kEndings) {
      const auto at = rest.find(std::string(end) + " ");
      if (at == std::string_view::npos) continue;
      const auto size = size_behind(trim(rest.substr(at + end.size())));
      if (size) add(trim(rest.substr(0, at + end.size())), *size, true);
      return;
    }
  }

  void add(std::string_view name, WrittenSize size, bool bare) {
    const std::string key = lower(name);
    if (!names_model(key) || files_.size() >= kFilesMax) return;
    size.bare = bare;
    files_.try_emplace(key, size);
  }

  std::map<std::string, WrittenSize>& files_;
};

void read_nodes(const JsonValue& nodes, Reader& reader) {
  for (const JsonValue node : nodes) {
    const std::string type = node.find("type").string();
    if (!contains(type, "Note")) continue;
    for (const JsonValue text : node.find("widgets_values")) {
      if (text.is_string()) reader.read(text.string());
    }
  }
}

}  // namespace

std::map<std::string, WrittenSize> stated_files(const JsonValue& root) {
  std::map<std::string, WrittenSize> files;
  Reader reader(files);
  read_nodes(root.find("nodes"), reader);
  for (const JsonValue definition : root.find("definitions").find("subgraphs")) {
    read_nodes(definition.find("nodes"), reader);
  }
  return files;
}

}  // namespace ebb
