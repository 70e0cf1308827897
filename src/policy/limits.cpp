// SPDX-License-Identifier: Apache-2.0
// What of a machine and a prompt is not played as ComfyUI does it, or not known of it.
#include <algorithm>

#include "policy/simulation.h"

namespace ebb {
namespace {

// What differs between the rules that are played and this release, as far as it is known.
void note_version(const Machine& machine, const Timeline& timeline, std::vector<Message>& notes) {
  const ComfyVersion& version = machine.comfyui;
  const ComfyVersion& known = timeline.policy.rules;
  if (version == known) return;
  std::vector<Message> missing;
  if (timeline.ram_open) missing.emplace_back(Say::copies_of_resident_weights);
  if (timeline.paged() && cache_of(version, machine.flags) == CacheKind::ram) {
    missing.emplace_back(Say::what_the_ram_cache_lets_go);
  }
  if (version > kNewestKnown) {
    missing.push_back({Say::what_changed_after, {to_string(kNewestKnown)}});
  }
  const Message unknown = missing.empty() ? Message() : Message(Say::not_known_yet, {missing});
  notes.push_back({Say::nearest_rules, {to_string(version), to_string(known), unknown}});
  if (version < known) notes.push_back({Say::older_than_any_known, {to_string(version)}});
}

}  // namespace

std::vector<Message> limits(const Passes& passes, const Machine& machine, const Levers& levers,
                            const Timeline& timeline) {
  const ComfyFlags& flags = machine.flags;
  const Rules& rules = rules_for(machine.comfyui);
  std::vector<Message> notes;
  for (const Weights& w : passes.weights) {
    const bool gguf = !w.files.empty() && w.files.front().ends_with(".gguf");
    if (gguf && timeline.paged()) notes.push_back({Say::gguf_is_not_paged, {w.name}});
  }
  note_version(machine, timeline, notes);
  if (std::ranges::count(flags.other, "dynamic_vram") > 0 && !rules.pages_on_wish) {
    notes.push_back({Say::no_pages_on_wish, {to_string(machine.comfyui)}});
  }
  if (timeline.paged()) {
    constexpr ComfyVersion kPagedInWsl = {0, 33, 0};
    notes.emplace_back(machine.comfyui < kPagedInWsl ? Say::paged_but_in_wsl
                                                     : Say::paged_everywhere);
    const bool budgets = !levers.budgets.empty() || !passes.own.budgets.empty();
    if (budgets) notes.emplace_back(Say::budget_without_effect);
  }
  if (flags.cpu) notes.emplace_back(Say::cpu_loads_nothing);
  if (flags.cache == CacheKind::ram && !rules.ram_cache) {
    notes.emplace_back(Say::cache_ram_lets_go);
  }
  if (flags.cache == CacheKind::lru) notes.emplace_back(Say::cache_lru_within_a_prompt);
  const bool loras = std::ranges::any_of(
      passes.steps, [](const Step& s) { return !s.loras.empty() && !s.uses.empty(); });
  if (loras && !timeline.paged()) notes.emplace_back(Say::lora_patches_all);
  return notes;
}

}  // namespace ebb
