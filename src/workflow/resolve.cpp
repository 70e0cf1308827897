// SPDX-License-Identifier: Apache-2.0
#include "workflow/resolve.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

constexpr std::size_t kShortWalk = 16;  // longer ones are remembered, so that none is quadratic

std::string setter_name(const GraphNode& node) {
  return node.json.find("widgets_values").at(0).text_or("");
}

std::string setter_key(int graph, const std::string& name) {
  return std::to_string(graph) + "\n" + name;
}

std::string label(const std::string& id, const GraphNode& node) {
  return "node " + cut_text(id) + " " + cut_text(node.type);
}

}  // namespace

Resolver::Resolver(GraphSet& set, const PlacedGraph& placed) : set_(set), placed_(placed) {
  for (const PlacedNode& place : placed.places) {
    const GraphNode& node = set.graph(place.graph).nodes[std::size_t(place.node)];
    hops_max_ += node.inputs.size() + node.output_types.size() + 2;
  }
  for (int g = -1; g < static_cast<int>(set.definitions.size()); ++g) {
    const auto& nodes = set.graph(g).nodes;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].role != NodeRole::setter) continue;
      setters_.try_emplace(setter_key(g, setter_name(nodes[i])), static_cast<int>(i));
    }
  }
}

Result<Source> Resolver::resolve(int place, std::size_t input, std::vector<Hop>* hops_wanted) {
  Step step;
  hops_ = hops_wanted;
  step.place = place;
  step.slot = static_cast<int>(input);
  trail_.clear();
  auto source = walk(step);
  if (set_.allowance.spent()) source = Allowance::error(set_.file);
  for (const Passed& passed : trail_) {
    Known& known = known_[passed];
    known.open = false;
    if (source) {
      known.source = *source;
    } else {
      known.error = source.error();
    }
  }
  return source;
}

Result<Source> Resolver::walk(Step step) {
  for (std::size_t hops = 0; !step.done; ++hops) {
    if (hops > hops_max_) return circle(step);
    if (!set_.allowance.work(1)) break;
    if (const Known* known = step.at_output ? recall(step, hops) : nullptr) {
      if (known->open) return circle(step);
      if (known->error) return *known->error;
      return known->source;
    }
    if (auto error = step.at_output ? enter_output(step) : enter_input(step)) return *error;
  }
  return step.source;
}

Error Resolver::circle(const Step& step) const {
  return refuse(step, "the links through Reroutes, bypassed nodes and subgraphs run in a circle",
                "Cut the circle by removing one of its links.");
}

/// Long walks leave a trail at the outputs they pass, so that the next one ends there, and the
/// same one if it comes back.
const Resolver::Known* Resolver::recall(const Step& step, std::size_t hops) {
  if (hops < kShortWalk || hops_) return nullptr;
  int type = -1;
  if (step.type) {
    set_.allowance.work(step.type->size() / 16);
    type = types_.try_emplace(*step.type, static_cast<int>(types_.size())).first->second;
  }
  const Passed passed{step.place, step.slot, type};
  const auto [at, fresh] = known_.try_emplace(passed);
  if (!fresh) return &at->second;
  trail_.push_back(passed);
  return nullptr;
}

std::size_t Resolver::HashPassed::operator()(const Passed& passed) const {
  std::size_t hash = 0;
  for (const int part : {passed.place, passed.slot, passed.type}) {
    hash = (hash ^ static_cast<std::size_t>(static_cast<unsigned>(part))) * 0x9E3779B97F4A7C15ULL;
  }
  return hash ^ (hash >> 32);
}

std::optional<Error> Resolver::enter_input(Step& step) {
  const PlacedNode& place = placed_at(step.place);
  const GraphNode& node = node_at(step.place);
  const Graph& graph = set_.graph(place.graph);
  step.done = true;
  if (std::size_t(step.slot) >= node.inputs.size()) return std::nullopt;
  const Socket& socket = node.inputs[std::size_t(step.slot)];
  if (socket.link == kNoLink) return std::nullopt;
  if (socket.link == kBrokenLink) {
    return refuse(step,
                  fmt::format("its input \"{}\" names link {}, which does not exist",
                              cut_text(socket.name), socket.link_id),
                  "Connect the input again in ComfyUI and save the workflow.");
  }
  const GraphLink& link = graph.links[std::size_t(socket.link)];
  if (hops_) hops_->push_back({place.graph, socket.link, false});
  if (link.origin == kInputNode && place.parent >= 0) {
    leave_definition(step, link);
    return std::nullopt;
  }
  if (link.origin < 0) {
    return refuse(step,
                  fmt::format("link {} into its input \"{}\" comes from a node that does "
                              "not exist",
                              link.id, cut_text(socket.name)),
                  "Connect the input again in ComfyUI and save the workflow.");
  }
  if (!step.type) step.type = &socket.type;
  step.place = sibling(place, link.origin);
  step.slot = link.origin_slot;
  step.at_output = true;
  step.done = false;
  return std::nullopt;
}

/// From an input of a definition to the socket of the instance around it.
void Resolver::leave_definition(Step& step, const GraphLink& link) {
  const PlacedNode& place = placed_at(step.place);
  const Graph& graph = set_.graph(place.graph);
  const GraphNode& instance = node_at(place.parent);
  const auto slot = std::size_t(std::max(link.origin_slot, 0));
  if (slot >= graph.inputs.size()) return;
  // A definition's inputs are the instance's first sockets; equal names share the first.
  const auto named = std::ranges::find(instance.inputs, graph.inputs[slot].name, &Socket::name);
  set_.allowance.work(std::size_t(named - instance.inputs.begin()) / 4);
  if (named != instance.inputs.end() && named->link != kNoLink) {
    step.place = place.parent;
    step.slot = static_cast<int>(named - instance.inputs.begin());
    step.done = false;
    return;
  }
  const bool face = set_.front_end.recent && named != instance.inputs.end() && named->widget >= 0;
  const Widget* widget = face ? &instance.widgets[std::size_t(named->widget)]
                              : promoted_widget(set_, place.graph, static_cast<int>(slot));
  if (widget) step.source = {Source::Kind::widget, -1, 0, widget};
}

std::optional<Error> Resolver::enter_output(Step& step) {
  const GraphNode& node = node_at(step.place);
  step.done = true;
  if (node.muted()) return std::nullopt;
  if (node.bypassed()) return bypass(step);
  switch (node.role) {
    case NodeRole::instance: return enter_instance(step);
    case NodeRole::note:
    case NodeRole::primitive: return std::nullopt;
    case NodeRole::getter:
      if (const auto setter = setter_of(placed_at(step.place), node)) {
        step.place = *setter;
      } else {
        return std::nullopt;
      }
      [[fallthrough]];
    case NodeRole::setter:
    case NodeRole::reroute:
      step.slot = 0;
      step.at_output = false;
      step.done = false;
      return std::nullopt;
    case NodeRole::ordinary: break;
  }
  step.source = {Source::Kind::link, step.place, step.slot, nullptr};
  return std::nullopt;
}

/// From an output of an instance to the inner node that its definition links to it.
std::optional<Error> Resolver::enter_instance(Step& step) {
  const PlacedNode& place = placed_at(step.place);
  const Graph& graph = set_.graph(node_at(step.place).definition_graph);
  if (step.slot < 0 || std::size_t(step.slot) >= graph.outputs.size()) {
    return refuse(step,
                  fmt::format("a link leaves its output {}, which the subgraph \"{}\" does "
                              "not have",
                              step.slot, cut_text(graph.name)),
                  "Connect the subgraph's outputs again in ComfyUI and save the workflow.");
  }
  for (const std::int64_t id : graph.outputs[std::size_t(step.slot)].link_ids) {
    if (!set_.allowance.work(1)) break;
    const auto at = graph.link_by_id.find(id);
    if (at == graph.link_by_id.end()) continue;
    const GraphLink& link = graph.links[std::size_t(at->second)];
    if (link.origin < 0) {
      return refuse(
          step,
          fmt::format("output \"{}\" of the subgraph \"{}\" is linked to no node",
                      cut_text(graph.outputs[std::size_t(step.slot)].name), cut_text(graph.name)),
          "Put a node or a Reroute between the subgraph's input and output.");
    }
    if (hops_) hops_->push_back({node_at(step.place).definition_graph, at->second, false});
    step.place = placed_.child_places[std::size_t(place.children + link.origin)];
    step.slot = link.origin_slot;
    step.done = false;
    return std::nullopt;
  }
  return std::nullopt;
}

/// A bypassed node passes on one of its inputs, chosen by place and type alone.
std::optional<Error> Resolver::bypass(Step& step) {
  if (hops_) std::ranges::for_each(*hops_, [](Hop& hop) { hop.decides_bypass = true; });
  const GraphNode& node = node_at(step.place);
  const auto& inputs = node.inputs;
  const auto slot = std::size_t(std::max(step.slot, 0));
  std::size_t chosen = inputs.size();
  if (!step.type || step.type->empty() || *step.type == "*") {
    chosen = slot < inputs.size() ? slot : 0;
    if (inputs.empty()) {
      return refuse(step, "it is bypassed and has no input to pass on",
                    "Mute it instead, or connect its consumers to something else.");
    }
  } else {
    chosen = passed_on(node, slot, *step.type);
  }
  if (chosen == inputs.size()) return std::nullopt;
  step.slot = static_cast<int>(chosen);
  step.at_output = false;
  step.done = false;
  step.type = nullptr;
  return std::nullopt;
}

/// The input of a bypassed node that an output passes on to a consumer of one type; as many as
/// there are inputs if none. Remembered, since many consumers may read one output.
std::size_t Resolver::passed_on(const GraphNode& node, std::size_t slot,
                                const std::string& wanted) {
  set_.allowance.work(wanted.size() / 16);
  const auto [at, fresh] = passed_on_.try_emplace({&node, slot, wanted}, node.inputs.size());
  if (!fresh) return at->second;
  const auto& inputs = node.inputs;
  const std::string own = slot < node.output_types.size() ? node.output_types[slot] : "*";
  const auto fits = [&](const Socket& socket) {
    return types_fit(socket.type, own, set_.allowance) &&
           types_fit(socket.type, wanted, set_.allowance);
  };
  if (slot < inputs.size() && fits(inputs[slot])) return at->second = slot;
  auto found = std::ranges::find(inputs, wanted, &Socket::type);
  set_.allowance.work(std::size_t(found - inputs.begin()) / 4);
  if (found == inputs.end()) found = std::ranges::find_if(inputs, fits);
  return at->second = std::size_t(found - inputs.begin());
}

/// A getter reads the setter of its name in its own graph, else one of the graphs around it.
std::optional<int> Resolver::setter_of(const PlacedNode& place, const GraphNode& getter) {
  const std::string name = setter_name(getter);
  for (const PlacedNode* at = &place;;) {
    set_.allowance.work(1 + name.size() / 16);
    if (const auto found = setters_.find(setter_key(at->graph, name)); found != setters_.end()) {
      return sibling(*at, found->second);
    }
    if (at->parent < 0) return std::nullopt;
    at = &placed_at(at->parent);
  }
}

/// The place of another node of the same graph.
int Resolver::sibling(const PlacedNode& place, int node) const {
  if (place.parent < 0) return placed_.root_places[std::size_t(node)];
  return placed_.child_places[std::size_t(placed_at(place.parent).children + node)];
}

GraphNode& Resolver::node_at(int place) const {
  const PlacedNode& at = placed_at(place);
  return set_.graph(at.graph).nodes[std::size_t(at.node)];
}

Error Resolver::refuse(const Step& step, std::string what, std::string hint) const {
  return input_error(std::move(what), set_.file,
                     label(placed_at(step.place).id, node_at(step.place)), std::move(hint));
}

}  // namespace ebb
