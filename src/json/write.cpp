// SPDX-License-Identifier: Apache-2.0
#include "json/write.h"

#include <fmt/format.h>

#include <cassert>
#include <charconv>
#include <cmath>

namespace ebb {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

std::uint32_t hex4(std::string_view text, std::size_t at) {
  std::uint32_t value = 0;
  if (at + 4 <= text.size()) std::from_chars(text.data() + at, text.data() + at + 4, value, 16);
  return value;
}

/// Decodes the escape at `at` (on the backslash) and returns the position after it.
std::size_t append_escape(std::string& out, std::string_view text, std::size_t at) {
  const char c = at + 1 < text.size() ? text[at + 1] : '\\';
  if (c != 'u') {
    static constexpr std::string_view kFrom = "bfnrt";
    static constexpr std::string_view kTo = "\b\f\n\r\t";
    const auto found = kFrom.find(c);
    out += found == std::string_view::npos ? c : kTo[found];
    return at + 2;
  }
  std::uint32_t code = hex4(text, at + 2);
  at += 6;
  if (code >= 0xd800 && code < 0xdc00 && text.substr(at).starts_with("\\u")) {
    const std::uint32_t low = hex4(text, at + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
  }
  append_utf8(out, code);
  return at;
}

}  // namespace

std::size_t json_stop(std::string_view text, std::size_t from) {
  while (from < text.size() && text[from] != '"' && text[from] != '\\') ++from;
  return from;
}

std::string json_unquote(std::string_view text) {
  std::string out;
  for (std::size_t at = 1; at < text.size() && text[at] != '"';) {
    const std::size_t stop = json_stop(text, at);
    out.append(text.substr(at, stop - at));
    at = stop < text.size() && text[stop] == '\\' ? append_escape(out, text, stop) : stop;
  }
  return out;
}

// ECMAScript, Number::toString: digits and exponent of the shortest form, then four layouts.
std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  if (value == 0) return "0";
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific);
  assert(error == std::errc());
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const auto e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(),
                  exponent);
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // position of the decimal point within the digits
  const std::string sign = value < 0 ? "-" : "";
  if (count <= point && point <= 21) return sign + digits + std::string(size_t(point - count), '0');
  if (0 < point && point <= 21) return sign + digits.insert(size_t(point), ".");
  if (-6 < point && point <= 0) return sign + "0." + std::string(size_t(-point), '0') + digits;
  if (count > 1) digits.insert(1, ".");
  return fmt::format("{}{}e{}{}", sign, digits, exponent < 0 ? '-' : '+', std::abs(exponent));
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  text_ += json_quote(name) + ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view text) {
  separate();
  text_ += text;
  return *this;
}

void JsonWriter::separate() {
  if (after_key_ || has_members_.empty()) {
    after_key_ = false;
    return;
  }
  if (has_members_.back()) text_ += one_line_ ? ", " : ",";
  next_line();
  has_members_.back() = true;
}

void JsonWriter::next_line() {
  if (!one_line_) text_.append(1, '\n').append(2 * has_members_.size(), ' ');
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  text_ += bracket;
  has_members_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  assert(!has_members_.empty());
  const bool had_members = has_members_.back();
  has_members_.pop_back();
  if (had_members) next_line();
  text_ += bracket;
  return *this;
}

std::string JsonWriter::finish() && {
  assert(has_members_.empty());
  text_ += '\n';
  return std::move(text_);
}

}  // namespace ebb
