// SPDX-License-Identifier: Apache-2.0
// Unload and cleanup nodes of other packs: what their code does, and out with them on request.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "patch/edit.h"
#include "patch/remove.h"

namespace ebb {
namespace {

struct CleanerClass {
  std::string_view name, pack, does;
};

constexpr std::string_view kAllOfThem =
    "unloads every model from VRAM, not only the one it is connected to; RAM keeps them";

// Read in the packs' sources, as of 2026.
constexpr CleanerClass kClasses[] = {
    {"DeleteModelPassthrough", "Isi-dev",
     "destroys the model object, in the node cache too: the next run fails or reads it again"},
    {"DeleteModelPassthroughLight", "Isi-dev",
     "destroys the model object, in the node cache too: the next run fails or reads it again"},
    {"LayerUtility: PurgeVRAM", "ComfyUI_LayerStyle",
     "empties the allocator's cache and unloads every model, as switched on"},
    {"LayerUtility: PurgeVRAM V2", "ComfyUI_LayerStyle",
     "empties the allocator's cache and unloads every model, as switched on"},
    {"RAMCleanup", "Comfyui-Memory_Cleanup",
     "empties the system's file cache and trims other programs: model files come from disk again"},
    {"UnloadAllModels", "ComfyUI-Unload-Model", "unloads every model from VRAM; RAM keeps them"},
    {"UnloadModel", "ComfyUI-Unload-Model", kAllOfThem},
    {"UnloadOneModel", "ComfyUI-Unload-Models", kAllOfThem},
    {"VRAMCleanup", "Comfyui-Memory_Cleanup",
     "unloads every model (offload_model); offload_cache throws the whole node cache away after "
     "the "
     "run, so every loader reads again; whatever follows it runs again each time"},
    {"VRAM_Debug", "ComfyUI-KJNodes",
     "empties the allocator's cache, collects garbage and unloads every model, as switched on, in "
     "this order: what the models free stays with the allocator"},
    {"WAN22BlockSwapCleanup", "ComfyUI_Wan22Blockswap",
     "ends that pack's block swap; what else it frees has not been examined"},
    {"WAN22FullCleanup", "ComfyUI_Wan22Blockswap",
     "ends that pack's block swap; what else it frees has not been examined"},
    {"easy cleanGpuUsed", "ComfyUI-Easy-Use",
     "clears the pack's own cache, unloads every model, empties the allocator's cache"},
    {"easy clearCacheAll", "ComfyUI-Easy-Use",
     "clears the pack's own cache, unloads every model, empties the allocator's cache"},
};

constexpr CleanerClass kFreeMemory{
    "FreeMemory", "ComfyUI-FreeMemory",
    "empties the allocator's cache; aggressive also unloads every model and empties the system's "
    "file cache"};

const CleanerClass* class_of(std::string_view type) {
  const auto at = std::ranges::find(kClasses, type, &CleanerClass::name);
  if (at != std::end(kClasses)) return &*at;
  const bool free_memory = type.starts_with("FreeMemory") && type.size() > kFreeMemory.name.size();
  return free_memory ? &kFreeMemory : nullptr;
}

std::string type_of(const JsonValue& node, WorkflowFormat format) {
  return node.find(format == WorkflowFormat::ui_graph ? "type" : "class_type").text_or("");
}

std::string id_of(const JsonValue& node, WorkflowFormat format) {
  if (format == WorkflowFormat::api_prompt) return node.key();
  const JsonValue id = node.find("id");
  return id.is_string() ? id.string() : std::string(id.raw());
}

/// Output slots of a node that somebody reads.
std::set<std::int64_t> used_slots(const PlacedJson& at, WorkflowFormat format) {
  std::set<std::int64_t> used;
  if (format == WorkflowFormat::api_prompt) {
    for (const JsonValue node : at.scope) {
      for (const JsonValue value : node.find("inputs")) {
        if (value.is_array() && value.at(0).is(at.node.key())) {
          used.insert(value.at(1).integer_or(0));
        }
      }
    }
    return used;
  }
  for (const JsonValue link : at.scope.find("links")) {
    const bool list = link.is_array();
    const JsonValue origin = list ? link.at(1) : link.find("origin_id");
    if (origin.raw() == at.node.find("id").raw()) {
      used.insert((list ? link.at(2) : link.find("origin_slot")).integer_or(0));
    }
  }
  return used;
}

/// The value of a saved switch: by name in a prompt, by place in a graph.
std::optional<bool> setting(const JsonValue& node, WorkflowFormat format, const char* name,
                            std::size_t place) {
  const bool api = format == WorkflowFormat::api_prompt;
  return (api ? node.find("inputs").find(name) : node.find("widgets_values").at(place)).boolean();
}

std::string here(const PlacedJson& at, WorkflowFormat format, const std::string& type) {
  std::string text;
  const auto say = [&](const char* what) {
    text += (text.empty() ? "" : "; ") + std::string(what);
  };
  if (type == "VRAMCleanup") {
    if (setting(at.node, format, "offload_model", 0) == false) {
      say("offload_model is off here: it unloads nothing");
    }
    if (setting(at.node, format, "offload_cache", 1) == false) say("offload_cache is off here");
  }
  if (used_slots(at, format).empty()) {
    say("nothing waits for it: when it runs is not fixed by the graph");
  }
  return text;
}

std::int64_t inputs_of(const PlacedJson& at, WorkflowFormat format) {
  if (format == WorkflowFormat::ui_graph) {
    return static_cast<std::int64_t>(at.node.find("inputs").size());
  }
  std::int64_t count = 0;
  for (const JsonValue value : at.node.find("inputs")) count += value.is_array();
  return count;
}

}  // namespace

std::vector<Cleaner> find_cleaners(const Workflow& workflow) {
  std::vector<Cleaner> found;
  const WorkflowFormat format = workflow.format();
  for (const PlacedJson& at : nodes_in_file(workflow)) {
    const std::string type = type_of(at.node, format);
    const CleanerClass* known = class_of(type);
    if (!known) continue;
    const auto mode = at.node.find("mode").integer_or(0);
    found.push_back({id_of(at.node, format), type, std::string(known->pack),
                     std::string(known->does), here(at, format, type), mode == 2 || mode == 4});
  }
  return found;
}

Result<std::string> remove_cleaners(const Workflow& workflow,
                                    const std::vector<std::string>& nodes) {
  const WorkflowFormat format = workflow.format();
  const WorkflowPart part =
      format == WorkflowFormat::api_prompt ? WorkflowPart::prompt : WorkflowPart::graph;
  std::string text(whole_text(workflow));
  for (bool more = true; more;) {
    more = false;
    const auto now = parse_workflow(text, workflow.file(), part);
    if (!now) return now.error();
    for (const PlacedJson& at : nodes_in_file(*now)) {
      const std::string id = id_of(at.node, format), type = type_of(at.node, format);
      if (!class_of(type)) continue;
      if (!nodes.empty() && std::ranges::count(nodes, id) == 0) continue;
      const auto used = used_slots(at, format);
      if (!used.empty() && *used.rbegin() >= inputs_of(at, format)) {
        return input_error(
            fmt::format("its output {} is in use and passes nothing on", *used.rbegin()),
            workflow.file(), fmt::format("node {} {}", id, type),
            "Disconnect it in ComfyUI first, or leave this node in.");
      }
      text = remove_node(*now, at).apply(text);
      more = true;
      break;
    }
  }
  return text;
}

}  // namespace ebb
