// SPDX-License-Identifier: Apache-2.0
// Recorded runs of ComfyUI's memory manager and the modules of the models in them, read from
// ../shared for the tests that replay them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "json/document.h"
#include "policy/manager.h"
#include "tests/support.h"

namespace ebb::test {

constexpr double kMib = 1024.0 * 1024.0;

inline double mib(double bytes) { return bytes / kMib; }
inline double bytes_of(JsonValue mib_value) { return mib_value.number().value_or(0) * kMib; }
inline bool near(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance; }

/// One row of the recorded module tables.
struct Table {
  std::string kind;
  std::int64_t size = 0;
  std::vector<ManagedGroup> plain, patched;
  int patched_modules = 0;
};

// The recordings patch every Linear weight. The tables don't say which modules are Linear, but
// their names do; the recorded number of patches confirms it.
inline bool is_linear(const std::string& model, const std::string& name, const ModuleGroup& m) {
  const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
  if (!m.castable || m.bytes == 0) return false;
  if (contains(last, "norm") || contains(last, "patch_embedding")) return false;
  if (contains(model, "hunyuan") && contains(name, "img_in.proj")) return false;
  return model != "sdxl";
}

inline Table read_table(JsonValue row, bool buffered) {
  Table table;
  const std::string model = row.find("model").string();
  table.kind = row.find("kind").string();
  table.size = row.find("size").integer_or(0);
  const auto append = [](std::vector<ManagedGroup>& runs, const ManagedGroup& run) {
    if (!runs.empty() && runs.back().patched == run.patched) {
      ModuleGroup same = runs.back().modules;
      same.count = 1;
      if (same == run.modules) {
        ++runs.back().modules.count;
        return;
      }
    }
    runs.push_back(run);
  };
  for (JsonValue module : row.find("modules")) {
    ModuleGroup m{module.at(1).integer_or(0), module.at(2).integer_or(0), 1,
                  module.at(3).integer_or(0) != 0};
    append(table.plain, {m, false});
    const bool linear = is_linear(model, module.at(0).string(), m);
    table.patched_modules += linear;
    if (linear) {
      m.extra_offload_bytes = 2 * (m.extra_offload_bytes > 0 ? m.extra_offload_bytes : m.bytes);
    }
    append(table.patched, {m, linear});
  }
  if (buffered) sort_for_streaming(table.patched);
  return table;
}

/// "version/model" -> its modules.
inline std::map<std::string, Table> read_tables() {
  std::map<std::string, Table> tables;
  const std::string text = slurp(*shared_dir() / "reference" / "model-modules.jsonl.gz");
  for (std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) continue;
    const auto document = JsonDocument::parse(std::string(line));
    EXPECT_TRUE(document.ok());
    const JsonValue row = document->root();
    const std::string version = row.find("version").string();
    const bool buffered = version != "0.3.64" && version != "0.3.73";
    tables[version + "/" + row.find("model").string()] = read_table(row, buffered);
  }
  return tables;
}

inline ComfyVersion recorded_version(JsonValue scenario) {
  const std::string text = scenario.find("version").string();
  const auto parts = split(text, '.');
  return {static_cast<int>(parse_int(parts[0]).value_or(0)),
          static_cast<int>(parse_int(parts[1]).value_or(0)),
          static_cast<int>(parse_int(parts[2]).value_or(0))};
}

/// The machine of a recorded run, dynamic VRAM off.
inline Machine recorded_machine(JsonValue scenario) {
  const JsonValue s = scenario.find("settings");
  const auto given = [&](const char* key) {
    return Quantity{s.find(key).integer_or(0) * 1_MiB, NumberKind::given, ""};
  };
  Machine machine;
  machine.vram_total = given("vram_total");
  machine.vram_free = machine.vram_total;
  machine.vram_free.bytes -= given("vram_others").bytes;
  machine.ram_total = given("ram_total");
  machine.ram_others = given("ram_used");
  machine.os = s.find("os").is("windows") ? Os::windows : Os::linux;
  machine.comfyui = recorded_version(scenario);
  machine.flags.reserve_vram_gib = s.find("reserve_vram_gb").number();
  machine.flags.disable_smart_memory = s.find("disable_smart_memory").boolean().value_or(false);
  machine.flags.disable_dynamic_vram = true;
  machine.flags.disable_async_offload = s.find("num_streams").integer_or(0) == 0;
  const std::string state = s.find("vram_state").string();
  machine.flags.vram_state = state == "lowvram"    ? VramState::low
                             : state == "novram"   ? VramState::none
                             : state == "highvram" ? VramState::high
                                                   : VramState::normal;
  return machine;
}

/// The size a text encoder's loader judges by: its parameters times two bytes.
inline double loader_bytes(const std::map<std::string, Table>& tables, const std::string& version,
                           const std::string& model) {
  std::string twin = model;
  if (contains(model, "umt5")) twin = "umt5_xxl_fp16";
  if (model == "clip_l+t5xxl_fp8_e4m3fn") twin = "clip_l+t5xxl_fp16";
  if (contains(model, "llava")) return 8278353288.0 * 2;
  if (contains(model, "qwen")) return 8292166656.0 * 2;
  return static_cast<double>(tables.at(version + "/" + twin).size);
}

}  // namespace ebb::test
