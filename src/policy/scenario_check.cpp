// SPDX-License-Identifier: Apache-2.0
// Compares a played scenario with what was recorded: bytes within 1 MiB, pages within one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "policy/scenario.h"

namespace ebb {
namespace {

std::string shown(JsonValue value) { return value.exists() ? std::string(value.raw()) : "nothing"; }

std::vector<std::string> strings(JsonValue list) {
  std::vector<std::string> strings;
  for (JsonValue value : list) strings.push_back(value.string());
  return strings;
}

class Check {
 public:
  explicit Check(const Scenario& scenario) : scenario_(scenario) {}

  Differences run(JsonValue played) {
    const JsonValue all = scenario_.json.find("events");
    auto recorded = all.begin();
    for (JsonValue mine : played.find("events")) {
      event_ = mine.find("event").string();
      ++number_;
      if (scenario_.dynamic) {
        compare_dynamic(mine, *recorded);
      } else {
        compare_classic(mine, *recorded);
      }
      ++recorded;
    }
    if (number_ < all.size()) {
      what_ = "capacity";
      differ("over capacity", "", "the run goes on");
      close();
    }
    return std::move(differences_);
  }

 private:
  // One thing compared may differ in several values: they are told on one line.
  void open(std::string what) { what_ = std::move(what), details_.clear(); }
  void differ(std::string_view name, std::string_view mine, std::string_view recorded) {
    if (!details_.empty()) details_ += "; ";
    details_ += fmt::format("{} {}, recorded {}", name, mine, recorded);
  }
  void close() {
    if (details_.empty()) {
      ++differences_.equal;
      return;
    }
    differences_.lines.push_back(
        fmt::format("{}: event {} {}: {}: {}", scenario_.id, number_, event_, what_, details_));
  }

  void bytes(std::string_view name, JsonValue mine, JsonValue recorded) {
    constexpr double kToleranceMib = 1;
    const auto a = mine.number(), b = recorded.number();
    if (a && b && std::abs(*a - *b) <= kToleranceMib) return;
    differ(name, a ? fmt::format("{:.3f}", *a) : shown(mine), shown(recorded));
  }
  void pages(std::string_view what, JsonValue mine, JsonValue recorded) {
    constexpr std::int64_t kTolerancePages = 1;
    const auto a = mine.integer(), b = recorded.integer();
    if (!a || !b || std::abs(*a - *b) > kTolerancePages) differ(what, shown(mine), shown(recorded));
  }
  void words(std::string_view name, const std::string& mine, const std::string& recorded) {
    if (mine != recorded) differ(name, mine, recorded);
  }
  void models(std::string_view name, JsonValue mine, JsonValue recorded) {
    words(name, fmt::format("[{}]", fmt::join(strings(mine), ", ")),
          fmt::format("[{}]", fmt::join(strings(recorded), ", ")));
  }
  void sizes(std::string_view name, JsonValue mine, JsonValue recorded) {
    if (mine.size() != recorded.size()) {
      differ(name, std::to_string(mine.size()), std::to_string(recorded.size()));
    }
  }
  /// Element by element; another number of them is one difference more.
  template <class Compare>
  void each(const char* what, const char* name, JsonValue mine, JsonValue recorded,
            Compare compare) {
    auto a = mine.begin(), b = recorded.begin();
    for (std::size_t i = 0; i < std::min(mine.size(), recorded.size()); ++i, ++a, ++b) {
      open(what);
      compare(*a, *b);
    }
    if (mine.size() == recorded.size()) return;
    open(what);
    sizes(name, mine, recorded);
    close();
  }

  void compare_classic(JsonValue mine, JsonValue recorded) {
    for (const char* key : {"device", "unet_device"}) {
      if (!mine.find(key).exists()) continue;
      open("placement");
      words("device", mine.find(key).string(), recorded.find(key).string());
      close();
    }
    if (event_ == "unload_all") compare_frees(mine.find("frees"), recorded.find("frees"));
    each("calls", "calls", mine.find("calls"), recorded.find("calls"),
         [&](JsonValue a, JsonValue b) { compare_call(a, b); });
    if (mine.find("model_memory_required").exists()) {
      open("asked");
      bytes("required", mine.find("model_memory_required"), recorded.find("model_memory_required"));
      bytes("minimum", mine.find("model_minimum"), recorded.find("model_minimum"));
      close();
      compare_list("forwards", mine.find("forward_batches"), recorded.find("forward_batches"));
    } else if (mine.find("estimate").exists()) {
      open("asked");
      bytes("estimate", mine.find("estimate"), recorded.find("estimate"));
      close();
      compare_list("VAE batches", mine.find("vae_batches"), recorded.find("vae_batches"));
    }
    compare_state(mine, recorded);
  }

  void compare_list(const char* what, JsonValue mine, JsonValue recorded) {
    open(what);
    std::vector<std::int64_t> a, b;
    for (JsonValue value : mine) a.push_back(value.integer_or(-1));
    for (JsonValue value : recorded) b.push_back(value.integer_or(-1));
    if (a != b) differ("items", fmt::format("{}", fmt::join(a, ",")), recorded.raw());
    close();
  }

  void compare_call(JsonValue mine, JsonValue recorded) {
    open("call");
    bytes("required", mine.find("memory_required"), recorded.find("memory_required"));
    const JsonValue minimum = mine.find("minimum_memory_required");
    const JsonValue other = recorded.find("minimum_memory_required");
    if (minimum.is_number()) {
      bytes("minimum", minimum, other);
    } else if (other.is_number()) {
      differ("minimum", "none", other.raw());
    }
    close();
    compare_frees(mine.find("frees"), recorded.find("frees"));
    each("load", "loads", mine.find("loads"), recorded.find("loads"),
         [&](JsonValue a, JsonValue b) { compare_load(a, b); });
  }

  void compare_frees(JsonValue mine, JsonValue recorded) {
    each("eviction", "requests", mine, recorded, [&](JsonValue a, JsonValue b) {
      if (!b.find("required").is("all")) bytes("required", a.find("required"), b.find("required"));
      for (JsonValue partial : a.find("partial")) {
        bytes(partial.key() + " left with", partial.at(1),
              b.find("partial").find(partial.key()).at(1));
      }
      sizes("partly unloaded", a.find("partial"), b.find("partial"));
      models("evicted", a.find("evicted"), b.find("evicted"));
      close();
    });
  }

  void compare_load(JsonValue mine, JsonValue recorded) {
    words("model", mine.find("model").string(), recorded.find("model").string());
    const JsonValue budget = recorded.find("budget");
    const bool full = mine.find("budget").is("full");
    if (full != budget.is("full")) {
      differ("budget", full ? "full" : "limited", budget.raw());
    } else if (!full) {
      bytes("budget", mine.find("budget"), budget);
    }
    bytes("loaded before", mine.find("loaded_before"), recorded.find("loaded_before"));
    bytes("loaded", mine.find("loaded"), recorded.find("loaded"));
    bytes("buffer", mine.find("buffer"), recorded.find("buffer"));
    const JsonValue offloaded = recorded.find("offloaded_logged");
    if (offloaded.exists()) bytes("offloaded", mine.find("offloaded_logged"), offloaded);
    words("lowvram", shown(mine.find("lowvram")), shown(recorded.find("lowvram")));
    close();
  }

  void compare_state(JsonValue mine, JsonValue recorded) {
    open("resident");
    const JsonValue resident = recorded.find("resident");
    for (JsonValue model : mine.find("resident")) {
      bytes(model.key(), model, resident.find(model.key()));
    }
    for (JsonValue model : resident) {
      if (mine.find("resident").find(model.key()).exists()) continue;
      differ(model.key(), "absent", model.raw());
    }
    bytes("weights", mine.find("vram_weights"), recorded.find("vram_weights"));
    bytes("free", mine.find("vram_free"), recorded.find("vram_free"));
    const bool over = recorded.find("over_capacity").boolean().value_or(false);
    if (over != mine.find("over_capacity").exists()) {
      differ("over capacity", over ? "no" : "yes", over ? "yes" : "no");
    }
    close();
    open("pinned");
    bytes("bytes", mine.find("pinned"), recorded.find("pinned"));
    close();
  }

  void compare_dynamic(JsonValue mine, JsonValue recorded) {
    if (mine.find("resident_pages").exists()) {
      open("use");
      for (const char* what : {"resident", "watermark", "span"}) {
        const std::string key = fmt::format("{}_pages", what);
        pages(what, mine.find(key), recorded.find(key));
      }
      close();
    }
    open("pages");
    const JsonValue counts = mine.find("vbars"), others = recorded.find("vbars");
    for (JsonValue model : counts) pages(model.key(), model, others.find(model.key()));
    sizes("models", counts, others);
    close();
    open("order");
    models("models", mine.find("listed"), recorded.find("listed"));
    close();
  }

  const Scenario& scenario_;
  std::string event_;
  std::size_t number_ = 0;
  std::string what_, details_;
  Differences differences_;
};

}  // namespace

Differences check_scenario(const Scenario& scenario, const std::string& played) {
  const auto document = JsonDocument::parse(played);
  return Check(scenario).run(document->root());
}

}  // namespace ebb
