// SPDX-License-Identifier: Apache-2.0
// Which nodes ComfyUI's node cache can't tell apart: it runs the first and serves the others.
#pragma once

#include <vector>

#include "pass/order_graph.h"

namespace ebb {

/// For every node the smallest position of a node with the same cache key (itself, if it is alone).
/// Nodes are the same if class, constant inputs and everything upstream agree, shared nodes being
/// shared alike on both sides. Classes that put the node's id into the key are never the same.
List<NodeIndex, NodeIndex> same_nodes(const Prompt& prompt, const OrderGraph& graph);

}  // namespace ebb
