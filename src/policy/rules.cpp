// SPDX-License-Identifier: Apache-2.0
// The table of memory manager rules, from comfy/model_management.py and comfy/model_patcher.py.
#include "policy/rules.h"

#include <array>

#include "ebb/bytes.h"

namespace ebb {
namespace {

// Reserves: EXTRA_RESERVED_VRAM. Floor: load_models_gpu. Unloading below the budget:
// ModelPatcher.partially_load. Buffer: ModelPatcher.load and partially_unload. Streams:
// NUM_STREAMS. Just enough: free_memory. Pinned: MAX_PINNED_MEMORY.
// 0.3.64: Comfy-Org/ComfyUI commit a125cd84b054; 0.3.73, 0.8.0 and 0.18.2 (its classic path, that
// is with --disable-dynamic-vram): public forks that carry these versions.
constexpr std::array<Rules, 4> make_rules() {
  Rules rules;
  rules.since = {0, 3, 64};
  rules.reserve_linux_bytes = 400_MiB;
  rules.reserve_windows_bytes = 600_MiB;
  rules.reserve_windows_large_bytes = 700_MiB;
  rules.large_card_mib = 15 * 1024;
  rules.inference_bytes = 0.8 * 1024 * 1024 * 1024;
  rules.floor_bytes = 128.0 * 1024 * 1024;
  rules.frees_when_just_enough = true;
  const Rules v0_3_64 = rules;

  rules.since = {0, 3, 73};
  rules.unloads_below_budget = true;
  rules.log = LoadLog::usable;
  rules.pinned_ram_windows = 0.45;
  rules.pinned_ram_linux = 0.95;
  rules.pins_repatched = false;  // observed in all four recordings that replace a set
  const Rules v0_3_73 = rules;

  rules.since = {0, 8, 0};
  rules.floor_bytes = 0;
  rules.streaming_buffer = true;
  rules.pins_repatched = true;
  rules.streams = 2;
  rules.log = LoadLog::buffer;
  const Rules v0_8_0 = rules;

  rules.since = {0, 18, 2};
  rules.frees_when_just_enough = false;
  rules.log = LoadLog::buffer_bounded;
  return {v0_3_64, v0_3_73, v0_8_0, rules};
}

constexpr std::array<Rules, 4> kRules = make_rules();

}  // namespace

const Rules& rules_for(const ComfyVersion& version) {
  const Rules* best = &kRules.front();
  for (const Rules& row : kRules)
    if (row.since <= version) best = &row;
  return *best;
}

const ComfyVersion& newest_known_version() { return kRules.back().since; }

}  // namespace ebb
