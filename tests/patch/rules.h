// SPDX-License-Identifier: Apache-2.0
// What must hold of every patch of every workflow.
#pragma once

#include <string>

#include "ebb/patch.h"

namespace ebb::test {

/// The wish of `ebb apply --with UnloadModels`.
PatchWish unload_wish();

/// Everything that can be put into a workflow, so that edits of all kinds meet.
PatchWish everything_wish(const Workflow& workflow);

struct Checked {
  Patch patch;
  bool read = false;    ///< false: the front end refuses the graph, so there is nothing to check
  bool edited = false;  ///< the patched file was rewritten as by a front end and undone as well
};

/// Patches and checks: undo gives the same bytes; patching twice is patching once; no switch is
/// left open that was not refused; a rewritten file loses our nodes and nothing else.
Checked check_rules(const std::string& text, const std::string& file, const PatchWish& wish);

}  // namespace ebb::test
