// SPDX-License-Identifier: Apache-2.0
// What the commands share: exit codes, and how an error is told.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "ebb/result.h"

namespace ebb::cli {

/// Exit codes, the same for every command.
enum Exit { kAnswered = 0, kWorse = 1, kUsage = 2, kInput = 3, kInternal = 4 };

/// Prints `ebb plan: file:line: what is wrong` on stderr and gives the exit code that goes with it.
int fail(const std::string& command, const Error& error);

/// One subcommand: declares its arguments on `app` and returns what runs it.
struct Command {
  const char* name;
  const char* description;
  std::function<int()> (*declare)(CLI::App& app);
  const char* group;  ///< its heading in the list of commands
};

std::function<int()> declare_apply(CLI::App& app);
std::function<int()> declare_calibrate(CLI::App& app);
std::function<int()> declare_clean(CLI::App& app);
std::function<int()> declare_plan(CLI::App& app);
std::function<int()> declare_explain(CLI::App& app);
std::function<int()> declare_compare(CLI::App& app);
std::function<int()> declare_launch(CLI::App& app);
std::function<int()> declare_simulate(CLI::App& app);
std::function<int()> declare_convert(CLI::App& app);
std::function<int()> declare_show(CLI::App& app);
std::function<int()> declare_undo(CLI::App& app);

/// Whether stdout is a terminal that wants colour (NO_COLOR and TERM=dumb are honoured).
bool stdout_wants_colour();

}  // namespace ebb::cli
