// SPDX-License-Identifier: Apache-2.0
// How a patch is shown: in the words of the workflow, as lines of the file.
#pragma once

#include <string>

#include "ebb/run.h"

namespace ebb::cli {

/// The changes as an indented list.
std::string words_of(const PatchResult& result);

/// Lines of the file that change, `-` before and `+` after; long lines only around the change.
std::string lines_of(const PatchResult& result);

}  // namespace ebb::cli
