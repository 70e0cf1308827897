// SPDX-License-Identifier: Apache-2.0
#include "policy/pins.h"

#include <algorithm>
#include <limits>

#include "policy/dynamic.h"

namespace ebb {

namespace {

// A module's weight without its bias and scales. What streaming it takes is a cast copy of the
// weight in two or four times its bytes, or twice that under a LoRA: the first whole part of it
// that is no larger than the module is the weight. Where nothing is cast the module counts as one
// tensor.
std::int64_t weight_bytes(const ModuleGroup& module) {
  if (module.extra_offload_bytes <= 0) return module.bytes;
  for (const std::int64_t part : {2, 4, 8}) {
    const std::int64_t weight = module.extra_offload_bytes / part;
    if (weight <= module.bytes) return module.bytes - weight < weight ? weight : module.bytes;
  }
  return module.bytes;
}

}  // namespace

// Tensor by tensor in load order: one that does not fit is passed over, and smaller ones still
// lock.
std::int64_t Pins::fitting(const Manager& manager, WeightsIndex weights) const {
  const std::vector<ManagedGroup>& runs = manager.managed(weights).runs;
  std::int64_t room = std::max<std::int64_t>(limit_bytes_ - total_bytes_, 0);
  const std::int64_t before = room;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::int64_t size = runs[i].modules.bytes;
    if (size <= 0) continue;
    const std::int64_t streamed = manager.streamed_modules(weights, i);
    const std::int64_t whole = std::min(streamed, room / size);
    room -= whole * size;
    const std::int64_t weight = weight_bytes(runs[i].modules);
    if (whole < streamed && weight < size && weight <= room) room -= weight;
    if (whole < streamed && weight < size) {
      const std::int64_t rest = size - weight;
      room -= std::min(streamed - whole, room / rest) * rest;
    }
  }
  return before - room;
}

void Pins::update(const Manager& manager) {
  if (limit_bytes_ <= 0) return;
  held_.resize(manager.size());
  List<bool, WeightsIndex> registered(manager.size(), false);
  for (WeightsIndex w : manager.registered()) registered[w] = true;
  std::vector<WeightsIndex> changed;
  for (const WeightsIndex w : held_.indices()) {
    const bool locks =
        registered[w] && (!manager.repatched(w) || manager.settings().rules.pins_repatched);
    const std::int64_t wanted = locks ? manager.streamed_bytes(w) : 0;
    const bool last_used = locks && manager.registered().front() == w;
    if (wanted == held_[w].wanted_bytes && !last_used) continue;
    total_bytes_ -= held_[w].bytes;
    held_[w] = {wanted, 0};
    if (locks) changed.push_back(w);
  }
  // Victims lose modules, and lock them, before the next model comes.
  if (!changed.empty()) {
    const auto last = std::find(changed.begin(), changed.end(), manager.registered().front());
    if (last != changed.end()) std::rotate(last, last + 1, changed.end());
  }
  for (WeightsIndex w : changed) {
    held_[w].bytes = fitting(manager, w);
    total_bytes_ += held_[w].bytes;
  }
}

std::int64_t pin_limit_bytes(const Machine& machine) {
  const Rules& rules = rules_for(machine.comfyui);
  if (machine.flags.disable_pinned_memory || machine.flags.cpu || !machine.ram_total.known() ||
      !card_rules(machine).pins) {
    return 0;
  }
  if (rules.pins_without_limit && !uses_dynamic_vram(machine)) {
    return std::numeric_limits<std::int64_t>::max();
  }
  const double share =
      machine.os == Os::windows ? rules.pinned_ram_windows : rules.pinned_ram_linux;
  return static_cast<std::int64_t>(share * static_cast<double>(machine.ram_total.bytes));
}

}  // namespace ebb
