// SPDX-License-Identifier: Apache-2.0
// The arguments of `ebb plan`, as typed and as understood; most are those of other commands too.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ebb/demand.h"
#include "ebb/machine.h"
#include "ebb/pass.h"
#include "ebb/weights.h"

namespace ebb::cli {

/// As typed; empty means absent.
struct PlanArguments {
  std::string file;
  std::string gpu, vram, vram_free, ram, os, comfyui, object_info, machine_file, save_machine;
  std::optional<std::string> flags;
  std::vector<std::string> models, bytes, frames, sizes;
  std::string html, svg, colour = "auto", fail_on;
  bool json = false;
  bool again = false;
};

/// As understood.
struct PlanOptions {
  MachineOptions machine;
  WeightsSearch search;
  SizeOverrides sizes;               ///< when --frames or --size names one value, it replaces
  std::vector<SizeOverrides> table;  ///< one row per value given
  std::optional<Verdict> fail_on;
  std::string object_info;         ///< file or address of a server's definitions
  std::vector<std::string> notes;  ///< what was detected in a ComfyUI folder
};

/// The machine and the sizes: what every command that predicts a run takes.
void declare_machine(CLI::App& app, PlanArguments& arguments);
/// The same, the workflow and --json.
void declare_run(CLI::App& app, PlanArguments& arguments);
/// All of that and what only `ebb plan` takes.
void declare(CLI::App& app, PlanArguments& arguments);
Result<PlanOptions> understand(const PlanArguments& arguments);

/// `ebb plan --again`; returns the exit code.
int run_again(const PlanArguments& arguments, const PlanOptions& options);

}  // namespace ebb::cli
