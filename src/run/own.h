// SPDX-License-Identifier: Apache-2.0
// What the nodes of Ebb's own pack, where a prompt has them, do when it runs.
#pragma once

#include "ebb/pass.h"
#include "ebb/workflow.h"

namespace ebb {

/// Cuts and budgets of `UnloadModels`, `EbbCut` and `EbbBudget`. A budget of 0 (the node's own
/// figure) changes nothing here.
Levers own_levers(const Prompt& prompt, const Passes& passes);

}  // namespace ebb
