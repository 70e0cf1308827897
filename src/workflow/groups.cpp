// SPDX-License-Identifier: Apache-2.0
// Legacy group nodes (`workflow>Name`, described in extra.groupNodes): each instance becomes a
// subgraph definition of its own, with inner ids `id:k`, k being the place in the group. Its
// sockets and values pair with the group's by order; the front end of today converts them
// wrongly, the one that wrote them did it so.
#include "workflow/groups.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

constexpr std::size_t kPlacesMax = 1'000;  // values of one inner node
constexpr std::size_t kDefinitionsMax = 10'000;

std::string_view group_name(std::string_view type) {
  constexpr std::string_view kMark = "workflow";
  const bool grouped = type.starts_with("workflow>") || type.starts_with("workflow/");
  return grouped ? type.substr(kMark.size() + 1) : std::string_view();
}

/// An object's members by key, for many look-ups.
std::unordered_map<std::string, JsonValue> members_by_key(const JsonValue& object) {
  std::unordered_map<std::string, JsonValue> members;
  for (const JsonValue member : object) members[member.key()] = member;
  return members;
}

bool hidden(const JsonValue& entry) { return !entry.find("visible").boolean().value_or(true); }

class GroupReader {
 public:
  GroupReader(const JsonValue& group, GraphNode& instance, Allowance& allowance)
      : group_(group),
        instance_(instance),
        settings_(members_by_key(group.find("config"))),
        allowance_(allowance) {}

  Graph run() {
    int place = 0;
    for (const JsonValue json : group_.find("nodes")) {
      GraphNode node = read_graph_node(json);
      node.id = std::to_string(place++);
      for (FileSocket& socket : node.file_inputs) socket.link = kNoLink;
      graph_.nodes.push_back(std::move(node));
    }
    add_inner_links();
    add_inputs();
    add_outputs();
    graph_.name = std::string(group_name(instance_.type));
    graph_.group = group_;
    graph_.group_values = instance_.json.find("widgets_values");
    return std::move(graph_);
  }

 private:
  /// What the group's settings say about an inner node's input or output.
  JsonValue setting(std::size_t node, const char* side, const std::string& key) const {
    const auto at = settings_.find(std::to_string(node));
    if (at == settings_.end()) return {};
    const bool affordable = allowance_.work(1 + at->second.raw().size() / 32);
    return affordable ? at->second.find(side).find(key) : JsonValue();
  }

  FileSocket* socket_at(std::int64_t node, std::int64_t slot) {
    if (node < 0 || std::size_t(node) >= graph_.nodes.size()) return nullptr;
    auto& inputs = graph_.nodes[std::size_t(node)].file_inputs;
    return slot >= 0 && std::size_t(slot) < inputs.size() ? &inputs[std::size_t(slot)] : nullptr;
  }

  std::int64_t add_link(int origin, int origin_slot, int target, int target_slot) {
    const auto id = static_cast<std::int64_t>(graph_.links.size()) + 1;
    graph_.link_by_id[id] = static_cast<int>(graph_.links.size());
    graph_.links.push_back({id, origin, origin_slot, target, target_slot});
    return id;
  }

  void add_inner_links() {
    const auto count = static_cast<std::int64_t>(graph_.nodes.size());
    for (const JsonValue json : group_.find("links")) {
      const auto part = elements_of(json);
      if (part.size() < 4) continue;
      const auto origin = part[0].integer_or(-1), target = part[2].integer_or(-1);
      const auto slot = std::clamp<std::int64_t>(part[1].integer_or(0), 0, kSlotMax);
      FileSocket* socket = socket_at(target, part[3].integer_or(-1));
      if (!socket || origin < 0 || origin >= count) continue;
      socket->link_id = add_link(int(origin), int(slot), int(target), int(part[3].integer_or(0)));
      socket->link = kBrokenLink;  // until the table of links is looked up
      used_.insert({{int(origin), int(slot)}, true});
    }
  }

  /// The instance's sockets meet the group's free ones in order, as far as types fit.
  void add_inputs() {
    struct Free {
      FileSocket* socket;
      int node, slot;
    };
    std::vector<Free> plain, of_widget;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      auto& inputs = graph_.nodes[n].file_inputs;
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].link != kNoLink) continue;
        if (hidden(setting(n, "input", inputs[i].name))) continue;
        auto& list = inputs[i].of_widget ? of_widget : plain;
        list.push_back({&inputs[i], int(n), int(i)});
      }
    }
    std::size_t next_plain = 0, next_widget = 0;
    for (const FileSocket& outer : instance_.file_inputs) {
      auto& list = outer.of_widget ? of_widget : plain;
      auto& next = outer.of_widget ? next_widget : next_plain;
      const auto fits = [&](const Free& free) {
        const std::string& name = free.socket->name;
        return outer.of_widget ? outer.name == name || outer.name.ends_with(" " + name)
                               : types_fit(outer.type, free.socket->type, allowance_);
      };
      while (next < list.size() && !fits(list[next])) ++next;
      Boundary boundary{outer.name, outer.type, {}};
      if (next < list.size()) {
        const Free& free = list[next++];
        free.socket->link_id =
            add_link(kInputNode, int(graph_.inputs.size()), free.node, free.slot);
        free.socket->link = kBrokenLink;
        boundary.link_ids.push_back(free.socket->link_id);
      }
      graph_.inputs.push_back(std::move(boundary));
    }
  }

  /// Visible outputs: those that no inner node uses, and those that are marked as external.
  void add_outputs() {
    for (const JsonValue entry : group_.find("external")) {
      const JsonValue node = entry.at(0);
      const auto place = node.is_object() ? node.find("index").integer_or(-1) : node.integer_or(-1);
      const auto slot = std::clamp<std::int64_t>(entry.at(1).integer_or(0), 0, kSlotMax);
      used_[{static_cast<int>(std::clamp<std::int64_t>(place, -1, kSlotMax)), int(slot)}] = false;
    }
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const auto& types = graph_.nodes[n].output_types;
      for (std::size_t i = 0; i < types.size(); ++i) {
        const auto used = used_.find({int(n), int(i)});
        const JsonValue set = setting(n, "output", std::to_string(i));
        const bool inner = used != used_.end() && used->second;
        if (!set.find("visible").boolean().value_or(!inner)) continue;
        const auto id = add_link(int(n), int(i), kOutputNode, int(graph_.outputs.size()));
        graph_.outputs.push_back({"", types[i], {id}});
      }
    }
  }

  static constexpr std::int64_t kSlotMax = 100'000;
  JsonValue group_;
  GraphNode& instance_;
  std::unordered_map<std::string, JsonValue> settings_;  ///< of inner nodes, by place
  Allowance& allowance_;
  Graph graph_;
  std::map<std::pair<int, int>, bool> used_;  ///< outputs that inner nodes use
};

/// How the places of the instance's list are counted; front ends differed.
struct Counting {
  bool described;  ///< as many a node as the group's description saved, else as its class has
  bool converted;  ///< widgets whose socket the instance shows have a place too, after the others
};

/// The saved widgets of one inner node that have a place; null for what only its pack knows.
void append_places(Graph& graph, std::size_t n, const Counting& counting,
                   std::vector<Widget*>& places) {
  GraphNode& node = graph.nodes[n];
  std::vector<bool> taken(node.widgets.size()), shown(node.widgets.size());
  for (const Socket& socket : node.inputs) {
    if (socket.widget < 0 || socket.link < 0) continue;
    const bool outer = graph.links[std::size_t(socket.link)].origin == kInputNode;
    taken[std::size_t(socket.widget)] = !outer || !counting.converted;
    shown[std::size_t(socket.widget)] = outer && counting.converted;
  }
  const std::size_t described = std::min(node.json.find("widgets_values").size(), kPlacesMax);
  std::size_t count = 0;
  std::vector<Widget*> last;
  for (std::size_t i = 0; i < node.widgets.size(); ++i) {
    if (!node.widgets[i].saved || (counting.described && count == described)) continue;
    ++count;
    const bool control = i > 0 && !node.widgets[i].sent && !node.widgets[i].definition;
    if (control) shown[i] = shown[i - 1];  // what follows a seed stays with it
    if (!taken[i]) (shown[i] ? last : places).push_back(&node.widgets[i]);
  }
  places.insert(places.end(), last.begin(), last.end());
  if (counting.described && !node.definition) places.resize(places.size() + described - count);
}

}  // namespace

void expand_groups(GraphSet& set, const JsonValue& groups) {
  if (!groups.is_object()) return;
  const auto by_name = members_by_key(groups);
  for (int g = -1; g < static_cast<int>(set.definitions.size()); ++g) {
    for (std::size_t n = 0; n < set.graph(g).nodes.size(); ++n) {
      GraphNode& node = set.graph(g).nodes[n];
      const auto name = group_name(node.type);
      if (name.empty() || set.definitions.size() >= kDefinitionsMax) continue;
      const auto found = by_name.find(std::string(name));
      if (found == by_name.end()) continue;
      const JsonValue group = found->second;
      if (!group.find("nodes").is_array()) continue;
      // Everything in the description is read again for every instance, and much of it kept.
      const std::size_t bytes = group.raw().size();
      if (!set.allowance.work(bytes) || !set.allowance.hold(2 * bytes)) return;
      Graph graph = GroupReader(group, node, set.allowance).run();
      node.role = NodeRole::instance;
      node.definition_graph = static_cast<int>(set.definitions.size());
      set.definitions.push_back(std::move(graph));  // `node` may be gone after this
    }
  }
}

void apply_group_values(Graph& graph, GraphSet& set) {
  if (!graph.group_values.is_array()) return;
  const auto values = elements_of(graph.group_values);
  std::vector<Widget*> widgets;
  for (const Counting counting : {Counting{true, true}, Counting{true, false},
                                  Counting{false, true}, Counting{false, false}}) {
    widgets.clear();
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      append_places(graph, n, counting, widgets);
      if (widgets.size() > values.size()) break;
    }
    if (widgets.size() == values.size()) break;
  }
  if (widgets.size() != values.size()) {
    set.notes.push_back("The values that the group node \"" + cut_text(graph.name) +
                        "\" saved do not fit its widgets; those of the group's description are " +
                        "used instead.");
    for (GraphNode& node : graph.nodes) {
      for (Widget& widget : node.widgets) widget.doubt = kDoubtGroup;
    }
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!widgets[i] || values[i].is_null()) continue;
    widgets[i]->value = js_text(values[i]);
    if (js_rounds(values[i])) widgets[i]->doubt = kDoubtRounded;
  }
}

}  // namespace ebb
