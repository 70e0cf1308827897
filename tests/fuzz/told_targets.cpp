// SPDX-License-Identifier: Apache-2.0
// Every way in which a run is told: its sums, tables, pictures, and the script that starts ComfyUI.
#include <cstdio>
#include <cstdlib>

#include "ebb/compare.h"
#include "ebb/ebb.h"
#include "ebb/explain.h"
#include "ebb/launch.h"
#include "ebb/run.h"
#include "tests/fuzz/targets.h"

namespace ebb::fuzz {
namespace {

RunOptions options_of(const char* flags) {
  RunOptions options;
  options.machine.vram_bytes = 12_GiB;
  options.machine.ram_bytes = 32_GiB;
  options.machine.os = Os::linux;
  options.machine.comfyui = ComfyVersion{0, 3, 73};
  options.machine.flags = flags;
  return options;
}

Result<Run> run_of(std::string_view bytes, const char* flags = "") {
  const auto workflow = parse_workflow(std::string(bytes), "fuzz.json");
  if (!workflow) return workflow.error();
  auto run = predict_run(*workflow, options_of(flags));
  if (!run && run.error().code == ErrorCode::internal) {
    std::fprintf(stderr, "%s\n", to_string(run.error()).c_str());
    std::abort();
  }
  return run;
}

}  // namespace

void explain_workflow(std::string_view bytes) {
  const auto run = run_of(bytes);
  if (!run) return;
  const Passes& passes = *run->report.prediction.passes;
  constexpr PassIndex kPassesMax = 8;
  for (const PassIndex p : passes.passes.indices()) {
    if (p >= kPassesMax) break;
    const Explanation explanation = explain_pass(run->report, p);
    static_cast<void>(to_text(explanation));
    static_cast<void>(to_json(explanation));
  }
}

void compare_workflow(std::string_view bytes) {
  Comparison comparison;
  comparison.file = "fuzz.json";
  comparison.options = {"--flags"};
  for (const char* flags : {"", "--lowvram", "--cache-none"}) {
    const auto run = run_of(bytes, flags);
    if (!run) return;
    comparison.runs.push_back(compared_run(run->report, {flags}));
    comparison.subject = compared_subject(run->report);
  }
  static_cast<void>(to_text(comparison));
  static_cast<void>(to_json(comparison));
}

void draw_workflow(std::string_view bytes) {
  auto run = run_of(bytes);
  if (!run) return;
  const auto report = plan_run(*std::move(run), options_of(""), true);
  if (!report) return;
  static_cast<void>(to_svg(*report));
  static_cast<void>(to_html(*report));
  static_cast<void>(to_text(*report, true));
}

/// A workflow to start ComfyUI for; anything else is an existing script whose flags are taken over.
void launch_workflow(std::string_view bytes) {
  Checkout checkout;
  checkout.folder = "ComfyUI";
  LaunchStart start;
  start.folder = std::string(bytes.substr(0, 100));
  start.command = {"python", std::string(bytes.substr(0, 20))};
  auto run = run_of(bytes);
  if (!run) {
    const std::string& file = memory_file(bytes);
    static_cast<void>(other_launch_lines(file));
    const auto flags = read_launch_flags(file);
    if (flags) static_cast<void>(parse_comfy_flags(*flags));
    return;
  }
  std::vector<LaunchRun> runs;
  runs.push_back({"fuzz.json", run->report.trial, run->report.prediction, run->predict});
  const auto plan = plan_launch(runs, checkout);
  if (!plan) return;
  static_cast<void>(to_text(*plan));
  for (const ScriptKind kind : {ScriptKind::sh, ScriptKind::bat}) {
    start.kind = kind;
    const auto script = to_script(*plan, start);
    static_cast<void>(to_json(*plan, start, script ? *script : "", {}));
  }
}

}  // namespace ebb::fuzz
