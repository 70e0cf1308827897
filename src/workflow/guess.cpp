// SPDX-License-Identifier: Apache-2.0
// Widgets of classes that no table has: only what the file itself tells by name. Values that the
// file gives merely by position are taken if names, count and kinds agree; else they are left out.
#include <algorithm>
#include <unordered_map>

#include "workflow/graph.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

bool is_control_name(std::string_view name) { return name == "control_after_generate"; }

bool is_control_value(const JsonValue& value) {
  return value.is("fixed") || value.is("increment") || value.is("decrement") ||
         value.is("randomize") || value.is("increment-wrap");
}

Widget named(std::string name, const JsonValue& value) {
  Widget widget;
  widget.name = std::move(name);
  widget.value = js_text(value);
  widget.in_file = true;
  return widget;
}

void take_named(const JsonValue& object, GraphNode& node) {
  for (const JsonValue member : object) {
    std::string name = member.key();
    if (is_control_name(name)) continue;
    node.widgets.push_back(named(std::move(name), member));
  }
}

/// Whether a value can be one of a socket of this type.
bool kind_fits(std::string_view type, const JsonValue& value) {
  if (type == "INT" || type == "FLOAT") return value.is_number();
  if (type == "BOOLEAN") return value.kind() == JsonKind::boolean;
  if (type == "STRING") return value.is_string();
  return true;
}

/// Pairs the widget sockets with the list of values, which has extra places for the widgets that
/// change seeds. Nothing unless every value finds its name.
std::vector<Widget> pair_by_place(const std::vector<FileSocket>& sockets,
                                  const std::vector<JsonValue>& values) {
  std::vector<Widget> widgets;
  std::size_t next = 0;
  for (const FileSocket& socket : sockets) {
    if (socket.widget_name.empty()) continue;
    if (next >= values.size() || !kind_fits(socket.type, values[next])) return {};
    widgets.push_back(named(socket.widget_name, values[next++]));
    const bool seed = socket.type == "INT" || socket.type.empty();
    if (seed && next < values.size() && is_control_value(values[next])) ++next;
  }
  return next == values.size() ? widgets : std::vector<Widget>();
}

/// Tells each socket which widget it belongs to.
void bind_sockets(GraphNode& node, const std::vector<FileSocket>& file) {
  std::unordered_map<std::string_view, int> place;
  for (std::size_t i = 0; i < node.widgets.size(); ++i) {
    place.try_emplace(node.widgets[i].name, static_cast<int>(i));
  }
  for (std::size_t i = 0; i < file.size(); ++i) {
    const auto at = place.find(file[i].widget_name);
    if (file[i].of_widget && at != place.end()) node.inputs[i].widget = at->second;
  }
}

}  // namespace

void guess_widgets(GraphNode& node, const std::vector<FileSocket>& file) {
  const JsonValue by_name = node.json.find("widgets_values_named");
  const JsonValue saved = node.json.find("widgets_values");
  if (by_name.is_object() || saved.is_object()) {
    take_named(by_name.is_object() ? by_name : saved, node);
    node.values = Values::by_name;
  } else if (saved.is_array() && saved.size() > 0) {
    node.widgets = pair_by_place(file, elements_of(saved));
    node.values = node.widgets.empty() ? Values::left_out : Values::by_place;
  }
  bind_sockets(node, file);
}

}  // namespace ebb
