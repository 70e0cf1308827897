// SPDX-License-Identifier: Apache-2.0
#include "workflow/texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <ctime>

#include "base/text.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

constexpr std::string_view kPrefixClasses[] = {
    "CLIPSave", "LoraSave",  "ModelSave",  "SaveAnimatedPNG", "SaveAnimatedWEBP", "SaveAudio",
    "SaveGLB",  "SaveImage", "SaveLatent", "SaveVideo",       "SaveWEBM",         "VAESave"};

/// `/* ... */` and `// ...` to the end of the line.
std::string without_comments(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool closes = true;  // another end of a comment follows
  for (std::size_t i = 0; i < text.size();) {
    if (closes && text.substr(i, 2) == "/*") {
      const auto end = text.find("*/", i + 2);
      closes = end != text.npos;
      if (closes) {
        i = end + 2;
        continue;
      }
    }
    if (text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    out += text[i++];
  }
  return out;
}

/// Reads alternatives without recursion: only what lies in the first member of every open brace
/// is written.
class FirstChoice {
 public:
  std::string read(std::string_view text, bool& chosen) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '\\' && i + 1 < text.size() && contains("{}|", text.substr(i + 1, 1))) {
        put(text[++i]);
      } else if (c == '{') {
        chosen = true;
        skipping_.push_back(skips());
      } else if (c == '|' && !skipping_.empty()) {
        skipping_.back() = true;
      } else if (c == '}' && !skipping_.empty()) {
        skipping_.pop_back();
      } else {
        put(c);
      }
    }
    return std::move(out_);
  }

 private:
  bool skips() const { return !skipping_.empty() && skipping_.back(); }
  void put(char c) {
    if (!skips()) out_ += c;
  }
  std::vector<bool> skipping_;  // one entry an open brace
  std::string out_;
};

/// d, M, h, m, s repeated for width; yy, yyyy.
std::string format_date(std::string_view format) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::string out;
  for (std::size_t i = 0; i < format.size();) {
    std::size_t n = 1;
    while (i + n < format.size() && format[i + n] == format[i]) ++n;
    const auto width = [&](int value) { return fmt::format("{:0{}}", value, std::min(n, 2UL)); };
    switch (format[i]) {
      case 'd': out += width(local.tm_mday); break;
      case 'M': out += width(local.tm_mon + 1); break;
      case 'h': out += width(local.tm_hour); break;
      case 'm': out += width(local.tm_min); break;
      case 's': out += width(local.tm_sec); break;
      case 'y': {
        const int year = local.tm_year + 1900;
        out += n == 2 ? fmt::format("{:02}", year % 100) : std::to_string(year);
        break;
      }
      default: out.append(n, format[i]);
    }
    i += n;
  }
  return out;
}

/// What no file name holds: by character.
constexpr auto kUnsafe = [] {
  std::array<bool, 256> unsafe{};
  for (std::size_t c = 0; c < 0x20; ++c) unsafe[c] = true;
  for (const char c : std::string_view("/?<>\\:*|\"\x7F")) unsafe[std::size_t(c)] = true;
  return unsafe;
}();

std::string safe_name(std::string value) {
  for (char& c : value) {
    if (kUnsafe[static_cast<unsigned char>(c)]) c = '_';
  }
  return value;
}

}  // namespace

std::string plain_prompt(std::string_view text, bool* chosen) {
  bool any = false;
  if (text.find_first_of("/{\\") == text.npos) return std::string(text);
  std::string plain = FirstChoice().read(without_comments(text), any);
  if (chosen) *chosen = any;
  return plain;
}

bool replaces_prefix(std::string_view class_type) {
  return std::ranges::find(kPrefixClasses, class_type) != std::end(kPrefixClasses);
}

NameReplacer::NameReplacer(GraphSet& set) : set_(set) {}

void NameReplacer::index() {
  indexed_ = true;
  for (int g = -1; g < static_cast<int>(set_.definitions.size()); ++g) {
    for (const GraphNode& node : set_.graph(g).nodes) {
      const JsonValue property = node.json.find("properties").find("Node name for S&R");
      if (property.is_string()) by_property_.try_emplace(property.string(), &node);
      std::string title = node.title;
      if (title.empty() && node.definition) title = node.definition->display_name;
      if (title.empty()) title = node.type;
      by_title_.try_emplace(std::move(title), &node);
    }
  }
}

std::string NameReplacer::replace(const std::string& text, const char** doubt) {
  std::string out;
  const char* any = nullptr;
  std::size_t i = 0;
  while (i < text.size()) {
    const auto open = text.find('%', i);
    const auto close = open == text.npos ? open : text.find('%', open + 1);
    if (close == text.npos) break;
    out.append(text, i, open - i);
    if (close == open + 1) {  // nothing between: the second one may open a pair
      out += '%';
      i = close;
      continue;
    }
    const auto whole = std::string_view(text).substr(open, close - open + 1);
    const std::string put = meaning(whole.substr(1, whole.size() - 2), whole, any);
    if (!set_.allowance.hold(put.size())) return out;
    out += put;
    i = close + 1;
  }
  if (doubt) *doubt = any;
  return out.append(text, i);
}

std::string NameReplacer::meaning(std::string_view text, std::string_view whole,
                                  const char*& doubt) {
  const auto parts = split(text, '.');
  if (parts.size() != 2) {
    if (parts[0].starts_with("date:")) doubt = kDoubtTime;
    if (parts[0].starts_with("date:")) return format_date(parts[0].substr(5));
    return std::string(whole);
  }
  if (!indexed_) index();
  const std::string name(parts[0]);
  const GraphNode* node = nullptr;
  if (const auto at = by_property_.find(name); at != by_property_.end()) {
    node = at->second;
  } else if (const auto titled = by_title_.find(name); titled != by_title_.end()) {
    node = titled->second;
  }
  if (!node) return std::string(whole);
  const auto widget = std::ranges::find(node->widgets, parts[1], &Widget::name);
  const auto value = widget == node->widgets.end() ? 0 : widget->value.value_or("").size();
  if (!set_.allowance.work(value / 4 + node->widgets.size())) return {};
  if (widget == node->widgets.end()) return std::string(whole);
  if (widget->doubt) doubt = kDoubtCopied;
  return safe_name(js_string(widget->value.value_or("")));
}

}  // namespace ebb
