// SPDX-License-Identifier: Apache-2.0
// The main path on any graph: order, weights, demand, passes, policy, verdict, checker, report.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "ebb/ebb.h"
#include "tests/fuzz/targets.h"

namespace ebb::fuzz {
namespace {

Machine machine_of(const ComfyVersion& version) {
  MachineOptions options;
  options.vram_bytes = 12_GiB;
  options.ram_bytes = 32_GiB;
  options.os = Os::windows;
  options.comfyui = version;
  options.flags = "";
  auto machine = resolve_machine(options);
  if (!machine) std::abort();
  return *machine;
}

void plan(const Prompt& prompt, const Machine& machine) {
  const auto order = order_steps(prompt, machine.comfyui);
  if (!order) return;
  WeightsSearch search;
  search.comfyui = machine.comfyui;
  const auto find = [&](const WeightsRequest& request) { return find_weights(request, search); };
  auto demand = estimate_demand(prompt, find, machine);
  if (!demand) return;
  Report report;
  report.file = "fuzz.json";
  report.trial.machine = machine;
  const auto passes =
      std::make_shared<const Passes>(build_passes(prompt, *order, *std::move(demand)));
  if (too_large(*passes)) return;
  report.prediction.passes = passes;
  report.prediction.timeline = simulate(*passes, machine);
  report.prediction.outcome = judge(*passes, report.prediction.timeline, machine);
  const auto findings = check(prompt, *order, report.trial, report.prediction);
  if (!findings.empty()) {
    std::fprintf(stderr, "the checker refuses: %s\n", findings.front().c_str());
    std::abort();
  }
  static_cast<void>(to_text(report, false));
  static_cast<void>(to_json(report));
  static_cast<void>(to_html(report));
}

}  // namespace

void plan_workflow(std::string_view bytes) {
  static const Machine kOld = machine_of({0, 3, 64});
  static const Machine kNew = machine_of({0, 3, 73});
  const auto workflow = parse_workflow(std::string(bytes), "fuzz.json");
  if (!workflow) return;
  for (const Machine* machine : {&kOld, &kNew}) {
    if (const auto prompt = to_prompt(*workflow, machine->comfyui)) plan(*prompt, *machine);
  }
}

}  // namespace ebb::fuzz
