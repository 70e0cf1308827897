// SPDX-License-Identifier: Apache-2.0
#include "workflow/js_value.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "json/write.h"

namespace ebb {
namespace {

void write(const JsonValue& value, std::string& text);

struct Member {
  std::string key;
  JsonValue value;
};

/// Members in the order JavaScript would list them.
std::vector<Member> members_of(const JsonValue& object) {
  std::vector<Member> members;
  std::unordered_map<std::string, std::size_t> seen;
  for (const JsonValue member : object) {
    std::string key = member.key();
    const auto [at, fresh] = seen.try_emplace(key, members.size());
    if (fresh) {
      members.push_back({std::move(key), member});
    } else {
      members[at->second].value = member;
    }
  }
  std::ranges::stable_sort(members, {}, [](const Member& member) {
    const auto index = js_array_index(member.key);
    return index ? static_cast<std::uint64_t>(*index) : ~0ULL;
  });
  return members;
}

void write_object(const JsonValue& value, std::string& text) {
  text += '{';
  for (bool first = true; const Member& member : members_of(value)) {
    if (!std::exchange(first, false)) text += ',';
    text += json_quote(member.key);
    text += ':';
    write(member.value, text);
  }
  text += '}';
}

void write_array(const JsonValue& value, std::string& text) {
  text += '[';
  for (bool first = true; const JsonValue element : value) {
    if (!std::exchange(first, false)) text += ',';
    write(element, text);
  }
  text += ']';
}

void write(const JsonValue& value, std::string& text) {
  switch (value.kind()) {
    case JsonKind::object: return write_object(value, text);
    case JsonKind::array: return write_array(value, text);
    case JsonKind::number: text += json_number(*value.number()); return;
    case JsonKind::string: text += json_quote(value.string()); return;
    default: text += value.raw();
  }
}

/// Nothing for numbers of more than 38 digits.
std::optional<unsigned __int128> base_ten(std::string_view digits) {
  constexpr std::size_t kDigitsMax = 38;
  if (digits.size() > kDigitsMax) return std::nullopt;
  unsigned __int128 value = 0;
  for (const char c : digits) value = value * 10 + static_cast<unsigned>(c - '0');
  return value;
}

}  // namespace

std::string js_text(const JsonValue& value) {
  std::string text;
  write(value, text);
  return text;
}

bool js_rounds(const JsonValue& value) {
  constexpr std::size_t kExactDigits = 15;
  if (!value.is_number()) return false;
  std::string_view digits = value.raw();
  if (digits.starts_with('-')) digits.remove_prefix(1);
  if (digits.size() <= kExactDigits || digits.find_first_not_of("0123456789") != digits.npos) {
    return false;
  }
  const auto exact = base_ten(digits);
  return !exact || static_cast<unsigned __int128>(*value.number() < 0 ? -*value.number()
                                                                      : *value.number()) != *exact;
}

std::optional<std::string> js_id(const JsonValue& value) {
  if (value.is_string()) return value.string();
  if (!value.is_number()) return std::nullopt;
  const auto raw = value.raw();
  const bool plain = raw.size() < 16 && (raw[0] != '0' || raw.size() == 1) &&
                     std::ranges::all_of(raw, [](char c) { return c >= '0' && c <= '9'; });
  return plain ? std::string(raw) : json_number(*value.number());
}

std::optional<std::uint32_t> js_array_index(std::string_view key) {
  if (key.empty() || key.size() > 10 || (key[0] == '0' && key.size() > 1)) return std::nullopt;
  std::uint64_t index = 0;
  for (const char c : key) {
    if (c < '0' || c > '9') return std::nullopt;
    index = index * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (index > 0xFFFFFFFEULL) return std::nullopt;
  return static_cast<std::uint32_t>(index);
}

std::vector<JsonValue> elements_of(const JsonValue& array) {
  std::vector<JsonValue> elements;
  elements.reserve(array.size());
  for (const JsonValue element : array) elements.push_back(element);
  return elements;
}

std::string js_string(std::string_view text) {
  if (text.empty() || text == "null") return {};
  if (text[0] == '"') return json_unquote(text);
  return text[0] == '{' ? "[object Object]" : std::string(text);
}

}  // namespace ebb
