// SPDX-License-Identifier: Apache-2.0
// The links of a prompt as numbers, and which output nodes ComfyUI would accept.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ebb/pass.h"

namespace ebb {

/// One linked input of a node.
struct OrderLink {
  NodeIndex source;  ///< none: not in the prompt
  int input = 0;     ///< position in the node's inputs
  bool lazy = false;
};

/// All links, grouped by the node they feed, in the order of its inputs.
class OrderGraph {
 public:
  explicit OrderGraph(const Prompt& prompt);

  Indices<NodeIndex> nodes() const { return {0, NodeIndex::of(first_.size() - 1)}; }
  std::span<const OrderLink> links(NodeIndex node) const {
    return {links_.data() + first_[size_t(node.at)], links_.data() + first_[size_t(node.at) + 1]};
  }

  /// Nodes that need no cycle, no missing node and none that ComfyUI refuses, each after all that
  /// it needs.
  const std::vector<NodeIndex>& sound_order() const { return sound_order_; }
  bool sound(NodeIndex node) const { return sound_[node]; }

  /// Why `node` is not sound: the refused or missing node or the cycle behind it.
  /// REQUIRES: !sound(node).
  Error reason(const Prompt& prompt, NodeIndex node) const;

 private:
  void find_sound(const Prompt& prompt);

  std::vector<int> first_;  // by node, one more than nodes
  std::vector<OrderLink> links_;
  std::vector<NodeIndex> sound_order_;
  List<bool, NodeIndex> sound_;
};

}  // namespace ebb
