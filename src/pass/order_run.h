// SPDX-License-Identifier: Apache-2.0
// ComfyUI's scheduler: one run over a prompt from given output nodes.
#pragma once

#include <string>
#include <vector>

#include "pass/order_graph.h"

namespace ebb {

/// What the node cache keeps while a prompt runs.
enum class Keeping {
  everything,  ///< every result (classic, LRU, RAM pressure while there is enough RAM)
  needed,      ///< a result until all nodes that link to it ran (--cache-none of 0.3.64)
  nothing      ///< results are only handed over: same nodes all run (--cache-none later)
};

/// What the scheduler reads of a prompt, worked out once for many runs.
struct OrderProblem {
  const Prompt& prompt;
  OrderGraph graph;
  List<NodeIndex, NodeIndex> same;  ///< per node the first one with the same cache key
  List<char, NodeIndex> async;      ///< per node: its function is a coroutine
  /// Per node the lazy links (position among its links) it asks for once it is reached.
  List<std::vector<int>, NodeIndex> asked;
  std::vector<Message> notes;
  Keeping keeping = Keeping::everything;
  List<char, NodeIndex> kept;  ///< per node: its result is there before anything runs; empty: none
};

OrderProblem make_order_problem(const Prompt& prompt);
Keeping keeping_of(const ComfyVersion& version, CacheKind cache);

struct Execution {
  List<NodeIndex, StepIndex> nodes;
  std::vector<Served> served;
};

/// REQUIRES: every output is sound.
Execution run_order(const OrderProblem& problem, const std::vector<NodeIndex>& outputs);

/// The same with its notes, and whether the order of the outputs matters. `outputs` as order_steps
/// takes them; REQUIRES nothing of them.
Result<Order> order_of(const OrderProblem& problem, const std::vector<NodeIndex>& outputs);

}  // namespace ebb
