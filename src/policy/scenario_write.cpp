// SPDX-License-Identifier: Apache-2.0
// Writes a scenario with its results, in the fields that recordings have.
#include <fmt/format.h>

#include <cmath>

#include "json/write.h"
#include "policy/scenario.h"

namespace ebb {
namespace {

// One line, which JsonWriter does not do.
class Line {
 public:
  Line& open(char bracket) {
    separate();
    text_ += bracket;
    fresh_ = true;
    return *this;
  }
  Line& close(char bracket) {
    text_ += bracket;
    fresh_ = false;
    return *this;
  }
  Line& key(std::string_view name) {
    separate();
    text_ += json_quote(name) + ": ";
    fresh_ = true;
    return *this;
  }
  Line& raw(std::string_view text) {
    separate();
    text_ += text;
    return *this;
  }
  Line& text(std::string_view value) { return raw(json_quote(value)); }
  Line& truth(bool value) { return raw(value ? "true" : "false"); }
  Line& count(std::int64_t value) { return raw(std::to_string(value)); }
  /// Bytes in MiB with three decimals, as the recordings have them.
  Line& mib(double bytes) {
    return raw(json_number(std::round(bytes / kBytesPerMib * 1000) / 1000));
  }
  Line& mib(std::int64_t bytes) { return mib(static_cast<double>(bytes)); }
  Line& copy(JsonValue object, std::string_view name) {
    const JsonValue value = object.find(name);
    return value.exists() ? key(name).raw(value.raw()) : *this;
  }
  std::string take() { return std::move(text_); }

 private:
  void separate() {
    if (!fresh_) text_ += ", ";
    fresh_ = false;
  }
  std::string text_;
  bool fresh_ = true;
};

class Writer {
 public:
  Writer(const Scenario& scenario, const std::vector<EventResult>& results)
      : scenario_(scenario), results_(results) {}

  std::string write() {
    const JsonValue json = scenario_.json;
    out_.open('{').key("id").text(scenario_.id);
    for (const char* key : {"version", "mode", "workflow", "dims", "settings"}) {
      out_.copy(json, key);
    }
    const ManagerSettings settings = manager_settings(scenario_.machine);
    out_.key("reserved_mib").mib(settings.reserved_bytes);
    if (scenario_.dynamic) {
      out_.key("page_mib").mib(kPageBytes).key("headroom_mib").mib(kPageHeadroomBytes);
    } else {
      out_.key("minimum_inference_mib").mib(settings.inference_bytes());
    }
    out_.key("events").open('[');
    for (std::size_t i = 0; i < results_.size(); ++i) write(scenario_.events[i], results_[i]);
    out_.close(']').close('}');
    return out_.take();
  }

 private:
  std::string_view name(WeightsIndex model) const { return scenario_.models[model].name; }

  void write(const Event& event, const EventResult& result) {
    out_.open('{');
    for (const char* key : {"event", "model", "dtype", "dynamic", "lora", "patched_weights",
                            "latent", "pixels", "cfg", "activations"}) {
      out_.copy(event.json, key);
    }
    if (scenario_.dynamic) {
      write_dynamic(event, result);
    } else {
      write_classic(event, result);
    }
    out_.close('}');
  }

  void write_classic(const Event& event, const EventResult& result) {
    const char* device = result.on_gpu.value_or(false) ? "cuda" : "cpu";
    if (event.kind == EventKind::load_te) {
      out_.key("device").text(device).key("load_device");
      out_.text(result.computes_on_gpu.value_or(false) ? "cuda" : "cpu");
    }
    if (event.kind == EventKind::load_checkpoint) {
      out_.key("unet_device").text(device).key("te_device").text("cpu");
    }
    if (event.kind == EventKind::unload_all) write(result.frees);
    if (!result.calls.empty()) {
      out_.key("calls").open('[');
      for (const CallResult& call : result.calls) write(call);
      out_.close(']');
    }
    if (event.kind == EventKind::sample) {
      out_.key("model_memory_required").mib(result.asked_bytes.value_or(0));
      out_.key("model_minimum").mib(result.minimum_bytes.value_or(0));
      write("forward_batches", result.forward_batches);
    } else if (result.asked_bytes) {
      out_.key("estimate").mib(*result.asked_bytes);
      write("vae_batches", result.vae_batches);
    }
    out_.key("resident").open('{');
    for (const auto& [model, bytes] : result.resident) out_.key(name(model)).mib(bytes);
    out_.close('}').key("vram_weights").mib(result.weights_bytes);
    out_.key("vram_free").mib(result.free_bytes).key("pinned").mib(result.pinned_bytes);
    if (result.over_capacity) out_.key("over_capacity").truth(true);
  }

  void write(const char* key, const std::vector<int>& batches) {
    out_.key(key).open('[');
    for (int batch : batches) out_.count(batch);
    out_.close(']');
  }

  void write(const CallResult& call) {
    out_.open('{').key("models").open('[');
    for (WeightsIndex model : call.models) out_.text(name(model));
    out_.close(']').key("memory_required").mib(call.required_bytes);
    out_.key("minimum_memory_required");
    if (call.minimum_bytes) {
      out_.mib(*call.minimum_bytes);
    } else {
      out_.raw("null");
    }
    out_.key("force_full_load").truth(call.force_full);
    out_.key("free_before").mib(call.free_before_bytes);
    write(call.record.frees);
    out_.key("loads").open('[');
    for (const LoadRecord& load : call.record.loads) write(load);
    out_.close(']').close('}');
  }

  void write(const std::vector<FreeRecord>& frees) {
    out_.key("frees").open('[');
    for (const FreeRecord& free : frees) {
      out_.open('{').key("required");
      if (free.required_bytes >= kEverythingBytes) {
        out_.text("all");
      } else {
        out_.mib(free.required_bytes);
      }
      out_.key("free").mib(free.free_bytes).key("evicted").open('[');
      for (WeightsIndex model : free.removed) out_.text(name(model));
      out_.close(']').key("partial").open('{');
      for (const Victim& v : free.victims) {
        if (!v.partial) continue;
        out_.key(name(v.weights)).open('[');
        out_.mib(v.loaded_before_bytes).mib(v.loaded_after_bytes).close(']');
      }
      out_.close('}').close('}');
    }
    out_.close(']');
  }

  void write(const LoadRecord& load) {
    out_.open('{').key("model").text(name(load.weights)).key("budget");
    if (load.budget_bytes >= kEverythingBytes) {
      out_.text("full");
    } else {
      out_.mib(load.budget_bytes);
    }
    out_.key("loaded_before").mib(load.loaded_before_bytes).key("loaded").mib(load.loaded_bytes);
    out_.key("size").mib(scenario_.models[load.weights].weights.bytes);
    out_.key("lowvram").truth(load.lowvram).key("buffer").mib(load.buffer_bytes);
    out_.key("log").open('[');
    if (!load.log.empty()) out_.text(load.log);
    out_.close(']');
    if (load.lowvram) out_.key("offloaded_logged").mib(load.offloaded_bytes);
    out_.close('}');
  }

  void write_dynamic(const Event& event, const EventResult& result) {
    if (const auto& work = result.work) {
      out_.key("passes").open('[');
      write_pass(work->hit_bytes, work->kept_bytes - work->hit_bytes, work->streamed_bytes);
      for (int repeat = 1; event.kind == EventKind::sample && repeat < 3; ++repeat) {
        write_pass(work->kept_bytes, 0, work->streamed_bytes);
      }
      out_.close(']').key("resident_pages").count(work->resident_pages);
      out_.key("watermark_pages").count(work->watermark_pages);
      out_.key("span_pages").count(work->span_pages).key("staged").mib(work->staged_bytes);
      out_.key("force_loaded").mib(work->force_loaded_bytes);
      out_.key("cast_buffers").mib(work->cast_buffer_bytes);
    }
    out_.key("vbars").open('{');
    for (const auto& [model, pages] : result.pages) out_.key(name(model)).count(pages);
    out_.close('}').key("used").mib(result.used_bytes).key("listed").open('[');
    for (WeightsIndex model : result.listed) out_.text(name(model));
    out_.close(']');
  }

  void write_pass(std::int64_t hit, std::int64_t loaded, std::int64_t streamed) {
    out_.open('{').key("hit").mib(hit).key("loaded").mib(loaded);
    out_.key("streamed").mib(streamed).close('}');
  }

  const Scenario& scenario_;
  const std::vector<EventResult>& results_;
  Line out_;
};

}  // namespace

std::string write_scenario(const Scenario& scenario, const std::vector<EventResult>& results) {
  return Writer(scenario, results).write();
}

}  // namespace ebb
