// SPDX-License-Identifier: Apache-2.0
// A policy is what ComfyUI does by itself, per version and flags, simulated.
#pragma once

#include "ebb/machine.h"
#include "ebb/pass.h"

namespace ebb {

/// Plays the passes through ComfyUI's memory manager: loads, evictions, partial loads, RAM holders,
/// bytes over link and disk, seconds where rates are known. Weights of unknown size take no room
/// and are named in the notes. Levers of a plan act where it puts them.
Timeline simulate(const Passes& passes, const Machine& machine, const Levers& levers = {});

}  // namespace ebb
