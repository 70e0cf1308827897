// SPDX-License-Identifier: Apache-2.0
// Text from a file on its way to a terminal or into JSON: names, titles and messages may hold
// anything, an escape sequence that renames a window as well.
#pragma once

#include <string>
#include <string_view>

namespace ebb {

/// `text` on one line and harmless: control characters (a file name may carry terminal escapes)
/// and direction overrides become `?`.
std::string printable(std::string_view text);

/// The same for text of several lines.
std::string printable_lines(std::string_view text);

/// A JSON string with this value, in valid UTF-8; what must not reach a terminal is escaped.
std::string json_quote(std::string_view text);

}  // namespace ebb
