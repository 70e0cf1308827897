// SPDX-License-Identifier: Apache-2.0
// Taking our nodes out again: by the record where the file is as Ebb wrote it, else node by node.
#include "patch/believe.h"
#include "patch/edit.h"
#include "patch/remove.h"

namespace ebb {
namespace {

constexpr int kPatchesMax = 8;   // one upon the other that are taken out byte for byte
constexpr int kRecordsMax = 16;  // of one file that are tried: each costs a walk through it

struct Marked {
  PlacedJson at;
  JsonValue mark;
};

std::vector<Marked> marked_nodes(const Workflow& workflow) {
  std::vector<Marked> found;
  for (const PlacedJson& at : nodes_in_file(workflow)) {
    const JsonValue mark = mark_of(at.node, workflow.format() == WorkflowFormat::api_prompt);
    if (mark.exists()) found.push_back({at, mark});
  }
  return found;
}

/// A node whose class Ebb changed gets its own back; its new values and the mark go.
void change_back(const Marked& marked, WorkflowFormat format, TextEdits& edits,
                 Removals& removals) {
  const auto replace = [&](const JsonValue& value, std::string text) {
    edits.replace(value.offset(), value.end_offset() - value.offset(), std::move(text));
  };
  const bool graph = format == WorkflowFormat::ui_graph;
  const JsonValue node = marked.at.node, properties = node.find("properties");
  removals.add(graph ? properties : node.find("_meta"), marked.mark);
  // Whatever else a mark may say: this is the one class that Ebb changes, and into this one.
  const JsonValue type = node.find(graph ? "type" : "class_type");
  if (!marked.mark.find("was").is("VAEDecode") || !type.is("VAEDecodeTiled")) return;
  const std::string was(marked.mark.find("was").raw());
  replace(type, was);
  if (graph) {
    if (properties.find("Node name for S&R").is("VAEDecodeTiled")) {
      replace(properties.find("Node name for S&R"), was);
    }
    if (node.find("widgets_values").is_array()) replace(node.find("widgets_values"), "[]");
    return;
  }
  for (const TileWidget& widget : kTileWidgets) {
    const JsonValue value = node.find("inputs").find(widget.name);
    if (value.exists() && !value.is_array()) removals.add(node.find("inputs"), value);
  }
}

WorkflowPart part_of(const Workflow& workflow) {
  return workflow.format() == WorkflowFormat::api_prompt ? WorkflowPart::prompt
                                                         : WorkflowPart::graph;
}

/// The text that a record leads to, if that is what Ebb can have started from.
std::optional<std::string> believed(const Workflow& workflow, const std::string& record) {
  auto text = undo_record(whole_text(workflow), record);
  if (!text) return std::nullopt;
  const auto original = JsonDocument::parse(*text);
  const bool ours = original && only_our_edits(*original, workflow.state().document);
  return ours ? std::move(text) : std::nullopt;
}

/// All our nodes at once, by what their links are now.
Result<std::string> without_marked(const Workflow& workflow, const std::vector<Marked>& marked) {
  TextEdits edits;
  Removals removals;
  std::vector<PlacedJson> nodes;
  for (const Marked& one : marked) {
    if (one.mark.find("was").is_string()) {
      change_back(one, workflow.format(), edits, removals);
    } else {
      nodes.push_back(one.at);
    }
  }
  remove_nodes(workflow, nodes, edits, removals);
  removals.put(edits);
  auto text = edits.apply(whole_text(workflow));
  if (!text) {
    return input_error("has nodes of Ebb's whose links contradict each other", workflow.file(), "",
                       "Take them out in ComfyUI: connect what they stand between, delete them.");
  }
  return *std::move(text);
}

}  // namespace

bool is_patched(const Workflow& workflow) { return !marked_nodes(workflow).empty(); }

std::optional<std::string> original_text(const Workflow& workflow) {
  int tried = 0;
  for (const Marked& marked : marked_nodes(workflow)) {
    const JsonValue record = marked.mark.find("undo");
    if (!record.is_string()) continue;
    if (++tried > kRecordsMax) break;
    if (auto text = believed(workflow, record.string())) return text;
  }
  return std::nullopt;
}

Result<Undone> undo_patch(const Workflow& workflow) {
  Undone undone;
  undone.nodes = static_cast<int>(marked_nodes(workflow).size());
  if (undone.nodes == 0) {
    return input_error("has no node that Ebb put there", workflow.file(), "",
                       "Nodes of other packs are a matter of ebb clean.")
        .because(ErrorReason::nothing_of_ours);
  }
  undone.text = whole_text(workflow);
  undone.exact = true;
  // Patches one upon the other, then what was edited after Ebb wrote it.
  for (int i = 0;; ++i) {
    const auto now = parse_workflow(undone.text, workflow.file(), part_of(workflow));
    if (!now) return now.error();
    const auto marked = marked_nodes(*now);
    if (marked.empty()) return undone;
    auto text = i < kPatchesMax ? original_text(*now) : std::nullopt;
    if (!text) {
      undone.exact = false;
      auto rest = without_marked(*now, marked);
      if (!rest) return rest.error();
      undone.text = *std::move(rest);
      break;
    }
    undone.text = *std::move(text);
  }
  // What contradicts itself may still have one: it is not said to be out then.
  const auto left = parse_workflow(undone.text, workflow.file(), part_of(workflow));
  if (!left) return left.error();
  if (!is_patched(*left)) return undone;
  return input_error("has nodes of Ebb's that can't be taken out", workflow.file(), "",
                     "Take them out in ComfyUI: connect what they stand between, delete them.");
}

}  // namespace ebb
