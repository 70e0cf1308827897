// SPDX-License-Identifier: Apache-2.0
// Taking our nodes out again: by the record where the file is as Ebb wrote it, else node by node.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "json/write.h"
#include "patch/edit.h"
#include "patch/style.h"

namespace ebb {
namespace {

constexpr int kNodesMax = 10'000;  // of ours in one file

JsonValue mark_of(const JsonValue& node, WorkflowFormat format) {
  const JsonValue home =
      format == WorkflowFormat::ui_graph ? node.find("properties") : node.find("_meta");
  const JsonValue mark = home.find("ebb");
  return mark.is_object() && mark.find("version").is_string() ? mark : JsonValue();
}

/// A node with our mark, and the canvas or prompt it stands in.
struct Marked {
  JsonValue scope, node, mark;
};

std::vector<Marked> marked_nodes(const Workflow& workflow) {
  std::vector<Marked> found;
  const auto& state = workflow.state();
  const auto look = [&](const JsonValue& scope, const JsonValue& list) {
    for (const JsonValue node : list) {
      const JsonValue mark = mark_of(node, state.format);
      if (mark.exists()) found.push_back({scope, node, mark});
    }
  };
  if (state.format == WorkflowFormat::api_prompt) {
    look(state.root, state.root);
    return found;
  }
  look(state.root, state.root.find("nodes"));
  for (const JsonValue json : state.root.find("definitions").find("subgraphs")) {
    look(json, json.find("nodes"));
  }
  return found;
}

/// Edits that take one marked node out.
class Remover {
 public:
  Remover(const JsonDocument& document, const Marked& marked) : document_(document), at_(marked) {}

  TextEdits from_graph() {
    if (changed_back("type")) return std::move(edits_);
    const JsonValue id = at_.node.find("id");
    const auto in = link_of(at_.node.find("inputs").at(0).find("link"));
    std::vector<JsonValue> outs;
    for (const JsonValue link : at_.scope.find("links")) {
      if (same(origin_of(link), id)) outs.push_back(link);
    }
    if (in) {
      splice(*in, outs);
    } else {
      for (const JsonValue& out : outs) cut(out);
    }
    remove_element(at_.scope.find("nodes"), at_.node);
    return std::move(edits_);
  }

  TextEdits from_prompt() {
    if (changed_back("class_type")) return std::move(edits_);
    const std::string id = at_.node.key();
    const std::string_view input = passed_input(at_.node.find("class_type").text_or(""));
    const JsonValue source = at_.node.find("inputs").find(input);
    for (const JsonValue node : at_.scope) {
      if (node.offset() == at_.node.offset()) continue;
      for (const JsonValue value : node.find("inputs")) {
        if (!value.is_array() || !value.at(0).is(id)) continue;
        if (source.exists()) {
          replace(value, std::string(source.raw()));
        } else {
          remove_element(node.find("inputs"), value);
        }
      }
    }
    remove_element(at_.scope, at_.node);
    return std::move(edits_);
  }

 private:
  static bool same(const JsonValue& a, const JsonValue& b) {
    return a.exists() && b.exists() && a.raw() == b.raw();
  }
  static JsonValue part(const JsonValue& link, std::size_t index, const char* name) {
    return link.is_array() ? link.at(index) : link.find(name);
  }
  static JsonValue id_of(const JsonValue& link) { return part(link, 0, "id"); }
  static JsonValue origin_of(const JsonValue& link) { return part(link, 1, "origin_id"); }
  static JsonValue target_of(const JsonValue& link) { return part(link, 3, "target_id"); }
  static JsonValue target_slot_of(const JsonValue& link) { return part(link, 4, "target_slot"); }

  std::optional<JsonValue> link_of(const JsonValue& id) const {
    std::optional<JsonValue> found;
    if (!id.is_number()) return found;
    for (const JsonValue link : at_.scope.find("links")) {
      if (id_of(link).integer() == id.integer()) found = link;
    }
    return found;
  }

  JsonValue node_of(const JsonValue& id) const {
    for (const JsonValue node : at_.scope.find("nodes")) {
      if (same(node.find("id"), id)) return node;
    }
    return {};
  }

  void replace(const JsonValue& value, std::string text) {
    edits_.replace(value.offset(), value.end_offset() - value.offset(), std::move(text));
  }

  void remove_element(const JsonValue& container, const JsonValue& element) {
    std::vector<JsonValue> all, gone;
    for (const JsonValue value : container) all.push_back(value);
    removed_.push_back(element.offset());
    const auto is_gone = [&](const JsonValue& value) {
      return std::ranges::find(removed_, value.offset()) != removed_.end();
    };
    const auto at = std::ranges::find(all, element.offset(), &JsonValue::offset);
    // With what stands before it; the first one with what stands behind it.
    const auto kept_before = std::any_of(all.begin(), at, [&](auto& v) { return !is_gone(v); });
    if (kept_before) {
      const std::int64_t begin = std::prev(at)->end_offset();
      edits_.remove(begin, element.end_offset() - begin);
    } else if (std::next(at) != all.end()) {
      edits_.remove(element.key_offset(), std::next(at)->key_offset() - element.key_offset());
    } else {
      edits_.remove(element.key_offset(), element.end_offset() - element.key_offset());
    }
  }

  /// Whoever was named by `from` as its incoming link is now named by `to`.
  void rename_at_target(const JsonValue& link, const std::string& to) {
    const auto id = id_of(link).integer();
    if (target_of(link).integer() == kOutputNode) {
      for (const JsonValue output : at_.scope.find("outputs")) {
        for (const JsonValue entry : output.find("linkIds")) {
          if (entry.integer() == id) replace(entry, to);
        }
      }
    }
    for (const JsonValue socket : node_of(target_of(link)).find("inputs")) {
      if (socket.find("link").integer() == id) replace(socket.find("link"), to);
    }
  }

  /// The link into our node goes on to the first target; the others get links of their own origin.
  void splice(const JsonValue& in, const std::vector<JsonValue>& outs) {
    if (outs.empty()) return drop(in);
    replace(target_of(in), std::string(target_of(outs.front()).raw()));
    replace(target_slot_of(in), std::string(target_slot_of(outs.front()).raw()));
    rename_at_target(outs.front(), std::string(id_of(in).raw()));
    remove_element(at_.scope.find("links"), outs.front());
    for (std::size_t i = 1; i < outs.size(); ++i) {
      replace(origin_of(outs[i]), std::string(origin_of(in).raw()));
      replace(part(outs[i], 2, "origin_slot"), std::string(part(in, 2, "origin_slot").raw()));
    }
    if (outs.size() > 1) list_at_origin(in, outs);
  }

  /// Adds the further links to what the origin lists as leaving it.
  void list_at_origin(const JsonValue& in, const std::vector<JsonValue>& outs) {
    const bool boundary = origin_of(in).integer() == kInputNode;
    const auto slot = static_cast<std::size_t>(
        std::max<std::int64_t>(part(in, 2, "origin_slot").integer_or(0), 0));
    const JsonValue list = boundary
                               ? at_.scope.find("inputs").at(slot).find("linkIds")
                               : node_of(origin_of(in)).find("outputs").at(slot).find("links");
    if (!list.is_array()) return;
    std::string text;
    for (std::size_t i = 1; i < outs.size(); ++i) {
      text += (list.size() > 0 ? gap_of(document_, list) : i > 1 ? "," : "") +
              std::string(id_of(outs[i]).raw());
    }
    if (list.size() > 0) {
      edits_.insert(last_of(list).end_offset(), text);
    } else {
      replace(list, "[" + text + "]");
    }
  }

  /// A link that leads nowhere any more.
  void drop(const JsonValue& link) {
    for (const JsonValue node : at_.scope.find("nodes")) {
      for (const JsonValue output : node.find("outputs")) {
        const JsonValue list = output.find("links");
        for (const JsonValue entry : list) {
          if (entry.integer() == id_of(link).integer()) {
            remove_element(list, entry);
            break;
          }
        }
      }
    }
    remove_element(at_.scope.find("links"), link);
  }

  /// A link that comes from nowhere any more.
  void cut(const JsonValue& link) {
    rename_at_target(link, "null");
    remove_element(at_.scope.find("links"), link);
  }

  /// A node whose class Ebb changed gets its own back; its new values and the mark go.
  bool changed_back(const char* type_key) {
    const JsonValue was = at_.mark.find("was");
    if (!was.is_string()) return false;
    replace(at_.node.find(type_key), std::string(was.raw()));
    const JsonValue properties = at_.node.find("properties");
    const JsonValue name = properties.find("Node name for S&R");
    if (name.is("VAEDecodeTiled")) replace(name, std::string(was.raw()));
    if (const JsonValue values = at_.node.find("widgets_values"); values.is_array()) {
      replace(values, "[]");
    }
    if (const JsonValue inputs = at_.node.find("inputs"); inputs.is_object()) {
      for (const TileWidget& widget : kTileWidgets) {
        const JsonValue value = inputs.find(widget.name);
        if (value.exists() && !value.is_array()) remove_element(inputs, value);
      }
    }
    const JsonValue home = properties.is_object() ? properties : at_.node.find("_meta");
    remove_element(home, at_.mark);
    return true;
  }

  const JsonDocument& document_;
  const Marked& at_;
  TextEdits edits_;
  std::vector<std::int64_t> removed_;
};

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
    Remover remover(now->state().document, marked.front());
    const bool api = now->format() == WorkflowFormat::api_prompt;
    const TextEdits edits = api ? remover.from_prompt() : remover.from_graph();
    undone.text = edits.apply(whole_text(*now));
  }
  return undone;
}

}  // namespace ebb
