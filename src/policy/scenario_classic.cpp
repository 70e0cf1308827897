// SPDX-License-Identifier: Apache-2.0
// Plays a scenario through the classic memory manager, as loader nodes, samplers and VAEs use it.
#include <algorithm>
#include <cmath>

#include "policy/scenario.h"

namespace ebb {
namespace {

// Castable modules of a recorded model that are no Linear, by their size in bytes.
struct OtherSizes {
  std::string_view model;
  std::array<std::int64_t, 3> bytes;
};
#include "policy/lora_targets.inc"

class ClassicPlay {
 public:
  explicit ClassicPlay(const Scenario& scenario)
      : scenario_(scenario), manager_(settings()), pins_(pin_limit_bytes(scenario.machine)) {
    for (const ScenarioModel& model : scenario.models) {
      const WeightsRole role = model.weights.role;
      Managed managed;
      managed.size_bytes = model.weights.bytes;
      for (const ModuleGroup& run : model.weights.modules) managed.runs.push_back({run, false});
      managed.stays_on_gpu = role == WeightsRole::diffusion && state() == VramState::high;
      managed.on_cpu = role == WeightsRole::text_encoder &&
                       (state() == VramState::low || state() == VramState::none);
      manager_.add(std::move(managed));
    }
    known_.assign(scenario.models.size(), false);
  }

  std::vector<EventResult> run() {
    std::vector<EventResult> results;
    for (const Event& event : scenario_.events) {
      result_ = {};
      play(event);
      finish();
      results.push_back(result_);
      if (result_.over_capacity) break;
    }
    return results;
  }

 private:
  VramState state() const { return scenario_.machine.flags.vram_state; }
  const Weights& weights(WeightsIndex m) const { return scenario_.models[m].weights; }

  ManagerSettings settings() const {
    ManagerSettings settings = manager_settings(scenario_.machine);
    if (settings.streams > 0 && scenario_.streams) settings.streams = *scenario_.streams;
    return settings;
  }

  void play(const Event& event) {
    switch (event.kind) {
      case EventKind::unload_all: result_.frees.push_back(manager_.unload_all()); break;
      case EventKind::load_vae: break;
      case EventKind::load_te: load_text_encoder(event); break;
      case EventKind::load_unet:
        if (state() == VramState::high) manager_.place_on_gpu(event.model);
        break;
      case EventKind::load_checkpoint: load_checkpoint(event); break;
      case EventKind::lora:
        manager_.set_patches(
            event.model, ++patches_,
            lora_runs(scenario_.models[event.model], manager_.settings().rules.streaming_buffer));
        break;
      case EventKind::te_encode: encode_text(event); break;
      case EventKind::sample: sample(event); break;
      case EventKind::vae_encode:
      case EventKind::vae_decode: run_vae(event); break;
    }
    if (event.model >= 0) known_[event.model] = true;
    if (event.clip >= 0) known_[event.clip] = true;
  }

  // RAM that is left beside all weights that were loaded so far and are not on the GPU.
  std::int64_t free_ram() const {
    std::int64_t ram = scenario_.machine.ram_total.bytes - scenario_.machine.ram_others.bytes;
    for (const WeightsIndex m : known_.indices()) {
      if (known_[m]) ram -= weights(m).bytes - manager_.device_bytes(m);
    }
    return ram;
  }

  void load_text_encoder(const Event& event) {
    const bool cpu = manager_.managed(event.model).on_cpu;
    result_.computes_on_gpu = !cpu;
    result_.on_gpu = !cpu && text_encoder_starts_on_gpu(weights(event.model).loader_bytes,
                                                        manager_.free_bytes(), free_ram());
    if (*result_.on_gpu) manager_.place_on_gpu(event.model);
    // A loader brings the encoder to where it computes, if it is there already.
    if (*result_.on_gpu || cpu) call({event.model}, 0, {}, true);
  }

  void load_checkpoint(const Event& event) {
    const bool gpu = checkpoint_starts_on_gpu(manager_.settings(), weights(event.model).bytes,
                                              manager_.free_bytes(), free_ram());
    result_.on_gpu = gpu;
    if (gpu) manager_.place_on_gpu(event.model);
    if (event.clip >= 0 && manager_.managed(event.clip).on_cpu) call({event.clip}, 0, {}, true);
    if (gpu) call({event.model}, 0, {}, true);
  }

  void encode_text(const Event& event) {
    const Demand demand =
        estimate_step(StepKind::encode_text, weights(event.model), {}, scenario_.machine.comfyui);
    call({event.model}, static_cast<double>(demand.asked.bytes), {}, false);
  }

  void sample(const Event& event) {
    const Demand demand = estimate_step(StepKind::sample, weights(event.model), event.shape,
                                        scenario_.machine.comfyui);
    result_.asked_bytes = static_cast<double>(demand.asked.bytes);
    result_.minimum_bytes = static_cast<double>(demand.minimum.bytes);
    call({event.model}, *result_.asked_bytes, result_.minimum_bytes, false);
    if (event.cfg == 1) {
      result_.forward_batches = {1};
    } else if (conditionings_share_forward(*result_.asked_bytes, manager_.free_bytes())) {
      result_.forward_batches = {2};
    } else {
      result_.forward_batches = {1, 1};
    }
  }

  void run_vae(const Event& event) {
    const StepKind kind =
        event.kind == EventKind::vae_decode ? StepKind::decode : StepKind::encode_image;
    const Demand demand =
        estimate_step(kind, weights(event.model), event.shape, scenario_.machine.comfyui);
    result_.asked_bytes = static_cast<double>(demand.asked.bytes);
    call({event.model}, *result_.asked_bytes, {}, false);
    // As many items at once as the estimate fits into what is free.
    const std::int64_t at_once = std::max<std::int64_t>(
        1, demand.asked.bytes > 0 ? manager_.free_bytes() / demand.asked.bytes : event.shape.batch);
    for (std::int64_t left = std::min<std::int64_t>(event.shape.batch, 4096); left > 0;
         left -= at_once) {
      result_.vae_batches.push_back(static_cast<int>(std::min(left, at_once)));
    }
  }

  void call(std::vector<WeightsIndex> models, double required, std::optional<double> minimum,
            bool full) {
    CallResult call{models, required, minimum, full, manager_.free_bytes(), {}};
    call.record = manager_.load(models, required, minimum, full);
    result_.calls.push_back(std::move(call));
  }

  void finish() {
    pins_.update(manager_);
    for (WeightsIndex w : manager_.registered()) {
      result_.resident.emplace_back(w, manager_.loaded_bytes(w));
    }
    for (const WeightsIndex m : known_.indices()) {
      result_.weights_bytes += manager_.device_bytes(m);
    }
    result_.free_bytes = manager_.free_bytes();
    result_.pinned_bytes = pins_.bytes();
    result_.over_capacity = result_.free_bytes < 0;
  }

  const Scenario& scenario_;
  Manager manager_;
  Pins pins_;
  List<bool, WeightsIndex> known_;
  int patches_ = 0;
  EventResult result_;
};

}  // namespace

std::vector<ManagedGroup> lora_runs(const ScenarioModel& model, bool streaming_buffer) {
  const OtherSizes* others = nullptr;
  for (const OtherSizes& row : kOthers) {
    if (row.model == model.weights.name) others = &row;
  }
  std::vector<ManagedGroup> runs;
  for (const ModuleGroup& module : model.weights.modules) {
    ManagedGroup run{module, module.castable && module.bytes > 0};
    if (others && std::find(others->bytes.begin(), others->bytes.end(), module.bytes) !=
                      others->bytes.end()) {
      run.patched = false;
    }
    // Streaming a patched weight takes two copies in the type it is computed in.
    std::int64_t& extra = run.modules.extra_offload_bytes;
    if (run.patched) extra = 2 * (extra > 0 ? extra : module.bytes);
    runs.push_back(run);
  }
  if (streaming_buffer) sort_for_streaming(runs);
  return runs;
}

std::vector<EventResult> play_classic(const Scenario& scenario) {
  return ClassicPlay(scenario).run();
}

}  // namespace ebb
