// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <fmt/format.h>

#include "ebb/printable.h"

namespace ebb {
namespace {

/// Control characters, direction overrides, and what XML 1.0 has no way to write.
bool harmful(char32_t code) {
  return code < 0x20 || within(code, {{0x7F, 0x9F},
                                      {0x200E, 0x200F},
                                      {0x2028, 0x202E},
                                      {0x2066, 0x2069},
                                      {0xFFFE, 0xFFFF}});
}

std::string harmless(std::string_view text, bool lines) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = next_code_point(text, at);
    const bool broken = code == kReplacement && at - start == 1;
    if (code == '\n' || code == '\t') {
      result += code == '\n' && lines ? '\n' : ' ';
    } else if (broken || harmful(code)) {
      result += '?';
    } else {
      result += text.substr(start, at - start);
    }
  }
  return result;
}

/// Half of a pair that stands for one character, which JSON can hold alone: \ud83d. Such a half is
/// kept as the three bytes that it would have in UTF-8 if it were a character; 0 if there is none.
char32_t lone_surrogate(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  if (text.size() - at < 3 || byte(0) != 0xED) return 0;
  if (byte(1) < 0xA0 || byte(1) > 0xBF || (byte(2) & 0xC0U) != 0x80) return 0;
  return 0xD000U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
}

void quote_character(std::string& out, std::string_view text, std::size_t& at) {
  if (const char32_t half = lone_surrogate(text, at)) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(half));
    at += 3;
    return;
  }
  const std::size_t start = at;
  const char32_t code = next_code_point(text, at);
  if (code == kReplacement) {
    out += "\xEF\xBF\xBD";
  } else if (harmful(code)) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(code));
  } else {
    out += text.substr(start, at - start);
  }
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  const int length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (length == 0 || first > 0xF4 || at + static_cast<std::size_t>(length) > text.size()) {
    return ++at, kReplacement;
  }
  if (length == 1) return ++at, static_cast<char32_t>(first);
  char32_t code = first & (0x7Fu >> length);
  for (int i = 1; i < length; ++i) {
    const unsigned next = byte(at + static_cast<std::size_t>(i));
    if ((next & 0xC0) != 0x80) return ++at, kReplacement;
    code = (code << 6) | (next & 0x3F);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return ++at, kReplacement;
  at += static_cast<std::size_t>(length);
  return code;
}

std::string valid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const bool broken = next_code_point(text, at) == kReplacement && at - start == 1;
    result += broken ? std::string_view("\xEF\xBF\xBD") : text.substr(start, at - start);
  }
  return result;
}

std::string printable(std::string_view text) { return harmless(text, false); }

std::string printable_lines(std::string_view text) { return harmless(text, true); }

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) {
          quote_character(out, text, at);
          continue;
        }
        out += c;
    }
    ++at;
  }
  return out += '"';
}

}  // namespace ebb
