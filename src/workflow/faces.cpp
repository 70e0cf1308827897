// SPDX-License-Identifier: Apache-2.0
// The face of a subgraph: widgets of its instances that stand for widgets inside. Front ends since
// 1.46 keep a value of its own for each and send it instead of the inner one; before, the face
// only showed the inner value. Files of before 1.46 list what a face shows in `proxyWidgets`.
#include <algorithm>
#include <limits>
#include <map>

#include "workflow/graph.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

constexpr int kStepsMax = 300;                  // for one input: links tried, levels gone down
constexpr std::int64_t kLooksMax = 50'000'000;  // at sockets, for all faces together

Widget* behind_input(GraphSet& set, int definition, int input, int& steps);

/// The widget of a socket inside a definition: its own, or one further inside.
Widget* behind_socket(GraphSet& set, GraphNode& node, const Socket& socket, int& steps) {
  if (socket.widget >= 0) return &node.widgets[std::size_t(socket.widget)];
  if (node.role != NodeRole::instance) return nullptr;
  const auto& inner = set.definitions[std::size_t(node.definition_graph)].inputs;
  const auto named = std::ranges::find(inner, socket.name, &Boundary::name);
  if (named == inner.end()) return nullptr;
  return behind_input(set, node.definition_graph, static_cast<int>(named - inner.begin()), steps);
}

Widget* behind_input(GraphSet& set, int definition, int input, int& steps) {
  Graph& graph = set.definitions[std::size_t(definition)];
  if (std::size_t(input) >= graph.inputs.size()) return nullptr;
  for (const std::int64_t id : graph.inputs[std::size_t(input)].link_ids) {
    const auto link = graph.link_by_id.find(id);
    if (link == graph.link_by_id.end()) continue;
    const auto [n, socket] = graph.socket_of_link[std::size_t(link->second)];
    if (n < 0) continue;
    if (--steps < 0) return nullptr;
    GraphNode& node = graph.nodes[std::size_t(n)];
    Widget* widget = behind_socket(set, node, node.inputs[std::size_t(socket)], steps);
    if (widget || !set.front_end.recent) return widget;
  }
  return nullptr;
}

/// One entry of `proxyWidgets`: the widget of an inner node, or with source -1 that of an input.
struct Proxy {
  std::string source, name;
  JsonValue value;  ///< absent where the instance's list of values is too short
};

/// What a definition's inputs end at.
struct Ends {
  enum class Kind { plain, widget, unknown };  ///< unknown: a socket of a class no table has
  using Source = std::pair<int, std::string>;  ///< inner node, name of its widget or input
  std::vector<Kind> kinds;                     ///< per input
  std::unordered_map<std::string, std::size_t> by_name;
  std::map<Source, std::size_t> by_source;  ///< the first socket of each input
};

/// Gives instances their faces, one after the other.
class FaceReader {
 public:
  explicit FaceReader(GraphSet& set) : set_(set) {}

  void read(GraphNode& instance) {
    instance_ = &instance;
    graph_ = &set_.definitions[std::size_t(instance.definition_graph)];
    if (graph_->group.exists()) return;  // a legacy group: its values are inside
    ends_ = &ends_of(instance.definition_graph);
    read_values();
    read_in_order();
    const auto proxies = read_proxies();
    for (const Proxy& proxy : proxies) apply(proxy);
    apply_to_primitives(proxies);
  }

 private:
  using Socketed = std::pair<int, int>;  ///< inner node, its socket

  Ends& ends_of(int definition) {
    const auto [at, fresh] = ends_by_definition_.try_emplace(definition);
    for (std::size_t i = 0; fresh && i < graph_->inputs.size(); ++i) {
      add_end(definition, i, at->second);
    }
    return at->second;
  }

  void add_end(int definition, std::size_t input, Ends& ends) {
    ends.by_name.try_emplace(graph_->inputs[input].name, input);
    Ends::Kind kind = Ends::Kind::plain;
    if (promoted_widget(set_, definition, static_cast<int>(input))) kind = Ends::Kind::widget;
    for (const std::int64_t id : graph_->inputs[input].link_ids) {
      const auto link = graph_->link_by_id.find(id);
      if (link == graph_->link_by_id.end()) continue;
      const auto [n, s] = graph_->socket_of_link[std::size_t(link->second)];
      if (n < 0) continue;
      const GraphNode& node = graph_->nodes[std::size_t(n)];
      const Socket& socket = node.inputs[std::size_t(s)];
      const bool unknown = node.role == NodeRole::ordinary && !node.definition;
      if (node.role != NodeRole::instance && socket.widget < 0 && !unknown) continue;
      if (unknown && kind == Ends::Kind::plain) kind = Ends::Kind::unknown;
      ends.by_source.try_emplace({n, socket.name}, input);
      break;
    }
    ends.kinds.push_back(kind);
  }

  void read_values() {
    const JsonValue json = instance_->json.find("widgets_values");
    values_.clear();
    if (json.is_array()) values_ = elements_of(json);
    for (std::size_t i = 0; json.is_object() && i < graph_->inputs.size(); ++i) {
      values_.push_back(json.find(std::to_string(i)));
    }
  }

  /// What a front end could not place when it read `proxyWidgets`, and kept.
  std::map<std::string, JsonValue> kept_values() const {
    std::map<std::string, JsonValue> kept;
    const JsonValue list = instance_->json.find("properties").find("proxyWidgetErrorQuarantine");
    for (const JsonValue entry : list) {
      const JsonValue original = entry.find("originalEntry"), value = entry.find("hostValue");
      if (!original.at(0).is("-1") || !value.exists()) continue;
      kept.try_emplace(original.at(1).string(), value);
    }
    return kept;
  }

  /// The values in the order of the inputs that end at a widget.
  void read_in_order() {
    const JsonValue named = instance_->json.find("widgets_values_named");
    if (set_.age != Age::fits && named.is_object()) return read_by_name(named);
    const auto kept = kept_values();
    std::size_t place = 0;
    for (std::size_t i = 0; i < graph_->inputs.size(); ++i) {
      if (!shows_widget(i)) continue;
      const auto own = kept.find(graph_->inputs[i].name);
      if (own != kept.end()) {
        put(i, own->second);
      } else if (place < values_.size()) {
        put(i, values_[place]);
      }
      ++place;
    }
  }

  /// A definition that lacks one of the widgets would shift all that follow it.
  void read_by_name(const JsonValue& named) {
    std::size_t place = 0;
    const auto next_shown = [&] {
      while (place < graph_->inputs.size() && !shows_widget(place)) ++place;
      return place++;
    };
    bool shifted = false;
    for (const JsonValue value : named) {
      const auto input = ends_->by_name.find(value.key());
      const std::size_t expected = next_shown();
      if (input == ends_->by_name.end()) continue;
      shifted |= input->second != expected;
      put(input->second, value, shifted ? kDoubtLater : nullptr);
    }
  }

  std::vector<Proxy> read_proxies() const {
    std::vector<Proxy> proxies;
    for (const JsonValue entry : instance_->json.find("properties").find("proxyWidgets")) {
      const JsonValue source = entry.at(0), name = entry.at(1);
      if (!source.is_string() || !name.is_string()) return {};
      const std::size_t place = proxies.size();
      proxies.push_back(
          {source.string(), name.string(), place < values_.size() ? values_[place] : JsonValue()});
    }
    return proxies;
  }

  /// Of an input that goes to a class no table has, the file says whether it is a widget.
  bool shows_widget(std::size_t input) {
    if (ends_->kinds[input] == Ends::Kind::plain) return false;
    if (ends_->kinds[input] == Ends::Kind::widget) return true;
    const Socket* socket = socket_of(input);
    return socket && socket->of_widget;
  }

  /// The instance's socket for an input of its definition, or null.
  Socket* socket_of(std::size_t input) {
    auto& sockets = instance_->inputs;
    const std::string& name = graph_->inputs[input].name;
    if (input < sockets.size() && sockets[input].name == name) return &sockets[input];
    const auto named = std::ranges::find(sockets, name, &Socket::name);
    return named == sockets.end() ? nullptr : &*named;
  }

  void put(std::size_t input, const JsonValue& value, const char* doubt = nullptr) {
    if (!value.exists()) return;
    const Widget* inner =
        promoted_widget(set_, instance_->definition_graph, static_cast<int>(input));
    Widget face;
    face.name = graph_->inputs[input].name;
    face.value = js_text(value);
    face.in_file = true;
    face.doubt = doubt;
    if (inner) face.definition = inner->definition;
    if (js_rounds(value)) face.doubt = kDoubtRounded;
    const bool differs = inner && inner->value != face.value;
    if (differs && !set_.front_end.recent_sure) face.doubt = kDoubtFace;
    Socket* socket = socket_of(input);
    if (!socket) {
      socket = &instance_->inputs.emplace_back();
      socket->name = face.name;
      socket->type = graph_->inputs[input].type;
    }
    if (socket->widget < 0) {
      socket->widget = static_cast<int>(instance_->widgets.size());
      instance_->widgets.emplace_back();
    }
    instance_->widgets[std::size_t(socket->widget)] = std::move(face);
  }

  void apply(const Proxy& proxy) {
    if (proxy.source == "-1") {
      const auto named = ends_->by_name.find(proxy.name);
      if (named != ends_->by_name.end() && shows_widget(named->second)) {
        put(named->second, proxy.value);
      }
      return;
    }
    const auto at = graph_->by_file_id.find(proxy.source);
    if (at == graph_->by_file_id.end() || proxy.name.starts_with("$$")) return;
    const GraphNode& node = graph_->nodes[std::size_t(at->second)];
    if (node.role == NodeRole::primitive) return;  // together, later
    const std::string name = plain_name(node, proxy.name);
    const auto known = ends_->by_source.find({at->second, name});
    if (known != ends_->by_source.end()) return put(known->second, proxy.value);
    const int socket = socket_named(node, name);
    if (socket >= 0) put(connect({{at->second, socket}}, {at->second, name}), proxy.value);
  }

  /// Names of widgets further inside were written `3: seed`.
  static std::string plain_name(const GraphNode& node, std::string name) {
    if (node.role != NodeRole::instance) return name;
    if (std::ranges::find(node.inputs, name, &Socket::name) != node.inputs.end()) return name;
    for (;;) {
      const auto start = std::min(name.find_first_not_of(' '), name.size());
      const auto colon = name.find_first_not_of("0123456789", start);
      if (colon == start || colon == name.npos || name[colon] != ':') return name;
      name.erase(0, std::min(name.find_first_not_of(' ', colon + 1), name.size()));
    }
  }

  /// The socket of a widget inside; -1 if none has it.
  int socket_named(const GraphNode& node, std::string_view name) {
    looks_ -= static_cast<std::int64_t>(node.inputs.size());
    if (looks_ < 0) return -1;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const Socket& socket = node.inputs[i];
      if (node.role == NodeRole::instance) {
        if (socket.name == name) return static_cast<int>(i);
      } else if (socket.widget >= 0 && node.widgets[std::size_t(socket.widget)].name == name) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

  /// Makes an input of the definition that goes to sockets inside; what they were linked to before
  /// is cut off, as the front end does it.
  std::size_t connect(const std::vector<Socketed>& sockets, const Ends::Source& source) {
    const std::size_t slot = graph_->inputs.size();
    Boundary boundary;
    boundary.name = source.second;
    while (ends_->by_name.contains(boundary.name)) boundary.name += '_';
    for (const auto& [n, input] : sockets) {
      Socket& socket = graph_->nodes[std::size_t(n)].inputs[std::size_t(input)];
      boundary.type = socket.type;
      if (socket.link >= 0) graph_->socket_of_link[std::size_t(socket.link)] = {-1, -1};
      socket.link = static_cast<int>(graph_->links.size());
      socket.link_id = std::numeric_limits<std::int64_t>::min() + socket.link;
      graph_->link_by_id[socket.link_id] = socket.link;
      graph_->links.push_back({socket.link_id, kInputNode, static_cast<int>(slot), n, input});
      graph_->socket_of_link.emplace_back(n, input);
      boundary.link_ids.push_back(socket.link_id);
    }
    graph_->inputs.push_back(std::move(boundary));
    add_end(instance_->definition_graph, slot, *ends_);
    ends_->by_source.try_emplace(source, slot);
    return slot;
  }

  /// A PrimitiveNode on the face gives way to an input that goes where it went, if all entries
  /// that name it agree.
  void apply_to_primitives(const std::vector<Proxy>& proxies) {
    std::map<int, std::vector<const Proxy*>> by_node;
    for (const Proxy& proxy : proxies) {
      const auto at = graph_->by_file_id.find(proxy.source);
      if (at == graph_->by_file_id.end()) continue;
      const GraphNode& node = graph_->nodes[std::size_t(at->second)];
      if (node.role == NodeRole::primitive) by_node[at->second].push_back(&proxy);
    }
    for (const auto& [n, entries] : by_node) {
      const auto same = [first = entries.front()](const Proxy* proxy) {
        return proxy->name == first->name;
      };
      if (!std::ranges::all_of(entries, same)) continue;
      const Ends::Source source{n, entries.front()->name};
      const auto known = ends_->by_source.find(source);
      const auto sockets = known == ends_->by_source.end() ? driven_by(n) : std::vector<Socketed>();
      if (known == ends_->by_source.end() && sockets.empty()) continue;
      const std::size_t input = sockets.empty() ? known->second : connect(sockets, source);
      for (const Proxy* proxy : entries) {
        if (!proxy->value.exists()) continue;
        put(input, proxy->value);
        break;
      }
    }
  }

  std::vector<Socketed> driven_by(int primitive) {
    std::vector<Socketed> sockets;
    looks_ -= static_cast<std::int64_t>(graph_->links.size());
    for (std::size_t i = 0; looks_ >= 0 && i < graph_->links.size(); ++i) {
      const Socketed socket = graph_->socket_of_link[i];
      if (graph_->links[i].origin == primitive && socket.first >= 0) sockets.push_back(socket);
    }
    return sockets;
  }

  GraphSet& set_;
  GraphNode* instance_ = nullptr;
  Graph* graph_ = nullptr;  ///< its definition
  Ends* ends_ = nullptr;    ///< of that
  std::vector<JsonValue> values_;
  std::int64_t looks_ = kLooksMax;
  std::map<int, Ends> ends_by_definition_;
};

}  // namespace

Widget* promoted_widget(GraphSet& set, int definition, int input) {
  int steps = set.allowance.spent() ? 0 : kStepsMax;
  Widget* widget = behind_input(set, definition, input, steps);
  set.allowance.work(static_cast<std::uint64_t>(1 + std::max(0, kStepsMax - steps)));
  return widget;
}

void read_faces(GraphSet& set) {
  if (!set.front_end.recent) return;
  FaceReader reader(set);
  for (Graph& graph : set.definitions) {
    for (GraphNode& node : graph.nodes) {
      if (node.role == NodeRole::instance) reader.read(node);
    }
  }
  for (GraphNode& node : set.root.nodes) {
    if (node.role == NodeRole::instance) reader.read(node);
  }
}

}  // namespace ebb
