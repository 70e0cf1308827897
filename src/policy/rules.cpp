// SPDX-License-Identifier: Apache-2.0
// The table of memory manager rules, from comfy/model_management.py and comfy/model_patcher.py.
#include "policy/rules.h"

#include "ebb/bytes.h"

namespace ebb {
namespace {

constexpr double kInferenceBytes = 0.8 * 1024 * 1024 * 1024;
constexpr double kOldFloorBytes = 128.0 * 1024 * 1024;

// Reserves: EXTRA_RESERVED_VRAM. Floor: load_models_gpu. Unloading below the budget:
// ModelPatcher.partially_load. Buffer: ModelPatcher.load and partially_unload. Streams:
// NUM_STREAMS. Just enough: free_memory. Pinned: MAX_PINNED_MEMORY.
// 0.3.64: Comfy-Org/ComfyUI commit a125cd84b054; 0.3.73, 0.8.0 and 0.18.2 (its classic path, that
// is with --disable-dynamic-vram): public forks that carry these versions.
constexpr Rules kRules[] = {
    {{0, 3, 64},
     400_MiB,
     600_MiB,
     700_MiB,
     15 * 1024,
     kInferenceBytes,
     kOldFloorBytes,
     false,
     false,
     0,
     true,
     LoadLog::numbers,
     0,
     0},
    {{0, 3, 73},
     400_MiB,
     600_MiB,
     700_MiB,
     15 * 1024,
     kInferenceBytes,
     kOldFloorBytes,
     true,
     false,
     0,
     true,
     LoadLog::usable,
     0.45,
     0.95},
    {{0, 8, 0},
     400_MiB,
     600_MiB,
     700_MiB,
     15 * 1024,
     kInferenceBytes,
     0,
     true,
     true,
     2,
     true,
     LoadLog::buffer,
     0.45,
     0.95},
    {{0, 18, 2},
     400_MiB,
     600_MiB,
     700_MiB,
     15 * 1024,
     kInferenceBytes,
     0,
     true,
     true,
     2,
     false,
     LoadLog::buffer_bounded,
     0.45,
     0.95},
};

}  // namespace

const Rules& rules_for(const ComfyVersion& version) {
  const Rules* best = &kRules[0];
  for (const Rules& row : kRules)
    if (row.since <= version) best = &row;
  return *best;
}

const ComfyVersion& newest_known_version() {
  return kRules[sizeof kRules / sizeof kRules[0] - 1].since;
}

}  // namespace ebb
