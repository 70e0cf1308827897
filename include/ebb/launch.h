// SPDX-License-Identifier: Apache-2.0
// The script that starts ComfyUI with the flags that suit some workflows: which flags, what each
// gains by prediction, which are left out, and the script's text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/machine.h"
#include "ebb/plan.h"

namespace ebb {

/// One workflow that the script is for, predicted with the flags as they are today.
struct LaunchRun {
  std::string file;
  Trial trial;
  Prediction prediction;
  Predict predict;
};

struct LaunchFlag {
  std::vector<std::string> words;  ///< `--reserve-vram`, `4`
  std::string reason;              ///< what it does here, or why it is not there
};

/// What the flags make of one workflow.
struct LaunchEffect {
  std::string file;
  Outcome before, after;
  /// As largest_resident_frames; only where one of both offloads.
  std::optional<std::int64_t> frames_before, frames_after;
};

struct LaunchPlan {
  Machine machine;  ///< with the flags decided on
  ComfyFlags before;
  std::vector<LaunchFlag> kept;      ///< in the script
  std::vector<LaunchFlag> added;     ///< in the script, not there before
  std::vector<LaunchFlag> dropped;   ///< there before, not in the script
  std::vector<LaunchFlag> left_out;  ///< often recommended, not in the script
  std::vector<LaunchEffect> effects;
};

/// The flags for all runs: of the sets that the flag levers of the plan lead to, the one with the
/// best worst verdict, then the best verdicts in all, then the fewest flags, then the least
/// offloaded. Flags that `checkout` does not define are dropped first. Every reason that speaks of
/// memory or seconds is the difference of two predictions. Errors: no run; a prediction that fails.
/// REQUIRES: the same machine in all runs.
Result<LaunchPlan> plan_launch(const std::vector<LaunchRun>& runs, const Checkout& checkout);

/// `offloaded 1,646 -> 0 MiB; then it fits; limit 65 -> 85 frames`; empty if nothing changes.
std::string to_string(const LaunchEffect& effect, const Machine& machine);

enum class ScriptKind { sh, bat };

/// How the script starts this ComfyUI. Paths are spelled as its shell has them.
struct LaunchStart {
  ScriptKind kind = ScriptKind::sh;
  std::string folder;                ///< to change to; empty: the script's own
  std::vector<std::string> command;  ///< `venv/bin/python`, `main.py`
  std::string python_from;           ///< `python_embeded`, `venv`, `given`, `PATH`
};

/// Finds Python and main.py. `script`: where the script will be, empty if it is only printed;
/// `python`: given by the user, or empty. Errors: a .bat outside the folder that Windows could not
/// find it from; a path with line breaks.
Result<LaunchStart> find_start(const Checkout& checkout, ScriptKind kind, const std::string& script,
                               const std::string& python);

/// What changes and why, for the terminal: at most 100 columns.
std::string to_text(const LaunchPlan& plan);
/// The script: comments with the reasons, then the command. Errors: a flag's value that no script
/// can spell (a line break), a line that cmd.exe would cut off.
Result<std::string> to_script(const LaunchPlan& plan, const LaunchStart& start);
/// The object documented in docs/launch.md, schema ebb.launch/1.
std::string to_json(const LaunchPlan& plan, const LaunchStart& start, const std::string& script,
                    const std::vector<std::string>& notes);

}  // namespace ebb
