// SPDX-License-Identifier: Apache-2.0
// Flattening subgraphs into executable nodes, and following a socket's link through Reroutes,
// bypassed nodes and subgraph boundaries to the node that really produces the value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "workflow/graph.h"

namespace ebb {

/// A node at one place: inner nodes of a definition exist once per instance.
struct PlacedNode {
  int graph = -1;     ///< definition index; -1 is the root
  int node = 0;       ///< index in the graph
  int parent = -1;    ///< place of the instance around it
  int children = -1;  ///< of an instance: where its nodes begin in `child_places`
  std::string id;     ///< `12:3`
};

struct PlacedGraph {
  std::vector<PlacedNode> places;  ///< in the order in which the front end lists them
  std::vector<int> root_places;    ///< root node index -> place
  std::vector<int> child_places;   ///< per instance one block: node index -> place
};

/// Lists all executable nodes: the root in order of execution, after each instance its inner
/// nodes. Errors: definitions that contain themselves; more nodes than Ebb reads.
Result<PlacedGraph> place_nodes(GraphSet& set);

/// Links that a socket uses, by the node they leave, in the order of its slots.
std::vector<std::vector<int>> links_by_origin(const Graph& graph);

/// Writes the values of PrimitiveNodes into the widgets they drive, in the order of places.
void apply_primitives(GraphSet& set, const PlacedGraph& placed);

/// What a socket gets: a link, the value of a promoted widget, or nothing.
struct Source {
  enum class Kind { nothing, link, widget } kind = Kind::nothing;
  int place = -1;
  int slot = 0;
  const Widget* widget = nullptr;
};

/// A link that a value passes on its way.
struct Hop {
  int graph = -1;  ///< whose link: definition index; -1 is the root
  int link = 0;    ///< index in its links
  /// The type at its end decides what a bypassed node before it passes on.
  bool decides_bypass = false;
};

class Resolver {
 public:
  Resolver(GraphSet& set, const PlacedGraph& placed);

  /// Errors: what makes the front end refuse the whole graph, with the node and socket.
  /// `hops`, where given, gets every link of the way, the socket's own first.
  Result<Source> resolve(int place, std::size_t input, std::vector<Hop>* hops = nullptr);

 private:
  /// Where a walk stands: at a socket that wants a value, or at an output that shall give it.
  struct Step {
    int place = -1;
    int slot = 0;
    bool at_output = false;
    bool done = false;
    const std::string* type = nullptr;  ///< wanted by the consumer; null before the first hop
    Source source;
  };
  std::optional<Error> enter_input(Step& step);
  void leave_definition(Step& step, const GraphLink& link);
  std::optional<Error> enter_output(Step& step);
  std::optional<Error> enter_instance(Step& step);
  std::optional<Error> bypass(Step& step);
  std::size_t passed_on(const GraphNode& node, std::size_t slot, const std::string& wanted);
  /// What a walk came to, and an output that it passed, for a consumer of one type.
  struct Known {
    Source source;
    std::optional<Error> error;
    bool open = true;  ///< the walk that came by is still under way
  };
  struct Passed {
    int place, slot, type;
    bool operator==(const Passed&) const = default;
  };
  struct HashPassed {
    std::size_t operator()(const Passed& passed) const;
  };
  Result<Source> walk(Step step);
  const Known* recall(const Step& step, std::size_t hops);
  Error circle(const Step& step) const;
  std::optional<int> setter_of(const PlacedNode& place, const GraphNode& getter);
  int sibling(const PlacedNode& place, int node) const;
  const PlacedNode& placed_at(int place) const { return placed_.places[std::size_t(place)]; }
  GraphNode& node_at(int place) const;
  Error refuse(const Step& step, std::string what, std::string hint) const;

  GraphSet& set_;
  const PlacedGraph& placed_;
  std::size_t hops_max_ = 0;  ///< a walk without a cycle is shorter
  std::unordered_map<std::string, int> setters_;
  std::unordered_map<Passed, Known, HashPassed> known_;  ///< outputs met on long walks
  std::unordered_map<std::string_view, int> types_;      ///< wanted on long walks
  std::map<std::tuple<const GraphNode*, std::size_t, std::string_view>, std::size_t> passed_on_;
  std::vector<Passed> trail_;
  std::vector<Hop>* hops_ = nullptr;  ///< of the walk at hand
};

}  // namespace ebb
