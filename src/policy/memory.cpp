// SPDX-License-Identifier: Apache-2.0
// Which memory manager a machine has, and what all of them do alike.
#include "policy/memory.h"

#include <algorithm>

namespace ebb {
namespace {

// On the CPU, ComfyUI loads diffusion models and VAEs of 16 bits in fp32 (unet_dtype, vae_dtype);
// text encoders stay fp16. 0: as they are.
std::int64_t single_bytes(const Weights& w) {
  const bool half = w.stored_type == "fp16" || w.stored_type == "bf16" || w.stored_type == "fp32";
  const bool widened = w.role == WeightsRole::diffusion || w.role == WeightsRole::vae;
  return half && widened && w.known() ? times(std::max<std::int64_t>(w.parameters, 0), 4) : 0;
}

}  // namespace

std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMostSummedBytes : std::min(sum, kMostSummedBytes);
}

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMostSummedBytes
                                                : std::min(product, kMostSummedBytes);
}

std::unique_ptr<Memory> make_memory(const Machine& machine) {
  return make_memory(machine, uses_dynamic_vram(machine) ? Policy::paged : Policy::classic);
}

std::unique_ptr<Memory> make_memory(const Machine& machine, Policy::Kind kind) {
  switch (kind) {
    case Policy::classic: return make_classic_memory(machine);
    case Policy::paged: return make_paged_memory(machine);
  }
  return nullptr;
}

Managed managed_weights(const Weights& w, const Machine& machine, Policy::Kind kind) {
  const ComfyFlags& flags = machine.flags;
  const VramState state = flags.gpu_only ? VramState::high : flags.vram_state;
  const bool text = w.role == WeightsRole::text_encoder || w.role == WeightsRole::vision_encoder;
  const bool computes = text || w.role == WeightsRole::vae || w.role == WeightsRole::upscaler;
  Managed managed;
  if (w.known() && w.role != WeightsRole::lora) {
    managed.size_bytes = w.bytes;
    for (const ModuleGroup& run : w.modules) managed.runs.push_back({run, false});
    if (w.modules.empty()) managed.runs.push_back({{w.bytes, 0, 1, true}, false});
  }
  managed.on_cpu =
      flags.cpu || (flags.cpu_vae && w.role == WeightsRole::vae) ||
      (kind == Policy::classic && text && (state == VramState::low || state == VramState::none));
  if (managed.on_cpu) managed.size_bytes = std::max(managed.size_bytes, single_bytes(w));
  managed.stays_on_gpu =
      !managed.on_cpu && (flags.gpu_only || (state == VramState::high && !computes));
  return managed;
}

}  // namespace ebb
