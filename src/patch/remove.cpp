// SPDX-License-Identifier: Apache-2.0
#include "patch/remove.h"

#include <algorithm>
#include <unordered_map>

#include "patch/cuts.h"
#include "patch/style.h"

namespace ebb {
namespace {

JsonValue part(const JsonValue& link, std::size_t index, const char* name) {
  return link.is_array() ? link.at(index) : link.find(name);
}

/// A link of the file's table.
struct Wire {
  explicit Wire(const JsonValue& link)
      : json(link),
        id(part(link, 0, "id")),
        origin(part(link, 1, "origin_id")),
        origin_slot(part(link, 2, "origin_slot")),
        target(part(link, 3, "target_id")),
        target_slot(part(link, 4, "target_slot")) {}
  JsonValue json, id, origin, origin_slot, target, target_slot;
};

std::string_view raw(const JsonValue& value) {
  return value.exists() ? value.raw() : std::string_view();
}

/// Removes nodes of one canvas: of the root, or of a subgraph definition.
class GraphRemover {
 public:
  GraphRemover(const JsonDocument& document, const JsonValue& scope, TextEdits& edits,
               Removals& removals)
      : document_(document), scope_(scope), edits_(edits), removals_(removals) {}

  void add(const JsonValue& node) {
    Gone gone{node, {}};
    for (const JsonValue socket : node.find("inputs")) {
      gone.links.push_back(socket.find("link").integer());
    }
    removals_.add(scope_.find("nodes"), node);
    gone_.try_emplace(raw(node.find("id")), std::move(gone));
  }

  void run(std::vector<OpenOutput>& open) {
    index();
    std::map<int, std::vector<int>> readers;  // of what comes into the nodes, by its wire
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      const Wire& wire = wires_[i];
      const Gone* from = gone(wire.origin);
      if (!from) continue;
      if (gone(wire.target)) {
        removals_.add(scope_.find("links"), wire.json);
        continue;
      }
      const Source source = source_of(*from, wire.origin_slot.integer_or(0));
      if (source.wire >= 0) {
        readers[source.wire].push_back(static_cast<int>(i));
      } else {
        cut(wire);
        if (source.open.node.exists()) open.push_back(source.open);
      }
    }
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      const bool into = !gone(wires_[i].origin) && gone(wires_[i].target);
      const auto found = readers.find(static_cast<int>(i));
      if (found != readers.end()) {
        splice(wires_[i], found->second, into);
      } else if (into) {
        drop(wires_[i]);
      }
    }
    write_lists();
  }

 private:
  struct Gone {
    JsonValue node;
    std::vector<std::optional<std::int64_t>> links;  ///< by input
  };
  /// Where a value comes from: a wire that leaves a node which stays, or nowhere.
  struct Source {
    int wire = -1;
    OpenOutput open;
  };
  /// A value that names a link, in a node's socket or in a list.
  struct Mention {
    std::string_view node;  ///< its id as written; empty at the boundary of a definition
    JsonValue list, value;  ///< `list` is absent for sockets
  };
  struct ListChange {
    JsonValue list;
    std::unordered_set<std::int64_t> gone;  ///< offsets
    std::vector<std::string> more;
  };

  const Gone* gone(const JsonValue& id) const {
    const auto at = gone_.find(raw(id));
    return at == gone_.end() || !id.exists() ? nullptr : &at->second;
  }

  void index() {
    for (const JsonValue link : scope_.find("links")) {
      wires_.emplace_back(link);
      if (const auto id = wires_.back().id.integer()) {
        by_id_[*id] = static_cast<int>(wires_.size() - 1);
      }
    }
    for (const JsonValue node : scope_.find("nodes")) {
      const auto id = raw(node.find("id"));
      nodes_.try_emplace(id, node);
      for (const JsonValue socket : node.find("inputs")) {
        mention(inputs_, id, {}, socket.find("link"));
      }
      for (const JsonValue socket : node.find("outputs")) {
        mention_all(outputs_, id, socket.find("links"));
      }
    }
    for (const JsonValue slot : scope_.find("inputs")) {
      mention_all(outputs_, {}, slot.find("linkIds"));
    }
    for (const JsonValue slot : scope_.find("outputs")) {
      mention_all(inputs_, {}, slot.find("linkIds"));
    }
  }

  using Mentions = std::unordered_multimap<std::int64_t, Mention>;
  static void mention(Mentions& mentions, std::string_view node, const JsonValue& list,
                      const JsonValue& value) {
    if (const auto id = value.integer()) mentions.emplace(*id, Mention{node, list, value});
  }
  static void mention_all(Mentions& mentions, std::string_view node, const JsonValue& list) {
    if (!list.is_array()) return;
    for (const JsonValue entry : list) mention(mentions, node, list, entry);
  }

  /// Calls `visit` for what names a link at the end it has at node `id`, or at the boundary.
  template <class Visit>
  static void each(const Mentions& mentions, const JsonValue& link, const JsonValue& id,
                   int boundary, Visit visit) {
    const auto number = link.integer();
    if (!number) return;
    const auto [first, last] = mentions.equal_range(*number);
    for (auto at = first; at != last; ++at) {
      const Mention& mention = at->second;
      const bool here = mention.node.empty() ? id.integer() == boundary : mention.node == raw(id);
      if (here) visit(mention);
    }
  }

  /// Follows the nodes that go, input for output, up to one that stays.
  Source source_of(const Gone& from, std::int64_t slot) {
    std::vector<Source*> passed;
    Source source;
    for (const Gone* at = &from; at;) {
      const auto [known, fresh] = sources_.try_emplace({at->node.offset(), slot});
      if (!fresh) {  // nothing for an output of this very walk: a circle
        source = known->second;
        break;
      }
      passed.push_back(&known->second);
      if (slot < 0 || std::size_t(slot) >= at->links.size()) {
        source.open = {at->node, slot};
        break;
      }
      const auto& link = at->links[std::size_t(slot)];
      const auto wire = link ? by_id_.find(*link) : by_id_.end();
      if (wire == by_id_.end()) break;
      const Wire& in = wires_[std::size_t(wire->second)];
      at = gone(in.origin);
      slot = in.origin_slot.integer_or(0);
      if (!at) source.wire = wire->second;
    }
    for (Source* known : passed) *known = source;
    return source;
  }

  void replace(const JsonValue& value, std::string text) {
    if (!value.exists()) return;
    edits_.replace(value.offset(), value.end_offset() - value.offset(), std::move(text));
  }

  /// Whoever was named by a link as its incoming one is now named by `to`.
  void rename_at_target(const Wire& wire, const std::string& to) {
    each(inputs_, wire.id, wire.target, kOutputNode,
         [&](const Mention& mention) { replace(mention.value, to); });
  }

  /// The link into the nodes goes on to the first reader; the others get links of its own origin.
  void splice(const Wire& in, const std::vector<int>& readers, bool free) {
    std::size_t own = 0;
    if (free) {
      const Wire& first = wires_[std::size_t(readers[own++])];
      replace(in.target, std::string(raw(first.target)));
      replace(in.target_slot, std::string(raw(first.target_slot)));
      rename_at_target(first, std::string(raw(in.id)));
      removals_.add(scope_.find("links"), first.json);
    }
    for (std::size_t i = own; i < readers.size(); ++i) {
      const Wire& wire = wires_[std::size_t(readers[i])];
      replace(wire.origin, std::string(raw(in.origin)));
      replace(wire.origin_slot, std::string(raw(in.origin_slot)));
      if (const JsonValue list = list_at_origin(in); list.is_array()) {
        ListChange& change = lists_[list.offset()];
        change.list = list;
        change.more.emplace_back(raw(wire.id));
      }
    }
  }

  /// What the origin of a link lists as leaving it there.
  JsonValue list_at_origin(const Wire& in) {
    JsonValue& list = lists_of_[{std::string(raw(in.origin)), in.origin_slot.integer_or(0)}];
    if (list.exists()) return list;
    const auto slot =
        static_cast<std::size_t>(std::max<std::int64_t>(in.origin_slot.integer_or(0), 0));
    if (in.origin.integer() == kInputNode) {
      return list = scope_.find("inputs").at(slot).find("linkIds");
    }
    const auto node = nodes_.find(raw(in.origin));
    if (node == nodes_.end()) return {};
    return list = node->second.find("outputs").at(slot).find("links");
  }

  /// A link that leads nowhere any more.
  void drop(const Wire& wire) {
    each(outputs_, wire.id, wire.origin, kInputNode, [&](const Mention& mention) {
      ListChange& change = lists_[mention.list.offset()];
      change.list = mention.list;
      change.gone.insert(mention.value.offset());
    });
    removals_.add(scope_.find("links"), wire.json);
  }

  /// A link that comes from nowhere any more.
  void cut(const Wire& wire) {
    rename_at_target(wire, "null");
    removals_.add(scope_.find("links"), wire.json);
  }

  void write_lists() {
    for (const auto& [offset, change] : lists_) {
      std::vector<std::string> kept;
      for (const JsonValue entry : change.list) {
        if (change.gone.contains(entry.offset())) {
          if (change.more.empty()) removals_.add(change.list, entry);
        } else {
          kept.emplace_back(entry.raw());
        }
      }
      if (change.more.empty()) continue;
      const bool empty = change.list.size() == 0;
      const std::string gap = empty ? "," : gap_of(document_, change.list);
      std::string text;
      if (change.gone.empty() && !empty) {
        for (const std::string& id : change.more) text += gap + id;
        edits_.insert(last_of(change.list).end_offset(), text);
        continue;
      }
      kept.insert(kept.end(), change.more.begin(), change.more.end());
      for (const std::string& id : kept) text += (text.empty() ? "" : gap) + id;
      replace(change.list, "[" + text + "]");
    }
  }

  const JsonDocument& document_;
  JsonValue scope_;
  TextEdits& edits_;
  Removals& removals_;
  std::unordered_map<std::string_view, Gone> gone_;        ///< by id as written
  std::unordered_map<std::string_view, JsonValue> nodes_;  ///< likewise
  std::vector<Wire> wires_;
  std::unordered_map<std::int64_t, int> by_id_;
  Mentions inputs_, outputs_;
  std::map<std::pair<std::int64_t, std::int64_t>, Source> sources_;
  std::map<std::pair<std::string, std::int64_t>, JsonValue> lists_of_;
  std::map<std::int64_t, ListChange> lists_;
};

/// The same for a prompt, where a link stands in the node that reads it.
class PromptRemover {
 public:
  PromptRemover(const JsonValue& scope, TextEdits& edits, Removals& removals)
      : scope_(scope), edits_(edits), removals_(removals) {}

  void add(const JsonValue& node) {
    Gone gone{node, {}};
    for (const JsonValue value : node.find("inputs")) {
      if (is_link(value)) gone.links.push_back(value);
    }
    removals_.add(scope_, node);
    offsets_.insert(node.offset());
    gone_[node.key()] = std::move(gone);
  }

  void run(std::vector<OpenOutput>& open) {
    for (const JsonValue node : scope_) {
      if (offsets_.contains(node.offset())) continue;
      const JsonValue inputs = node.find("inputs");
      for (const JsonValue value : inputs) {
        if (!is_link(value)) continue;
        const auto from = gone_.find(value.at(0).string());
        if (from == gone_.end()) continue;
        const Source source = source_of(from->second, slot_of(value));
        if (source.link.exists()) {
          edits_.replace(value.offset(), value.end_offset() - value.offset(),
                         std::string(source.link.raw()));
        } else {
          removals_.add(inputs, value);
          if (source.open.node.exists()) open.push_back(source.open);
        }
      }
    }
  }

 private:
  struct Gone {
    JsonValue node;
    std::vector<JsonValue> links;
  };
  struct Source {
    JsonValue link;
    OpenOutput open;
  };

  static bool is_link(const JsonValue& value) {
    return value.is_array() && value.at(0).is_string();
  }
  static std::int64_t slot_of(const JsonValue& link) {
    return std::max<std::int64_t>(link.at(1).integer_or(0), 0);
  }

  Source source_of(const Gone& from, std::int64_t slot) {
    std::vector<Source*> passed;
    Source source;
    for (const Gone* at = &from; at;) {
      const auto [known, fresh] = sources_.try_emplace({at->node.offset(), slot});
      if (!fresh) {
        source = known->second;
        break;
      }
      passed.push_back(&known->second);
      if (std::size_t(slot) >= at->links.size()) {
        source.open = {at->node, slot};
        break;
      }
      const JsonValue link = at->links[std::size_t(slot)];
      const auto next = gone_.find(link.at(0).string());
      at = next == gone_.end() ? nullptr : &next->second;
      slot = slot_of(link);
      if (!at) source.link = link;
    }
    for (Source* known : passed) *known = source;
    return source;
  }

  JsonValue scope_;
  TextEdits& edits_;
  Removals& removals_;
  std::unordered_set<std::int64_t> offsets_;
  std::unordered_map<std::string, Gone> gone_;
  std::map<std::pair<std::int64_t, std::int64_t>, Source> sources_;
};

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

ReadNodes::ReadNodes(const Workflow& workflow)
    : api_(workflow.format() == WorkflowFormat::api_prompt) {
  const JsonValue root = workflow.state().root;
  if (api_) {
    for (const JsonValue node : root) {
      for (const JsonValue value : node.find("inputs")) {
        if (value.is_array()) keys_.insert(key(root, value.at(0).string()));
      }
    }
    return;
  }
  const auto add = [&](const JsonValue& scope) {
    for (const JsonValue link : scope.find("links")) {
      keys_.insert(key(scope, raw(part(link, 1, "origin_id"))));
    }
  };
  add(root);
  for (const JsonValue json : root.find("definitions").find("subgraphs")) add(json);
}

bool ReadNodes::contains(const PlacedJson& at) const {
  return keys_.contains(key(at.scope, api_ ? at.node.key() : std::string(raw(at.node.find("id")))));
}

std::string ReadNodes::key(const JsonValue& scope, std::string_view id) {
  return std::to_string(scope.offset()) + "\n" + std::string(id);
}

void Removals::add(const JsonValue& container, const JsonValue& element) {
  Gone& gone = gone_[container.offset()];
  gone.container = container;
  gone.offsets.insert(element.offset());
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
      if (!gone.offsets.contains(element.offset())) {
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

std::optional<OpenOutput> remove_nodes(const Workflow& workflow,
                                       const std::vector<PlacedJson>& nodes, TextEdits& edits,
                                       Removals& removals) {
  const auto& state = workflow.state();
  std::vector<OpenOutput> open;
  if (state.format == WorkflowFormat::api_prompt) {
    PromptRemover remover(state.root, edits, removals);
    for (const PlacedJson& at : nodes) remover.add(at.node);
    remover.run(open);
  } else {
    std::map<std::int64_t, GraphRemover> scopes;
    for (const PlacedJson& at : nodes) {
      const auto [scope, fresh] =
          scopes.try_emplace(at.scope.offset(), state.document, at.scope, edits, removals);
      scope->second.add(at.node);
    }
    for (auto& [offset, remover] : scopes) remover.run(open);
  }
  if (open.empty()) return std::nullopt;
  return *std::ranges::min_element(open, {}, [](const OpenOutput& output) {
    return std::pair(output.node.offset(), -output.slot);
  });
}

}  // namespace ebb
