// SPDX-License-Identifier: Apache-2.0
// Plays a scenario through the memory manager of its mode, as loader nodes, samplers and VAEs use
// it, and writes it with its results, in the fields that recordings have.
#include <algorithm>
#include <array>
#include <cmath>

#include "ebb/demand.h"
#include "json/write.h"
#include "policy/memory.h"
#include "policy/scenario.h"

namespace ebb {
namespace {

// Castable modules of a recorded model that are no Linear, by their size in bytes.
struct OtherSizes {
  std::string_view model;
  std::array<std::int64_t, 3> bytes;
};
#include "policy/lora_targets.inc"

// Bytes in MiB with three decimals, as the recordings have them.
double mib(double bytes) { return std::round(bytes / kBytesPerMib * 1000) / 1000; }
double mib(std::int64_t bytes) { return mib(static_cast<double>(bytes)); }

class Player {
 public:
  explicit Player(const Scenario& scenario)
      : scenario_(scenario),
        machine_(scenario.machine),
        memory_(make_memory(machine_, scenario.dynamic ? Policy::paged : Policy::classic)),
        known_(scenario.models.size(), false),
        used_(known_) {
    for (const Weights& model : scenario.models) memory_->add(model);
  }

  std::string run() && {
    out_.begin_object().member("id", scenario_.id);
    copy(scenario_.json, {"version", "mode", "workflow", "dims", "settings"});
    const ManagerSettings settings = manager_settings(machine_);
    out_.member("reserved_mib", mib(settings.reserved_bytes));
    if (scenario_.dynamic) {
      out_.member("page_mib", mib(kPageBytes)).member("headroom_mib", mib(kPageHeadroomBytes));
    } else {
      out_.member("minimum_inference_mib", mib(settings.inference_bytes()));
    }
    out_.key("events").begin_array();
    for (const Event& event : scenario_.events) {
      play(event);
      if (memory_->free_bytes() < 0) break;  // over capacity
    }
    out_.end_array().end_object();
    return std::move(out_).finish();
  }

 private:
  const Weights& weights(WeightsIndex m) const { return scenario_.models[m]; }
  std::string_view name(WeightsIndex m) const { return weights(m).id; }

  void copy(JsonValue object, std::initializer_list<const char*> keys) {
    for (const char* key : keys) {
      if (const JsonValue value = object.find(key); value.exists()) out_.key(key).raw(value.raw());
    }
  }

  void play(const Event& event) {
    out_.begin_object();
    copy(event.json, {"event", "model", "dtype", "dynamic", "lora", "patched_weights", "latent",
                      "pixels", "cfg", "activations"});
    switch (event.kind) {
      case EventKind::unload_all: unload_all(); break;
      case EventKind::load_vae: break;
      case EventKind::load_te: load_text_encoder(event); break;
      case EventKind::load_unet: memory_->place(event.model, false, free_ram()); break;
      case EventKind::load_checkpoint: load_checkpoint(event); break;
      case EventKind::lora:
        memory_->patch(event.model, ++patches_, unpatched_sizes(weights(event.model).name));
        break;
      case EventKind::te_encode: work(event, StepKind::encode_text); break;
      case EventKind::sample: work(event, StepKind::sample); break;
      case EventKind::vae_encode: work(event, StepKind::encode_image); break;
      case EventKind::vae_decode: work(event, StepKind::decode); break;
    }
    if (event.model >= 0) known_[event.model] = true;
    if (event.clip >= 0) known_[event.clip] = true;
    memory_->end();
    if (scenario_.dynamic) {
      write_pages();
    } else {
      write_state();
    }
    out_.end_object();
  }

  // RAM that is left beside all weights that were loaded so far and are not on the GPU.
  std::int64_t free_ram() const {
    std::int64_t ram = machine_.ram_total.bytes - machine_.ram_others.bytes;
    for (const WeightsIndex m : known_.indices()) {
      if (known_[m]) ram -= weights(m).bytes - memory_->vram(m);
    }
    return ram;
  }

  void unload_all() {
    const Moves moves = memory_->unload_all();
    if (!scenario_.dynamic) write(moves.record.frees);
  }

  void load_text_encoder(const Event& event) {
    const bool cpu = memory_->on_cpu(event.model);
    const bool gpu = memory_->place(event.model, false, free_ram());
    if (scenario_.dynamic) return;
    out_.member("device", gpu ? "cuda" : "cpu").member("load_device", cpu ? "cpu" : "cuda");
    // A loader brings the encoder to where it computes, if it is there already.
    if (gpu || cpu) call({{.weights = {event.model}, .full = true}});
  }

  void load_checkpoint(const Event& event) {
    const bool gpu = memory_->place(event.model, true, free_ram());
    if (scenario_.dynamic) return;
    out_.member("unet_device", gpu ? "cuda" : "cpu").member("te_device", "cpu");
    std::vector<Request> requests;
    if (event.clip >= 0 && memory_->on_cpu(event.clip)) {
      requests.push_back({.weights = {event.clip}, .full = true});
    }
    if (gpu) requests.push_back({.weights = {event.model}, .full = true});
    if (!requests.empty()) call(requests);
  }

  void work(const Event& event, StepKind kind) {
    const Demand demand = estimate_step(kind, weights(event.model), event.shape, machine_.comfyui);
    const double asked = static_cast<double>(demand.asked.bytes);
    Request request{.weights = {event.model}, .asked_bytes = asked};
    const bool samples = kind == StepKind::sample;
    if (samples) request.minimum_bytes = static_cast<double>(demand.minimum.bytes);
    request.taken_bytes = event.activation_bytes;
    request.once = !samples;
    request.ram_bytes = machine_.ram_total.bytes - machine_.ram_others.bytes;
    used_[event.model] = true;
    memory_->begin(request.weights);
    if (scenario_.dynamic) return write(*memory_->use(request).work, samples ? 3 : 1);
    call({request});
    if (samples) {
      out_.member("model_memory_required", mib(asked));
      out_.member("model_minimum", mib(*request.minimum_bytes));
      const bool shared = conditionings_share_forward(asked, memory_->free_bytes());
      write("forward_batches", event.cfg == 1 ? std::vector{1}
                               : shared       ? std::vector{2}
                                              : std::vector{1, 1});
    } else if (kind != StepKind::encode_text) {
      out_.member("estimate", mib(asked));
      write("vae_batches", vae_batches(demand.asked.bytes, event.shape.batch));
    }
  }

  // As many items at once as the estimate fits into what is free.
  std::vector<int> vae_batches(std::int64_t asked, std::int64_t batch) const {
    const std::int64_t at_once =
        std::max<std::int64_t>(1, asked > 0 ? memory_->free_bytes() / asked : batch);
    std::vector<int> batches;
    for (std::int64_t left = std::min<std::int64_t>(batch, 4096); left > 0; left -= at_once) {
      batches.push_back(static_cast<int>(std::min(left, at_once)));
    }
    return batches;
  }

  void write(const char* key, const std::vector<int>& batches) {
    out_.key(key).begin_array();
    for (const int batch : batches) out_.value(batch);
    out_.end_array();
  }

  void call(const std::vector<Request>& requests) {
    out_.key("calls").begin_array();
    for (const Request& request : requests) {
      out_.begin_object();
      write("models", request.weights);
      out_.member("memory_required", mib(request.asked_bytes)).key("minimum_memory_required");
      const auto minimum = request.minimum_bytes;
      out_.value(minimum ? std::optional(mib(*minimum)) : std::nullopt);
      out_.member("force_full_load", request.full);
      out_.member("free_before", mib(memory_->free_bytes()));
      const Moves moves = memory_->use(request);
      write(moves.record.frees);
      out_.key("loads").begin_array();
      for (const LoadRecord& load : moves.record.loads) write(load);
      out_.end_array().end_object();
    }
    out_.end_array();
  }

  void write(const char* key, const std::vector<WeightsIndex>& models) {
    out_.key(key).begin_array();
    for (const WeightsIndex model : models) out_.value(name(model));
    out_.end_array();
  }

  void write(const std::vector<FreeRecord>& frees) {
    out_.key("frees").begin_array();
    for (const FreeRecord& free : frees) {
      out_.begin_object();
      write("required", free.required_bytes, "all");
      out_.member("free", mib(free.free_bytes));
      write("evicted", free.removed);
      out_.key("partial").begin_object();
      for (const Victim& v : free.victims) {
        if (!v.partial) continue;
        out_.key(name(v.weights)).begin_array().value(mib(v.loaded_before_bytes));
        out_.value(mib(v.loaded_after_bytes)).end_array();
      }
      out_.end_object().end_object();
    }
    out_.end_array();
  }

  void write(const char* key, double bytes, const char* everything) {
    constexpr double kEverythingBytes = 1e30;  // a budget or requirement from here on is no number
    out_.key(key);
    if (bytes >= kEverythingBytes) {
      out_.value(everything);
    } else {
      out_.value(mib(bytes));
    }
  }

  void write(const LoadRecord& load) {
    out_.begin_object().member("model", name(load.weights));
    write("budget", load.budget_bytes, "full");
    out_.member("loaded_before", mib(load.loaded_before_bytes));
    out_.member("loaded", mib(load.loaded_bytes));
    out_.member("size", mib(weights(load.weights).bytes)).member("lowvram", load.lowvram);
    out_.member("buffer", mib(load.buffer_bytes)).key("log").begin_array();
    if (!load.log.empty()) out_.value(load.log);
    out_.end_array();
    if (load.lowvram) out_.member("offloaded_logged", mib(load.offloaded_bytes));
    out_.end_object();
  }

  void write_state() {
    out_.key("resident").begin_object();
    for (const WeightsIndex w : memory_->listed()) out_.member(name(w), mib(memory_->loaded(w)));
    const std::int64_t free = memory_->free_bytes();
    out_.end_object().member("vram_weights", mib(machine_.vram_free.bytes - free));
    out_.member("vram_free", mib(free)).member("pinned", mib(memory_->pinned()));
    if (free < 0) out_.member("over_capacity", true);
  }

  void write(const PagedWork& work, int repeats) {
    out_.key("passes").begin_array();
    for (int repeat = 0; repeat < repeats; ++repeat) {
      const std::int64_t hit = repeat == 0 ? work.hit_bytes : work.kept_bytes;
      out_.begin_object().member("hit", mib(hit)).member("loaded", mib(work.kept_bytes - hit));
      out_.member("streamed", mib(work.streamed_bytes)).end_object();
    }
    out_.end_array().member("resident_pages", work.resident_pages);
    out_.member("watermark_pages", work.watermark_pages).member("span_pages", work.span_pages);
    out_.member("staged", mib(work.staged_bytes));
    out_.member("force_loaded", mib(work.force_loaded_bytes));
    out_.member("cast_buffers", mib(work.cast_buffer_bytes));
  }

  void write_pages() {
    out_.key("vbars").begin_object();
    for (const WeightsIndex m : used_.indices()) {
      if (used_[m]) out_.member(name(m), memory_->loaded(m) / kPageBytes);
    }
    const std::int64_t used = machine_.vram_free.bytes - memory_->free_bytes();
    out_.end_object().member("used", mib(used));
    write("listed", memory_->listed());
  }

  const Scenario& scenario_;
  const Machine& machine_;
  std::unique_ptr<Memory> memory_;
  List<bool, WeightsIndex> known_;  // named by an event so far
  List<bool, WeightsIndex> used_;   // has worked
  int patches_ = 0;
  JsonWriter out_{true};
};

}  // namespace

std::vector<std::int64_t> unpatched_sizes(std::string_view model) {
  for (const OtherSizes& row : kOthers) {
    if (row.model == model) return {row.bytes.begin(), row.bytes.end()};
  }
  return {};
}

std::string play(const Scenario& scenario) { return Player(scenario).run(); }

}  // namespace ebb
