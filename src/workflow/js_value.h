// SPDX-License-Identifier: Apache-2.0
// JSON text as JavaScript's JSON.stringify would write what JSON.parse read: the form in which
// values reach ComfyUI's server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/document.h"

namespace ebb {

/// The value as JavaScript would send it: one double a number, of duplicate keys the last, keys
/// that look like array indices first and ascending, no spaces.
std::string js_text(const JsonValue& value);

/// Whether JavaScript reads an integer as another one, because it has more than 53 bits.
bool js_rounds(const JsonValue& value);

/// A node id as JavaScript's String() gives it; nothing for other kinds than numbers and strings.
std::optional<std::string> js_id(const JsonValue& value);

/// The place of a key among an object's numbered keys, if it looks like an array index.
std::optional<std::uint32_t> js_array_index(std::string_view key);

/// An array's elements, for access by position.
std::vector<JsonValue> elements_of(const JsonValue& array);

/// What JavaScript's String() makes of a value that `js_text` wrote; absent gives nothing.
std::string js_string(std::string_view text);

}  // namespace ebb
