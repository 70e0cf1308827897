// SPDX-License-Identifier: Apache-2.0
// UI graphs: a node on a link. The link keeps its id, its reroutes and its origin, and now ends at
// the new node; a new link goes on from there to the old target.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "ebb/version.h"
#include "json/write.h"
#include "patch/canvas.h"
#include "patch/edit.h"
#include "patch/style.h"

namespace ebb {
namespace {

constexpr double kWidth = 270, kRow = 20, kWidgetRow = 24;

/// A link of the file with the nodes that go on it.
struct Spliced {
  Hop hop;
  std::vector<const Insertion*> nodes;
};

class GraphEditor {
 public:
  GraphEditor(const JsonDocument& document, const JsonValue& root, GraphSet& set,
              const PlacedGraph& placed, const FileWish& wish)
      : document_(document),
        root_(root),
        set_(set),
        placed_(placed),
        resolver_(set, placed),
        wish_(wish),
        node_max_(wish.id_floor) {
    find_definitions();
    find_maxima();
    find_places();
  }

  Result<FileEdits> run() {
    std::vector<Spliced> spliced;
    for (const Insertion& insertion : wish_.placement.insertions) {
      if (auto error = choose(insertion, spliced)) return *error;
    }
    for (const Spliced& splice : spliced) {
      put(splice);
      if (instances_of(splice.hop.graph) > 1) {
        for (const Insertion* i : splice.nodes) {
          out_.shared.push_back(std::size_t(i - wish_.placement.insertions.data()));
        }
      }
    }
    for (const std::string& id : wish_.tiles) tile(id);
    raise_counters();
    return std::move(out_);
  }

 private:
  bool is_first() const { return wish_.record && out_.changes.empty(); }

  struct Counters {
    std::int64_t node = 0, link = 0;  // the largest new ones of a scope
  };

  void find_definitions() {
    definitions_.resize(set_.definitions.size());
    for (const JsonValue json : root_.find("definitions").find("subgraphs")) {
      if (!json.is_object()) continue;
      const auto at = set_.definition_by_id.find(json.find("id").text_or(""));
      if (at == set_.definition_by_id.end()) continue;
      if (!definitions_[std::size_t(at->second)].exists()) {
        definitions_[std::size_t(at->second)] = json;
      }
    }
  }

  void find_maxima_in(const JsonValue& scope) {
    for (const JsonValue node : scope.find("nodes")) {
      node_max_ = std::max(node_max_, largest_in_id(node.find("id")));
    }
    for (const JsonValue link : scope.find("links")) {
      const JsonValue id = link.is_array() ? link.at(0) : link.find("id");
      link_max_ = std::max(link_max_, id.integer_or(0));
    }
    for (const JsonValue node : scope.find("nodes")) {  // sockets may name more than the table has
      for (const JsonValue socket : node.find("inputs")) {
        link_max_ = std::max(link_max_, socket.find("link").integer_or(0));
      }
      for (const JsonValue socket : node.find("outputs")) {
        for (const JsonValue id : socket.find("links")) {
          link_max_ = std::max(link_max_, id.integer_or(0));
        }
      }
    }
    for (const JsonValue link : scope.find("floatingLinks")) {
      link_max_ = std::max(link_max_, link.find("id").integer_or(0));
    }
    const JsonValue state = scope.find("state");
    node_max_ = std::max({node_max_, scope.find("last_node_id").integer_or(0),
                          state.find("lastNodeId").integer_or(0)});
    link_max_ = std::max({link_max_, scope.find("last_link_id").integer_or(0),
                          state.find("lastLinkId").integer_or(0)});
  }

  void find_maxima() {
    find_maxima_in(root_);
    for (const JsonValue json : root_.find("definitions").find("subgraphs")) find_maxima_in(json);
    // Ids that the front end gives to inner nodes on loading.
    for (const Graph& graph : set_.definitions) {
      if (graph.group.exists()) continue;
      for (const GraphNode& node : graph.nodes) {
        if (const auto number = parse_id(node.id)) node_max_ = std::max(node_max_, *number);
      }
    }
  }

  static std::optional<std::int64_t> parse_id(const std::string& id) {
    if (id.empty() || id.size() > 15) return std::nullopt;
    if (!std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
    return std::stoll(id);
  }

  JsonValue scope(int graph) const { return graph < 0 ? root_ : definitions_[std::size_t(graph)]; }

  int place_of(const std::string& id) const {
    const auto found = place_by_id_.find(id);
    return found == place_by_id_.end() ? -1 : found->second;
  }

  int instances_of(int graph) const { return graph < 0 ? 1 : instances_[std::size_t(graph)]; }

  void find_places() {
    instances_.resize(set_.definitions.size());
    for (std::size_t i = 0; i < placed_.places.size(); ++i) {
      const PlacedNode& place = placed_.places[i];
      const GraphNode& node = set_.graph(place.graph).nodes[std::size_t(place.node)];
      if (node.role == NodeRole::ordinary) place_by_id_[place.id] = static_cast<int>(i);
      if (node.role == NodeRole::instance) ++instances_[std::size_t(node.definition_graph)];
    }
  }

  /// Of the links a value passes, the one that the user sees best: in the root where possible,
  /// then in a definition that is used once, the one nearest to the consumer.
  std::optional<Error> choose(const Insertion& insertion, std::vector<Spliced>& spliced) {
    const int place = place_of(insertion.target);
    if (place < 0) return refuse(insertion, "its node was not found in the file");
    const GraphNode& node = node_at(place);
    int input = -1;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i].name == insertion.input && node.inputs[i].link >= 0) input = int(i);
    }
    if (input < 0) return refuse(insertion, "its link stands nowhere in the file");
    std::vector<Hop> hops;
    const auto source = resolver_.resolve(place, std::size_t(input), &hops);
    if (!source) return source.error();
    const Hop* best = nullptr;
    int best_cost = 0;
    for (const Hop& hop : hops) {
      if (hop.decides_bypass || !link_json(hop).exists()) continue;
      const int count = instances_of(hop.graph);
      const int cost = hop.graph < 0 ? 0 : count == 1 ? 1 : 1 + count;
      if (!best || cost < best_cost) best = &hop, best_cost = cost;
    }
    if (!best) {
      return refuse(insertion, "its link is made by a pack or a group node, not by the file");
    }
    const auto [at, fresh] = spliced_.try_emplace({best->graph, best->link}, spliced.size());
    if (fresh) {
      spliced.push_back({*best, {&insertion}});
      return std::nullopt;
    }
    // The same node for another instance of the same definition, or for a second consumer.
    Spliced& other = spliced[at->second];
    const bool there = std::ranges::any_of(other.nodes, [&](const Insertion* i) {
      return i->node.class_type == insertion.node.class_type && i->fix == insertion.fix;
    });
    if (!there) other.nodes.push_back(&insertion);
    return std::nullopt;
  }

  std::optional<Error> refuse(const Insertion& insertion, const char* why) {
    out_.refusals.push_back(fmt::format("Between {} and {}: no {} node: {}.", insertion.after,
                                        insertion.before, insertion.node.class_type, why));
    return std::nullopt;
  }

  GraphNode& node_at(int place) const {
    const PlacedNode& at = placed_.places[std::size_t(place)];
    return set_.graph(at.graph).nodes[std::size_t(at.node)];
  }

  /// The entry of a link in the file's table; absent for links that the file does not have.
  JsonValue link_json(const Hop& hop) {
    const Graph& graph = set_.graph(hop.graph);
    if (graph.group.exists()) return {};
    const std::int64_t id = graph.links[std::size_t(hop.link)].id;
    const auto [links, fresh] = links_.try_emplace(hop.graph);
    for (const JsonValue json : fresh ? scope(hop.graph).find("links") : JsonValue()) {
      const JsonValue own = json.is_array() ? json.at(0) : json.find("id");
      if (const auto number = own.integer()) links->second[*number] = json;
    }
    const auto found = links->second.find(id);
    return found == links->second.end() ? JsonValue() : found->second;
  }

  void replace(const JsonValue& value, std::string text) {
    out_.edits.replace(value.offset(), value.end_offset() - value.offset(), std::move(text));
  }

  /// A link written like another one of the same table.
  std::string link_like(const JsonValue& link, std::int64_t id, std::int64_t origin,
                        const std::string& target, const std::string& target_slot) const {
    if (link.is_array()) {
      const std::string parts[] = {std::to_string(id), std::to_string(origin), "0", target,
                                   target_slot};
      TextEdits edits;
      std::size_t i = 0;
      for (const JsonValue part : link) {
        if (i == std::size(parts)) break;
        edits.replace(part.offset() - link.offset(), part.end_offset() - part.offset(), parts[i++]);
      }
      return edits.apply(link.raw()).value_or("");
    }
    const JsonValue type = link.find("type");
    const std::string json =
        fmt::format(R"({{"id":{},"origin_id":{},"origin_slot":0,"target_id":{},"target_slot":{})",
                    id, origin, target, target_slot) +
        (type.exists() ? ",\"type\":" + std::string(type.raw()) : std::string()) + "}";
    return restyle(json, style_of(document_, link));
  }

  struct Ends {
    JsonValue origin, target, target_slot;
  };
  static Ends ends_of(const JsonValue& link) {
    if (link.is_array()) return {link.at(1), link.at(3), link.at(4)};
    return {link.find("origin_id"), link.find("target_id"), link.find("target_slot")};
  }

  /// The end of a list, and how what is there is written.
  struct Tail {
    std::int64_t end = 0;
    std::string gap;
    Style style;
  };
  struct Tails {
    Tail nodes, links;
  };

  Tail tail_of(const JsonValue& list) const {
    const JsonValue last = last_of(list);
    return {last.end_offset(), gap_of(document_, list), style_of(document_, last)};
  }

  const Tails& tails_of(int graph) {
    const auto [at, fresh] = tails_.try_emplace(graph);
    const JsonValue where = scope(graph);
    if (fresh) at->second = {tail_of(where.find("nodes")), tail_of(where.find("links"))};
    return at->second;
  }

  /// Puts the nodes of one link in.
  void put(const Spliced& splice) {
    Graph& graph = set_.graph(splice.hop.graph);
    const GraphLink& link = graph.links[std::size_t(splice.hop.link)];
    const JsonValue json = link_json(splice.hop);
    const JsonValue where = scope(splice.hop.graph);
    const Ends ends = ends_of(json);
    const Tails& tails = tails_of(splice.hop.graph);
    const auto from = area_of(where, graph, link.origin, "inputNode");
    const auto to = area_of(where, graph, link.target, "outputNode");
    auto canvas = canvases_.try_emplace(splice.hop.graph, where, looks_left_).first;
    std::int64_t incoming = link.id;
    std::string first_id;
    for (std::size_t i = 0; i < splice.nodes.size(); ++i) {
      const std::int64_t id = ++node_max_, outgoing = ++link_max_;
      if (i == 0) first_id = std::to_string(id);
      const bool last = i + 1 == splice.nodes.size();
      const std::string target = last ? std::string(ends.target.raw()) : std::to_string(id + 1);
      const std::string slot = last ? target_slot_of(graph, link, ends) : "0";
      const Insertion& insertion = *splice.nodes[i];
      const auto spot = canvas->second.take(from, to, kWidth, height_of(insertion.node));
      if (!spot.in_group) {
        out_.notes.push_back(fmt::format("Node {} found no room inside the group around it.", id));
      } else if (spot.collapsed) {
        out_.notes.push_back(
            fmt::format("Node {} is collapsed: its group has no room for more.", id));
      }
      const std::string made =
          node_json(insertion, id, incoming, outgoing, spot, order_of(graph, link));
      out_.edits.insert(tails.nodes.end, tails.nodes.gap + restyle(made, tails.nodes.style));
      out_.edits.insert(tails.links.end,
                        tails.links.gap + link_like(json, outgoing, id, target, slot));
      note_node(splice.hop.graph, graph, link, insertion, id, json);
      incoming = outgoing;
      Counters& counters = counters_[splice.hop.graph];
      counters = {id, outgoing};
    }
    replace(ends.target, first_id);
    replace(ends.target_slot, "0");
    point_target(where, graph, link, incoming);
  }

  /// The slot as the target's own list has it.
  std::string target_slot_of(Graph& graph, const GraphLink& link, const Ends& ends) const {
    if (link.target >= 0) {
      std::size_t at = 0;
      for (const JsonValue socket : graph.nodes[std::size_t(link.target)].json.find("inputs")) {
        if (socket.find("link").integer() == link.id) return std::to_string(at);
        ++at;
      }
    }
    return std::string(ends.target_slot.raw());
  }

  /// The target's socket, or the definition's output, now names the new link.
  void point_target(const JsonValue& where, Graph& graph, const GraphLink& link, std::int64_t id) {
    if (link.target == kOutputNode) {
      for (const JsonValue output : where.find("outputs")) {
        for (const JsonValue entry : output.find("linkIds")) {
          if (entry.integer() == link.id) replace(entry, std::to_string(id));
        }
      }
      return;
    }
    if (link.target < 0) return;
    for (const JsonValue socket : graph.nodes[std::size_t(link.target)].json.find("inputs")) {
      const JsonValue own = socket.find("link");
      if (own.integer() == link.id) replace(own, std::to_string(id));
    }
  }

  std::optional<Rect> area_of(const JsonValue& where, Graph& graph, int node,
                              const char* boundary) const {
    if (node >= 0) return node_area(graph.nodes[std::size_t(node)].json);
    return node_area(where.find(boundary));
  }

  static std::optional<std::int64_t> order_of(Graph& graph, const GraphLink& link) {
    if (link.target >= 0) {
      return graph.nodes[std::size_t(link.target)].json.find("order").integer();
    }
    if (link.origin < 0) return 0;
    const auto order = graph.nodes[std::size_t(link.origin)].json.find("order").integer();
    return order ? std::optional(*order + 1) : order;
  }

  static double height_of(const Handover& node) {
    return kRow * node.sockets + 6 + kWidgetRow * static_cast<double>(node.widgets.size());
  }

  std::string node_json(const Insertion& insertion, std::int64_t id, std::int64_t in,
                        std::int64_t out, const Canvas::Spot& spot,
                        std::optional<std::int64_t> order) {
    const Handover& node = insertion.node;
    std::string widgets;
    for (const auto& [name, value] : node.widgets) widgets += (widgets.empty() ? "" : ",") + value;
    std::string json = fmt::format(
        R"({{"id":{},"type":{},"pos":[{},{}],"size":[{},{}],"flags":{{{}}},)", id,
        json_quote(node.class_type), json_number(spot.x), json_number(spot.y), json_number(kWidth),
        json_number(height_of(node)), spot.collapsed ? R"("collapsed":true)" : "");
    if (order) json += fmt::format(R"("order":{},)", *order);
    json +=
        fmt::format(R"("mode":0,"inputs":[{{"name":{0},"type":{1},"link":{2}}}],)"
                    R"("outputs":[{{"name":{0},"type":{1},"links":[{3}]}}],"title":{4},)",
                    json_quote(node.input), json_quote(node.type), in, out, json_quote(node.title));
    json +=
        fmt::format(R"("properties":{{"cnr_id":"ebb","ver":"{}","Node name for S&R":{},{}}},)",
                    EBB_VERSION, json_quote(node.class_type), mark_json(insertion.fix, is_first()));
    if (!node.widgets.empty()) json += fmt::format(R"("widgets_values":[{}],)", widgets);
    return json + R"("color":"#223","bgcolor":"#335"})";
  }

  static std::string label_of(Graph& graph, int node, const char* boundary) {
    if (node < 0) return boundary;
    const GraphNode& at = graph.nodes[std::size_t(node)];
    const std::string& type = at.role == NodeRole::instance ? "subgraph" : at.type;
    return at.id + " " + (at.title.empty() || at.role != NodeRole::instance ? type : at.title);
  }

  void note_node(int scope_index, Graph& graph, const GraphLink& link, const Insertion& insertion,
                 std::int64_t id, const JsonValue& json) {
    const JsonValue type = json.is_array() ? json.at(5) : json.find("type");
    std::string words =
        fmt::format("between {} and {} ({})", label_of(graph, link.origin, "the subgraph's input"),
                    label_of(graph, link.target, "the subgraph's output"), type.text_or("*"));
    if (scope_index >= 0) {
      words += fmt::format(", inside the subgraph \"{}\"", graph.name);
      const int count = instances_of(scope_index);
      if (count > 1) words += fmt::format(", for its {} instances", count);
    }
    out_.changes.push_back({"add", std::to_string(id),
                            fmt::format("{} {}", insertion.node.class_type, words), insertion.fix});
  }

  /// VAEDecode becomes VAEDecodeTiled, with the values ComfyUI gives a new one.
  void tile(const std::string& id) {
    const int place = place_of(id);
    if (place < 0) return;
    const JsonValue node = node_at(place).json;
    if (set_.graph(placed_.places[std::size_t(place)].graph).group.exists()) {
      out_.refusals.push_back(fmt::format(
          "Node {} VAEDecode stays as it is: it is part of a group node, which is shared.", id));
      return;
    }
    if (!tiled_.insert(node.offset()).second) return;
    const std::string mark = mark_json("tile-vae", is_first(), "VAEDecode");
    replace(node.find("type"), "\"VAEDecodeTiled\"");
    std::string values;
    for (const TileWidget& widget : kTileWidgets) {
      values += (values.empty() ? "" : ",") + std::to_string(widget.value);
    }
    values = "[" + values + "]";
    const Style style = style_of(document_, node);
    const JsonValue properties = node.find("properties");
    const JsonValue name = properties.find("Node name for S&R");
    if (name.is("VAEDecode")) replace(name, "\"VAEDecodeTiled\"");
    if (const JsonValue old = node.find("widgets_values"); old.exists()) {
      replace(old, restyle(values, inner(style)));
    } else {
      add_member(node, "\"widgets_values\":" + values, style);
    }
    if (properties.is_object()) {
      add_member(properties, mark, inner(style));
    } else {
      add_member(node, "\"properties\":{" + mark + "}", style);
    }
    out_.changes.push_back({"class", id, "VAEDecode becomes VAEDecodeTiled", "tile-vae"});
  }

  static Style inner(Style style) {
    style.base += style.unit;
    return style;
  }

  /// Appends a member, given as JSON without its braces, to an object written in `style`.
  void add_member(const JsonValue& object, const std::string& member, const Style& style) {
    const std::string text = restyle("{" + member + "}", style);
    const auto first = text.find('"'), last = text.find_last_not_of(" \t\r\n", text.size() - 2);
    const std::string bare = text.substr(first, last - first + 1);
    if (object.size() == 0) {
      replace(object, text);
    } else {
      out_.edits.insert(last_of(object).end_offset(), gap_of(document_, object) + bare);
    }
  }

  /// Counters stay above every id, in the scope and in the root.
  void raise_counters() {
    Counters all;
    for (const auto& [graph, counters] : counters_) {
      all.node = std::max(all.node, counters.node), all.link = std::max(all.link, counters.link);
      if (graph >= 0) raise(scope(graph), counters);
    }
    raise(root_, all);
  }

  void raise(const JsonValue& where, const Counters& counters) {
    const JsonValue state = where.find("state");
    for (const auto& [value, id] : {std::pair(where.find("last_node_id"), counters.node),
                                    std::pair(where.find("last_link_id"), counters.link),
                                    std::pair(state.find("lastNodeId"), counters.node),
                                    std::pair(state.find("lastLinkId"), counters.link)}) {
      if (id > 0 && value.integer() && *value.integer() < id) replace(value, std::to_string(id));
    }
  }

  const JsonDocument& document_;
  JsonValue root_;
  GraphSet& set_;
  const PlacedGraph& placed_;
  Resolver resolver_;
  const FileWish& wish_;
  FileEdits out_;
  std::vector<JsonValue> definitions_;
  std::int64_t node_max_, link_max_ = 0;
  std::unordered_map<std::string_view, int> place_by_id_;
  std::vector<int> instances_;                                        ///< by definition
  std::map<int, std::unordered_map<std::int64_t, JsonValue>> links_;  ///< by graph and id
  std::map<int, Canvas> canvases_;
  std::int64_t looks_left_ = Canvas::kLooks;            ///< of all canvases
  std::map<int, Counters> counters_;                    ///< by graph
  std::set<std::int64_t> tiled_;                        ///< offsets of nodes
  std::map<std::pair<int, int>, std::size_t> spliced_;  ///< by graph and link
  std::map<int, Tails> tails_;                          ///< by graph
};

}  // namespace

std::string mark_json(const std::string& fix, bool first, const std::string& was) {
  std::string json =
      fmt::format(R"("ebb":{{"version":{},"fix":{})", json_quote(EBB_VERSION), json_quote(fix));
  if (!was.empty()) json += fmt::format(R"(,"was":{})", json_quote(was));
  if (first) json += fmt::format(R"(,"undo":"{}")", kRecordHere);
  return json + "}";
}

std::int64_t largest_in_id(const JsonValue& id) {
  return id.is_number() ? id.integer_or(0) : largest_in_id(id.string());
}

std::int64_t largest_in_id(std::string_view id) {
  std::int64_t largest = 0, number = 0;
  for (const char c : id) {
    number = c >= '0' && c <= '9' && number < 1'000'000'000'000 ? number * 10 + (c - '0') : 0;
    largest = std::max(largest, number);
  }
  return largest;
}

Result<FileEdits> edit_graph(const JsonDocument& document, const JsonValue& root,
                             const std::string& file, const FileWish& wish,
                             const ConvertOptions& options) {
  auto set = read_ui_graph(root, file, options);
  if (!set) return std::move(set).error();
  const auto placed = place_nodes(*set);
  if (!placed) return placed.error();
  return GraphEditor(document, root, *set, *placed, wish).run();
}

}  // namespace ebb
