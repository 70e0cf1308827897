// SPDX-License-Identifier: Apache-2.0
#include "cli/in_place.h"

#include <filesystem>

namespace ebb::cli {

Result<std::optional<FileState>> input_state(bool in_place, const std::string& file,
                                             const std::string& output) {
  std::error_code ignored;
  const bool itself = !output.empty() && std::filesystem::equivalent(file, output, ignored);
  if (!in_place && !itself) return std::optional<FileState>();
  const auto state = file_state(file);
  if (!state) return state.error();
  return std::optional(*state);
}

Result<Done> write_result(const Target& target, const std::optional<FileState>& was,
                          const std::string& text) {
  if (target.in_place) {
    return replace_file(target.file, text, *was, target.file + ".bak", target.force);
  }
  // -o that names the file itself, with --force: no backup was asked for.
  if (was && target.force) return replace_file(target.output, text, *was, "", true);
  return put_file(target.output, text, target.force);
}

}  // namespace ebb::cli
