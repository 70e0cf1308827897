// SPDX-License-Identifier: Apache-2.0
// Which executable nodes there are, and in which order the front end lists them: it decides the
// order of keys that are no numbers, and of primitives that write to the same widget.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "workflow/js_value.h"
#include "workflow/resolve.h"

namespace ebb {
namespace {

constexpr std::size_t kPlacesMax = 2'000'000;
constexpr std::size_t kDepthMax = 200;

/// What a cycle keeps from being ordered comes last, numbered ids first.
void append_rest(const Graph& graph, std::vector<bool>& listed, std::vector<int>& order) {
  std::vector<int> rest;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!listed[i]) rest.push_back(static_cast<int>(i));
  }
  std::ranges::stable_sort(rest, {}, [&](int i) {
    const auto index = js_array_index(graph.nodes[std::size_t(i)].id);
    return index ? std::uint64_t(*index) : ~0ULL;
  });
  order.insert(order.end(), rest.begin(), rest.end());
}

/// Sources first, then what they feed; a saved order wins over it.
std::vector<int> execution_order(const Graph& graph) {
  std::vector<int> waiting(graph.nodes.size()), order;
  std::vector<bool> listed(graph.nodes.size());
  const auto leaving = links_by_origin(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    waiting[i] = static_cast<int>(std::ranges::count_if(
        graph.nodes[i].inputs, [](const Socket& socket) { return socket.link != kNoLink; }));
    if (waiting[i] == 0) order.push_back(static_cast<int>(i));
  }
  for (std::size_t at = 0; at < order.size(); ++at) {
    listed[std::size_t(order[at])] = true;
    for (const int link : leaving[std::size_t(order[at])]) {
      const int target = graph.socket_of_link[std::size_t(link)].first;
      if (--waiting[std::size_t(target)] == 0) order.push_back(target);
    }
  }
  append_rest(graph, listed, order);
  std::ranges::stable_sort(order, {}, [&](int i) { return graph.nodes[std::size_t(i)].order; });
  return order;
}

/// What a list of nodes unfolds to.
struct Unfolded {
  std::uint64_t nodes = 0;
  std::uint64_t bytes = 0;  ///< of their places, with ids from this list on
};

constexpr std::uint64_t kPlaceBytes = sizeof(PlacedNode) + sizeof(int);

/// Counts what a graph unfolds to without unfolding it: each definition once.
class Count {
 public:
  explicit Count(GraphSet& set) : set_(set), known_(set.definitions.size()) {}

  /// Nothing where that can't be said: a definition contains itself, or lies too deep.
  std::optional<Unfolded> of(const Graph& graph, std::size_t depth = 0) {
    if (depth > kDepthMax) return std::nullopt;
    Unfolded sum;
    for (const GraphNode& node : graph.nodes) {
      const std::uint64_t id = node.id.size() + 1;
      sum = plus(sum, {1, kPlaceBytes + id});
      if (node.role != NodeRole::instance) continue;
      const auto inner = of_definition(node.definition_graph, depth + 1);
      if (!inner) return std::nullopt;
      sum = plus(sum, {inner->nodes, inner->bytes + inner->nodes * id});
    }
    return sum;
  }

 private:
  struct Known {
    enum class State { fresh, open, done } state = State::fresh;
    Unfolded unfolded;
  };

  std::optional<Unfolded> of_definition(int definition, std::size_t depth) {
    Known& known = known_[std::size_t(definition)];
    if (known.state == Known::State::done) return known.unfolded;
    if (known.state == Known::State::open) return std::nullopt;
    known.state = Known::State::open;
    const auto unfolded = of(set_.graph(definition), depth);
    if (!unfolded) return std::nullopt;  // and so for everything that asks
    known = {Known::State::done, *unfolded};
    return unfolded;
  }

  static Unfolded plus(const Unfolded& a, const Unfolded& b) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 30;  // more than any file may
    return {std::min(a.nodes + b.nodes, kMost), std::min(a.bytes + b.bytes, kMost << 10)};
  }

  GraphSet& set_;
  std::vector<Known> known_;
};

class Placer {
 public:
  explicit Placer(GraphSet& set) : set_(set) {}

  std::optional<Error> run() {
    // What would be refused half way is refused before it takes its time.
    const auto all = Count(set_).of(set_.root);
    if (all && !set_.allowance.may_hold(std::min(all->bytes, kPlacesMax * kPlaceBytes))) {
      return Allowance::error(set_.file);
    }
    placed_.root_places.resize(set_.root.nodes.size());
    for (const int node : execution_order(set_.root)) {
      const int place = add(-1, node, -1);
      placed_.root_places[std::size_t(node)] = place;
      const GraphNode& added = set_.root.nodes[std::size_t(node)];
      if (added.role == NodeRole::instance) {
        if (auto error = expand(place, added)) return error;
      }
    }
    return std::nullopt;
  }
  PlacedGraph take() { return std::move(placed_); }

 private:
  int add(int graph, int node, int parent) {
    const std::string& id = set_.graph(graph).nodes[std::size_t(node)].id;
    std::string full = parent < 0 ? id : placed_.places[std::size_t(parent)].id + ":" + id;
    set_.allowance.hold(kPlaceBytes + full.size());
    placed_.places.push_back({graph, node, parent, -1, std::move(full)});
    return static_cast<int>(placed_.places.size()) - 1;
  }

  /// Depth first: an instance is followed by its inner nodes.
  std::optional<Error> expand(int place, const GraphNode& instance) {
    const int definition = instance.definition_graph;
    const Graph& graph = set_.graph(definition);
    if (std::ranges::find(open_, definition) != open_.end()) {
      return input_error(fmt::format("the subgraph \"{}\" contains itself", cut_text(graph.name)),
                         set_.file, "node " + cut_text(placed_.places[std::size_t(place)].id),
                         "Remove the instance inside its own definition.");
    }
    if (placed_.places.size() + graph.nodes.size() > kPlacesMax || open_.size() > kDepthMax) {
      return input_error(fmt::format("the subgraphs unfold to more than {} nodes or {} levels",
                                     kPlacesMax, kDepthMax),
                         set_.file, "node " + cut_text(placed_.places[std::size_t(place)].id),
                         "Remove instances of subgraphs that hold many others.");
    }
    if (!set_.allowance.hold(graph.nodes.size())) return Allowance::error(set_.file);
    open_.push_back(definition);
    const std::size_t base = placed_.child_places.size();
    placed_.places[std::size_t(place)].children = static_cast<int>(base);
    placed_.child_places.resize(base + graph.nodes.size());
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const int child = add(definition, static_cast<int>(i), place);
      placed_.child_places[base + i] = child;
      if (graph.nodes[i].role != NodeRole::instance) continue;
      if (auto error = expand(child, graph.nodes[i])) return error;
    }
    open_.pop_back();
    return std::nullopt;
  }

  GraphSet& set_;
  PlacedGraph placed_;
  std::vector<int> open_;  ///< definitions being unfolded
};

}  // namespace

std::vector<std::vector<int>> links_by_origin(const Graph& graph) {
  std::vector<std::vector<int>> lists(graph.nodes.size());
  for (std::size_t i = 0; i < graph.links.size(); ++i) {
    const int origin = graph.links[i].origin;
    if (origin >= 0 && graph.socket_of_link[i].first >= 0) {
      lists[std::size_t(origin)].push_back(static_cast<int>(i));
    }
  }
  for (auto& list : lists) {
    std::ranges::stable_sort(list, {},
                             [&](int i) { return graph.links[std::size_t(i)].origin_slot; });
  }
  return lists;
}

Result<PlacedGraph> place_nodes(GraphSet& set) {
  Placer placer(set);
  if (auto error = placer.run()) return std::move(*error);
  if (set.allowance.spent()) return Allowance::error(set.file);
  return placer.take();
}

}  // namespace ebb
