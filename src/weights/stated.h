// SPDX-License-Identifier: Apache-2.0
// Sizes of files that the workflow states: which powers its author meant.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ebb/bytes.h"

namespace ebb {

struct StatedSize {
  std::int64_t bytes = 0;
  std::string text;  ///< as written: `19.53 GB`
  Message why;       ///< `powers of 1024, as of the files of known size beside it`
};

/// `stated`: by lower-case name without folder.
std::optional<StatedSize> stated_size(std::string_view name,
                                      const std::map<std::string, WrittenSize>& stated);

}  // namespace ebb
