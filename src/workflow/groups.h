// SPDX-License-Identifier: Apache-2.0
// Legacy group nodes, the forerunner of subgraphs.
#pragma once

#include "workflow/graph.h"

namespace ebb {

/// Reads one node; its id is empty if the file gives it none.
GraphNode read_graph_node(const JsonValue& json);

/// Turns every instance of a group that `groups` describes into an instance of a definition.
void expand_groups(GraphSet& set, const JsonValue& groups);

/// Gives the inner widgets the values that the instance saved. REQUIRES: nodes have their shape.
void apply_group_values(Graph& graph, GraphSet& set);

}  // namespace ebb
