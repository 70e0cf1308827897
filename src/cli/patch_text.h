// SPDX-License-Identifier: Apache-2.0
// How a patch is shown: in the words of the workflow, as lines of the file, as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebb/patch.h"

namespace ebb::cli {

/// What became of one file.
struct PatchResult {
  std::string file;
  std::string original;  ///< text before
  Patch patch;
  bool already = false;           ///< our nodes were there and stay as they are
  std::vector<std::string> plan;  ///< why nothing, or what the plan is: a line each
  std::string written;            ///< path; empty if nothing was written
  std::string error;              ///< of this file, in folders
  bool changed() const { return error.empty() && !already && !patch.changes_nothing(); }
};

/// The changes as an indented list.
std::string words_of(const PatchResult& result);

/// Lines of the file that change, `-` before and `+` after; long lines only around the change.
std::string lines_of(const PatchResult& result);

/// One line of JSON: schema ebb.apply/1 (docs/patch.md).
std::string json_of(const PatchResult& result);

}  // namespace ebb::cli
