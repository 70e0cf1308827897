// SPDX-License-Identifier: Apache-2.0
#include "json/document.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "json/write.h"

namespace ebb {

JsonValue JsonDocument::root() const { return {state_.get(), 0}; }

JsonKind JsonValue::kind() const {
  if (!state_) return JsonKind::absent;
  switch (state_->text[node().begin]) {
    case '{': return JsonKind::object;
    case '[': return JsonKind::array;
    case '"': return JsonKind::string;
    case 't':
    case 'f': return JsonKind::boolean;
    case 'n': return JsonKind::null;
    default: return JsonKind::number;
  }
}

std::size_t JsonValue::size() const { return state_ ? node().count : 0; }

JsonValue::Iterator JsonValue::begin() const {
  return size() == 0 ? end() : Iterator(state_, index_ + 1);
}

JsonValue::Iterator JsonValue::end() const { return {state_, state_ ? node().next : 0}; }

JsonValue JsonValue::find(std::string_view key) const {
  JsonValue found;
  if (!is_object()) return found;
  for (const JsonValue member : *this) {
    const auto quoted = std::string_view(state_->text).substr(member.node().key + 1);
    // Keys without escapes are compared where they stand.
    if (quoted.starts_with(key) && quoted.size() > key.size() && quoted[key.size()] == '"') {
      found = member;
    } else if (quoted[json_stop(quoted, 0)] == '\\' && member.key() == key) {
      found = member;
    }
  }
  return found;
}

JsonValue JsonValue::at(std::size_t index) const {
  if (index >= size()) return {};
  auto it = begin();
  while (index-- > 0) ++it;
  return *it;
}

std::string JsonValue::key() const {
  if (!state_ || node().key == 0) return {};
  return json_unquote(std::string_view(state_->text).substr(node().key));
}

std::string JsonValue::string() const { return is_string() ? json_unquote(raw()) : std::string(); }

bool JsonValue::is(std::string_view text) const { return is_string() && string() == text; }

std::optional<double> JsonValue::number() const {
  if (!is_number()) return std::nullopt;
  const auto text = raw();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text.ends_with("Infinity")) {
    return text[0] == '-' ? -std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::infinity();
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    return std::strtod(std::string(text).c_str(), nullptr);
  }
  return value;
}

std::optional<std::int64_t> JsonValue::integer() const {
  if (!is_number()) return std::nullopt;
  const auto text = raw();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  const double real = *number();
  if (real != std::floor(real) || !(std::abs(real) < 0x1p63)) return std::nullopt;
  return static_cast<std::int64_t>(real);
}

std::optional<bool> JsonValue::boolean() const {
  return kind() == JsonKind::boolean ? std::optional(raw()[0] == 't') : std::nullopt;
}

std::string JsonValue::text_or(std::string_view fallback) const {
  return is_string() ? string() : std::string(fallback);
}

std::string_view JsonValue::raw() const {
  if (!state_) return {};
  return std::string_view(state_->text).substr(node().begin, node().end - node().begin);
}

std::int64_t JsonValue::offset() const { return state_ ? node().begin : -1; }

std::int64_t JsonValue::end_offset() const { return state_ ? node().end : -1; }

std::int64_t JsonValue::key_offset() const {
  if (!state_) return -1;
  return node().key != 0 ? node().key : node().begin;
}

std::string JsonValue::pointer() const {
  std::string result;
  if (!state_) return result;
  for (JsonValue at(state_, 0); at.index_ != index_;) {
    std::size_t position = 0;
    auto child = at.begin();
    while (state_->nodes[child.index_].next <= index_) ++child, ++position;
    const bool named = at.is_object();
    at = *child;
    result += "/" + (named ? at.key() : std::to_string(position));
  }
  return result;
}

}  // namespace ebb
