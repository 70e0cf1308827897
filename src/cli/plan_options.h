// SPDX-License-Identifier: Apache-2.0
// The arguments of `ebb plan`, as typed and as understood; most are those of other commands too.
#pragma once

#include <optional>
#include <string>

#include "cli/options.h"
#include "ebb/run.h"

namespace ebb::cli {

constexpr const char* kComfyuiHelp =
    "ComfyUI's version, such as 0.3.73, or its folder: version, flags and models are read there";

/// As typed; empty means absent.
struct PlanArguments : RunArguments {
  std::string file, save_machine;
  std::string html, svg, colour = "auto", fail_on;
  bool json = false;
  bool again = false;
};

/// As understood.
struct PlanOptions : RunOptions {
  std::optional<Verdict> fail_on;
  std::string object_info;  ///< file or address of a server's definitions
};

/// The machine and the sizes: what every command that predicts a run takes.
void declare_machine(Options& options, PlanArguments& arguments);
/// The same, the workflow and --json.
void declare_run(Options& options, PlanArguments& arguments);
/// All of that and what only `ebb plan` takes.
void declare(Options& options, PlanArguments& arguments);
Result<PlanOptions> understand(const PlanArguments& arguments);

/// A file's run. Errors: as predict_run; an option that is not usable, a file that is no workflow.
Result<Run> predict_file(const std::string& file, const PlanOptions& options);

/// `ebb plan --again`; returns the exit code.
int run_again(const PlanArguments& arguments, const PlanOptions& options);

}  // namespace ebb::cli
