// SPDX-License-Identifier: Apache-2.0
// Prints Ebb's timeline of a prompt step by step, for comparisons with a running ComfyUI.
//
// usage: print_timeline PROMPT.json MODELS_FOLDER VERSION FLAGS [SECOND_PROMPT.json]
// With a second prompt, the timeline of that one, queued after the first.
#include <fmt/format.h>

#include <cstdio>
#include <numeric>
#include <string>

#include "ebb/ebb.h"

namespace ebb {
namespace {

struct Planned {
  Prompt prompt;
  PromptDemand demand;
};

Result<Planned> planned(const std::string& file, const std::string& models,
                        const Machine& machine) {
  const auto workflow = read_workflow(file);
  if (!workflow) return workflow.error();
  auto prompt = to_prompt(*workflow, machine.comfyui);
  if (!prompt) return prompt.error();
  WeightsSearch search;
  search.model_folders = {models};
  search.comfyui = machine.comfyui;
  auto demand = estimate_demand(
      *prompt, [&](const WeightsRequest& r) { return find_weights(r, search); }, machine);
  if (!demand) return demand.error();
  return Planned{*std::move(prompt), *std::move(demand)};
}

void print(const Passes& passes, const Timeline& timeline) {
  for (const StepIndex s : passes.steps.indices()) {
    const StepState& state = timeline.steps[s];
    const auto held = std::accumulate(state.ram.begin(), state.ram.end(), std::int64_t{0});
    fmt::print(
        "{{\"id\": \"{}\", \"held\": {}, \"data\": {}, \"needed\": {}, \"peak\": {}, \"read\": "
        "{}}}\n",
        passes.steps[s].id, held, state.ram_data_bytes, state.ram_needed_bytes,
        state.ram_peak_bytes, state.read_bytes);
  }
}

Result<Done> run(char** arguments, bool second) {
  MachineOptions options;
  const auto version = parse_comfy_version(arguments[3]);
  if (!version) return version.error();
  options.comfyui = *version;
  options.flags = arguments[4];
  options.vram_bytes = 8_GiB;
  auto machine = resolve_machine(options);
  if (!machine) return machine.error();
  machine->ram_others.bytes = 0;
  const auto first = planned(arguments[1], arguments[2], *machine);
  if (!first) return first.error();
  const auto order = order_steps(first->prompt, *version, {}, machine->flags.cache);
  if (!order) return order.error();
  const Passes passes = build_passes(first->prompt, *order, first->demand);
  if (!second) {
    print(passes, simulate(passes, *machine));
    return Done{};
  }
  const auto other = planned(arguments[5], arguments[2], *machine);
  if (!other) return other.error();
  const auto queue =
      run_queue({{&first->prompt, {}}, {&other->prompt, {}}}, *version, machine->flags);
  if (!queue) return queue.error();
  const Passes again = build_passes(other->prompt, queue->back().order, other->demand);
  print(again, simulate_again(passes, again, *machine));
  return Done{};
}

}  // namespace
}  // namespace ebb

int main(int count, char** arguments) {
  if (count != 5 && count != 6) return 2;
  const auto done = ebb::run(arguments, count == 6);
  if (!done) fmt::print(stderr, "{}\n", to_string(done.error()));
  return done ? 0 : 1;
}
