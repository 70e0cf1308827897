// SPDX-License-Identifier: Apache-2.0
// Widgets of classes that no table has: only what the file itself tells by name. Values that the
// file gives merely by position are taken if the node's sockets name them all, or else as other
// files name them for the class (pack_table.inc), if count and kinds agree. The rest is left out.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "workflow/graph.h"
#include "workflow/js_value.h"
#include "workflow/pack_table.h"

namespace ebb {
namespace {

bool is_control_name(std::string_view name) { return name == "control_after_generate"; }

bool is_control_value(const JsonValue& value) {
  return value.is("fixed") || value.is("increment") || value.is("decrement") ||
         value.is("randomize") || value.is("increment-wrap");
}

Widget named(std::string name, const JsonValue& value, const char* doubt) {
  Widget widget;
  widget.doubt = js_rounds(value) ? kDoubtRounded : doubt;
  widget.name = std::move(name);
  widget.value = js_text(value);
  widget.in_file = true;
  return widget;
}

void take_named(const JsonValue& object, GraphNode& node) {
  for (const JsonValue member : object) {
    std::string name = member.key();
    if (is_control_name(name)) continue;
    node.widgets.push_back(named(std::move(name), member, kDoubtNamed));
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
    widgets.push_back(named(socket.widget_name, values[next++], kDoubtSocket));
    const bool seed = socket.type == "INT" || socket.type.empty();
    if (seed && next < values.size() && is_control_value(values[next])) ++next;
  }
  return next == values.size() ? widgets : std::vector<Widget>();
}

/// Names values in the order of a class's widgets; the extra places of widgets that change seeds
/// are told by the list's length. Gives the number of values used up; 0 if one does not fit.
std::size_t name_in_order(const std::vector<PackWidget>& names,
                          const std::vector<JsonValue>& values, const char* doubt,
                          std::vector<Widget>& widgets) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < names.size() && next < values.size(); ++i) {
    if (!fits(names[i], values[next])) return widgets.clear(), 0;
    widgets.push_back(named(names[i].name, values[next++], doubt));
    const bool longer = values.size() - next > names.size() - i - 1;
    if (longer && next < values.size() && is_control_value(values[next])) ++next;
  }
  return next;
}

/// Whether the file's own names of widgets are all among those of the table.
bool agree(const std::vector<FileSocket>& sockets, const std::vector<PackWidget>& names) {
  return std::ranges::all_of(sockets, [&](const FileSocket& socket) {
    return socket.widget_name.empty() ||
           std::ranges::find(names, socket.widget_name, &PackWidget::name) != names.end();
  });
}

/// Values of the class as other files name them.
void name_by_class(GraphNode& node, const std::vector<FileSocket>& file,
                   const std::vector<JsonValue>& values) {
  std::size_t used = 0;
  if (const auto pack = find_pack_class(node.type); pack && agree(file, pack->widgets)) {
    used = name_in_order(pack->widgets, values, kDoubtPack, node.widgets);
    if (used < values.size()) node.widgets.clear(), used = 0;
    if (node.widgets.size() < pack->widgets.size()) {
      for (Widget& widget : node.widgets) {
        if (widget.doubt == kDoubtPack) widget.doubt = kDoubtShort;
      }
    }
  } else if (const auto kin = find_kin_widgets(node.type); !pack && agree(file, kin)) {
    used = name_in_order(kin, values, kDoubtKin, node.widgets);
  }
  node.values = node.widgets.empty() ? Values::left_out : Values::by_pack;
  if (used < values.size()) node.unnamed_from = static_cast<int>(used);
}

/// rgthree's loader of many LoRAs has a widget a LoRA, named by its number.
void name_power_loras(GraphNode& node, const std::vector<JsonValue>& values) {
  int count = 0;
  for (const JsonValue& value : values) {
    if (value.find("lora").exists()) {
      node.widgets.push_back(named("lora_" + std::to_string(++count), value, kDoubtPack));
    } else if (value.find("type").is("PowerLoraLoaderHeaderWidget")) {
      node.widgets.push_back(named("PowerLoraLoaderHeaderWidget", value, kDoubtPack));
    } else if (value.is("")) {
      node.widgets.push_back(named("\u2795 Add Lora", value, kDoubtPack));
    }
  }
  node.values = Values::by_pack;
}

/// A linked widget without a known value: what drives it shall reach the prompt all the same.
void add_driven(GraphNode& node, const std::vector<FileSocket>& file) {
  std::unordered_set<std::string> named;
  for (const Widget& widget : node.widgets) named.insert(widget.name);
  for (const FileSocket& socket : file) {
    if (!socket.of_widget || socket.link == kNoLink || socket.widget_name.empty()) continue;
    if (!named.insert(socket.widget_name).second) continue;
    Widget widget;
    widget.name = socket.widget_name;
    widget.doubt = kDoubtNamed;
    node.widgets.push_back(std::move(widget));
  }
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

void guess_widgets(GraphNode& node, const std::vector<FileSocket>& file, bool follow_packs) {
  const JsonValue by_name = node.json.find("widgets_values_named");
  const JsonValue saved = node.json.find("widgets_values");
  if (by_name.is_object() || saved.is_object()) {
    take_named(by_name.is_object() ? by_name : saved, node);
    node.values = Values::by_name;
  } else if (saved.is_array() && saved.size() > 0) {
    node.widgets = pair_by_place(file, elements_of(saved));
    node.values = Values::by_place;
    if (!node.widgets.empty()) return bind_sockets(node, file);
    if (!follow_packs) {
      node.values = Values::left_out;
      node.unnamed_from = 0;
    } else if (node.type == "Power Lora Loader (rgthree)") {
      name_power_loras(node, elements_of(saved));
    } else {
      name_by_class(node, file, elements_of(saved));
    }
  }
  add_driven(node, file);
  bind_sockets(node, file);
}

}  // namespace ebb
