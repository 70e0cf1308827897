// SPDX-License-Identifier: Apache-2.0
// `ebb compare`: every combination of the values given, one row each.
#include "ebb/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/bytes.h"

namespace ebb::cli {
namespace {

constexpr std::size_t kRunsMax = 200;

constexpr const char* kExamples =
    "Options under \"What varies\" take several values, separated by commas; every combination is "
    "a\n"
    "row (200 at most). What is the same in all rows is said once above.\n\n"
    "Examples:\n"
    "  ebb compare flow.json --gpu rtx4090,rtx5090 --reserve-vram 0.7,4\n"
    "  ebb compare flow.json --comfyui 0.3.64,0.8.0,0.18.2 --gpu rtx5090 --os linux,windows\n"
    "  ebb compare flow.json --vram 12G,16G,24G --frames 49,81 --size 832x480,1280x720 --json\n"
    "  ebb compare flow.json --gpu rtx4070 --flags \"\" --flags --lowvram --flags --cache-none\n"
    "Exit codes: 0 answered, 2 bad usage, 3 bad input, 4 internal error.";

/// An option with several values, and how one of them gets into the arguments of a run.
struct Axis {
  const char* option;
  const char* what;  ///< one value of it
  const char* help;
  void (*set)(PlanArguments& arguments, const std::string& value);
};

void add_flag(PlanArguments& arguments, const std::string& text) {
  arguments.flags = arguments.flags ? *arguments.flags + " " + text : text;
}

/// ComfyUI's flag takes a bare number of GiB; a size with a unit is turned into one.
std::string in_gib(const std::string& text) {
  const auto size = parse_memory_size(text);
  return size && text.find_first_not_of("0123456789.") != std::string::npos
             ? fmt::format("{:g}", static_cast<double>(*size) / 0x1p30)
             : text;
}

constexpr Axis kAxes[] = {
    {"--comfyui", "VERSION|DIR", "versions of ComfyUI, or its folders",
     [](PlanArguments& a, const std::string& v) { a.comfyui = v; }},
    {"--gpu", "CARD", "cards, such as rtx4090,rtx5090",
     [](PlanArguments& a, const std::string& v) { a.gpu = v; }},
    {"--vram", "SIZE", "VRAM in total", [](PlanArguments& a, const std::string& v) { a.vram = v; }},
    {"--vram-free", "SIZE", "VRAM free before ComfyUI loads its first model",
     [](PlanArguments& a, const std::string& v) { a.vram_free = v; }},
    {"--ram", "SIZE", "RAM in total", [](PlanArguments& a, const std::string& v) { a.ram = v; }},
    {"--os", "OS", "linux, windows", [](PlanArguments& a, const std::string& v) { a.os = v; }},
    {"--frames", "N", "counts of frames",
     [](PlanArguments& a, const std::string& v) { a.frames = {v}; }},
    {"--size", "WxH", "WxH in pixels",
     [](PlanArguments& a, const std::string& v) { a.sizes = {v}; }},
    {"--flags", "FLAGS", "ComfyUI's own flags; may be given several times, not split at commas",
     [](PlanArguments& a, const std::string& v) { a.flags = v; }},
    {"--reserve-vram", "SIZE", "values of ComfyUI's flag, in GiB, beside --flags",
     [](PlanArguments& a, const std::string& v) { add_flag(a, "--reserve-vram " + in_gib(v)); }},
};

struct Arguments {
  PlanArguments common;
  std::vector<std::string> values[std::size(kAxes)];
};

/// Every combination, the last option turning fastest.
Result<std::size_t> count_runs(const Arguments& arguments) {
  std::size_t count = 1;
  for (const auto& values : arguments.values) {
    count *= std::max<std::size_t>(values.size(), 1);
    if (count > kRunsMax) {
      return usage_error(fmt::format("these values make more than {} combinations", kRunsMax),
                         "Give fewer of them, or compare in several calls.");
    }
  }
  return count;
}

PlanArguments arguments_of(const Arguments& arguments, std::size_t number,
                           std::vector<std::string>& shown) {
  std::size_t picked[std::size(kAxes)] = {};
  for (std::size_t axis = std::size(kAxes); axis-- > 0;) {
    const std::size_t size = std::max<std::size_t>(arguments.values[axis].size(), 1);
    picked[axis] = number % size;
    number /= size;
  }
  PlanArguments one = arguments.common;
  for (std::size_t axis = 0; axis < std::size(kAxes); ++axis) {
    const auto& values = arguments.values[axis];
    if (values.empty()) continue;
    kAxes[axis].set(one, values[picked[axis]]);
    if (values.size() > 1) shown.push_back(values[picked[axis]]);
  }
  return one;
}

void add_note(std::vector<std::string>& notes, const std::string& note) {
  if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
}

Result<Comparison> compare(const Arguments& arguments) {
  const auto count = count_runs(arguments);
  if (!count) return count.error();
  Comparison comparison;
  comparison.file = arguments.common.file;
  for (std::size_t axis = 0; axis < std::size(kAxes); ++axis) {
    if (arguments.values[axis].size() > 1) comparison.options.push_back(kAxes[axis].option);
  }
  for (std::size_t number = 0; number < *count; ++number) {
    std::vector<std::string> shown;
    const PlanArguments one = arguments_of(arguments, number, shown);
    const auto options = understand(one);
    if (!options) return options.error();
    const auto run = predict_file(one.file, *options);
    if (!run) return run.error();
    comparison.runs.push_back(compared_run(run->report, std::move(shown)));
    const std::string subject = compared_subject(run->report);
    if (number == 0) comparison.subject = subject;
    if (subject != comparison.subject) comparison.subject.clear();
    for (const std::string& note : options->notes) add_note(comparison.notes, note);
    for (const Message& note : run->report.prediction.timeline.notes) {
      add_note(comparison.notes, sentence(note));
    }
  }
  return comparison;
}

int run(const Arguments& arguments) {
  const auto comparison = compare(arguments);
  if (!comparison) {
    return fail("compare", in_file(comparison.error(), shown_name(arguments.common.file)));
  }
  const std::string text = arguments.common.json ? to_json(*comparison) : to_text(*comparison);
  return arguments.common.json ? answer_as_is(text) : answer(text);
}

}  // namespace

std::function<int()> declare_compare(Options& options) {
  auto arguments = std::make_shared<Arguments>();
  PlanArguments& common = arguments->common;
  options.positional("FILE", common.file, "a workflow, or media that carry one; - reads stdin");
  for (std::size_t axis = 0; axis < std::size(kAxes); ++axis) {
    const Axis& row = kAxes[axis];
    Option option = options.value(row.option, arguments->values[axis], row.what, row.help);
    option.group("What varies");
    if (row.option != std::string_view("--flags")) option.separated_by_commas();
  }
  options.value("--models", common.models, "DIR", "ComfyUI's models folder; may be given again");
  options.value("--input", common.input, "DIR",
                "ComfyUI's input folder, for the sizes of pictures");
  options.value("--bytes", common.bytes, "NAME=SIZE", "size of a model file that is not at hand");
  options.value("--machine", common.machine_file, "FILE", "read the machine from this file");
  options.flag("--json", common.json, "print everything as one JSON object (docs/json.md)");
  options.footer(kExamples);
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
