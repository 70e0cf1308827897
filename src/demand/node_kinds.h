// SPDX-License-Identifier: Apache-2.0
// What kind of work a node does, and how a sampler is set.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "demand/prompt_graph.h"
#include "demand/values.h"
#include "ebb/demand.h"

namespace ebb {

StepKind kind_of(const PromptGraph& graph, int node);

/// A node that encodes pictures with the VAE linked to it.
bool encodes_pictures(const PromptGraph& graph, int node);
/// It encodes as many pictures as the video has frames, whatever it is given.
bool encodes_whole_video(std::string_view class_type);

/// A sampler with its guider, as far as demand goes.
struct SamplerSettings {
  PromptGraph::Source model;
  std::vector<PromptGraph::Source> conditionings;
  int repeats = 1;   ///< steps times the evaluations that the method takes for one
  int forwards = 1;  ///< conditionings
  std::string why;   ///< steps or cfg that are not known
};
SamplerSettings sampler_settings(const PromptGraph& graph, int node, PromptValues& values);

}  // namespace ebb
