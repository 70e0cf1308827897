// SPDX-License-Identifier: Apache-2.0
// Which diffusion model each node of a prompt samples with, those included that ComfyUI does not
// manage or that come in a pack's pipe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebb/demand.h"

namespace ebb {

/// Which models the nodes of a prompt read and sample with. Behind its weights come those that are
/// known only by the node that loads them.
using NodeOrder = List<NodeIndex, StepIndex>;
struct Sampling {
  List<WeightsIndex, NodeIndex> model;               ///< that the node samples with, if it does
  List<std::vector<WeightsIndex>, NodeIndex> reads;  ///< models it reads from disk
  List<std::string, WeightsIndex> names;
  List<bool, WeightsIndex> diffusion;
};
Result<Sampling> find_sampling(const Prompt& prompt, const ComfyVersion& version);

/// The type of what comes over a link: of the output it leaves, else of the input it goes into.
std::string_view link_type(const Prompt& prompt, const PromptInput& input);

/// How often the nodes of `run` change from one model to another.
int count_switches(const Sampling& sampling, const NodeOrder& run);

/// Why a run without a switch loads several diffusion models, a sentence; empty if it does not.
std::string why_no_switch(const Prompt& prompt, const Sampling& sampling, const NodeOrder& run);

}  // namespace ebb
