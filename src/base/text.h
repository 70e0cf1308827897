// SPDX-License-Identifier: Apache-2.0
// Small questions about text that the standard library answers at length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);  ///< ASCII only
bool equal_ignoring_case(std::string_view a, std::string_view b);
/// At most so many bytes, a whole number of UTF-8 characters, and `...` where something is missing:
/// a name in a message is there to be recognised.
std::string cut_text(std::string_view text, std::size_t bytes = 100);
bool contains(std::string_view text, std::string_view part);
std::vector<std::string_view> split(std::string_view text, char separator);

/// The whole of `text` as a number, whatever the locale; nothing if anything is left over.
std::optional<double> parse_double(std::string_view text);
std::optional<std::int64_t> parse_int(std::string_view text);

/// File name without folders; both kinds of slashes count.
std::string_view base_name(std::string_view path);

/// Number of edits (insert, delete, change) between two words; for "did you mean".
int edit_distance(std::string_view a, std::string_view b);

}  // namespace ebb
