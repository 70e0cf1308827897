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

StepKind kind_of(const PromptGraph& graph, NodeIndex node, PromptValues& values);

/// A text encoder that writes: TextGenerate.
bool writes_text(const PromptGraph& graph, NodeIndex node);

/// Its own input `bypass`, typed or linked, says that it hands on what it gets.
bool is_bypassed(const PromptGraph& graph, NodeIndex node, PromptValues& values);

/// ComfyUI's own nodes that put a sound through a model, whose demand is known.
bool is_sound(const PromptGraph& graph, NodeIndex node);

/// The input through which a node of no other kind gets weights that it works with, or null: it
/// takes them, hands them to nobody and gives results.
const PromptInput* works_with(const PromptGraph& graph, NodeIndex node);
/// Whether that input brings such weights.
bool is_model_at_work(const PromptGraph& graph, NodeIndex node, const PromptInput& input);
/// Whether a node that takes weights of this type and hands them to nobody may work with them.
bool answers_for(const PromptGraph& graph, NodeIndex node, std::string_view type);

/// A node that encodes pictures with the VAE linked to it.
bool encodes_pictures(const PromptGraph& graph, NodeIndex node);
/// It encodes as many pictures as the video has frames, whatever it is given.
bool encodes_whole_video(std::string_view class_type);

/// A sampler with its guider, as far as demand goes.
struct SamplerSettings {
  PromptGraph::Source model;
  PromptGraph::Source other_model;  ///< of a guider with two: for the negative conditioning
  std::vector<PromptGraph::Source> conditionings;
  int repeats = 1;   ///< steps times the evaluations that the method takes for one
  int forwards = 1;  ///< conditionings
  Message why;       ///< steps or cfg that are not known
};
SamplerSettings sampler_settings(const PromptGraph& graph, NodeIndex node, PromptValues& values);

}  // namespace ebb
