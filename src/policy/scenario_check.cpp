// SPDX-License-Identifier: Apache-2.0
// Compares a played scenario with what was recorded: bytes within 1 MiB, pages within one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "policy/scenario.h"

namespace ebb {
namespace {

constexpr double kToleranceMib = 1;
constexpr std::int64_t kTolerancePages = 1;

double mib(double bytes) { return bytes / kBytesPerMib; }

class Check {
 public:
  Check(const Scenario& scenario, const std::vector<EventResult>& results)
      : scenario_(scenario), results_(results) {}

  Differences run() {
    for (std::size_t i = 0; i < results_.size(); ++i) {
      event_ = &scenario_.events[i];
      number_ = i + 1;
      if (scenario_.dynamic) {
        compare_dynamic(results_[i]);
      } else {
        compare_classic(results_[i]);
      }
    }
    const std::size_t recorded = scenario_.json.find("events").size();
    if (results_.size() < recorded) {
      what_ = "capacity";
      differ("over capacity", "", "the run goes on");
      close();
    }
    return std::move(differences_);
  }

 private:
  // One thing compared may differ in several values: they are told on one line.
  void open(std::string what) { what_ = std::move(what), details_.clear(); }
  void differ(std::string_view name, const std::string& mine, const std::string& recorded) {
    if (!details_.empty()) details_ += "; ";
    details_ += fmt::format("{} {}, recorded {}", name, mine, recorded);
  }
  void close() {
    if (details_.empty()) {
      ++differences_.equal;
      return;
    }
    differences_.lines.push_back(fmt::format("{}: event {} {}: {}: {}", scenario_.id, number_,
                                             event_->json.find("event").string(), what_, details_));
  }

  void bytes(std::string_view name, double mine_bytes, JsonValue recorded) {
    const auto value = recorded.number();
    if (!value || !(std::abs(mib(mine_bytes) - *value) <= kToleranceMib)) {
      differ(name, fmt::format("{:.3f}", mib(mine_bytes)),
             recorded.exists() ? std::string(recorded.raw()) : "nothing");
    }
  }
  void words(std::string_view name, const std::string& mine, const std::string& recorded) {
    if (mine != recorded) differ(name, mine, recorded);
  }
  std::string name(WeightsIndex model) const { return scenario_.models[model].name; }

  void compare_classic(const EventResult& result) {
    const JsonValue json = event_->json;
    const EventKind kind = event_->kind;
    if (kind == EventKind::load_te || kind == EventKind::load_checkpoint) {
      open("placement");
      words("device", result.on_gpu.value_or(false) ? "cuda" : "cpu",
            json.find(kind == EventKind::load_te ? "device" : "unet_device").string());
      close();
    }
    if (kind == EventKind::unload_all) compare(result.frees, json.find("frees"));
    compare_calls(result, json.find("calls"));
    if (kind == EventKind::sample) {
      open("asked");
      bytes("required", result.asked_bytes.value_or(0), json.find("model_memory_required"));
      bytes("minimum", result.minimum_bytes.value_or(0), json.find("model_minimum"));
      close();
      compare("forwards", result.forward_batches, json.find("forward_batches"));
    } else if (result.asked_bytes) {
      open("asked");
      bytes("estimate", *result.asked_bytes, json.find("estimate"));
      close();
      compare("VAE batches", result.vae_batches, json.find("vae_batches"));
    }
    compare_state(result, json);
  }

  void compare(const char* what, const std::vector<int>& mine, JsonValue recorded) {
    open(what);
    std::vector<int> values;
    for (JsonValue value : recorded) values.push_back(static_cast<int>(value.integer_or(-1)));
    if (values != mine) {
      differ("items", fmt::format("{}", fmt::join(mine, ",")), std::string(recorded.raw()));
    }
    close();
  }

  void compare_calls(const EventResult& result, JsonValue calls) {
    if (calls.size() != result.calls.size()) {
      open("calls");
      differ("calls", std::to_string(result.calls.size()), std::to_string(calls.size()));
      close();
    }
    auto recorded = calls.begin();
    for (std::size_t i = 0; i < std::min(calls.size(), result.calls.size()); ++i, ++recorded) {
      const CallResult& call = result.calls[i];
      open("call");
      bytes("required", call.required_bytes, (*recorded).find("memory_required"));
      const JsonValue minimum = (*recorded).find("minimum_memory_required");
      if (call.minimum_bytes) {
        bytes("minimum", *call.minimum_bytes, minimum);
      } else if (minimum.is_number()) {
        differ("minimum", "none", std::string(minimum.raw()));
      }
      close();
      compare(call.record.frees, (*recorded).find("frees"));
      compare(call.record.loads, (*recorded).find("loads"));
    }
  }

  void compare(const std::vector<FreeRecord>& mine, JsonValue frees) {
    auto recorded = frees.begin();
    for (std::size_t i = 0; i < std::max(mine.size(), frees.size()); ++i) {
      open("eviction");
      if (i >= mine.size() || i >= frees.size()) {
        differ("requests", std::to_string(mine.size()), std::to_string(frees.size()));
        close();
        return;
      }
      const JsonValue free = *recorded;
      ++recorded;
      if (!free.find("required").is("all")) {
        bytes("required", mine[i].required_bytes, free.find("required"));
      }
      std::vector<std::string> evicted, expected;
      std::size_t partial = 0;
      for (const Victim& victim : mine[i].victims) {
        if (!victim.partial) continue;
        ++partial;
        bytes(name(victim.weights) + " left with", double(victim.loaded_after_bytes),
              free.find("partial").find(name(victim.weights)).at(1));
      }
      if (partial != free.find("partial").size()) {
        differ("partly unloaded", std::to_string(partial),
               std::to_string(free.find("partial").size()));
      }
      for (WeightsIndex model : mine[i].removed) evicted.push_back(name(model));
      for (JsonValue model : free.find("evicted")) expected.push_back(model.string());
      if (evicted != expected) {
        differ("evicted", fmt::format("[{}]", fmt::join(evicted, ", ")),
               fmt::format("[{}]", fmt::join(expected, ", ")));
      }
      close();
    }
  }

  void compare(const std::vector<LoadRecord>& mine, JsonValue loads) {
    auto recorded = loads.begin();
    for (std::size_t i = 0; i < std::max(mine.size(), loads.size()); ++i) {
      open("load");
      if (i >= mine.size() || i >= loads.size()) {
        differ("loads", std::to_string(mine.size()), std::to_string(loads.size()));
        close();
        return;
      }
      const JsonValue load = *recorded;
      ++recorded;
      const LoadRecord& record = mine[i];
      words("model", name(record.weights), load.find("model").string());
      const bool full = record.budget_bytes >= kEverythingBytes;
      if (full != load.find("budget").is("full")) {
        differ("budget", full ? "full" : "limited", std::string(load.find("budget").raw()));
      } else if (!full) {
        bytes("budget", record.budget_bytes, load.find("budget"));
      }
      bytes("loaded before", double(record.loaded_before_bytes), load.find("loaded_before"));
      bytes("loaded", double(record.loaded_bytes), load.find("loaded"));
      bytes("buffer", double(record.buffer_bytes), load.find("buffer"));
      if (load.find("offloaded_logged").exists()) {
        bytes("offloaded", double(record.offloaded_bytes), load.find("offloaded_logged"));
      }
      words("lowvram", record.lowvram ? "true" : "false", std::string(load.find("lowvram").raw()));
      close();
    }
  }

  void compare_state(const EventResult& result, JsonValue json) {
    open("resident");
    const JsonValue resident = json.find("resident");
    for (const auto& [model, loaded] : result.resident) {
      bytes(name(model), double(loaded), resident.find(name(model)));
    }
    for (JsonValue model : resident) {
      const std::string other = model.key();
      if (std::none_of(result.resident.begin(), result.resident.end(),
                       [&](const auto& mine) { return name(mine.first) == other; })) {
        differ(other, "absent", std::string(model.raw()));
      }
    }
    bytes("weights", double(result.weights_bytes), json.find("vram_weights"));
    bytes("free", double(result.free_bytes), json.find("vram_free"));
    const bool over = json.find("over_capacity").boolean().value_or(false);
    if (over != result.over_capacity) {
      differ("over capacity", result.over_capacity ? "yes" : "no", over ? "yes" : "no");
    }
    close();
    open("pinned");
    bytes("bytes", double(result.pinned_bytes), json.find("pinned"));
    close();
  }

  void compare_dynamic(const EventResult& result) {
    const JsonValue json = event_->json;
    if (const auto& work = result.work) {
      open("use");
      pages("resident", work->resident_pages, json.find("resident_pages"));
      pages("watermark", work->watermark_pages, json.find("watermark_pages"));
      pages("span", work->span_pages, json.find("span_pages"));
      close();
    }
    open("pages");
    for (const auto& [model, count] : result.pages) {
      pages(name(model), count, json.find("vbars").find(name(model)));
    }
    if (result.pages.size() != json.find("vbars").size()) {
      differ("models", std::to_string(result.pages.size()),
             std::to_string(json.find("vbars").size()));
    }
    close();
    open("order");
    std::vector<std::string> mine, recorded;
    for (WeightsIndex model : result.listed) mine.push_back(name(model));
    for (JsonValue model : json.find("listed")) recorded.push_back(model.string());
    words("models", fmt::format("[{}]", fmt::join(mine, ", ")),
          fmt::format("[{}]", fmt::join(recorded, ", ")));
    close();
  }

  void pages(std::string_view what, std::int64_t mine, JsonValue recorded) {
    const auto value = recorded.integer();
    if (!value || std::abs(mine - *value) > kTolerancePages) {
      differ(what, std::to_string(mine),
             recorded.exists() ? std::string(recorded.raw()) : "nothing");
    }
  }

  const Scenario& scenario_;
  const std::vector<EventResult>& results_;
  const Event* event_ = nullptr;
  std::size_t number_ = 0;
  std::string what_, details_;
  Differences differences_;
};

}  // namespace

Differences check_scenario(const Scenario& scenario, const std::vector<EventResult>& results) {
  return Check(scenario, results).run();
}

}  // namespace ebb
