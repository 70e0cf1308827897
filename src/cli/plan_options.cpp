// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_options.h"

#include <fmt/format.h>

#include "cli/input.h"

namespace ebb::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb plan flow.json                                    for this machine\n"
    "  ebb plan flow.json --gpu rtx5090 --ram 64G --os windows --flags \"--reserve-vram 4\" \\\n"
    "                     --frames 61,73,81,121,161\n"
    "  ebb plan flow.json --comfyui ~/ComfyUI --flags @launch.sh    all of it read there\n"
    "  ebb plan flow.json --vram 24G --models ~/ComfyUI/models --json\n"
    "  ebb plan flow.json --vram 12G --bytes my_model.safetensors=13.3GiB\n"
    "  ebb plan picture.png --gpu rtx4070 --html timeline.html --svg timeline.svg\n"
    "  ebb plan flow.json --again --flags --cache-none       what runs again after a change\n"
    "Exit codes: 0 answered, 1 worse than --fail-on, 2 bad usage, 3 bad input, 4 internal error.";

}  // namespace

void declare_machine(CLI::App& app, PlanArguments& a) {
  app.add_option("--gpu", a.gpu, "the card, such as rtx5090 (default: this machine's)");
  app.add_option("--vram", a.vram, "VRAM in total, such as 24G or 32607MiB");
  app.add_option("--vram-free", a.vram_free, "VRAM free before ComfyUI loads its first model");
  app.add_option("--ram", a.ram, "RAM in total");
  app.add_option("--os", a.os, "linux or windows");
  app.add_option("--comfyui", a.comfyui, kComfyuiHelp);
  app.add_option("--flags", a.flags,
                 "ComfyUI's own flags, such as \"--reserve-vram 4\"; @FILE takes those of a launch "
                 "file");
  app.add_option("--object-info", a.object_info,
                 "your server's address, or a saved answer to its GET /object_info, for packs");
  app.add_option("--models", a.models, "ComfyUI's models folder; may be given several times")
      ->allow_extra_args(false);
  app.add_option("--bytes", a.bytes, "NAME=SIZE of a model file that is not at hand")
      ->allow_extra_args(false);
  app.add_option("--frames", a.frames, "one count replaces the workflow's; more make a table")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--size", a.sizes, "WxH in pixels; one replaces, more make a table")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--machine", a.machine_file, "read the machine from this file");
}

void declare_run(CLI::App& app, PlanArguments& a) {
  app.add_option("FILE", a.file, "a workflow, or media that carry one; - reads stdin")->required();
  declare_machine(app, a);
  app.add_flag("--json", a.json, "print everything as one JSON object (docs/json.md)");
}

void declare(CLI::App& app, PlanArguments& a) {
  declare_run(app, a);
  app.add_option("--html", a.html, "write the page with picture and tables to this file");
  app.add_option("--svg", a.svg, "write the picture alone to this file");
  app.add_option("--save-machine", a.save_machine, "write the machine used to this file");
  app.add_flag("--again", a.again,
               "print what a second queue runs and reads when one value changes");
  app.add_option("--fail-on", a.fail_on,
                 "exit with 1 if the verdict is worse than this one: fits, tight, offloads, ...");
  app.add_option("--color", a.colour, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.footer(kExamples);
}

Result<PlanOptions> understand(const PlanArguments& arguments) {
  auto run = understand(static_cast<const RunArguments&>(arguments));
  if (!run) return run.error();
  PlanOptions options;
  static_cast<RunOptions&>(options) = *std::move(run);
  options.object_info = arguments.object_info;
  if (!arguments.fail_on.empty()) {
    for (const Verdict verdict : {Verdict::fits, Verdict::tight, Verdict::offloads,
                                  Verdict::ram_short, Verdict::spills, Verdict::unknown}) {
      if (arguments.fail_on == to_string(verdict)) options.fail_on = verdict;
    }
    if (!options.fail_on) {
      return usage_error(fmt::format("--fail-on: \"{}\" is no verdict", arguments.fail_on),
                         "It is one of fits, tight, offloads, ram_short, spills, unknown.");
    }
  }
  return options;
}

Result<Run> predict_file(const std::string& file, const PlanOptions& options) {
  const auto machine = resolve_machine(options.machine);
  if (!machine) return machine.error();
  return predict_run(read_prompt(file, options.object_info, *machine), shown_name(file), *machine,
                     options);
}

}  // namespace ebb::cli
