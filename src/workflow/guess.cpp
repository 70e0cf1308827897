// SPDX-License-Identifier: Apache-2.0
// Widgets of classes that no table has: only what the file itself tells by name. Values that the
// file gives merely by position are taken if names, count and kinds agree; else they are left out.
#include <algorithm>

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
std::vector<Widget> pair_by_place(const GraphNode& node, const std::vector<JsonValue>& values) {
  std::vector<Widget> widgets;
  std::size_t next = 0;
  for (const Socket& socket : node.inputs) {
    if (socket.widget_name.empty()) continue;
    if (next >= values.size() || !kind_fits(socket.type, values[next])) return {};
    widgets.push_back(named(socket.widget_name, values[next++]));
    const bool seed = socket.type == "INT" || socket.type.empty();
    if (seed && next < values.size() && is_control_value(values[next])) ++next;
  }
  return next == values.size() ? widgets : std::vector<Widget>();
}

}  // namespace

void guess_widgets(GraphNode& node, GraphSet& set) {
  const std::string label = "node " + node.id + " " + node.type;
  const JsonValue by_name = node.json.find("widgets_values_named");
  const JsonValue saved = node.json.find("widgets_values");
  if (by_name.is_object()) return take_named(by_name, node);
  if (saved.is_object()) return take_named(saved, node);
  if (!saved.is_array() || saved.size() == 0) return;
  node.widgets = pair_by_place(node, elements_of(saved));
  if (!node.widgets.empty()) {
    set.notes.push_back(label + " is of a class Ebb does not know; the names of its values are " +
                        "taken from its sockets in order, which is a guess.");
    return;
  }
  // Widgets that are linked need a name only, so that the link has its place.
  set.notes.push_back(label + " is of a class Ebb does not know, and the file does not name its " +
                      std::to_string(saved.size()) + " values: they are left out.");
}

}  // namespace ebb
