// SPDX-License-Identifier: Apache-2.0
// Wan 2.2 image to video with two 14B experts in fp8_scaled, on a 32 GB card: run lengths of the
// modules as ComfyUI lists them, and the sizes that its formula asks for.
#pragma once

#include <cmath>

#include "ebb/pass.h"
#include "policy/manager.h"

namespace ebb::test {

/// Modules of one expert as 0.3.x counts them, in load order.
inline std::vector<ModuleGroup> wan_modules() {
  return {{157317124, 0, 1, true},  {70792708, 0, 40, true}, {70784004, 0, 40, true},
          {26219524, 0, 322, true}, {20976644, 0, 1, true},  {2969600, 0, 1, true},
          {1315844, 0, 1, true},    {327748, 0, 1, true},    {20480, 0, 40, true},
          {10240, 0, 160, true},    {0, 0, 81, true}};
}

/// The same from 0.8.0 on: room for a cast copy is asked for, and each layer has its settings.
inline std::vector<ModuleGroup> wan_modules_0_8() {
  return {{157347907, 314572800, 1, true},
          {70806595, 141557760, 40, true},
          {70789187, 141557760, 40, true},
          {26224707, 52428800, 322, true},
          {20981827, 41943040, 1, true},
          {2969600, 1484800, 1, true},
          {1321027, 2621440, 1, true},
          {327875, 655360, 1, true},
          {20480, 0, 40, true},
          {10240, 0, 160, true},
          {0, 0, 81, true}};
}

inline std::vector<ModuleGroup> umt5_modules() {
  return {{2100297728, 0, 1, true},
          {41943044, 0, 72, true},
          {16777220, 0, 96, true},
          {8192, 0, 49, false},
          {4096, 0, 24, true}};
}

/// What a sampler asks for one batch of 832x1216 video: latent pixels * 2 bytes * 0.01 * factor.
inline std::int64_t wan_minimum_bytes(std::int64_t frames) {
  const double area = static_cast<double>(((frames - 1) / 4 + 1) * (1216 / 8) * (832 / 8));
  return std::llround(area * 2 * 0.01 * (5120.0 / 2222.0) * 1024 * 1024);
}

inline Weights known_weights(const std::string& name, WeightsRole role, std::int64_t bytes,
                             std::vector<ModuleGroup> modules) {
  Weights w;
  w.id = w.name = name;
  w.files = {name + ".safetensors"};
  w.role = role;
  w.bytes = w.file_bytes = bytes;
  w.bytes_from = BytesFrom::known;
  w.modules = std::move(modules);
  for (const ModuleGroup& run : w.modules) w.listed_bytes += run.bytes * run.count;
  return w;
}

inline Quantity computed(std::int64_t bytes) { return {bytes, NumberKind::computed, "test"}; }

/// The case of shared notes: load and encode text, then load and sample twice, then decode.
struct WanCase {
  static constexpr WeightsIndex text = 0, high = 1, low = 2, vae = 3;
  Passes passes;
  Machine machine;

  explicit WanCase(std::int64_t frames, ComfyVersion version = {0, 3, 73}) {
    const bool buffered = version >= ComfyVersion{0, 8, 0};
    const auto modules = buffered ? wan_modules_0_8() : wan_modules();
    const std::int64_t bytes = buffered ? 14296074850 : 14293601848;
    passes.weights = {known_weights("umt5", WeightsRole::text_encoder, 6731309732, umt5_modules()),
                      known_weights("high", WeightsRole::diffusion, bytes, modules),
                      known_weights("low", WeightsRole::diffusion, bytes, modules),
                      known_weights("vae", WeightsRole::vae, 253785062, {{1057202, 0, 240, true}})};
    passes.weights[text].loader_bytes = 11361820676;  // judged as fp16
    Demand encode;
    encode.asked = encode.live = encode.reserved = computed(0);
    Demand sample;
    sample.minimum = sample.live = sample.reserved = computed(wan_minimum_bytes(frames));
    sample.asked = computed(2 * wan_minimum_bytes(frames));
    sample.repeats = 10;
    sample.forwards = 2;
    sample.flops = 1e15;
    sample.result_bytes = 20_MiB;
    Demand decode;
    decode.asked = decode.live = decode.reserved = computed(12 * 1_GiB);
    add(StepKind::load, {}, {text}, {});
    add(StepKind::encode_text, {text}, {}, encode);
    add(StepKind::load, {}, {high}, {});
    add(StepKind::sample, {high}, {}, sample);
    add(StepKind::load, {}, {low}, {});
    add(StepKind::sample, {low}, {}, sample);
    add(StepKind::load, {}, {vae}, {});
    add(StepKind::decode, {vae}, {}, decode);
    for (int p = 0; p < 4; ++p) {
      const StepIndex load = StepIndex::of(2 * p), main = load + 1;
      passes.passes.push_back({load, main, main, passes.steps[main].kind, passes.steps[main].uses});
    }
    machine.vram_total = {32607_MiB, NumberKind::given, ""};
    machine.vram_free = {30724_MiB, NumberKind::given, ""};
    machine.ram_total = {64_GiB, NumberKind::given, ""};
    machine.ram_others = {6_GiB, NumberKind::given, ""};
    machine.os = Os::windows;
    machine.comfyui = version;
    machine.flags.reserve_vram_gib = 4;
    machine.flags.disable_dynamic_vram = true;
  }

  static constexpr StepIndex kSampleHigh = 3;
  static constexpr StepIndex kSampleLow = 5;
  static constexpr StepIndex kDecode = 7;

 private:
  void add(StepKind kind, std::vector<WeightsIndex> uses, std::vector<WeightsIndex> reads,
           const Demand& demand) {
    Step step;
    step.node = NodeIndex::of(passes.steps.size());
    step.id = std::to_string(step.node.at);
    step.kind = kind;
    step.uses = std::move(uses);
    step.reads = std::move(reads);
    step.demand = demand;
    passes.steps.push_back(std::move(step));
  }
};

}  // namespace ebb::test
