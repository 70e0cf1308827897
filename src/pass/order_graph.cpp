// SPDX-License-Identifier: Apache-2.0
#include "pass/order_graph.h"

#include <algorithm>

namespace ebb {
namespace {

constexpr std::size_t kNodesNamed = 6;  // of a long cycle, so that the message stays readable

Error cycle_error(const Prompt& prompt, const std::vector<NodeIndex>& cycle) {
  std::string names;
  for (std::size_t i = 0; i < cycle.size() && i < kNodesNamed; ++i) {
    names += prompt.nodes[cycle[i]].label() + " -> ";
  }
  if (cycle.size() > kNodesNamed) {
    names += "... " + std::to_string(cycle.size() - kNodesNamed) + " more -> ";
  }
  const std::string start = prompt.nodes[cycle.front()].label();
  return input_error("the links run in a circle: " + names + start, {}, start,
                     "Cut one of these links; ComfyUI can't run a node that waits for itself.");
}

Error missing_error(const PromptNode& node, const OrderLink& link) {
  const PromptInput& input = node.inputs[size_t(link.input)];
  return input_error(
      "input " + input.name + " is linked to node " + input.link->node +
          ", which is not in the prompt",
      {}, node.label(),
      "Link the input to a node that is there, or remove the output nodes that need it.");
}

}  // namespace

OrderGraph::OrderGraph(const Prompt& prompt) {
  first_.reserve(prompt.nodes.size() + 1);
  first_.push_back(0);
  for (const PromptNode& node : prompt.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const PromptInput& input = node.inputs[i];
      if (!input.link) continue;
      links_.push_back({prompt.position(input.link->node), static_cast<int>(i), input.lazy});
    }
    first_.push_back(static_cast<int>(links_.size()));
  }
  find_sound(prompt);
}

// Takes away nodes whose needs are all taken away; what remains needs a cycle, a missing node or
// one that ComfyUI refuses.
void OrderGraph::find_sound(const Prompt& prompt) {
  const std::size_t count = prompt.nodes.size();
  List<int, NodeIndex> waits(count), first_consumer(count + 1);
  std::vector<NodeIndex> consumers(links_.size());
  for (const OrderLink& link : links_) {
    if (link.source.exists()) ++first_consumer[link.source + 1];
  }
  for (const NodeIndex node : nodes()) first_consumer[node + 1] += first_consumer[node];
  List<int, NodeIndex> place(first_consumer.begin(), first_consumer.end() - 1);
  for (const NodeIndex node : nodes()) {
    for (const OrderLink& link : links(node)) {
      ++waits[node];  // for ever, if the source is missing
      if (link.source.exists()) consumers[size_t(place[link.source]++)] = node;
    }
  }
  for (const Refusal& refusal : prompt.refused) {
    const NodeIndex node = prompt.position(refusal.node);
    if (node.exists()) ++waits[node];  // for ever
  }
  sound_.assign(count, false);
  sound_order_.reserve(count);
  for (const NodeIndex node : nodes()) {
    if (waits[node] == 0) sound_order_.push_back(node);
  }
  for (std::size_t i = 0; i < sound_order_.size(); ++i) {
    const NodeIndex node = sound_order_[i];
    sound_[node] = true;
    for (int c = first_consumer[node]; c < first_consumer[node + 1]; ++c) {
      const NodeIndex consumer = consumers[size_t(c)];
      if (--waits[consumer] == 0) sound_order_.push_back(consumer);
    }
  }
}

Error OrderGraph::reason(const Prompt& prompt, NodeIndex node) const {
  assert(!sound(node));
  std::vector<NodeIndex> path;
  List<int, NodeIndex> place(prompt.nodes.size(), -1);
  while (place[node] < 0) {
    place[node] = static_cast<int>(path.size());
    path.push_back(node);
    const auto refusal = std::ranges::find(prompt.refused, prompt.nodes[node].id, &Refusal::node);
    if (refusal != prompt.refused.end()) {
      return input_error(refusal->why, {}, prompt.nodes[node].label(), refusal->hint);
    }
    NodeIndex next;
    for (const OrderLink& link : links(node)) {
      if (!link.source.exists()) return missing_error(prompt.nodes[node], link);
      if (!next.exists() && !sound(link.source)) next = link.source;
    }
    node = next;  // it exists: something a node needs keeps it from being sound
  }
  path.erase(path.begin(), path.begin() + place[node]);
  return cycle_error(prompt, path);
}

}  // namespace ebb
