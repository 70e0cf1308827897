// SPDX-License-Identifier: Apache-2.0
// What the commands share: exit codes, and how an error is told.
#pragma once

#include <functional>
#include <string>

#include "cli/options.h"
#include "ebb/result.h"

namespace ebb::cli {

/// Exit codes, the same for every command.
enum Exit { kAnswered = 0, kWorse = 1, kUsage = 2, kInput = 3, kInternal = 4 };

/// Prints `ebb plan: file:line: what is wrong` on stderr and gives the exit code that goes with it.
int fail(const std::string& command, const Error& error);

std::function<int()> declare_apply(Options& options);
std::function<int()> declare_calibrate(Options& options);
std::function<int()> declare_clean(Options& options);
std::function<int()> declare_plan(Options& options);
std::function<int()> declare_explain(Options& options);
std::function<int()> declare_compare(Options& options);
std::function<int()> declare_launch(Options& options);
std::function<int()> declare_simulate(Options& options);
std::function<int()> declare_convert(Options& options);
std::function<int()> declare_show(Options& options);
std::function<int()> declare_undo(Options& options);

/// Whether stdout is a terminal that wants colour (NO_COLOR and TERM=dumb are honoured).
bool stdout_wants_colour();

}  // namespace ebb::cli
