// SPDX-License-Identifier: Apache-2.0
// ComfyUI's scheduler: one run over a prompt from given output nodes.
#pragma once

#include <string>
#include <vector>

#include "pass/order_graph.h"

namespace ebb {

/// What the scheduler reads of a prompt, worked out once for many runs.
struct OrderProblem {
  const Prompt& prompt;
  OrderGraph graph;
  std::vector<int> same;    ///< per node the first one with the same cache key
  std::vector<char> async;  ///< per node: its function is a coroutine
  /// Per node the lazy links (position among its links) it asks for once it is reached.
  std::vector<std::vector<int>> asked;
  std::vector<std::string> notes;
};

OrderProblem make_order_problem(const Prompt& prompt);

struct OrderRun {
  std::vector<int> nodes;
  std::vector<Served> served;
};

/// REQUIRES: every output is sound.
OrderRun run_order(const OrderProblem& problem, const std::vector<int>& outputs);

}  // namespace ebb
