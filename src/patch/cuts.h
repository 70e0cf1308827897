// SPDX-License-Identifier: Apache-2.0
// Where in a prompt our nodes have to stand so that they run at the right time, whatever the order
// of the output nodes: found by running ComfyUI's scheduler with them in place.
#pragma once

#include <string>
#include <vector>

#include "ebb/patch.h"
#include "pass/order_run.h"
#include "patch/sampling.h"

namespace ebb {

/// A node on one link of the prompt: the link into `input` of `target`.
struct Insertion {
  Handover node;
  std::string target, input;  ///< id of the prompt, name
  std::string after, before;  ///< labels of the steps it runs between
  std::string fix;
};

/// Two link inputs of one node that change places.
struct Reorder {
  std::string node;           ///< id of the prompt
  std::string first, second;  ///< names, as they stand
};

struct Placement {
  std::vector<Insertion> insertions;
  std::vector<Reorder> reorders;
  std::vector<std::string> refusals, notes;
  int switches = 0;
  std::string why_none;  ///< two models are loaded and nothing switches: a sentence
};

/// Finds the places for a wish. `may_reorder`: the order of inputs is the file's own (API prompts).
/// Errors: nothing would run; a size that is not usable.
Result<Placement> place_nodes_of(const Prompt& prompt, const PatchWish& wish,
                                 const ComfyVersion& version, bool may_reorder);

/// Prompt-level effect of a placement: what make_patch's text must convert to.
Prompt with_insertions(const Prompt& prompt, const Placement& placement);

/// The runs of a prompt for different orders of its output nodes; the usual order first.
std::vector<NodeOrder> runs_of(const Prompt& prompt);
std::vector<NodeOrder> runs_of(const OrderProblem& problem);

/// Pairs of sampling nodes of different models, one directly after the other, between
/// which no node of `class_type` runs in at least one of the runs; without duplicates.
struct Switch {
  NodeIndex from, to;
  int run = 0;  ///< the first in which it is so
  bool operator==(const Switch& other) const { return from == other.from && to == other.to; }
};
std::vector<Switch> unmet_switches(const Prompt& prompt, const Sampling& sampling,
                                   const std::vector<NodeOrder>& runs, std::string_view class_type);

/// Which input of a node of ours is handed on; empty for all other nodes.
std::string_view handed_on(std::string_view class_type);

}  // namespace ebb
