// SPDX-License-Identifier: Apache-2.0
// Plays a scenario where weights are paged in on demand.
#include "policy/scenario.h"

namespace ebb {
namespace {

bool works(EventKind kind) {
  return kind == EventKind::te_encode || kind == EventKind::sample ||
         kind == EventKind::vae_encode || kind == EventKind::vae_decode;
}

}  // namespace

std::vector<EventResult> play_dynamic(const Scenario& scenario) {
  const Machine& machine = scenario.machine;
  Pager pager(paged_card(machine), scenario.streams.value_or(rules_for(machine.comfyui).streams));
  List<bool, WeightsIndex> ranged(scenario.models.size(), false);  // has had an address range
  for (const ScenarioModel& model : scenario.models) {
    pager.add(model.weights.modules, model.weights.bytes);
  }
  std::vector<EventResult> results;
  for (const Event& event : scenario.events) {
    EventResult result;
    if (event.kind == EventKind::unload_all) pager.unload_all();
    if (works(event.kind)) {
      result.work = pager.use(event.model, event.activation_bytes, event.kind != EventKind::sample);
      ranged[event.model] = true;
    }
    for (const WeightsIndex m : ranged.indices()) {
      if (ranged[m]) result.pages.emplace_back(m, pager.pages(m));
    }
    result.listed = pager.listed();
    result.used_bytes = pager.used_bytes();
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace ebb
