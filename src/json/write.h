// SPDX-License-Identifier: Apache-2.0
// Writing JSON: quoting, numbers as JavaScript spells them, and a writer for new documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/printable.h"

namespace ebb {

/// The position of the first quote or backslash at or after `from`; the size if there is none.
std::size_t json_stop(std::string_view text, std::size_t from);

/// Decodes the quoted string that `text` starts with; what follows its closing quote is ignored.
std::string json_unquote(std::string_view text);

/// The shortest spelling that reads back as the same double, as JavaScript's Number::toString
/// gives it: `1`, `0.1`, `1e-7`, `1e+22`; NaN and infinities become `null`, as JSON.stringify does.
std::string json_number(double value);

/// Builds a document member by member, indented by two spaces, or all of it on one line.
class JsonWriter {
 public:
  explicit JsonWriter(bool one_line = false) : one_line_(one_line) {}
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text) { return raw(json_quote(text)); }
  JsonWriter& value(const char* text) { return raw(json_quote(text)); }
  JsonWriter& value(std::int64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(int number) { return raw(std::to_string(number)); }
  JsonWriter& value(double number) { return raw(json_number(number)); }
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  template <class T>
  JsonWriter& value(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : null();
  }
  template <class T>
  JsonWriter& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }
  /// JSON text that is already right.
  JsonWriter& raw(std::string_view text);

  /// The document with a final line break. REQUIRES: everything opened is closed.
  std::string finish() &&;

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();
  void next_line();

  bool one_line_;
  std::string text_;
  std::vector<bool> has_members_;
  bool after_key_ = false;
};

}  // namespace ebb
