// SPDX-License-Identifier: Apache-2.0
// `ebb launch`: the script that starts ComfyUI with the flags that suit these workflows.
#include "ebb/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/file.h"

namespace ebb::cli {
namespace {

constexpr const char* kExamples =
    "The script says in comments what is predicted with its flags, what each of them does, and\n"
    "which ones people recommend that it leaves out. Without --write it is printed.\n\n"
    "Examples:\n"
    "  ebb launch --comfyui ~/ComfyUI --for flow.json --gpu rtx5090\n"
    "  ebb launch --comfyui ~/ComfyUI --for flow.json --for other.json --write ~/ComfyUI/start.sh\n"
    "  ebb launch --comfyui /mnt/c/ComfyUI_windows_portable --for flow.json --gpu rtx5090 \\\n"
    "             --from run_nvidia_gpu.bat --write /mnt/c/ComfyUI_windows_portable/start.bat\n"
    "  ebb launch --comfyui ~/ComfyUI --for flow.json --from old.sh --json    what would change\n"
    "Exit codes: 0 answered, 2 bad usage, 3 bad input, 4 internal error.";

struct Arguments : PlanArguments {
  std::vector<std::string> files;
  std::string from, write, python;
  bool print = false;
  bool force = false;
};

/// Everything that is known before anything is written.
struct Answer {
  LaunchPlan plan;
  LaunchStart start;
  std::string script;
  std::vector<std::string> notes;
};

Result<ScriptKind> choose_kind(const Arguments& arguments, const Checkout& checkout) {
  const std::string& path = arguments.write.empty() ? arguments.from : arguments.write;
  const std::string ending = std::filesystem::path(path).extension().string();
  const bool bat = ending == ".bat" || ending == ".cmd";
  if (!arguments.write.empty() && !bat && ending != ".sh") {
    return usage_error(fmt::format("--write: \"{}\" is neither a .bat nor a .sh", arguments.write),
                       "The ending says which kind of script it is.");
  }
  if (!arguments.write.empty() && !arguments.os.empty() && bat != (arguments.os == "windows")) {
    return usage_error(
        fmt::format("--write {} is no script for --os {}", arguments.write, arguments.os),
        "Windows runs .bat, Linux .sh.");
  }
  if (!arguments.write.empty() || (!arguments.from.empty() && arguments.os.empty())) {
    return bat ? ScriptKind::bat : ScriptKind::sh;
  }
  const bool windows = arguments.os.empty() ? checkout.portable : arguments.os == "windows";
  return windows ? ScriptKind::bat : ScriptKind::sh;
}

Result<Done> check_arguments(const Arguments& arguments) {
  if (!arguments.from.empty() && arguments.flags) {
    return usage_error("--from and --flags both say with which flags ComfyUI starts today",
                       "Give one of them.");
  }
  std::error_code ignored;
  const auto status = std::filesystem::symlink_status(arguments.write, ignored);
  if (!arguments.write.empty() && !arguments.force && std::filesystem::exists(status)) {
    return usage_error(fmt::format("--write: {} exists already", arguments.write),
                       "--force replaces it.");
  }
  return Done{};
}

Result<Checkout> find_checkout(const Arguments& arguments) {
  const auto choice = choose_comfyui(arguments.comfyui);
  if (!choice) return choice.error();
  if (choice->checkout) return *choice->checkout;
  return usage_error("--comfyui: a script needs ComfyUI's folder, not its version",
                     "Give the folder with main.py in it.");
}

/// As for `ebb plan`; the flags of --from are checked later, because those that this ComfyUI does
/// not have are dropped with a word.
Result<PlanOptions> options_of(const Arguments& arguments, const Checkout& checkout,
                               ScriptKind kind, std::vector<std::string>& notes) {
  PlanArguments common = arguments;
  common.os = kind == ScriptKind::bat ? "windows" : "linux";
  auto options = understand(common);
  if (!options) return options;
  if (options->table.size() > 1) {
    return usage_error("--frames and --size take one value here", "`ebb compare` takes several.");
  }
  notes = options->notes;
  if (arguments.from.empty()) return options;
  std::string path = arguments.from;
  for (const std::string& file : checkout.launch_files) {
    if (std::filesystem::path(file).filename() == path) path = file;
  }
  const auto flags = read_launch_flags(path);
  if (!flags) return flags.error();
  options->machine.flags = *flags;
  const auto others = other_launch_lines(path);
  if (!others) return others.error();
  for (const std::string& line : *others) {
    notes.push_back(fmt::format("{} does more; not taken over: {}", arguments.from, line));
  }
  return options;
}

Result<Answer> answer(const Arguments& arguments) {
  if (auto done = check_arguments(arguments); !done) return done.error();
  const auto checkout = find_checkout(arguments);
  if (!checkout) return checkout.error();
  const auto kind = choose_kind(arguments, *checkout);
  if (!kind) return kind.error();
  Answer answer;
  const auto options = options_of(arguments, *checkout, *kind, answer.notes);
  if (!options) return options.error();
  auto start = find_start(*checkout, *kind, arguments.write, arguments.python);
  if (!start) return start.error();
  answer.start = *std::move(start);
  std::vector<LaunchRun> runs;
  for (const std::string& file : arguments.files) {
    auto run = predict_file(file, *options);
    if (!run) return in_file(run.error(), shown_name(file));
    runs.push_back({file, run->report.trial, std::move(run->report.prediction), run->predict});
    for (const Message& message : runs.back().prediction.timeline.notes) {
      const std::string note = sentence(message);
      if (std::find(answer.notes.begin(), answer.notes.end(), note) == answer.notes.end()) {
        answer.notes.push_back(note);
      }
    }
  }
  auto plan = plan_launch(runs, *checkout);
  if (!plan) return plan.error();
  answer.plan = *std::move(plan);
  auto script = to_script(answer.plan, answer.start);
  if (!script) return script.error();
  answer.script = *std::move(script);
  return answer;
}

int run(const Arguments& arguments) {
  const auto answered = answer(arguments);
  if (!answered) return fail("launch", answered.error());
  if (!arguments.write.empty()) {
    // A new shell script can be started; an existing one keeps who may do what with it.
    const unsigned int mode = answered->start.kind == ScriptKind::sh ? 0777 : 0666;
    if (auto done = write_file(arguments.write, answered->script, mode); !done) {
      return fail("launch", done.error());
    }
  }
  std::string text;
  const bool script = arguments.print || arguments.write.empty();
  if (arguments.json) {
    text = to_json(answered->plan, answered->start, answered->script, answered->notes);
  } else if (script) {
    text = answered->script;
  } else {
    text = to_text(answered->plan) + fmt::format("\nWritten: {}\n", arguments.write);
  }
  const int code = arguments.json ? answer_as_is(text)
                   : script       ? answer_bytes(text)
                                  : ebb::cli::answer(text);
  if (!arguments.json) {
    for (const std::string& note : answered->notes) say("note: " + note + "\n");
  }
  return code;
}

}  // namespace

std::function<int()> declare_launch(Options& options) {
  auto arguments = std::make_shared<Arguments>();
  options
      .value("--for", arguments->files, "FILE",
             "a workflow to start ComfyUI for; may be given several times")
      .required();
  options.value("--from", arguments->from, "FILE",
                "an existing .bat or .sh: its flags are taken over, and what changes is said");
  options.value("--write", arguments->write, "FILE", "write the script to this .bat or .sh");
  options.flag("--force", arguments->force, "replace the file of --write if it exists");
  options.flag("--print", arguments->print, "print the script, with --write too");
  options.value("--python", arguments->python, "PYTHON",
                "the Python to start (default: python_embeded, a venv, or the one on PATH)");
  declare_machine(options, *arguments);
  options.flag("--json", arguments->json, "print everything as one JSON object (docs/launch.md)");
  options.declared("--comfyui").required().help("ComfyUI's folder, a portable one too");
  options.footer(kExamples);
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
