// SPDX-License-Identifier: Apache-2.0
// order_steps: which output nodes run, in which order ComfyUI reaches everything, and whether the
// order of the output nodes matters to nodes that handle weights.
#include <algorithm>
#include <string_view>

#include "demand/link_types.h"
#include "ebb/pass.h"
#include "pass/order_run.h"
#include "pass/output_order.h"

namespace ebb {
namespace {

constexpr int kTrialVisitsMax = 30'000;  // nodes visited over all trials: a few milliseconds

Result<std::vector<NodeIndex>> output_nodes(const Prompt& prompt,
                                            const std::vector<NodeIndex>& wanted) {
  std::vector<NodeIndex> outputs;
  for (const NodeIndex node : wanted) {
    if (!prompt.nodes.has(node)) {
      return usage_error("there is no node at position " + std::to_string(node.at));
    }
    if (!prompt.nodes[node].output_node) {
      return usage_error(prompt.nodes[node].label() + " is not an output node");
    }
    outputs.push_back(node);
  }
  if (!wanted.empty()) return outputs;
  for (const NodeIndex i : prompt.nodes.indices()) {
    if (prompt.nodes[i].output_node) outputs.push_back(i);
  }
  if (outputs.empty()) {
    return input_error("no node of the prompt is an output node, so nothing would run", {}, {},
                       "Add a node that saves or previews a result.");
  }
  return outputs;
}

// ComfyUI refuses an output node that it can't reach everything for, and runs the others.
Result<std::vector<NodeIndex>> sound_outputs(const OrderProblem& problem,
                                             std::vector<NodeIndex> outputs, Order& order) {
  std::vector<NodeIndex> sound;
  for (const NodeIndex node : outputs) {
    if (problem.graph.sound(node)) {
      sound.push_back(node);
      continue;
    }
    const Error reason = problem.graph.reason(problem.prompt, node);
    order.left_out.push_back(node);
    order.notes.push_back(
        {Say::node_will_not_run,
         {problem.prompt.nodes[node].label(), reason.where.place, reason.message}});
  }
  if (sound.empty()) return problem.graph.reason(problem.prompt, outputs.front());
  return sound;
}

// By the types of its inputs and outputs; a node of which no type is known may.
bool handles_weights(const PromptNode& node) {
  bool any_type = false;
  for (const PromptInput& input : node.inputs) {
    any_type |= !input.type.empty();
    if (link_kind(input.type) == LinkKind::weights) return true;
  }
  for (const std::string& type : node.output_types) {
    any_type |= !type.empty();
    if (link_kind(type) == LinkKind::weights) return true;
  }
  return !any_type && !node.known;
}

class OutputOrders {
 public:
  OutputOrders(const OrderProblem& problem, const Execution& run) : problem_(problem) {
    for (const PromptNode& node : problem.prompt.nodes) heavy_.push_back(handles_weights(node));
    usual_ = heavy(run);
  }

  void compare(const std::vector<NodeIndex>& outputs, Order& order) const {
    if (outputs.size() < 2 || usual_.size() < 2) return;
    int left = kTrialVisitsMax;
    OutputOrder orders(outputs);
    while (orders.advance()) {
      left -= static_cast<int>(std::min(problem_.prompt.nodes.size(), size_t(kTrialVisitsMax)));
      if (left < 0) return give_up(outputs.size(), order);
      const std::vector<NodeIndex> other = heavy(run_order(problem_, orders.outputs()));
      if (other != usual_) return differ(other, order);
    }
  }

 private:
  // Which of several same nodes runs is no difference: they share one result.
  std::vector<NodeIndex> heavy(const Execution& run) const {
    std::vector<NodeIndex> result;
    for (const NodeIndex node : run.nodes) {
      if (heavy_[node]) result.push_back(problem_.same[node]);
    }
    return result;
  }

  void differ(const std::vector<NodeIndex>& other, Order& order) const {
    order.depends_on_outputs = true;
    const auto [a, b] = std::mismatch(usual_.begin(), usual_.end(), other.begin(), other.end());
    const auto label = [&](NodeIndex node) { return problem_.prompt.nodes[node].label(); };
    Message which;
    if (a != usual_.end() && b != other.end()) which = {Say::either_order, {label(*a), label(*b)}};
    order.notes.push_back({Say::order_differs, {std::move(which)}});
  }

  void give_up(std::size_t outputs, Order& order) const {
    order.notes.push_back({Say::not_all_orders_tried, {problem_.prompt.nodes.size(), outputs}});
  }

  const OrderProblem& problem_;
  List<char, NodeIndex> heavy_;
  std::vector<NodeIndex> usual_;
};

void note_coroutines(const OrderProblem& problem, Order& order) {
  for (const NodeIndex node : order.nodes) {
    if (!problem.async[node]) continue;
    order.notes.push_back({Say::waits_for_a_service, {problem.prompt.nodes[node].label()}});
  }
}

// A class that nobody knows may keep its nodes apart (NOT_IDEMPOTENT, UNIQUE_ID, IS_CHANGED).
void note_served(const Prompt& prompt, Order& order) {
  for (const Served& served : order.served) {
    const PromptNode& node = prompt.nodes[served.node];
    if (node.known) continue;
    order.notes.push_back({Say::taken_to_share, {node.label(), prompt.nodes[served.from].label()}});
  }
}

}  // namespace

Result<Order> order_of(const OrderProblem& problem, const std::vector<NodeIndex>& outputs) {
  auto wanted = output_nodes(problem.prompt, outputs);
  if (!wanted) return wanted.error();
  Order order;
  auto runnable = sound_outputs(problem, std::move(*wanted), order);
  if (!runnable) return runnable.error();
  Execution run = run_order(problem, *runnable);
  OutputOrders(problem, run).compare(*runnable, order);
  order.nodes = std::move(run.nodes);
  order.served = std::move(run.served);
  order.notes.insert(order.notes.end(), problem.notes.begin(), problem.notes.end());
  note_coroutines(problem, order);
  note_served(problem.prompt, order);
  return order;
}

// The scheduler's rules are the same in all versions at hand; see order_run.cpp.
Result<Order> order_steps(const Prompt& prompt, const ComfyVersion& version,
                          const std::vector<NodeIndex>& outputs, CacheKind cache) {
  OrderProblem problem = make_order_problem(prompt);
  problem.keeping = keeping_of(version, cache);
  return order_of(problem, outputs);
}

}  // namespace ebb
