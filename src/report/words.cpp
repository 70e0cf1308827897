// SPDX-License-Identifier: Apache-2.0
// UTF-8, columns, wrapping and the words for enumerations.
#include "report/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/names.h"
#include "base/text.h"
#include "base/utf8.h"

namespace ebb {
namespace {

int code_width(char32_t code) {
  if (code < 0x300) return 1;
  if (within(code, {{0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}})) {
    return 0;
  }
  return within(code, {{0x1100, 0x115F},
                       {0x2E80, 0xA4CF},
                       {0xAC00, 0xD7A3},
                       {0xF900, 0xFAFF},
                       {0xFE30, 0xFE6F},
                       {0xFF00, 0xFF60},
                       {0xFFE0, 0xFFE6},
                       {0x1F300, 0x1FAFF},
                       {0x20000, 0x3FFFD}})
             ? 2
             : 1;
}

/// The longest beginning of `text` with at most `columns` columns, in bytes.
std::size_t head_bytes(std::string_view text, int columns) {
  std::size_t at = 0;
  for (int width = 0; at < text.size();) {
    std::size_t next = at;
    width += code_width(next_code_point(text, next));
    if (width > columns) break;
    at = next;
  }
  return at;
}

/// The beginning of the longest end of `text` with at most `columns` columns.
std::size_t tail_start(std::string_view text, int columns) {
  std::vector<std::pair<std::size_t, int>> points;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    points.emplace_back(start, code_width(next_code_point(text, at)));
  }
  std::size_t start = text.size();
  for (int width = 0; !points.empty(); points.pop_back()) {
    width += points.back().second;
    if (width > columns) break;
    start = points.back().first;
  }
  return start;
}

}  // namespace

int display_width(std::string_view text) {
  int width = 0;
  for (std::size_t at = 0; at < text.size();) width += code_width(next_code_point(text, at));
  return width;
}

std::string shorten_middle(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns <= 2) return std::string(text.substr(0, head_bytes(text, std::max(columns, 0))));
  const int tail = (columns - 2) / 2;
  const int head = columns - 2 - tail;
  return std::string(text.substr(0, head_bytes(text, head))) + ".." +
         std::string(text.substr(tail_start(text, tail)));
}

std::string glue_units(std::string text) {
  static constexpr std::array<std::string_view, 6> kUnits = {"MiB", "GiB", "GiB/s",
                                                             "s",   "min", "TFLOPS"};
  for (std::size_t at = text.find(' '); at != std::string::npos; at = text.find(' ', at + 1)) {
    if (at == 0 || text[at - 1] < '0' || text[at - 1] > '9') continue;
    std::string_view word = std::string_view(text).substr(at + 1);
    word = word.substr(0, word.find_first_of(" .,;:)"));
    if (std::find(kUnits.begin(), kUnits.end(), word) != kUnits.end()) {
      text.replace(at, 1, kNoBreak);
    }
  }
  return text;
}

std::vector<std::string> wrap_text(std::string_view text, int columns) {
  std::vector<std::string> lines;
  std::string line;
  columns = std::max(columns, 2);
  for (std::string_view word : split(text, ' ')) {
    if (word.empty()) continue;
    if (!line.empty() && display_width(line) + 1 + display_width(word) > columns) {
      lines.push_back(std::move(line));
      line.clear();
    }
    // Only when the line is empty.
    for (auto head = head_bytes(word, columns); head < word.size();
         head = head_bytes(word, columns)) {
      head = std::max<std::size_t>(head, 1);
      lines.emplace_back(word.substr(0, head));
      word.remove_prefix(head);
    }
    if (!line.empty() && !word.empty()) line += ' ';
    line += word;
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

std::string escape_xml(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      default: result += c;
    }
  }
  return result;
}

std::string format_seconds(double seconds) {
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e12) return "unknown";
  if (seconds < 0) return "-" + format_seconds(-seconds);
  if (seconds == 0) return "0 s";
  if (seconds < 0.005) return "<0.01 s";
  if (seconds < 0.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 7200) {
    return whole % 60 ? fmt::format("{} min {} s", whole / 60, whole % 60)
                      : fmt::format("{} min", whole / 60);
  }
  return fmt::format("{} h {} min", format_count(whole / 3600), whole % 3600 / 60);
}

std::string count_word(std::int64_t count) {
  static constexpr std::array<const char*, 13> kWords = {"no",   "one",    "two",   "three", "four",
                                                         "five", "six",    "seven", "eight", "nine",
                                                         "ten",  "eleven", "twelve"};
  return count >= 0 && count <= 12 ? kWords[count] : format_count(count);
}

std::string join_and(const std::vector<std::string>& parts) {
  std::string result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) result += i + 1 == parts.size() ? " and " : ", ";
    result += parts[i];
  }
  return result;
}

std::string join_ranges(const std::vector<int>& numbers) {
  std::string result;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!result.empty()) result += ", ";
    result += std::to_string(numbers[i]);
    if (last > i) result += (last == i + 1 ? ", " : "-") + std::to_string(numbers[last]);
    i = last + 1;
  }
  return result;
}

std::string as_sentence(std::string_view text) {
  std::string result(trim(text));
  if (result.empty()) return result;
  if (result[0] >= 'a' && result[0] <= 'z') result[0] = static_cast<char>(result[0] - 'a' + 'A');
  if (std::string_view(".!?:").find(result.back()) == std::string_view::npos) result += '.';
  return result;
}

std::string architecture_words(const Weights& weights) {
  std::string words = weights.architecture.empty() ? "?" : printable(weights.architecture);
  if (!weights.comfyui_class.empty()) words += " (" + weights.comfyui_class + ")";
  return words;
}

std::string work_words(StepKind kind) {
  switch (kind) {
    case StepKind::encode_text: return "encode text";
    case StepKind::encode_vision: return "encode vision";
    case StepKind::encode_image: return "encode image";
    default: return to_string(kind);
  }
}

std::string role_words(WeightsRole role) {
  return name_in<WeightsRole::other>({"diffusion", "text encoder", "VAE", "vision encoder",
                                      "ControlNet", "LoRA", "upscaler", "other"},
                                     role);
}

std::string bytes_from_words(BytesFrom from) {
  return name_in<BytesFrom::unknown>({"header read", "known file", "stated in the workflow",
                                      "assumed from its name", "given", "unknown"},
                                     from);
}

namespace {

/// A name split after its separators, so that the parts put together are the name again.
std::vector<std::string> name_parts(std::string_view name) {
  std::vector<std::string> parts(1);
  for (const char c : name) {
    parts.back() += c;
    if (c == '_' || c == '-' || c == ' ') parts.emplace_back();
  }
  if (parts.back().empty() && parts.size() > 1) parts.pop_back();
  return parts;
}

bool names_a_type(std::string_view part) {
  while (!part.empty() && std::string_view("_- ").find(part.back()) != std::string_view::npos) {
    part.remove_suffix(1);
  }
  static const std::set<std::string, std::less<>> kTypes = {
      "fp8", "fp16", "bf16", "fp32", "fp4", "e4m3fn", "e5m2",  "scaled", "int8", "nvfp4",
      "q2",  "q3",   "q4",   "q5",   "q6",  "q8",     "mixed", "pruned", "ema",  "emaonly"};
  return kTypes.count(lower(part)) > 0;
}

std::string joined_name(const std::vector<std::string>& parts, std::size_t from) {
  std::string name;
  for (std::size_t i = from; i < parts.size(); ++i) name += parts[i];
  while (!name.empty() && std::string_view("_- .").find(name.back()) != std::string_view::npos) {
    name.pop_back();
  }
  return name;
}

/// How many leading parts the names of one role share, so that leaving them out loses nothing.
class SharedParts {
 public:
  void add(const std::vector<std::string>& parts) {
    if (first_.empty()) {
      first_ = parts;
      count_ = parts.size() - 1;
      return;
    }
    differ_ |= parts != first_;
    count_ = std::min(count_, parts.size() - 1);
    const auto end = first_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto other = std::mismatch(first_.begin(), end, parts.begin()).first;
    count_ = static_cast<std::size_t>(other - first_.begin());
  }
  std::size_t count() const { return differ_ ? count_ : 0; }  ///< 0: nothing to tell apart

 private:
  std::vector<std::string> first_;
  std::size_t count_ = 0;
  bool differ_ = false;
};

std::set<std::string> find_repeated(const std::vector<std::string>& names) {
  std::set<std::string> seen, repeated;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) repeated.insert(name);
  }
  return repeated;
}

}  // namespace

const char* policy_word(Policy::Kind kind) { return kind == Policy::paged ? "dynamic" : "classic"; }

std::string policy_words(const Policy& policy) {
  return fmt::format("{} {}", policy_word(policy.kind), to_string(policy.rules));
}

List<std::string, WeightsIndex> short_names(const List<Weights, WeightsIndex>& weights) {
  List<std::vector<std::string>, WeightsIndex> parts;
  for (const Weights& w : weights) {
    parts.push_back(name_parts(printable(w.name.empty() ? w.id : w.name)));
    while (parts.back().size() > 1 && names_a_type(parts.back().back())) parts.back().pop_back();
  }
  std::map<WeightsRole, SharedParts> shared;
  for (const WeightsIndex i : weights.indices()) shared[weights[i].role].add(parts[i]);
  List<std::string, WeightsIndex> names(weights.size());
  for (const WeightsIndex i : weights.indices()) {
    names[i] = shorten_middle(joined_name(parts[i], shared[weights[i].role].count()), 24);
  }
  // The short form must not hide a difference: parts of one checkpoint differ by role, others by
  // their loader.
  const List<std::string, WeightsIndex> plain = names;
  const auto plain_again = find_repeated(plain);
  for (const WeightsIndex i : names.indices()) {
    const std::string suffix = weights[i].role == WeightsRole::vae            ? " vae"
                               : weights[i].role == WeightsRole::text_encoder ? " clip"
                                                                              : "";
    const bool again = plain_again.contains(plain[i]);
    if (again && !suffix.empty()) names[i] = shorten_middle(plain[i], 19) + suffix;
  }
  const List<std::string, WeightsIndex> by_role = names;
  const auto by_role_again = find_repeated(by_role);
  for (const WeightsIndex i : names.indices()) {
    const bool again = by_role_again.contains(by_role[i]);
    if (!names[i].empty() && !again) continue;
    const std::string id = " #" + shorten_middle(printable(weights[i].id), 10);
    names[i] = shorten_middle(by_role[i], 24 - display_width(id)) + id;
  }
  return names;
}

std::int64_t add_bytes(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? std::numeric_limits<std::int64_t>::max()
               : std::numeric_limits<std::int64_t>::min();
}

}  // namespace ebb
