// SPDX-License-Identifier: Apache-2.0
// Replays every recorded run of ComfyUI's own classic memory manager and compares each decision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <set>

#include "base/text.h"
#include "json/document.h"
#include "policy/manager.h"
#include "tests/policy/recordings.h"
#include "tests/support.h"

namespace ebb {
namespace {

using namespace test;  // NOLINT: the recordings are half of this test

constexpr double kLoose = 0.1;  // MiB; see compare_load

// The same words, and numbers that differ no more than the recorded budgets do.
bool same_log(const std::string& a, const std::string& b) {
  const auto as = split(a, ' '), bs = split(b, ' ');
  if (as.size() != bs.size()) return false;
  for (std::size_t i = 0; i < as.size(); ++i) {
    const auto x = parse_double(as[i]), y = parse_double(bs[i]);
    if (x && y ? !near(*x, *y, kLoose + 1e-9 * std::abs(*x)) : as[i] != bs[i]) return false;
  }
  return true;
}

/// What was compared, by version.
struct Rates {
  int scenarios = 0, events = 0;
  int loads = 0, loads_equal = 0;
  int lora_loads = 0, lora_loads_equal = 0;
  int frees = 0, frees_equal = 0, orders_equal = 0;
  int residents = 0, residents_equal = 0;
  int placements = 0, placements_equal = 0;
  int forwards = 0, forwards_equal = 0;
  int logs = 0, logs_equal = 0;
};

class Replay {
 public:
  Replay(JsonValue scenario, const std::map<std::string, Table>& tables, Rates& rates)
      : scenario_(scenario), tables_(tables), rates_(rates), manager_(settings(scenario)) {}

  void run() {
    ++rates_.scenarios;
    version_ = scenario_.find("version").string();
    for (JsonValue event : scenario_.find("events")) {
      if (event.find("event").is("lora")) has_lora_ = true;
    }
    for (JsonValue event : scenario_.find("events")) {
      if (event.find("over_capacity").exists()) return;  // the recording itself ends here
      ++rates_.events;
      play(event);
      compare_resident(event);
      if (failures_ > 0) return;  // what follows would only repeat it
    }
  }

  std::string first_failure() const { return failure_; }

 private:
  static ManagerSettings settings(JsonValue scenario) {
    ManagerSettings settings = manager_settings(recorded_machine(scenario));
    const std::int64_t streams = scenario.find("settings").find("num_streams").integer_or(0);
    if (settings.streams > 0 || streams == 0) settings.streams = static_cast<int>(streams);
    EXPECT_NEAR(mib(settings.reserved_bytes), scenario.find("reserved_mib").number().value_or(0),
                0.001);
    return settings;
  }

  const Table& table(const std::string& model) const {
    return tables_.at(version_ + "/" + model.substr(0, model.find(':')));
  }

  WeightsIndex weights(const std::string& model) {
    if (const auto it = index_.find(model); it != index_.end()) return it->second;
    const Table& t = table(model);
    Managed managed{t.size, t.plain, false, false};
    const VramState state = manager_.settings().vram_state;
    managed.stays_on_gpu = t.kind == "diffusion" && state == VramState::high;
    managed.on_cpu =
        t.kind == "text_encoder" && state != VramState::high && state != VramState::normal;
    const WeightsIndex w = manager_.add(managed);
    index_[model] = w;
    names_.push_back(model);
    return w;
  }

  void fail(JsonValue event, const std::string& what) {
    ++failures_;
    if (failure_.empty()) {
      failure_ = scenario_.find("id").string() + " " + event.find("event").string() + ": " + what;
    }
  }

  double free_ram() const {
    const JsonValue s = scenario_.find("settings");
    double ram =
        (s.find("ram_total").number().value_or(0) - s.find("ram_used").number().value_or(0)) * kMib;
    for (const auto& [model, w] : index_) {
      ram -= static_cast<double>(table(model).size - manager_.device_bytes(w));
    }
    return ram;
  }

  void play(JsonValue event) {
    const std::string kind = event.find("event").string();
    const std::string model = event.find("model").string();
    if (kind == "unload_all") {
      compare_frees(event, event.find("frees"), {manager_.unload_all()});
    } else if (kind == "lora") {
      const Table& t = table(model);
      EXPECT_EQ(t.patched_modules, event.find("patched_weights").integer_or(0)) << model;
      manager_.set_patches(weights(model), ++patches_, t.patched);
    } else if (kind == "load_te") {
      load_text_encoder(event, model);
    } else if (kind == "load_unet" || kind == "load_checkpoint") {
      load_diffusion(event, kind, model);
    } else if (kind == "load_vae") {
      weights(model);
    } else {
      play_call(event, false);
    }
    if (kind == "sample") compare_forwards(event);
  }

  void load_text_encoder(JsonValue event, const std::string& model) {
    const double loader = loader_bytes(tables_, version_, model);
    const double ram = free_ram();
    const WeightsIndex w = weights(model);
    const bool cpu = table_on_cpu(model);
    const bool gpu =
        !cpu && text_encoder_starts_on_gpu(static_cast<std::int64_t>(loader), manager_.free_bytes(),
                                           static_cast<std::int64_t>(ram));
    ++rates_.placements;
    const bool recorded = event.find("device").is("cuda");
    if (gpu == recorded) {
      ++rates_.placements_equal;
    } else {
      fail(event, "text encoder placed on the other device");
    }
    if (recorded) manager_.place_on_gpu(w);
    if (event.find("calls").exists()) play_call(event, true);
  }

  bool table_on_cpu(const std::string& model) const {
    const VramState state = manager_.settings().vram_state;
    return table(model).kind == "text_encoder" && state != VramState::high &&
           state != VramState::normal;
  }

  void load_diffusion(JsonValue event, const std::string& kind, const std::string& model) {
    const double ram = free_ram();
    const WeightsIndex w = weights(model);
    if (kind == "load_unet") {
      if (manager_.settings().vram_state == VramState::high) manager_.place_on_gpu(w);
      return;
    }
    ++rates_.placements;
    const bool gpu =
        checkpoint_starts_on_gpu(manager_.settings(), table(model).size, manager_.free_bytes(),
                                 static_cast<std::int64_t>(ram));
    const bool recorded = event.find("unet_device").is("cuda");
    if (gpu == recorded) {
      ++rates_.placements_equal;
    } else {
      fail(event, "checkpoint placed on the other device");
    }
    if (recorded) manager_.place_on_gpu(w);
    if (event.find("calls").exists()) play_call(event, true);
  }

  void play_call(JsonValue event, bool force_full) {
    for (JsonValue call : event.find("calls")) {
      std::optional<double> minimum;
      if (call.find("minimum_memory_required").is_number()) {
        minimum = bytes_of(call.find("minimum_memory_required"));
      }
      std::vector<WeightsIndex> models;  // a checkpoint's text encoder has a call of its own
      for (JsonValue name : call.find("models")) models.push_back(weights(name.string()));
      const CallRecord mine =
          manager_.load(models, bytes_of(call.find("memory_required")), minimum, force_full);
      compare_frees(event, call.find("frees"), mine.frees);
      std::size_t i = 0;
      for (JsonValue load : call.find("loads")) {
        if (i < mine.loads.size()) compare_load(event, load, mine.loads[i++]);
      }
      if (call.find("loads").size() != mine.loads.size()) fail(event, "another number of loads");
    }
  }

  void compare_load(JsonValue event, JsonValue load, const LoadRecord& mine) {
    // The recorded device also holds buffers that belong to no weights (LTX's VAE: 0.09 MiB), so
    // budgets are compared less strictly than what came of them.
    const double budget =
        load.find("budget").is("full") ? 1e32 / kMib : load.find("budget").number().value_or(-1);
    const double buffer = load.find("buffer").number().value_or(0);
    const JsonValue offloaded = load.find("offloaded_logged");
    std::string what;
    if (!near(mib(mine.budget_bytes), budget, kLoose + budget * 1e-9)) what += " budget";
    if (!near(mib(double(mine.loaded_before_bytes)),
              load.find("loaded_before").number().value_or(-1), 0.01)) {
      what += " loaded before";
    }
    if (!near(mib(double(mine.loaded_bytes)), load.find("loaded").number().value_or(-1), 0.01)) {
      what += " loaded";
    }
    if (offloaded.exists() &&
        !near(mib(double(mine.offloaded_bytes)), offloaded.number().value_or(-1), 0.01)) {
      what += " offloaded";
    }
    if (mine.lowvram != load.find("lowvram").boolean().value_or(false)) what += " lowvram";
    // A LoRA's share of the buffer leaves biases out, which the tables don't tell from weights.
    if (!near(mib(double(mine.buffer_bytes)), buffer, has_lora_ ? kLoose : 0.01)) what += " buffer";
    ++rates_.loads;
    rates_.loads_equal += what.empty();
    rates_.lora_loads += has_lora_;
    rates_.lora_loads_equal += has_lora_ && what.empty();
    const std::string log = load.find("log").size() > 0 ? load.find("log").at(0).string() : "";
    ++rates_.logs;
    rates_.logs_equal += same_log(log, mine.log);
    if (!same_log(log, mine.log)) what += " log (" + mine.log + ")";
    if (!what.empty()) {
      fail(event, "differs in" + what + ", loaded " +
                      std::to_string(mib(double(mine.loaded_bytes))) + " budget " +
                      std::to_string(mib(mine.budget_bytes)) + " instead of " +
                      std::string(load.raw()));
    }
  }

  void compare_frees(JsonValue event, JsonValue frees, const std::vector<FreeRecord>& mine) {
    if (frees.size() != mine.size()) fail(event, "another number of requests for room");
    std::size_t i = 0;
    for (JsonValue free : frees) {
      if (i == mine.size()) return;
      const FreeRecord& record = mine[i++];
      std::vector<std::string> evicted, recorded;
      std::map<std::string, double> partial;
      for (const Victim& v : record.victims) {
        if (v.partial) partial[names_[v.weights]] = mib(double(v.loaded_after_bytes));
      }
      for (const WeightsIndex w : record.removed) evicted.push_back(names_[w]);
      for (JsonValue name : free.find("evicted")) recorded.push_back(name.string());
      rates_.orders_equal += recorded == evicted;
      bool equal = recorded == evicted && partial.size() == free.find("partial").size();
      for (JsonValue p : free.find("partial")) {
        equal = equal && partial.count(p.key()) &&
                near(partial[p.key()], p.at(1).number().value_or(-1), 0.01);
      }
      ++rates_.frees;
      rates_.frees_equal += equal;
      if (!equal) fail(event, "other victims than " + std::string(free.raw()));
    }
  }

  void compare_resident(JsonValue event) {
    const JsonValue resident = event.find("resident");
    bool equal = resident.size() == manager_.registered().size();
    for (const WeightsIndex w : manager_.registered()) {
      const JsonValue entry = resident.find(names_[w]);
      equal = equal && entry.exists() &&
              near(mib(double(manager_.loaded_bytes(w))), entry.number().value_or(-1), 0.01);
    }
    equal = equal && near(mib(double(manager_.free_bytes())),
                          event.find("vram_free").number().value_or(0), kLoose);
    ++rates_.residents;
    rates_.residents_equal += equal;
    if (!equal && failures_ == 0) {
      fail(event, "resident or free " + std::to_string(mib(double(manager_.free_bytes()))) +
                      " not " + std::string(resident.raw()) + " " +
                      std::string(event.find("vram_free").raw()));
    }
  }

  void compare_forwards(JsonValue event) {
    const JsonValue batches = event.find("forward_batches");
    if (event.find("cfg").number().value_or(1) == 1.0) return;
    ++rates_.forwards;
    const bool together = conditionings_share_forward(bytes_of(event.find("model_memory_required")),
                                                      manager_.free_bytes());
    const bool equal = together == (batches.size() == 1);
    rates_.forwards_equal += equal;
    if (!equal) fail(event, "another number of forwards");
  }

  JsonValue scenario_;
  const std::map<std::string, Table>& tables_;
  Rates& rates_;
  Manager manager_;
  std::string version_;
  std::map<std::string, WeightsIndex> index_;
  List<std::string, WeightsIndex> names_;
  int patches_ = 0;
  bool has_lora_ = false;
  std::size_t failures_ = 0;
  std::string failure_;
};

TEST(PolicyVectors, EveryRecordedClassicDecisionIsReproduced) {
  EBB_NEED_SHARED();
  const auto tables = read_tables();
  std::map<std::string, Rates> rates;
  const std::string text =
      test::slurp(*test::shared_dir() / "reference" / "policy-vectors.jsonl.gz");
  int failures = 0;
  for (std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) continue;
    const auto document = JsonDocument::parse(std::string(line));
    ASSERT_TRUE(document.ok());
    const JsonValue scenario = document->root();
    if (!scenario.find("mode").is("classic")) continue;
    Replay replay(scenario, tables, rates[scenario.find("version").string()]);
    replay.run();
    if (!replay.first_failure().empty() && ++failures < 40) ADD_FAILURE() << replay.first_failure();
  }
  for (const auto& [version, r] : rates) {
    std::cout << version << ": scenarios " << r.scenarios << ", events " << r.events << ", loads "
              << r.loads_equal << "/" << r.loads << " (with LoRA " << r.lora_loads_equal << "/"
              << r.lora_loads << "), victims " << r.frees_equal << "/" << r.frees << " (same order "
              << r.orders_equal << "), resident " << r.residents_equal << "/" << r.residents
              << ", placement " << r.placements_equal << "/" << r.placements << ", forwards "
              << r.forwards_equal << "/" << r.forwards << ", log lines " << r.logs_equal << "/"
              << r.logs << "\n";
    EXPECT_EQ(r.loads_equal, r.loads) << version;
    EXPECT_EQ(r.frees_equal, r.frees) << version;
    EXPECT_EQ(r.orders_equal, r.frees) << version;
    EXPECT_EQ(r.residents_equal, r.residents) << version;
    EXPECT_EQ(r.placements_equal, r.placements) << version;
    EXPECT_EQ(r.forwards_equal, r.forwards) << version;
  }
  ASSERT_EQ(rates.size(), 4u);
  EXPECT_GT(rates["0.3.64"].loads, 200);
}

}  // namespace
}  // namespace ebb
