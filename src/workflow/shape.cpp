// SPDX-License-Identifier: Apache-2.0
// Sockets: those of a known class come from its definition, whatever the file says; only links
// are taken from the file, by name.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "workflow/graph.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

/// The file's sockets of one node, found by name once.
class FileSockets {
 public:
  explicit FileSockets(std::vector<FileSocket> sockets) : sockets_(std::move(sockets)) {
    used_.resize(sockets_.size());
    for (std::size_t i = 0; i < sockets_.size(); ++i) by_name_.try_emplace(sockets_[i].name, i);
  }

  /// A socket of the definition, with the file's link if the file has a socket of its name.
  Socket take(std::string name, std::string type, int widget = -1) {
    Socket socket;
    socket.name = std::move(name);
    socket.type = std::move(type);
    socket.widget = widget;
    if (const auto at = by_name_.find(socket.name); at != by_name_.end()) {
      socket.link = sockets_[at->second].link;
      socket.link_id = sockets_[at->second].link_id;
      socket.of_widget = sockets_[at->second].of_widget;
      used_[at->second] = true;
    }
    return socket;
  }

  std::vector<FileSocket>& all() { return sockets_; }
  bool used(std::size_t i) const { return used_[i]; }
  void use(std::size_t i) { used_[i] = true; }

 private:
  std::vector<FileSocket> sockets_;
  std::vector<bool> used_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

void add_socket(GraphNode& node, FileSockets& file, std::string name,
                const InputDefinition& input) {
  node.inputs.push_back(file.take(std::move(name), input.type));
  node.inputs.back().lazy = input.lazy;
}

/// An autogrow input has as many sockets as the file uses, named `input.member`.
void add_grown(GraphNode& node, FileSockets& file, const std::string& name,
               const InputDefinition& input) {
  const std::string prefix = name + ".";
  auto& sockets = file.all();
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (file.used(i) || !sockets[i].name.starts_with(prefix)) continue;
    file.use(i);
    node.inputs.push_back(sockets[i]);
    node.inputs.back().type = input.member_type;
    node.inputs.back().lazy = input.lazy;
  }
}

/// Plain sockets among the inputs that a dynamic combo's chosen key brings along.
void add_members(GraphNode& node, FileSockets& file, const Widget& combo) {
  const std::string key = combo.value ? js_string(*combo.value) : std::string();
  for (const auto& [option, members] : combo.definition->options) {
    if (option != key) continue;
    for (const InputDefinition& member : members) {
      const std::string name = combo.name + "." + member.name;
      if (member.autogrow) {
        add_grown(node, file, name, member);
      } else if (!member.has_widget()) {
        add_socket(node, file, name, member);
      }
    }
    return;
  }
}

/// Sockets that the definition lacks stay, unless they belong to a widget that does not exist.
/// The one right after a dropped socket escapes this check.
void add_others(GraphNode& node, FileSockets& file) {
  auto& sockets = file.all();
  std::unordered_set<std::string_view> widgets;
  for (const Widget& widget : node.widgets) widgets.insert(widget.name);
  bool escapes = false;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (file.used(i)) continue;
    if (sockets[i].of_widget && !escapes) {
      if (!widgets.contains(sockets[i].widget_name)) {
        escapes = true;
        continue;
      }
    }
    escapes = false;
    node.inputs.push_back(std::move(sockets[i]));
  }
}

void shape_known(GraphNode& node, GraphSet& set) {
  FileSockets file(std::exchange(node.file_inputs, {}));
  node.inputs.reserve(node.definition->inputs.size() + 1);
  build_widgets(node, set);
  for (const InputDefinition& input : node.definition->inputs) {
    if (input.autogrow) {
      add_grown(node, file, input.name, input);
    } else if (!input.has_widget() &&
               std::ranges::find(node.widgets, input.name, &Widget::name) == node.widgets.end()) {
      add_socket(node, file, input.name, input);
    }
  }
  for (const Widget& widget : node.widgets) {
    if (widget.definition && widget.definition->dynamic_combo) add_members(node, file, widget);
  }
  for (std::size_t i = 0; i < node.widgets.size(); ++i) {
    const Widget& widget = node.widgets[i];
    if (!widget.definition && widget.name.starts_with("control_")) continue;  // has no socket
    Socket socket = file.take(widget.name, widget.definition ? widget.definition->type : "",
                              static_cast<int>(i));
    socket.lazy = widget.definition && widget.definition->lazy;
    node.inputs.push_back(std::move(socket));
  }
  add_others(node, file);
  const auto& outputs = node.definition->outputs;
  if (node.output_types.size() < outputs.size()) node.output_types.resize(outputs.size());
  std::ranges::copy(outputs, node.output_types.begin());
}

void shape_instance(GraphNode& node, GraphSet& set) {
  const Graph& graph = set.definitions[static_cast<std::size_t>(node.definition_graph)];
  FileSockets file(std::exchange(node.file_inputs, {}));
  if (!set.allowance.work(graph.inputs.size() + graph.outputs.size())) return;
  for (const Boundary& input : graph.inputs) {
    node.inputs.push_back(file.take(input.name, input.type));
  }
  for (std::size_t i = 0; i < file.all().size(); ++i) {
    if (!file.used(i)) node.inputs.push_back(file.all()[i]);
  }
  node.output_types.clear();
  for (const Boundary& output : graph.outputs) node.output_types.push_back(output.type);
  std::size_t bytes = 0;
  for (const Socket& socket : node.inputs) bytes += sizeof socket + socket.name.size();
  for (const std::string& type : node.output_types) bytes += sizeof type + type.size();
  set.allowance.hold(bytes);
}

}  // namespace

void shape_node(GraphNode& node, GraphSet& set) {
  if (node.role == NodeRole::instance) return shape_instance(node, set);
  if (node.definition) return shape_known(node, set);
  const auto file = std::exchange(node.file_inputs, {});
  node.inputs.assign(file.begin(), file.end());
  if (node.role == NodeRole::ordinary) {
    guess_widgets(node, file, set.follow_packs);
  } else if (node.role == NodeRole::note || node.role == NodeRole::primitive) {
    Widget widget;  // what `%Title.text%` and `%Title.value%` may name
    widget.name = node.role == NodeRole::note ? "text" : "value";
    const JsonValue first = node.json.find("widgets_values").at(0);
    if (first.exists()) widget.value = js_text(first);
    if (js_rounds(first)) widget.doubt = kDoubtRounded;
    node.widgets.push_back(std::move(widget));
  }
}

}  // namespace ebb
