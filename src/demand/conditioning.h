// SPDX-License-Identifier: Apache-2.0
// What conditioning carries into a sampler: reference latents and ControlNets.
#pragma once

#include <vector>

#include "demand/values.h"
#include "demand/weights_of.h"

namespace ebb {

struct Carried {
  double reference_area = 0;     ///< latent pixels of reference latents, all frames
  std::vector<int> controlnets;  ///< weights (index)
  int nets = 0;                  ///< how often a ControlNet is applied, known or not
  std::string why;               ///< a reference whose size is unknown
};

/// Walks from the inputs that carry conditioning back through every node that hands it on.
Carried carried_by(const PromptGraph& graph, const PromptWeights& weights, PromptValues& values,
                   const std::vector<PromptGraph::Source>& conditionings);

}  // namespace ebb
