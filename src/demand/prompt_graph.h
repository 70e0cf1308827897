// SPDX-License-Identifier: Apache-2.0
// Where things come from: links resolved to positions, types of links, and the walk from a node
// back through everything that only hands a MODEL, CLIP or VAE on.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/workflow.h"

namespace ebb {

class PromptGraph {
 public:
  /// REQUIRES: the prompt outlives the graph.
  explicit PromptGraph(const Prompt& prompt) : prompt_(prompt) {}

  /// Output `slot` of a node, which does not exist where there is none.
  struct Source {
    NodeIndex node;
    int slot = 0;
    bool exists() const { return node.exists(); }
  };

  const Prompt& prompt() const { return prompt_; }
  const PromptNode& node(NodeIndex position) const { return prompt_.nodes[position]; }
  int size() const { return static_cast<int>(prompt_.nodes.size()); }
  Indices<NodeIndex> nodes() const { return prompt_.nodes.indices(); }

  Source source(const PromptInput& input) const;
  Source source(NodeIndex node, std::string_view input) const;

  /// The type that flows through an input: the link's origin knows it best.
  std::string_view type(const PromptInput& input) const;
  std::string_view output_type(const Source& source) const;
  bool gives(NodeIndex node, std::string_view type) const;

  /// The first linked input through which `type` flows.
  const PromptInput* input_of_type(NodeIndex node, std::string_view type) const;

  /// Per node, who reads its outputs: the reader's position and input.
  using Readers = List<std::vector<std::pair<NodeIndex, const PromptInput*>>, NodeIndex>;
  Readers readers() const;

  /// Where a node that hands on `type` takes it from: an input of that type, the chosen branch of a
  /// switch, or the only link of a node whose types nobody knows.
  Source handed_on(const Source& source, std::string_view type) const;

 private:
  const Prompt& prompt_;
};

/// `*` and the empty type accept everything.
bool is_any(std::string_view type);

}  // namespace ebb
