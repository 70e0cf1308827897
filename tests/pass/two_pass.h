// SPDX-License-Identifier: Apache-2.0
// A prompt of two sampling passes, put together by hand: encode, sample high, sample low, decode.
#pragma once

#include "ebb/plan.h"

namespace ebb::test {

/// The passes of a prediction that only this test holds, to be put together or spoilt.
inline Passes& own_passes(Prediction& prediction) {
  if (prediction.passes.use_count() != 1) {
    prediction.passes = std::make_shared<Passes>(*prediction.passes);
  }
  return const_cast<Passes&>(*prediction.passes);
}

struct TwoPass {
  Prompt prompt;
  Order order;
  Passes passes;
  Machine machine;
  Timeline timeline;  ///< what a policy could say: everything whole, nothing left out

  TwoPass() {
    add("1", "CLIPLoader", {}, {"CLIP"});
    add("2", "CLIPTextEncode", {{"clip", "1"}}, {"CONDITIONING"});
    add("3", "EmptyHunyuanLatentVideo", {}, {"LATENT"});
    add("4", "UNETLoader", {}, {"MODEL"});
    add("5", "KSampler", {{"model", "4"}, {"positive", "2"}, {"latent_image", "3"}}, {"LATENT"});
    add("6", "UNETLoader", {}, {"MODEL"});
    add("7", "KSampler", {{"model", "6"}, {"positive", "2"}, {"latent_image", "5"}}, {"LATENT"});
    add("8", "VAELoader", {}, {"VAE"});
    add("9", "VAEDecode", {{"samples", "7"}, {"vae", "8"}}, {"IMAGE"});
    add("10", "SaveImage", {{"images", "9"}}, {});
    for (const NodeIndex n : prompt.nodes.indices()) order.nodes.push_back(n);
    passes = build_passes(prompt, order, demand());
    machine.vram_total = {32_GiB, NumberKind::given, ""};
    machine.vram_free = {31_GiB, NumberKind::given, ""};
    machine.ram_total = {64_GiB, NumberKind::given, ""};
    machine.ram_others = {4_GiB, NumberKind::assumed, ""};
    play();
  }

 private:
  void add(const std::string& id, const std::string& class_type,
           const std::vector<std::pair<std::string, std::string>>& links,
           std::vector<std::string> types) {
    PromptNode node;
    node.id = id;
    node.class_type = class_type;
    node.output_types = std::move(types);
    node.known = true;
    for (const auto& [name, origin] : links) {
      PromptInput input;
      input.name = name;
      input.link = Link{origin, 0};
      node.inputs.push_back(std::move(input));
    }
    prompt.index[id] = prompt.nodes.end_index();
    prompt.nodes.push_back(std::move(node));
  }

  static Weights weights(const std::string& name, WeightsRole role, std::int64_t bytes) {
    Weights result;
    result.id = result.name = name;
    result.files = {name + ".safetensors"};
    result.role = role;
    result.bytes = result.listed_bytes = result.file_bytes = bytes;
    result.bytes_from = BytesFrom::known;
    return result;
  }

  PromptDemand demand() const {
    PromptDemand result;
    result.weights = {weights("encoder", WeightsRole::text_encoder, 6_GiB),
                      weights("high", WeightsRole::diffusion, 13_GiB),
                      weights("low", WeightsRole::diffusion, 13_GiB),
                      weights("vae", WeightsRole::vae, 242_MiB)};
    result.nodes.resize(10);
    const auto need = [](std::int64_t bytes) {
      Demand d;
      d.asked = {2 * bytes, NumberKind::computed, "test"};
      d.minimum = d.live = d.reserved = {bytes, NumberKind::computed, "test"};
      return d;
    };
    const auto node = [&](NodeIndex n, StepKind kind, std::vector<WeightsIndex> uses,
                          std::vector<WeightsIndex> reads) {
      auto& entry = result.nodes[n];
      entry.kind = kind;
      entry.uses = std::move(uses);
      entry.reads = std::move(reads);
      entry.demand = need(kind == StepKind::sample ? 6_GiB : kind == StepKind::decode ? 4_GiB : 0);
    };
    node(0, StepKind::load, {}, {0});
    node(1, StepKind::encode_text, {0}, {});
    node(3, StepKind::load, {}, {1});
    node(4, StepKind::sample, {1}, {});
    node(5, StepKind::load, {}, {2});
    node(6, StepKind::sample, {2}, {});
    node(7, StepKind::load, {}, {3});
    node(8, StepKind::decode, {3}, {});
    result.nodes[4].demand.result_bytes = 20_MiB;
    result.nodes[6].demand.result_bytes = 20_MiB;
    return result;
  }

  /// Weights in use are whole in VRAM, all others in RAM once read.
  void play() {
    timeline.vram_limit_bytes = machine.vram_total.bytes;
    timeline.ram_limit_bytes = machine.ram_total.bytes;
    List<bool, WeightsIndex> read(passes.weights.size(), false);
    for (const Step& step : passes.steps) {
      StepState state;
      state.vram.assign(passes.weights.size(), 0);
      state.ram.assign(passes.weights.size(), 0);
      state.vram_others_bytes = machine.vram_others_bytes();
      for (const WeightsIndex w : step.reads) {
        read[w] = true;
        state.read_bytes += passes.weights[w].file_bytes;
      }
      for (const WeightsIndex w : read.indices()) {
        if (read[w]) state.ram[w] = passes.weights[w].bytes;
      }
      for (const WeightsIndex w : step.uses) {
        std::swap(state.vram[w], state.ram[w]);
        Load load;
        load.weights = w;
        load.full = true;
        load.usable_bytes = 20_GiB;
        load.loaded_bytes = state.vram[w];
        state.loads.push_back(load);
      }
      state.reserved_bytes = step.demand.reserved.known() ? step.demand.reserved.bytes : 0;
      state.vram_peak_bytes = state.vram_others_bytes + state.reserved_bytes;
      state.ram_peak_bytes = machine.ram_others.bytes;
      for (const WeightsIndex w : read.indices()) {
        state.vram_peak_bytes += state.vram[w];
        state.ram_peak_bytes += state.ram[w];
      }
      state.ram_needed_bytes = state.ram_peak_bytes;
      timeline.steps.push_back(std::move(state));
    }
  }
};

}  // namespace ebb::test
