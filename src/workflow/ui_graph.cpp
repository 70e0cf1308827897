// SPDX-License-Identifier: Apache-2.0
// Reading UI graphs: 0.4 with links as arrays, everything else with links as objects, subgraph
// definitions with links as objects always.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "base/text.h"
#include "workflow/graph.h"
#include "workflow/groups.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

constexpr std::size_t kNodesMax = 2'000'000;

int slot_number(const JsonValue& value) {
  const auto slot = value.integer_or(0);
  return static_cast<int>(std::clamp<std::int64_t>(slot, -1, std::numeric_limits<int>::max()));
}

/// A slot type as text: old files have -1 or 0 for events and "anything", and lists of entries.
std::string slot_type(const JsonValue& value) {
  if (value.is_string()) return value.string();
  if (value.is_number()) return value.integer_or(0) == 0 ? "" : js_text(value);
  std::string joined;
  for (const JsonValue entry : value) {
    if (!joined.empty()) joined += ',';
    joined += js_string(js_text(entry));
  }
  return joined;
}

FileSocket read_socket(const JsonValue& json) {
  FileSocket socket;
  for (const JsonValue member : json) {
    const std::string key = member.key();
    if (key == "name") {
      socket.name = member.text_or("");
    } else if (key == "type") {
      socket.type = slot_type(member);
    } else if (key == "link") {
      if (const auto id = member.integer()) {
        socket.link_id = *id;
        socket.link = kBrokenLink;  // until the table of links is known
      }
    } else if (key == "widget" && (member.is_object() || member.is_string())) {
      socket.of_widget = true;
      socket.widget_name = member.is_object() ? member.find("name").text_or("") : member.string();
    }
  }
  return socket;
}

bool is_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

NodeRole role_of(std::string_view type) {
  if (type == "Reroute") return NodeRole::reroute;
  if (type == "PrimitiveNode") return NodeRole::primitive;
  if (type == "Note" || type == "MarkdownNote") return NodeRole::note;
  return NodeRole::ordinary;
}

/// Nodes that packs add on the canvas alone; their servers do not know them.
NodeRole pack_role_of(std::string_view type) {
  if (type == "Reroute (rgthree)") return NodeRole::reroute;
  if (type == "SetNode") return NodeRole::setter;
  if (type == "GetNode") return NodeRole::getter;
  if (is_any(type, {"Label (rgthree)", "Bookmark (rgthree)", "Fast Groups Muter (rgthree)",
                    "Fast Groups Bypasser (rgthree)", "Fast Muter (rgthree)",
                    "Fast Bypasser (rgthree)", "Fast Actions Button (rgthree)",
                    "Node Collector (rgthree)", "Mute / Bypass Relay (rgthree)",
                    "Mute / Bypass Repeater (rgthree)", "Random Unmuter (rgthree)"})) {
    return NodeRole::note;
  }
  return NodeRole::ordinary;
}

void read_nodes(const JsonValue& list, Graph& graph) {
  graph.nodes.reserve(list.size());
  graph.by_file_id.reserve(list.size());
  for (const JsonValue json : list) {
    GraphNode node = read_graph_node(json);
    if (node.id.empty()) continue;
    const auto [at, fresh] =
        graph.by_file_id.try_emplace(node.id, static_cast<int>(graph.nodes.size()));
    if (fresh) {
      graph.nodes.push_back(std::move(node));
    } else {  // the front end configures the node it already has once more
      graph.nodes[static_cast<std::size_t>(at->second)] = std::move(node);
    }
  }
}

int link_end(const Graph& graph, const JsonValue& id, bool boundary) {
  const auto text = js_id(id);
  if (!text) return kNoNode;
  if (boundary && *text == "-10") return kInputNode;
  if (boundary && *text == "-20") return kOutputNode;
  const auto at = graph.by_file_id.find(*text);
  return at == graph.by_file_id.end() ? kNoNode : at->second;
}

void add_link(Graph& graph, GraphLink link) {
  const auto [at, fresh] =
      graph.link_by_id.try_emplace(link.id, static_cast<int>(graph.links.size()));
  if (fresh) {
    graph.links.push_back(link);
  } else {
    graph.links[static_cast<std::size_t>(at->second)] = link;
  }
}

void read_array_links(const JsonValue& list, Graph& graph) {
  for (const JsonValue json : list) {
    if (!json.is_array() || json.size() < 5) continue;
    auto part = json.begin();
    const auto id = (*part).integer();
    if (!id) continue;
    GraphLink link{.id = *id};
    link.origin = link_end(graph, *++part, false);
    link.origin_slot = slot_number(*++part);
    link.target = link_end(graph, *++part, false);
    link.target_slot = slot_number(*++part);
    add_link(graph, link);
  }
}

void read_object_links(const JsonValue& list, Graph& graph) {
  for (const JsonValue json : list) {
    const auto id = json.find("id").integer();
    if (!id) continue;
    GraphLink link{.id = *id};
    link.origin = link_end(graph, json.find("origin_id"), true);
    link.origin_slot = slot_number(json.find("origin_slot"));
    link.target = link_end(graph, json.find("target_id"), true);
    link.target_slot = slot_number(json.find("target_slot"));
    add_link(graph, link);
  }
}

/// The link that the socket at the link's own target slot names, or -1.
std::int64_t named_by_socket(const Graph& graph, const GraphLink& link) {
  if (link.target < 0 || link.target_slot < 0) return -1;
  const auto& inputs = graph.nodes[static_cast<std::size_t>(link.target)].inputs;
  const auto slot = static_cast<std::size_t>(link.target_slot);
  return slot < inputs.size() ? inputs[slot].link_id : -1;
}

struct LinkEnds {
  int origin, origin_slot, target, target_slot;
  bool operator==(const LinkEnds&) const = default;
};

struct HashEnds {
  std::size_t operator()(const LinkEnds& ends) const {
    std::size_t hash = 0;
    for (const int part : {ends.origin, ends.origin_slot, ends.target, ends.target_slot}) {
      hash = (hash ^ static_cast<std::size_t>(static_cast<unsigned>(part))) * 0x9E3779B97F4A7C15ULL;
    }
    return hash ^ (hash >> 32);
  }
};

/// Of several links between the same slots only one survives: the first, unless the socket that
/// the links point at names a later one. Sockets are those of the definition by now, target slots
/// those of the file: where they drifted apart, the link that a socket needs can be lost, as in
/// the front end.
void remove_duplicate_links(Graph& graph) {
  std::unordered_map<LinkEnds, std::size_t, HashEnds> kept;
  kept.reserve(graph.links.size());
  for (std::size_t i = 0; i < graph.links.size(); ++i) {
    const GraphLink& link = graph.links[i];
    const LinkEnds ends{link.origin, link.origin_slot, link.target, link.target_slot};
    const auto [at, fresh] = kept.try_emplace(ends, i);
    if (fresh) continue;
    std::size_t loser = i;
    if (named_by_socket(graph, link) == link.id) std::swap(at->second, loser);
    graph.link_by_id.erase(graph.links[loser].id);
  }
}

Boundary read_boundary(const JsonValue& json) {
  Boundary boundary{json.find("name").text_or(""), slot_type(json.find("type")), {}};
  for (const JsonValue id : json.find("linkIds")) boundary.link_ids.push_back(id.integer_or(-1));
  return boundary;
}

Graph read_definition(const JsonValue& json) {
  Graph graph;
  graph.id = json.find("id").text_or("");
  graph.name = json.find("name").text_or("");
  read_nodes(json.find("nodes"), graph);
  read_object_links(json.find("links"), graph);
  for (const JsonValue slot : json.find("inputs")) graph.inputs.push_back(read_boundary(slot));
  for (const JsonValue slot : json.find("outputs")) graph.outputs.push_back(read_boundary(slot));
  return graph;
}

/// Gives inner nodes new ids where an id is already taken elsewhere, as the front end does since
/// 1.40: the root first, then definitions and nodes in file order.
void renumber(GraphSet& set, std::int64_t last_node_id) {
  std::unordered_set<std::string> taken;
  for (const GraphNode& node : set.root.nodes) taken.insert(node.id);
  for (Graph& graph : set.definitions) {
    for (GraphNode& node : graph.nodes) {
      const auto number = node.json.find("id").integer();
      if (!number) continue;
      if (taken.insert(node.id).second) {
        last_node_id = std::max(last_node_id, *number);
        continue;
      }
      do {
        if (last_node_id < std::numeric_limits<std::int64_t>::max()) ++last_node_id;
        node.id = std::to_string(last_node_id);
      } while (!taken.insert(node.id).second);
    }
  }
}

void find_roles(GraphSet& set, Graph& graph, const ConvertOptions& options) {
  NodeFinder finder(options.version, options.definitions);
  for (GraphNode& node : graph.nodes) {
    if (node.role == NodeRole::instance) continue;  // of a legacy group
    if (const auto at = set.definition_by_id.find(node.type); at != set.definition_by_id.end()) {
      node.role = NodeRole::instance;
      node.definition_graph = at->second;
    } else if (node.role == NodeRole::ordinary) {
      node.definition = finder.find(node.type);
      if (!node.definition && options.follow_packs) node.role = pack_role_of(node.type);
    }
  }
}

/// Turns link ids into positions and remembers which socket uses which link.
void connect_sockets(Graph& graph) {
  graph.socket_of_link.assign(graph.links.size(), {-1, -1});
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    auto& inputs = graph.nodes[n].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].link == kNoLink) continue;
      const auto at = graph.link_by_id.find(inputs[i].link_id);
      inputs[i].link = at == graph.link_by_id.end() ? kBrokenLink : at->second;
      if (inputs[i].link < 0) continue;
      graph.socket_of_link[static_cast<std::size_t>(inputs[i].link)] = {static_cast<int>(n),
                                                                        static_cast<int>(i)};
    }
  }
}

using SourceTypes = std::unordered_map<int, std::optional<std::string>>;

/// The type of what a chain of Reroutes starts with; nothing if it starts nowhere. Every Reroute
/// of the chain is remembered, so that long chains are walked once.
std::optional<std::string> reroute_source(const Graph& graph, int at, SourceTypes& known) {
  std::vector<int> chain;
  std::optional<std::string> type;
  for (;;) {
    const auto [seen, fresh] = known.try_emplace(at);
    if (!fresh) {
      type = seen->second;  // nothing for a Reroute of this very chain: a cycle
      break;
    }
    chain.push_back(at);
    const GraphNode& reroute = graph.nodes[static_cast<std::size_t>(at)];
    if (reroute.inputs.empty() || reroute.inputs[0].link < 0) break;
    const GraphLink& link = graph.links[static_cast<std::size_t>(reroute.inputs[0].link)];
    if (link.origin < 0) break;
    const GraphNode& origin = graph.nodes[static_cast<std::size_t>(link.origin)];
    if (origin.type != "Reroute") {
      const auto slot = static_cast<std::size_t>(std::max(link.origin_slot, 0));
      if (slot < origin.output_types.size()) type = origin.output_types[slot];
      break;
    }
    at = link.origin;
  }
  for (const int node : chain) known[node] = type;
  return type;
}

/// After loading, a Reroute drops the links to consumers that its source's type does not fit.
void drop_unfit_reroutes(Graph& graph, Allowance& allowance) {
  SourceTypes sources;
  for (GraphNode& node : graph.nodes) {
    if (node.type == "Reroute") continue;
    for (Socket& socket : node.inputs) {
      if (socket.link < 0) continue;
      const int origin = graph.links[static_cast<std::size_t>(socket.link)].origin;
      if (origin < 0 || graph.nodes[static_cast<std::size_t>(origin)].type != "Reroute") continue;
      const auto type = reroute_source(graph, origin, sources);
      if (type && !types_fit(*type, socket.type, allowance)) socket.link = kNoLink;
    }
  }
}

/// The input that "Anything Everywhere" feeds: the slot it saved, if that has the right type.
Socket* broadcast_target(GraphNode& node, const JsonValue& entry, const std::string& type,
                         Allowance& allowance) {
  const std::size_t slot = static_cast<std::size_t>(slot_number(entry.find("downstream_slot")));
  const JsonValue list = node.json.find("inputs");
  // The saved list and the node's own are walked for every link anew.
  if (!allowance.work(std::min(slot, list.size()) + node.inputs.size())) return nullptr;
  const JsonValue saved = list.at(slot);
  const std::string name = saved.find("name").text_or("");
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    Socket& socket = node.inputs[i];
    const bool named = saved.exists() ? socket.name == name : i == slot;
    if (named && socket.link == kNoLink && types_fit(socket.type, type, allowance)) return &socket;
  }
  return nullptr;
}

/// Links that the "Anything Everywhere" nodes of cg-use-everywhere add when a prompt is queued,
/// as the pack saved them with the graph.
void add_broadcasts(const JsonValue& list, GraphSet& set) {
  Graph& graph = set.root;
  int added = 0;
  for (const JsonValue entry : list) {
    const int origin = link_end(graph, entry.find("upstream"), false);
    const int target = link_end(graph, entry.find("downstream"), false);
    const int controller = link_end(graph, entry.find("controller"), false);
    if (origin < 0 || target < 0 || controller < 0) continue;
    const GraphNode& sender = graph.nodes[static_cast<std::size_t>(controller)];
    if (sender.muted() || sender.bypassed()) continue;
    GraphNode& node = graph.nodes[static_cast<std::size_t>(target)];
    Socket* socket = broadcast_target(node, entry, entry.find("type").text_or("*"), set.allowance);
    if (!socket) continue;
    socket->link = static_cast<int>(graph.links.size());
    const int input = static_cast<int>(socket - node.inputs.data());
    graph.links.push_back({-1, origin, slot_number(entry.find("upstream_slot")), target, input});
    graph.socket_of_link.emplace_back(target, input);
    ++added;
  }
  if (added > 0) {
    set.notes.push_back(fmt::format(
        "{} links that \"Anything Everywhere\" makes when the prompt is queued are taken from what "
        "the file saved of them.",
        added));
  }
}

void finish(GraphSet& set, Graph& graph, const ConvertOptions& options) {
  find_roles(set, graph, options);
  for (GraphNode& node : graph.nodes) {
    shape_node(node, set);
    // Of a class with many inputs a node of thirty bytes becomes thousands.
    const std::size_t parts =
        node.inputs.size() * sizeof(Socket) + node.widgets.size() * sizeof(Widget);
    if (!set.allowance.hold(parts)) break;
  }
  remove_duplicate_links(graph);
  connect_sockets(graph);
  if (graph.group.exists()) apply_group_values(graph, set);
  drop_unfit_reroutes(graph, set.allowance);
}

}  // namespace

GraphNode read_graph_node(const JsonValue& json) {
  GraphNode node;
  node.json = json;
  for (const JsonValue member : json) {
    const std::string key = member.key();
    if (key == "id") {
      node.id = js_id(member).value_or("");
    } else if (key == "type") {
      node.type = member.text_or("");
    } else if (key == "title") {
      node.title = member.text_or("");
    } else if (key == "mode") {
      node.mode = static_cast<int>(std::clamp<std::int64_t>(member.integer_or(0), 0, 100));
    } else if (key == "order") {
      node.order = member.number().value_or(0);
    } else if (key == "inputs") {
      node.file_inputs.reserve(member.size());
      for (const JsonValue socket : member) node.file_inputs.push_back(read_socket(socket));
    } else if (key == "outputs") {
      for (const JsonValue slot : member) node.output_types.push_back(slot_type(slot.find("type")));
    }
  }
  node.role = role_of(node.type);
  return node;
}

Result<GraphSet> read_ui_graph(const JsonValue& root, const std::string& file,
                               const ConvertOptions& options) {
  GraphSet set;
  set.file = file;
  set.allowance = Allowance(options.input_bytes > 0 ? options.input_bytes : root.raw().size());
  set.follow_packs = options.follow_packs;
  set.front_end = front_end_of(root, options);
  set.age = age_of(root, options);
  const JsonValue nodes = root.find("nodes");
  if (nodes.size() > kNodesMax) {
    return input_error(
        fmt::format("the graph has {} nodes; {} are read at most", nodes.size(), kNodesMax), file,
        "/nodes", "Split the graph.");
  }
  read_nodes(nodes, set.root);
  const auto number = root.find("version").number();
  if (number && *number == 0.4) {
    read_array_links(root.find("links"), set.root);
  } else {
    read_object_links(root.find("links"), set.root);
  }
  for (const JsonValue json : root.find("definitions").find("subgraphs")) {
    if (!json.is_object()) continue;
    Graph graph = read_definition(json);
    if (!set.definition_by_id.try_emplace(graph.id, static_cast<int>(set.definitions.size()))
             .second) {
      continue;
    }
    set.definitions.push_back(std::move(graph));
  }
  const JsonValue last =
      number && *number == 0.4 ? root.find("last_node_id") : root.find("state").find("lastNodeId");
  renumber(set, std::max<std::int64_t>(last.integer_or(0), 0));
  expand_groups(set, root.find("extra").find("groupNodes"));
  for (Graph& graph : set.definitions) finish(set, graph, options);
  finish(set, set.root, options);
  read_faces(set);
  if (options.follow_packs) add_broadcasts(root.find("extra").find("ue_links"), set);
  if (set.allowance.spent()) return Allowance::error(file);
  return set;
}

namespace {

bool is_any_type(std::string_view type) { return type.empty() || type == "*"; }

/// The members of a list in small letters, sorted; `text` holds them.
std::vector<std::string_view> members_of(const std::string& text) {
  auto members = split(text, ',');
  std::ranges::sort(members);
  return members;
}

}  // namespace

bool types_fit(std::string_view a, std::string_view b) {
  if (is_any_type(a) || is_any_type(b) || equal_ignoring_case(a, b)) return true;
  const bool list_a = a.find(',') != a.npos, list_b = b.find(',') != b.npos;
  if (!list_a && !list_b) return false;
  const std::string small_a = lower(a), small_b = lower(b);
  const auto ours = members_of(small_a), theirs = members_of(small_b);
  // A member without a name, or `*`, fits everything.
  if (std::ranges::any_of(ours, is_any_type) || std::ranges::any_of(theirs, is_any_type)) {
    return true;
  }
  auto at = ours.begin();
  for (const std::string_view type : theirs) {
    while (at != ours.end() && *at < type) ++at;
    if (at != ours.end() && *at == type) return true;
  }
  return false;
}

bool types_fit(std::string_view a, std::string_view b, Allowance& allowance) {
  // A member of a list costs about as much as four bytes that are compared.
  return allowance.work(1 + (a.size() + b.size()) / 4) && types_fit(a, b);
}

}  // namespace ebb
