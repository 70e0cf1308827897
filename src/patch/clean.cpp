// SPDX-License-Identifier: Apache-2.0
// Unload and cleanup nodes of other packs: what their code does, and out with them on request.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
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

/// The value of a saved switch: by name in a prompt, by place in a graph.
std::optional<bool> setting(const JsonValue& node, WorkflowFormat format, const char* name,
                            std::size_t place) {
  const bool api = format == WorkflowFormat::api_prompt;
  return (api ? node.find("inputs").find(name) : node.find("widgets_values").at(place)).boolean();
}

std::string here(const PlacedJson& at, WorkflowFormat format, const std::string& type,
                 bool waited_for) {
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
  if (!waited_for) {
    say("nothing waits for it: when it runs is not fixed by the graph");
  }
  return text;
}

}  // namespace

std::vector<Cleaner> find_cleaners(const Workflow& workflow) {
  std::vector<Cleaner> found;
  const WorkflowFormat format = workflow.format();
  const ReadNodes read(workflow);
  for (const PlacedJson& at : nodes_in_file(workflow)) {
    const std::string type = type_of(at.node, format);
    const CleanerClass* known = class_of(type);
    if (!known) continue;
    const auto mode = at.node.find("mode").integer_or(0);
    found.push_back({id_of(at.node, format), type, std::string(known->pack),
                     std::string(known->does), here(at, format, type, read.contains(at)),
                     mode == 2 || mode == 4});
  }
  return found;
}

Result<std::string> remove_cleaners(const Workflow& workflow,
                                    const std::vector<std::string>& nodes) {
  const WorkflowFormat format = workflow.format();
  const std::set<std::string> wanted(nodes.begin(), nodes.end());
  std::vector<PlacedJson> gone;
  for (const PlacedJson& at : nodes_in_file(workflow)) {
    if (!class_of(type_of(at.node, format))) continue;
    if (wanted.empty() || wanted.contains(id_of(at.node, format))) gone.push_back(at);
  }
  TextEdits edits;
  Removals removals;
  if (const auto open = remove_nodes(workflow, gone, edits, removals)) {
    return input_error(fmt::format("its output {} is in use and passes nothing on", open->slot),
                       workflow.file(),
                       fmt::format("node {} {}", cut_text(id_of(open->node, format)),
                                   cut_text(type_of(open->node, format))),
                       "Disconnect it in ComfyUI first, or leave this node in.");
  }
  removals.put(edits);
  auto text = edits.apply(whole_text(workflow));
  if (text) return *std::move(text);
  return input_error("has cleanup nodes whose links contradict each other", workflow.file(), "",
                     "Take them out in ComfyUI.");
}

}  // namespace ebb
