// SPDX-License-Identifier: Apache-2.0
// A policy is what ComfyUI does by itself, per version and flags, simulated.
#pragma once

#include <string>

#include "ebb/machine.h"
#include "ebb/pass.h"
#include "ebb/result.h"

namespace ebb {

/// Plays the passes through ComfyUI's memory manager: loads, evictions, partial loads, RAM holders,
/// bytes over link and disk, seconds where rates are known. Weights of unknown size take no room
/// and are named in the notes. Levers of a plan act where it puts them.
Timeline simulate(const Passes& passes, const Machine& machine, const Levers& levers = {});

/// The same for a prompt that is queued after another one, in the state that one left: `again` is
/// of the steps that run again (run_queue), with the same weights in the same order. One state per
/// step of `again`. With --cache-none nothing is left; results that are made again replace the old
/// ones.
Timeline simulate_again(const Passes& first, const Passes& again, const Machine& machine);

enum class ScenarioMode { play, check };

/// What became of a file of scenarios.
struct ScenarioReport {
  std::string text;   ///< each scenario with its results on a line; or a line per difference
  int equal = 0;      ///< decisions that are as recorded (check only)
  int different = 0;  ///< decisions that are not
};

/// Plays scenarios (docs/formats/scenario.md): one JSON object a line, plain or gzip. Results that
/// stand in the input are ignored, or compared with. Errors: broken JSON, a model that is in no
/// table, a shape or setting that is not usable; each with its line.
Result<ScenarioReport> simulate_scenarios(const std::string& text, ScenarioMode mode,
                                          const std::string& file = {});

}  // namespace ebb
