// SPDX-License-Identifier: Apache-2.0
// What Ebb's own nodes in a prompt do when it runs.
#pragma once

#include "ebb/pass.h"

namespace ebb {

/// Whether a node ends the pass before it.
bool makes_cut(std::string_view class_type);

/// The cuts and budgets of the nodes UnloadModels, EbbCut and EbbBudget, as the pack carries them
/// out (docs/nodes.md): a drop keeps what a later step still needs.
Levers levers_of_nodes(const Prompt& prompt, const Passes& passes);

}  // namespace ebb
