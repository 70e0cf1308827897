// SPDX-License-Identifier: Apache-2.0
// Turns every recorded run into passes, as a workflow would give them, and compares the timeline:
// loaders, placements, flags and cuts are then simulate's own work, only estimates are given.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "ebb/policy.h"
#include "tests/policy/recordings.h"

namespace ebb {
namespace {

using namespace test;  // NOLINT: the recordings are half of this test

/// A recorded run as passes, a pass per event, and what was recorded at each.
struct Recording {
  Passes passes;
  Machine machine;
  Levers levers;
  List<JsonValue, StepIndex> events;  // of each step
  std::map<std::string, WeightsIndex> index;
  bool patched = false;
};

class Reader {
 public:
  Reader(JsonValue scenario, const std::map<std::string, Table>& tables)
      : scenario_(scenario), tables_(tables), version_(scenario.find("version").string()) {}

  Recording read() {
    run_.machine = recorded_machine(scenario_);
    for (JsonValue event : scenario_.find("events")) {
      if (event.find("over_capacity").exists()) break;
      read_event(event);
    }
    return std::move(run_);
  }

 private:
  WeightsIndex weights(const std::string& model, const std::string& file) {
    if (const auto it = run_.index.find(model); it != run_.index.end()) return it->second;
    const std::string plain = model.substr(0, model.find(':'));
    const Table& table = tables_.at(version_ + "/" + plain);
    Weights w;
    w.id = w.name = model;
    w.files = {file};
    w.role = table.kind == "vae"            ? WeightsRole::vae
             : table.kind == "text_encoder" ? WeightsRole::text_encoder
                                            : WeightsRole::diffusion;
    w.bytes = w.file_bytes = table.size;
    if (w.role == WeightsRole::text_encoder) {
      w.loader_bytes = static_cast<std::int64_t>(loader_bytes(tables_, version_, plain));
    }
    w.bytes_from = BytesFrom::known;
    for (const ManagedGroup& r : table.plain) w.modules.push_back(r.modules);
    run_.passes.weights.push_back(w);
    const WeightsIndex index = run_.passes.weights.end_index() - 1;
    run_.index[model] = index;
    return index;
  }

  WeightsIndex add_lora() {
    Weights lora;
    lora.id = "lora" + std::to_string(run_.passes.weights.size());
    lora.role = WeightsRole::lora;
    lora.bytes_from = BytesFrom::known;
    run_.passes.weights.push_back(lora);
    return run_.passes.weights.end_index() - 1;
  }

  void read_event(JsonValue event) {
    const std::string kind = event.find("event").string();
    const std::string model = event.find("model").string();
    Step step;
    if (kind == "unload_all") {
      const PassIndex pass = run_.passes.passes.end_index() - 1;
      run_.levers.cuts.push_back({pass, CutAction::unload_all, {}});
      return;
    }
    if (kind == "lora") {
      loras_[model] = {add_lora()};
      run_.patched = true;
      return;
    }
    if (kind == "load_checkpoint") {
      step.reads = {weights("sdxl", "sdxl"), weights("sdxl_clip", "sdxl"),
                    weights("sdxl_vae", "sdxl")};
    } else if (kind.starts_with("load_")) {
      step.reads = {weights(model, model)};
    } else {
      step.uses = {weights(model, model)};
      step.loras = loras_[model];
      step.kind = kind == "sample" ? StepKind::sample : StepKind::other;
      const JsonValue call = event.find("calls").at(0);
      step.demand.asked = quantity(call.find("memory_required"));
      if (call.find("minimum_memory_required").is_number()) {
        step.demand.minimum = quantity(call.find("minimum_memory_required"));
      }
    }
    step.id = std::to_string(run_.events.size());
    run_.passes.steps.push_back(step);
    run_.events.push_back(event);
    const StepIndex s = run_.passes.steps.end_index() - 1;
    run_.passes.passes.push_back({s, s, s, step.kind, step.uses});
  }

  static Quantity quantity(JsonValue mib_value) {
    return {std::llround(bytes_of(mib_value)), NumberKind::given, ""};
  }

  JsonValue scenario_;
  const std::map<std::string, Table>& tables_;
  std::string version_;
  Recording run_;
  std::map<std::string, std::vector<WeightsIndex>> loras_;
};

/// The first difference at one step, or nothing.
std::string difference(const StepState& state, JsonValue event) {
  std::vector<JsonValue> recorded;
  for (JsonValue call : event.find("calls")) {
    for (JsonValue load : call.find("loads")) recorded.push_back(load);
  }
  const bool on_cpu = event.find("load_device").is("cpu") ||
                      (recorded.size() == 1 && state.loads.empty() &&
                       !event.find("resident").find(recorded[0].find("model").string()).exists());
  if (!on_cpu) {
    if (recorded.size() != state.loads.size()) return "another number of loads";
    for (std::size_t i = 0; i < recorded.size(); ++i) {
      const double loaded = recorded[i].find("loaded").number().value_or(-1);
      const JsonValue offloaded = recorded[i].find("offloaded_logged");
      if (!near(mib(double(state.loads[i].loaded_bytes)), loaded, 0.01)) {
        return "loaded " + std::to_string(mib(double(state.loads[i].loaded_bytes))) + " not " +
               std::to_string(loaded);
      }
      if (offloaded.exists() && !near(mib(double(state.loads[i].offloaded_bytes)),
                                      offloaded.number().value_or(-1), 0.01)) {
        return "another offload";
      }
    }
  }
  double vram = 0;
  for (std::int64_t bytes : state.vram) vram += static_cast<double>(bytes);
  if (!near(mib(vram), event.find("vram_weights").number().value_or(-1), 0.1)) {
    return "VRAM " + std::to_string(mib(vram)) + " not " +
           std::string(event.find("vram_weights").raw());
  }
  return {};
}

TEST(PolicyRuns, TimelinesOfRecordedRunsAreReproduced) {
  EBB_NEED_SHARED();
  const auto tables = read_tables();
  const std::string text = slurp(*shared_dir() / "reference" / "policy-vectors.jsonl.gz");
  struct Count {
    int runs = 0, equal = 0, steps = 0;
  };
  std::map<std::string, Count> plain, patched;
  for (std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) continue;
    const auto document = JsonDocument::parse(std::string(line));
    ASSERT_TRUE(document.ok());
    const JsonValue scenario = document->root();
    if (!scenario.find("mode").is("classic")) continue;
    const Machine machine = recorded_machine(scenario);
    const std::int64_t streams = scenario.find("settings").find("num_streams").integer_or(0);
    if (rules_for(machine.comfyui).streaming_buffer &&
        streams != manager_settings(machine).streams) {
      continue;  // ComfyFlags knows two streams and none
    }
    const std::string version = scenario.find("version").string();
    const Recording run = Reader(scenario, tables).read();
    const Timeline timeline = simulate(run.passes, run.machine, run.levers);
    Count& count = run.patched ? patched[version] : plain[version];
    ++count.runs;
    std::string found;
    for (const StepIndex s : timeline.steps.indices()) {
      if (!found.empty()) break;
      ++count.steps;
      found = difference(timeline.steps[s], run.events[s]);
      if (!found.empty()) found += " at " + std::string(run.events[s].find("event").raw());
    }
    count.equal += found.empty();
    // With LoRA this holds although simulate assumes that all castable modules are patched.
    EXPECT_EQ(found, "") << scenario.find("id").string();
  }
  for (const auto& [version, count] : plain) {
    std::cout << version << ": runs " << count.equal << "/" << count.runs << " in " << count.steps
              << " steps; with LoRA " << patched[version].equal << "/" << patched[version].runs
              << "\n";
  }
}

}  // namespace
}  // namespace ebb
