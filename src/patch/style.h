// SPDX-License-Identifier: Apache-2.0
// How a file writes its JSON, so that new text looks like the text around it.
#pragma once

#include <string>
#include <string_view>

#include "json/document.h"

namespace ebb {

struct Style {
  bool lines = false;        ///< members on lines of their own
  bool flat_numbers = true;  ///< a list of numbers stands on one line even then
  std::string newline = "\n";
  std::string base;         ///< white space before a line at the element's own level
  std::string unit = "  ";  ///< one more level
  std::string colon = ":";  ///< between key and value
  std::string comma = ",";  ///< between members that stand on one line
};

/// As `sample`, one of the elements or members of a container, is written.
Style style_of(const JsonDocument& document, const JsonValue& sample);

/// `json`, which must be right, written in a style.
std::string restyle(const std::string& json, const Style& style);

/// What stands between the last two elements or members of `container`: what to put before
/// another one. For a single element its leading white space with a comma.
std::string gap_of(const JsonDocument& document, const JsonValue& container);

/// The last element or member; absent in an empty container.
JsonValue last_of(const JsonValue& container);

}  // namespace ebb
