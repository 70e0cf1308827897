// SPDX-License-Identifier: Apache-2.0
// Where a changed workflow goes: over the file itself, which is kept as FILE.bak, or elsewhere.
#pragma once

#include <optional>
#include <string>

#include "ebb/file.h"

namespace ebb::cli {

struct Target {
  bool in_place = false, force = false;
  std::string file, output;
};

/// The file that is to be written over as it is now, before it is read; nothing if none is.
Result<std::optional<FileState>> input_state(bool in_place, const std::string& file,
                                             const std::string& output);

/// Errors: the file that is written over was changed since.
Result<Done> write_result(const Target& target, const std::optional<FileState>& was,
                          const std::string& text);

}  // namespace ebb::cli
