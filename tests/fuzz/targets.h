// SPDX-License-Identifier: Apache-2.0
// What is fuzzed: each target reads any bytes, and must neither crash nor hang nor leak.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ebb::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view bytes);
  std::string_view magic = {};  ///< written over the input at `magic_at`, to get past the door
  std::size_t magic_at = 0;
};

/// All targets; tests/fuzz/run.sh takes their names from the binary itself.
std::span<const Target> targets();

/// A file in memory with these bytes, overwritten by the next call.
const std::string& memory_file(std::string_view bytes);

/// A graph or prompt through everything that `ebb plan` does but the report.
void plan_workflow(std::string_view bytes);

// What changes a file's text; each checks what it makes.
void undo_workflow(std::string_view bytes);
void patch_workflow(std::string_view bytes);
void clean_workflow(std::string_view bytes);

// How a run is told.
void explain_workflow(std::string_view bytes);
void compare_workflow(std::string_view bytes);
void draw_workflow(std::string_view bytes);
void launch_workflow(std::string_view bytes);

}  // namespace ebb::fuzz
