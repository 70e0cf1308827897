// SPDX-License-Identifier: Apache-2.0
// One pass over the text without recursion: nesting costs a stack entry, not a call.
#include <fmt/format.h>

#include <algorithm>

#include "json/document.h"
#include "json/write.h"

namespace ebb {
namespace {

constexpr const char* kHint = "Save it again, or copy it again.";

constexpr std::size_t kDepthMax = 1000;
constexpr std::size_t kTextMax = 0xffffffffu;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(JsonDocument::State& state, const std::string& file, std::size_t values_max)
      : text_(state.text), nodes_(state.nodes), file_(file), values_max_(values_max) {}

  /// Nothing on success, else the error.
  std::optional<Error> run() {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    do {
      if (!value()) return error();
    } while (!open_.empty());
    skip_space();
    if (at_ < text_.size()) fail("only one value is allowed, but more text follows it");
    return failed() ? std::optional(error()) : std::nullopt;
  }

 private:
  bool failed() const { return !message_.empty(); }
  bool fail(std::string message) {
    if (message_.empty()) message_ = std::move(message);
    return false;
  }

  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  /// Reads one scalar or opens one container, then closes all containers that end here and steps
  /// over the comma and key before the next value.
  bool value() {
    skip_space();
    const char c = peek();
    JsonDocument::Node node;
    node.begin = static_cast<std::uint32_t>(at_);
    node.key = key_;
    key_ = 0;
    if (nodes_.size() >= values_max_) {
      return fail(fmt::format("more than {} values, in far too small a file", values_max_));
    }
    nodes_.push_back(node);
    if (c == '{' || c == '[') {
      if (open_.size() >= kDepthMax) {
        return fail(fmt::format("nested more than {} levels deep", kDepthMax));
      }
      open_.push_back(static_cast<std::uint32_t>(nodes_.size() - 1));
      ++at_;
      skip_space();
      if (peek() == (c == '{' ? '}' : ']')) return close_containers();
      return c == '{' ? key() : true;
    }
    if (!scalar(c)) return false;
    nodes_.back().end = static_cast<std::uint32_t>(at_);
    nodes_.back().next = static_cast<std::uint32_t>(nodes_.size());
    return close_containers();
  }

  bool close_containers() {
    while (!open_.empty()) {
      auto& parent = nodes_[open_.back()];
      const bool object = text_[parent.begin] == '{';
      if (nodes_.size() - 1 > open_.back()) ++parent.count;
      skip_space();
      if (peek() == ',') {
        ++at_;
        skip_space();
        return object ? key() : true;
      }
      if (at_ >= text_.size()) return fail("the file ends here");
      if (peek() != (object ? '}' : ']')) {
        return fail(object ? "a comma or '}' must follow here" : "a comma or ']' must follow here");
      }
      ++at_;
      parent.end = static_cast<std::uint32_t>(at_);
      parent.next = static_cast<std::uint32_t>(nodes_.size());
      open_.pop_back();
    }
    return true;
  }

  bool key() {
    if (peek() != '"') return fail("a key in double quotes must follow here");
    key_ = static_cast<std::uint32_t>(at_);
    if (!string()) return false;
    skip_space();
    if (peek() != ':') return fail("a ':' must follow the key");
    ++at_;
    return true;
  }

  bool scalar(char c) {
    if (c == '"') return string();
    if (c == '-' || is_digit(c)) return number();
    for (std::string_view word : {"true", "false", "null", "NaN", "Infinity"}) {
      if (std::string_view(text_).substr(at_).starts_with(word)) {
        at_ += word.size();
        return true;
      }
    }
    return fail(at_ < text_.size() ? "a value must follow here" : "the file ends here");
  }

  bool string() {
    const std::size_t begin = at_++;
    for (;;) {
      while (at_ < text_.size() && !ends_run(text_[at_])) ++at_;
      const std::size_t stop = at_;
      const char c = peek();
      if (c == '"') return ++at_, true;
      if (c == '\\' && escape()) continue;
      // A text without an end is told by where it begins, whatever stands in it.
      if (text_.find('"', stop) != std::string::npos) {
        return fail("a line break or control character inside a text");
      }
      message_.clear();
      at_ = begin;
      return fail("this text has no closing quote");
    }
  }

  /// What a text is not simply read over: its end, an escape, and what must not stand in it.
  static bool ends_run(char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
  }

  bool escape() {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (c == 'u') {
      for (std::size_t i = at_ + 2; i < at_ + 6; ++i) {
        if (i >= text_.size() || !std::isxdigit(static_cast<unsigned char>(text_[i]))) {
          return fail("\\u must be followed by four hexadecimal digits");
        }
      }
      at_ += 6;
      return true;
    }
    if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) {
      return fail("an unknown escape after '\\'");
    }
    at_ += 2;
    return true;
  }

  bool number() {
    if (peek() == '-') ++at_;
    if (std::string_view(text_).substr(at_).starts_with("Infinity")) return at_ += 8, true;
    const std::size_t first = at_;
    if (!digits()) return fail("digits must follow here");
    if (text_[first] == '0' && at_ > first + 1) {
      at_ = first;
      return fail("a number must not start with 0");
    }
    if (peek() == '.') {
      ++at_;
      if (!digits()) return fail("digits must follow the decimal point");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return fail("digits must follow the exponent");
    }
    return true;
  }

  bool digits() {
    const std::size_t first = at_;
    while (is_digit(peek())) ++at_;
    return at_ > first;
  }

  Error error() const {
    Error result = input_error(message_, file_);
    locate(text_, static_cast<std::int64_t>(std::min(at_, text_.size())), result.where);
    for (auto open = open_.rbegin(); open != open_.rend(); ++open) {
      if (const auto key = nodes_[*open].key; key != 0) {
        const std::string name = json_unquote(std::string_view(text_).substr(key));
        result.message += fmt::format(" (inside \"{}\")", name.substr(0, 40));
        break;
      }
    }
    if (at_ >= text_.size() || message_.ends_with("closing quote")) {
      result.hint = "Was the download cut off?";
    } else {
      result.hint = kHint;
    }
    return result;
  }

  const std::string& text_;
  std::vector<JsonDocument::Node>& nodes_;
  const std::string& file_;
  const std::size_t values_max_;
  std::vector<std::uint32_t> open_;  // containers, outermost first
  std::size_t at_ = 0;
  std::uint32_t key_ = 0;
  std::string message_;
};

}  // namespace

Result<JsonDocument> JsonDocument::parse(std::string text, const std::string& file,
                                         std::size_t values_max) {
  auto state = std::make_unique<State>();
  state->text = std::move(text);
  if (state->text.size() >= kTextMax) return input_error("larger than 4 GiB", file, "", kHint);
  if (state->text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return input_error("is empty", file, "", kHint);
  }
  // Room for the shortest values that files have; what is not used is never touched.
  state->nodes.reserve(state->text.size() / 8 + 16);
  if (auto error = Parser(*state, file, values_max).run()) return *std::move(error);
  return JsonDocument(std::move(state));
}

void locate(std::string_view text, std::int64_t offset, Where& where) {
  const auto before = text.substr(0, static_cast<std::size_t>(offset));
  where.line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto line_start = before.rfind('\n');
  where.column = 1 + static_cast<std::int64_t>(line_start == std::string_view::npos
                                                   ? before.size()
                                                   : before.size() - line_start - 1);
}

}  // namespace ebb
