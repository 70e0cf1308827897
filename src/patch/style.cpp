// SPDX-License-Identifier: Apache-2.0
#include "patch/style.h"

#include <cassert>

#include "json/write.h"

namespace ebb {
namespace {

std::string_view slice(std::string_view text, std::int64_t begin, std::int64_t end) {
  return text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// White space before an offset, back to whatever else stands there.
std::string_view space_before(std::string_view text, std::int64_t offset) {
  std::int64_t begin = offset;
  while (begin > 0 && is_space(text[static_cast<std::size_t>(begin - 1)])) --begin;
  return slice(text, begin, offset);
}

std::string_view after_last_line(std::string_view space) {
  const auto at = space.rfind('\n');
  return at == space.npos ? std::string_view() : space.substr(at + 1);
}

/// What stands between a member's key and its value.
std::string colon_before(std::string_view text, const JsonValue& member) {
  std::int64_t begin = member.offset();
  while (is_space(text[static_cast<std::size_t>(begin - 1)]) ||
         text[static_cast<std::size_t>(begin - 1)] == ':') {
    --begin;
  }
  return std::string(slice(text, begin, member.offset()));
}

class Restyler {
 public:
  explicit Restyler(const Style& style) : style_(style) {}

  void write(const JsonValue& value, std::size_t depth) {
    if (!value.is_array() && !value.is_object()) {
      text_ += value.raw();
      return;
    }
    const bool object = value.is_object();
    const bool lines = style_.lines && value.size() > 0 && !(style_.flat_numbers && flat(value));
    text_ += object ? '{' : '[';
    bool first = true;
    for (const JsonValue member : value) {
      if (!first) text_ += lines ? "," : style_.comma;
      if (lines) line(depth + 1);
      if (object) text_ += json_quote(member.key()) + style_.colon;
      write(member, depth + 1);
      first = false;
    }
    if (lines) line(depth);
    text_ += object ? '}' : ']';
  }
  std::string take() { return std::move(text_); }

 private:
  static bool flat(const JsonValue& value) {
    if (!value.is_array()) return false;
    for (const JsonValue element : value) {
      if (!element.is_number()) return false;
    }
    return true;
  }
  void line(std::size_t depth) {
    text_ += style_.newline + style_.base;
    for (std::size_t i = 0; i < depth; ++i) text_ += style_.unit;
  }

  const Style& style_;
  std::string text_;
};

}  // namespace

JsonValue last_of(const JsonValue& container) {
  JsonValue last;
  for (const JsonValue value : container) last = value;
  return last;
}

Style style_of(const JsonDocument& document, const JsonValue& sample) {
  Style style;
  const std::string_view text = document.text();
  if (!sample.exists()) return style;
  style.base = after_last_line(space_before(text, sample.key_offset()));
  JsonValue object = sample;  // a list says nothing about members
  while (object.exists() && !object.is_object()) object = object.at(0);
  if (!object.exists() || object.size() == 0) return style;
  const JsonValue first = object.at(0), second = object.at(1);
  style.colon = colon_before(text, first);
  const std::string_view space = space_before(text, first.key_offset());
  style.lines = space.find('\n') != space.npos;
  if (!style.lines) {
    if (second.exists()) style.comma = slice(text, first.end_offset(), second.key_offset());
    return style;
  }
  if (space.find("\r\n") != space.npos) style.newline = "\r\n";
  const std::string_view inner = after_last_line(space);
  if (inner.starts_with(style.base)) style.unit = inner.substr(style.base.size());
  if (style.unit.empty()) style.unit = "  ";
  for (const JsonValue member : object) {
    if (!member.is_array() || member.size() == 0 || !member.at(0).is_number()) continue;
    style.flat_numbers = member.raw().find('\n') == std::string_view::npos;
    if (member.size() > 1) {
      const std::string_view between =
          slice(text, member.at(0).end_offset(), member.at(1).offset());
      if (style.flat_numbers) style.comma = between;
    }
    break;
  }
  return style;
}

std::string restyle(const std::string& json, const Style& style) {
  const auto document = JsonDocument::parse(json);
  assert(document.ok());
  Restyler restyler(style);
  restyler.write(document->root(), 0);
  return restyler.take();
}

std::string gap_of(const JsonDocument& document, const JsonValue& container) {
  JsonValue before, last;
  for (const JsonValue value : container) before = last, last = value;
  if (!last.exists()) return "";
  if (!before.exists()) {
    return "," + std::string(space_before(document.text(), last.key_offset()));
  }
  return std::string(slice(document.text(), before.end_offset(), last.key_offset()));
}

}  // namespace ebb
