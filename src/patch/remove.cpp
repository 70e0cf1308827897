// SPDX-License-Identifier: Apache-2.0
#include "patch/remove.h"

#include <algorithm>

#include "patch/cuts.h"
#include "patch/style.h"

namespace ebb {
namespace {

bool same(const JsonValue& a, const JsonValue& b) {
  return a.exists() && b.exists() && a.raw() == b.raw();
}

JsonValue part(const JsonValue& link, std::size_t index, const char* name) {
  return link.is_array() ? link.at(index) : link.find(name);
}
JsonValue id_of(const JsonValue& link) { return part(link, 0, "id"); }
JsonValue origin_of(const JsonValue& link) { return part(link, 1, "origin_id"); }
JsonValue origin_slot_of(const JsonValue& link) { return part(link, 2, "origin_slot"); }
JsonValue target_of(const JsonValue& link) { return part(link, 3, "target_id"); }
JsonValue target_slot_of(const JsonValue& link) { return part(link, 4, "target_slot"); }

class GraphRemover {
 public:
  GraphRemover(const JsonDocument& document, const PlacedJson& at) : document_(document), at_(at) {}

  TextEdits run() {
    const JsonValue id = at_.node.find("id");
    std::map<std::int64_t, std::vector<JsonValue>> outs;  // by slot
    for (const JsonValue link : at_.scope.find("links")) {
      if (same(origin_of(link), id)) outs[origin_slot_of(link).integer_or(0)].push_back(link);
    }
    std::int64_t slot = 0;
    for (const JsonValue socket : at_.node.find("inputs")) {
      const auto in = link_of(socket.find("link"));
      if (in) {
        splice(*in, outs[slot]);
        outs.erase(slot);
      }
      ++slot;
    }
    for (const auto& [rest, links] : outs) {
      for (const JsonValue& link : links) cut(link);
    }
    removals_.add(at_.scope.find("nodes"), at_.node);
    removals_.put(edits_);
    return std::move(edits_);
  }

 private:
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

  /// Whoever was named by a link as its incoming one is now named by `to`.
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

  /// The link into the node goes on to the first target; the others get links of their own origin.
  void splice(const JsonValue& in, const std::vector<JsonValue>& outs) {
    if (outs.empty()) return drop(in);
    replace(target_of(in), std::string(target_of(outs.front()).raw()));
    replace(target_slot_of(in), std::string(target_slot_of(outs.front()).raw()));
    rename_at_target(outs.front(), std::string(id_of(in).raw()));
    removals_.add(at_.scope.find("links"), outs.front());
    for (std::size_t i = 1; i < outs.size(); ++i) {
      replace(origin_of(outs[i]), std::string(origin_of(in).raw()));
      replace(origin_slot_of(outs[i]), std::string(origin_slot_of(in).raw()));
    }
    if (outs.size() > 1) list_at_origin(in, outs);
  }

  /// Adds the further links to what the origin lists as leaving it.
  void list_at_origin(const JsonValue& in, const std::vector<JsonValue>& outs) {
    const bool boundary = origin_of(in).integer() == kInputNode;
    const auto slot =
        static_cast<std::size_t>(std::max<std::int64_t>(origin_slot_of(in).integer_or(0), 0));
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
    const auto forget = [&](const JsonValue& list) {
      for (const JsonValue entry : list) {
        if (entry.integer() == id_of(link).integer()) removals_.add(list, entry);
      }
    };
    for (const JsonValue output : node_of(origin_of(link)).find("outputs")) {
      forget(output.find("links"));
    }
    if (origin_of(link).integer() == kInputNode) {
      for (const JsonValue input : at_.scope.find("inputs")) forget(input.find("linkIds"));
    }
    removals_.add(at_.scope.find("links"), link);
  }

  /// A link that comes from nowhere any more.
  void cut(const JsonValue& link) {
    rename_at_target(link, "null");
    removals_.add(at_.scope.find("links"), link);
  }

  const JsonDocument& document_;
  const PlacedJson& at_;
  TextEdits edits_;
  Removals removals_;
};

/// The links into a node, as the text of their values.
std::vector<std::string> links_into(const JsonValue& node) {
  std::vector<std::string> links;
  for (const JsonValue value : node.find("inputs")) {
    if (value.is_array() && value.at(0).is_string()) links.emplace_back(value.raw());
  }
  return links;
}

TextEdits remove_from_prompt(const PlacedJson& at) {
  TextEdits edits;
  Removals removals;
  const std::string id = at.node.key();
  const auto sources = links_into(at.node);
  for (const JsonValue node : at.scope) {
    if (node.offset() == at.node.offset()) continue;
    for (const JsonValue value : node.find("inputs")) {
      if (!value.is_array() || !value.at(0).is(id)) continue;
      const auto slot =
          static_cast<std::size_t>(std::max<std::int64_t>(value.at(1).integer_or(0), 0));
      if (slot < sources.size()) {
        edits.replace(value.offset(), value.end_offset() - value.offset(), sources[slot]);
      } else {
        removals.add(node.find("inputs"), value);
      }
    }
  }
  removals.add(at.scope, at.node);
  removals.put(edits);
  return edits;
}

}  // namespace

std::vector<PlacedJson> nodes_in_file(const Workflow& workflow) {
  std::vector<PlacedJson> found;
  const auto& state = workflow.state();
  const auto add = [&](const JsonValue& scope, const JsonValue& list) {
    for (const JsonValue node : list) found.push_back({scope, node});
  };
  if (state.format == WorkflowFormat::api_prompt) {
    add(state.root, state.root);
    return found;
  }
  add(state.root, state.root.find("nodes"));
  for (const JsonValue json : state.root.find("definitions").find("subgraphs")) {
    add(json, json.find("nodes"));
  }
  return found;
}

void Removals::add(const JsonValue& container, const JsonValue& element) {
  Gone& gone = gone_[container.offset()];
  gone.container = container;
  gone.offsets.push_back(element.offset());
}

/// With what stands before it; as long as nothing before it stays, with what stands behind it.
void Removals::put(TextEdits& edits) const {
  for (const auto& [offset, gone] : gone_) {
    bool kept = false;
    JsonValue before, pending;  // the one before; the one that goes together with its separator
    for (const JsonValue element : gone.container) {
      if (pending.exists()) {
        edits.remove(pending.key_offset(), element.key_offset() - pending.key_offset());
        pending = {};
      }
      if (std::ranges::count(gone.offsets, element.offset()) == 0) {
        kept = true;
      } else if (kept) {
        edits.remove(before.end_offset(), element.end_offset() - before.end_offset());
      } else {
        pending = element;
      }
      before = element;
    }
    if (pending.exists()) {
      edits.remove(pending.key_offset(), pending.end_offset() - pending.key_offset());
    }
  }
}

TextEdits remove_node(const Workflow& workflow, const PlacedJson& at) {
  const auto& state = workflow.state();
  if (state.format == WorkflowFormat::api_prompt) return remove_from_prompt(at);
  return GraphRemover(state.document, at).run();
}

}  // namespace ebb
