// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_options.h"

#include <fmt/format.h>

#include <algorithm>

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

void declare_machine(Options& options, PlanArguments& a) {
  for (const OptionRow& row : option_rows()) {
    if (!row.group) continue;
    std::string name = std::string("--") + row.name;
    std::ranges::replace(name, '_', '-');
    Option option = std::visit(
        [&](auto place) {
          return options.value(name, static_cast<RunArguments&>(a).*place, row.what, row.help);
        },
        row.place);
    option.group(row.group);
    if (row.lists) option.separated_by_commas();
  }
}

void declare_run(Options& options, PlanArguments& a) {
  options.positional("FILE", a.file, "a workflow, or media that carry one; - reads stdin");
  declare_machine(options, a);
  options.flag("--json", a.json, "print everything as one JSON object (docs/json.md)")
      .group("Output");
  options
      .value("--color", a.colour, "WHEN", "auto, always or never; text without a verdict has none")
      .one_of({"auto", "always", "never"})
      .group("Output");
}

void declare(Options& options, PlanArguments& a) {
  constexpr const char* kOutput = "Output";
  declare_run(options, a);
  const auto add = [&](const char* name, std::string& value, const char* what, const char* help) {
    options.value(name, value, what, help).group(kOutput);
  };
  add("--html", a.html, "FILE", "write the page with picture and tables to this file");
  add("--svg", a.svg, "FILE", "write the picture alone to this file");
  add("--save-machine", a.save_machine, "FILE", "write the machine used to this file");
  options
      .flag("--again", a.again, "print what a second queue runs and reads when one value changes")
      .group(kOutput);
  add("--fail-on", a.fail_on, "VERDICT",
      "exit with 1 if the verdict is worse than this one: fits, tight, offloads, ...");
  options.footer(kExamples);
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
