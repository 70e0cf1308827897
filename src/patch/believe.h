// SPDX-License-Identifier: Apache-2.0
// Whether a record of undo leads back to what Ebb's own edits can have started from. The record
// stands in the file itself, and a file may come from anybody: one that swaps the workflow for
// another is as easily written as a right one.
#pragma once

#include "json/document.h"

namespace ebb {

/// Whether nothing separates the two but marked nodes on links, tiled decoders, exchanged inputs
/// and counters.
bool only_our_edits(const JsonDocument& original, const JsonDocument& patched);

/// The mark on a node of a graph (in `properties`) or a prompt (in `_meta`); absent if there is
/// none.
JsonValue mark_of(const JsonValue& node, bool api);

}  // namespace ebb
