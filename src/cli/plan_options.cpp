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
  constexpr const char* kMachine = "The machine";
  constexpr const char* kComfyui = "ComfyUI";
  constexpr const char* kSizes = "Sizes";
  const auto add = [&](const char* group, const char* name, auto& value, const char* what,
                       const char* help) {
    return app.add_option(name, value, help)->type_name(what)->group(group);
  };
  add(kMachine, "--gpu", a.gpu, "CARD",
      "such as rtx5090 or \"RTX 4070 Ti\"; this machine's if absent");
  add(kMachine, "--vram", a.vram, "SIZE", "of the card: 24 and 24GB as on the box, or 24564MiB");
  add(kMachine, "--vram-free", a.vram_free, "SIZE", "free before ComfyUI loads its first model");
  add(kMachine, "--ram", a.ram, "SIZE", "of the machine: 64, 64GB");
  add(kMachine, "--os", a.os, "OS", "linux or windows");
  add(kMachine, "--machine", a.machine_file, "FILE", "read the machine from this file");
  add(kComfyui, "--comfyui", a.comfyui, "DIR|VERSION", kComfyuiHelp);
  add(kComfyui, "--flags", a.flags, "FLAGS",
      "ComfyUI's own, such as \"--reserve-vram 4\"; @FILE takes those of a launch file");
  add(kComfyui, "--object-info", a.object_info, "URL|FILE",
      "your server's address, or a saved answer to its GET /object_info, for packs");
  add(kComfyui, "--models", a.models, "DIR", "ComfyUI's models folder; may be given again")
      ->allow_extra_args(false);
  add(kComfyui, "--input", a.input, "DIR",
      "ComfyUI's input folder, for the sizes of pictures and videos; --comfyui DIR knows it");
  add(kComfyui, "--bytes", a.bytes, "NAME=SIZE", "size of a model file that is not at hand")
      ->allow_extra_args(false);
  add(kSizes, "--frames", a.frames, "N", "one count replaces the workflow's; more make a table")
      ->delimiter(',')
      ->allow_extra_args(false);
  add(kSizes, "--size", a.sizes, "WxH", "in pixels; one replaces, more make a table")
      ->delimiter(',')
      ->allow_extra_args(false);
}

void declare_run(CLI::App& app, PlanArguments& a) {
  app.add_option("FILE", a.file, "a workflow, or media that carry one; - reads stdin")
      ->required()
      ->type_name(" ");
  declare_machine(app, a);
  app.add_flag("--json", a.json, "print everything as one JSON object (docs/json.md)")
      ->group("Output");
  app.add_option("--color", a.colour, "auto, always or never; text without a verdict has none")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""))
      ->group("Output");
}

void declare(CLI::App& app, PlanArguments& a) {
  constexpr const char* kOutput = "Output";
  declare_run(app, a);
  const auto add = [&](const char* name, std::string& value, const char* what, const char* help) {
    return app.add_option(name, value, help)->type_name(what)->group(kOutput);
  };
  add("--html", a.html, "FILE", "write the page with picture and tables to this file");
  add("--svg", a.svg, "FILE", "write the picture alone to this file");
  add("--save-machine", a.save_machine, "FILE", "write the machine used to this file");
  app.add_flag("--again", a.again,
               "print what a second queue runs and reads when one value changes")
      ->group(kOutput);
  add("--fail-on", a.fail_on, "VERDICT",
      "exit with 1 if the verdict is worse than this one: fits, tight, offloads, ...");
  app.footer(kExamples);
}

Result<PlanOptions> understand(const PlanArguments& arguments) {
  auto run = understand(static_cast<const RunArguments&>(arguments));
  if (!run) return run.error();
  PlanOptions options;
  static_cast<RunOptions&>(options) = *std::move(run);
  options.object_info = arguments.object_info;
  if (!arguments.fail_on.empty()) {
    for (const Verdict verdict :
         {Verdict::fits, Verdict::tight, Verdict::offloads, Verdict::may_run_out,
          Verdict::ram_short, Verdict::spills, Verdict::unknown}) {
      if (arguments.fail_on == to_string(verdict)) options.fail_on = verdict;
    }
    if (!options.fail_on) {
      return usage_error(fmt::format("--fail-on: \"{}\" is no verdict", arguments.fail_on),
                         "It is one of fits, tight, offloads, may_run_out, ram_short, spills, "
                         "unknown.");
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
