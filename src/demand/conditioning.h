// SPDX-License-Identifier: Apache-2.0
// What conditioning carries into a sampler: reference latents and ControlNets.
#pragma once

#include <unordered_map>
#include <vector>

#include "demand/values.h"
#include "demand/weights_of.h"

namespace ebb {

struct Carried {
  double reference_area = 0;              ///< latent pixels of reference latents, all frames
  std::vector<WeightsIndex> controlnets;  ///< GLIGEN models among them
  int nets = 0;                           ///< how often a ControlNet is applied, known or not
  Message why;                            ///< a reference whose size is unknown
};

/// Walks from an input that carries conditioning back through every node that hands it on, once
/// for all samplers that share it. Chains that many samplers read at many places are followed as
/// far as a bound that no workflow is known to come near.
class CarriedBy {
 public:
  CarriedBy(const PromptGraph& graph, const PromptWeights& weights, PromptValues& values)
      : graph_(graph), weights_(weights), values_(values) {}
  const Carried& from(const PromptGraph::Source& conditioning);

 private:
  void visit(NodeIndex node, Carried& carried);

  const PromptGraph& graph_;
  const PromptWeights& weights_;
  PromptValues& values_;
  std::unordered_map<NodeIndex, Carried> known_;
  int visits_left_ = 500'000;
};

}  // namespace ebb
