// SPDX-License-Identifier: Apache-2.0
// A prompt with our nodes in it, and what ComfyUI's scheduler makes of it. It is run after every
// change; what is asked of it then costs the stretch of a run between two samplers, not the prompt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pass/order_run.h"
#include "patch/cuts.h"

namespace ebb {

/// An input of the prompt as it was given.
struct DraftInput {
  NodeIndex node;
  std::size_t input = 0;
};

class Draft {
 public:
  /// REQUIRES: `prompt` and `sampling` outlive it.
  Draft(const Prompt& prompt, const Sampling& sampling);
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void refresh(const Placement& placement);

  const Prompt& prompt() const { return prompt_; }
  const std::vector<NodeOrder>& runs() const { return runs_; }

  /// Nodes visited so far, and how many more one refresh is.
  std::int64_t visits() const { return visits_; }
  std::int64_t refresh_visits() const;
  void count_visits(std::int64_t more) { visits_ += more; }

  /// Inputs of the given prompt that get what `node` makes from it directly.
  std::vector<DraftInput> readers(NodeIndex node);

  /// Where in the usual run a node stands; none if it does not run.
  StepIndex place_of(NodeIndex node) const { return when_.front()[node]; }

  /// Finds what the second of a switch needs of all that can run after the first.
  void mark_needed(const Switch& between);
  bool is_marked(NodeIndex node) const { return marks_[node] == mark_; }

  /// The node that samples next after one of ours, by the usual run; none if none does.
  NodeIndex next_sampler(std::size_t insertion) const { return next_[insertion]; }

  /// What in some run reads a sampler's model before our node has run: the last of them, if any.
  NodeIndex early_loader(std::size_t insertion, NodeIndex sampler);

  /// The linked inputs of a sampler, by name, that come by way of one of our nodes.
  std::vector<std::string> inputs_through(const Insertion& insertion, NodeIndex sampler);

 private:
  using Reads = std::vector<std::pair<WeightsIndex, StepIndex>>;  // ascending

  void find_next_samplers(std::size_t insertions);
  const Reads& reads_of(std::size_t run);

  const Prompt& given_;
  const Sampling& sampling_;
  Prompt prompt_;
  std::optional<OrderGraph> graph_;
  std::vector<NodeOrder> runs_;
  std::vector<List<StepIndex, NodeIndex>> when_;      ///< by run: where a node stands in it
  std::vector<std::optional<Reads>> reads_;           ///< by run; nothing until they are asked for
  std::vector<NodeIndex> next_;                       ///< by insertion
  List<std::vector<DraftInput>, NodeIndex> readers_;  ///< of the given prompt
  List<int, NodeIndex> marks_;
  int mark_ = 0;
  std::int64_t visits_ = 0;
  std::int64_t copied_ = 0;  ///< what a copy of the prompt costs beside its nodes
};

}  // namespace ebb
