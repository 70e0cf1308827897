// SPDX-License-Identifier: Apache-2.0
// PrimitiveNodes: before the prompt is made, each writes its value into the widgets that its
// output is linked to, muted or not. Numbers are clamped and rounded as the first target asks.
#include <algorithm>
#include <cmath>

#include "json/write.h"
#include "workflow/js_value.h"
#include "workflow/resolve.h"
#include "workflow/texts.h"

namespace ebb {
namespace {

double round_to(double value, double unit) { return std::floor(value / unit + 0.5) * unit; }

double round_decimals(double value, int decimals) {
  const double scale = std::pow(10.0, decimals);
  return std::round(value * scale) / scale;
}

double shaped_int(double value, const InputDefinition& input) {
  const double step = input.step.value_or(1);
  if (step > 0) {
    const double shift = std::fmod(input.min.value_or(0), step);
    value = round_to(value - shift, step) + shift;
  }
  return value;
}

double shaped_float(double value, const InputDefinition& input) {
  const double step = input.step.value_or(0.5);
  if (!(step > 0)) return value;
  const int places = std::max(0, -static_cast<int>(std::floor(std::log10(step))));
  if (input.round && *input.round > 0) value = round_to(value, *input.round);
  return places > 0 ? round_decimals(value, places) : value;
}

/// The value as the first target's widget would hold it.
std::string shaped(const std::string& text, const Widget& target) {
  const InputDefinition* input = target.definition;
  if (!input || (input->type != "INT" && input->type != "FLOAT")) return text;
  if (text.empty() || !(std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-')) {
    return text;
  }
  double value = std::strtod(text.c_str(), nullptr);
  value = input->type == "INT" ? shaped_int(value, *input) : shaped_float(value, *input);
  value = std::min(std::max(value, input->min.value_or(value)), input->max.value_or(value));
  return json_number(value);
}

/// The widget behind a socket: its own, or an inner one that a subgraph instance shows.
Widget* widget_behind(GraphSet& set, GraphNode& node, const Socket& socket) {
  if (node.role == NodeRole::instance) {
    const auto& inputs = set.definitions[std::size_t(node.definition_graph)].inputs;
    const auto named = std::ranges::find(inputs, socket.name, &Boundary::name);
    if (named == inputs.end()) return nullptr;
    return promoted_widget(set, node.definition_graph, static_cast<int>(named - inputs.begin()));
  }
  return socket.widget < 0 ? nullptr : &node.widgets[std::size_t(socket.widget)];
}

std::optional<std::string> own_value(const GraphNode& primitive, NameReplacer& names,
                                     const char*& doubt) {
  if (primitive.widgets.empty() || !primitive.widgets[0].value) return std::nullopt;
  const std::string& value = *primitive.widgets[0].value;
  doubt = primitive.widgets[0].doubt;
  const JsonValue wanted = primitive.json.find("properties").find("Run widget replace on values");
  if (value.starts_with('"') && wanted.boolean().value_or(false)) {
    const char* why = nullptr;
    std::string replaced = json_quote(names.replace(js_string(value), &why));
    if (why) doubt = why;
    return replaced;
  }
  return value;
}

void apply(GraphSet& set, Graph& graph, GraphNode& primitive, const std::vector<int>& links,
           NameReplacer& names) {
  const char* doubt = nullptr;
  std::optional<std::string> value = own_value(primitive, names, doubt);
  bool first = true;
  for (const int link : links) {
    const auto [n, input] = graph.socket_of_link[std::size_t(link)];
    GraphNode& node = graph.nodes[std::size_t(n)];
    Widget* widget = widget_behind(set, node, node.inputs[std::size_t(input)]);
    if (!widget) continue;
    if (node.role == NodeRole::instance && set.front_end.recent) {
      // A face with a link into it shows nothing, and the inner value is sent.
      if (!set.front_end.recent_sure) widget->doubt = kDoubtFace;
      continue;
    }
    if (std::exchange(first, false)) {
      if (!value) doubt = widget->doubt;
      if (!value) value = widget->value;
      if (value) value = shaped(*value, *widget);
    }
    if (value && !set.allowance.hold(value->size())) return;
    widget->value = value;
    widget->doubt =
        !node.definition && node.role == NodeRole::ordinary && !doubt ? kDoubtNamed : doubt;
  }
}

}  // namespace

void apply_primitives(GraphSet& set, const PlacedGraph& placed) {
  NameReplacer names(set);
  std::vector<std::vector<std::vector<int>>> links(set.definitions.size() + 1);
  for (const PlacedNode& place : placed.places) {
    Graph& graph = set.graph(place.graph);
    GraphNode& node = graph.nodes[std::size_t(place.node)];
    if (node.role != NodeRole::primitive) continue;
    auto& lists = links[std::size_t(place.graph + 1)];
    if (lists.empty()) lists = links_by_origin(graph);
    apply(set, graph, node, lists[std::size_t(place.node)], names);
  }
}

}  // namespace ebb
