// SPDX-License-Identifier: Apache-2.0
// Quoting for the few lines of JSON that commands write themselves.
#pragma once

#include <string>

#include "ebb/printable.h"

namespace ebb::cli {

inline std::string quoted(const std::string& text) { return json_quote(text); }

}  // namespace ebb::cli
