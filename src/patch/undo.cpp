// SPDX-License-Identifier: Apache-2.0
// Taking our nodes out again: by the record where the file is as Ebb wrote it, else node by node.
#include "patch/edit.h"
#include "patch/remove.h"

namespace ebb {
namespace {

constexpr int kNodesMax = 10'000;  // of ours in one file

JsonValue mark_of(const JsonValue& node, WorkflowFormat format) {
  const JsonValue home =
      format == WorkflowFormat::ui_graph ? node.find("properties") : node.find("_meta");
  const JsonValue mark = home.find("ebb");
  return mark.is_object() && mark.find("version").is_string() ? mark : JsonValue();
}

struct Marked {
  PlacedJson at;
  JsonValue mark;
};

std::vector<Marked> marked_nodes(const Workflow& workflow) {
  std::vector<Marked> found;
  for (const PlacedJson& at : nodes_in_file(workflow)) {
    const JsonValue mark = mark_of(at.node, workflow.format());
    if (mark.exists()) found.push_back({at, mark});
  }
  return found;
}

/// A node whose class Ebb changed gets its own back; its new values and the mark go.
TextEdits change_back(const Marked& marked, WorkflowFormat format) {
  TextEdits edits;
  const auto replace = [&](const JsonValue& value, std::string text) {
    edits.replace(value.offset(), value.end_offset() - value.offset(), std::move(text));
  };
  const JsonValue node = marked.at.node, properties = node.find("properties");
  const std::string was(marked.mark.find("was").raw());
  replace(node.find(format == WorkflowFormat::ui_graph ? "type" : "class_type"), was);
  Removals removals;
  if (format == WorkflowFormat::ui_graph) {
    if (properties.find("Node name for S&R").is("VAEDecodeTiled")) {
      replace(properties.find("Node name for S&R"), was);
    }
    if (node.find("widgets_values").is_array()) replace(node.find("widgets_values"), "[]");
    removals.add(properties, marked.mark);
  } else {
    for (const TileWidget& widget : kTileWidgets) {
      const JsonValue value = node.find("inputs").find(widget.name);
      if (value.exists() && !value.is_array()) removals.add(node.find("inputs"), value);
    }
    removals.add(node.find("_meta"), marked.mark);
  }
  removals.put(edits);
  return edits;
}

WorkflowPart part_of(const Workflow& workflow) {
  return workflow.format() == WorkflowFormat::api_prompt ? WorkflowPart::prompt
                                                         : WorkflowPart::graph;
}

}  // namespace

bool is_patched(const Workflow& workflow) { return !marked_nodes(workflow).empty(); }

std::optional<std::string> original_text(const Workflow& workflow) {
  for (const Marked& marked : marked_nodes(workflow)) {
    const JsonValue record = marked.mark.find("undo");
    if (!record.is_string()) continue;
    if (auto text = undo_record(whole_text(workflow), record.string())) return text;
  }
  return std::nullopt;
}

Result<Undone> undo_patch(const Workflow& workflow) {
  Undone undone;
  undone.nodes = static_cast<int>(marked_nodes(workflow).size());
  if (undone.nodes == 0) {
    return input_error("has no node that Ebb put there", workflow.file(), "",
                       "Nodes of other packs are a matter of ebb clean.");
  }
  undone.text = whole_text(workflow);
  if (auto text = original_text(workflow)) {
    undone.text = std::move(*text);
    undone.exact = true;
  }
  // What was edited after Ebb wrote it, and patches below the last one.
  for (int i = 0; i < kNodesMax; ++i) {
    auto now = parse_workflow(undone.text, workflow.file(), part_of(workflow));
    if (!now) return now.error();
    const auto marked = marked_nodes(*now);
    if (marked.empty()) break;
    if (auto text = original_text(*now)) {
      undone.text = std::move(*text);
      continue;
    }
    undone.exact = false;
    const Marked& first = marked.front();
    const TextEdits edits = first.mark.find("was").is_string()
                                ? change_back(first, now->format())
                                : remove_node(*now, first.at);
    undone.text = edits.apply(whole_text(*now));
  }
  return undone;
}

}  // namespace ebb
