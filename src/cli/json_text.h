// SPDX-License-Identifier: Apache-2.0
// Quoting for the few lines of JSON that commands write themselves.
#pragma once

#include <fmt/format.h>

#include <string>

namespace ebb::cli {

inline std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace ebb::cli
