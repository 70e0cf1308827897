// SPDX-License-Identifier: Apache-2.0
// Which diffusion model each node of a prompt samples with, those included that ComfyUI does not
// manage or that come in a pack's pipe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebb/demand.h"

namespace ebb {

/// Positions are those of the prompt's nodes; models are counted over all weights of the prompt.
struct Sampling {
  std::vector<int> model;               ///< per node: the one it samples with, or -1
  std::vector<std::vector<int>> reads;  ///< per node: models it reads from disk
  std::vector<std::string> names;       ///< of the models
  std::vector<bool> diffusion;          ///< which of the models are diffusion models
};
Result<Sampling> find_sampling(const Prompt& prompt, const ComfyVersion& version);

/// The type of what comes over a link: of the output it leaves, else of the input it goes into.
std::string_view link_type(const Prompt& prompt, const PromptInput& input);

/// How often the nodes of `run` change from one model to another.
int count_switches(const Sampling& sampling, const std::vector<int>& run);

/// Why a run without a switch loads several diffusion models, a sentence; empty if it does not.
std::string why_no_switch(const Prompt& prompt, const Sampling& sampling,
                          const std::vector<int>& run);

}  // namespace ebb
