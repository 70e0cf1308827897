// SPDX-License-Identifier: Apache-2.0
// ComfyUI's flags as the words of a command line, before any quoting.
#pragma once

#include <string>
#include <vector>

#include "ebb/machine.h"

namespace ebb {

/// Errors: as for the text.
Result<ComfyFlags> parse_comfy_flags(const std::vector<std::string>& words);

/// One flag and its values.
using FlagWords = std::vector<std::string>;

/// The flags in a fixed order, memory first.
std::vector<FlagWords> to_words(const ComfyFlags& flags);

/// `words` as one text that parse_comfy_flags reads as these words.
std::string join_words(const std::vector<std::string>& words);

}  // namespace ebb
