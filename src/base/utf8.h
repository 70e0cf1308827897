// SPDX-License-Identifier: Apache-2.0
// UTF-8, read with care: any bytes may come.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace ebb {

constexpr char32_t kReplacement = 0xFFFD;

/// Reads one code point at `at` and moves past it; a broken byte gives U+FFFD and moves by one.
char32_t next_code_point(std::string_view text, std::size_t& at);

/// `text` as valid UTF-8; every broken byte becomes U+FFFD.
std::string valid_utf8(std::string_view text);

inline bool within(char32_t code, std::initializer_list<std::pair<char32_t, char32_t>> ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](auto range) { return code >= range.first && code <= range.second; });
}

}  // namespace ebb
