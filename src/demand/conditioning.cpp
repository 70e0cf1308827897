// SPDX-License-Identifier: Apache-2.0
// Follows CONDITIONING links back from a sampler.
#include "demand/conditioning.h"

#include <unordered_set>

#include "base/text.h"

namespace ebb {
namespace {

double area(const Shape& latent) {
  return static_cast<double>(latent.batch) * static_cast<double>(latent.frames) *
         static_cast<double>(latent.height) * static_cast<double>(latent.width);
}

/// Encoders for editing scale each picture to about a megapixel and carry its latent along.
double edit_pictures_area(const PromptGraph& graph, NodeIndex node) {
  if (!graph.input_of_type(node, "VAE")) return 0;
  double sum = 0;
  for (const PromptInput& input : graph.node(node).inputs) {
    if (input.link && graph.type(input) == "IMAGE") sum += 128.0 * 128.0;
  }
  return sum;
}

}  // namespace

void CarriedBy::visit(NodeIndex node, Carried& carried) {
  const PromptGraph& graph = graph_;
  PromptValues& values = values_;
  const std::string& name = graph.node(node).class_type;
  if (name == "ReferenceLatent") {
    if (const PromptInput* latent = graph.input_of_type(node, "LATENT")) {
      const SizeValue& value = values.of(graph.source(*latent));
      if (value.is_shape()) {
        carried.reference_area += area(value.shape);
      } else if (carried.why.empty()) {
        carried.why = value.why;
      }
    }
  } else if (name.rfind("TextEncodeQwenImageEdit", 0) == 0) {
    carried.reference_area += edit_pictures_area(graph, node);
  } else if (name == "WanSoundImageToVideo") {
    // A frame of the reference picture and one and a half for its motion.
    const SizeValue& latent = values.of({node, 2});
    const double frames = 1.5 + (graph.source(node, "ref_image").exists() ? 1 : 0);
    if (latent.is_shape()) {
      carried.reference_area += frames * static_cast<double>(latent.shape.batch) *
                                static_cast<double>(latent.shape.height) *
                                static_cast<double>(latent.shape.width);
    }
  }
  if (graph.input_of_type(node, "GLIGEN")) {
    const Origin origin = weights_.origin(node, "GLIGEN");
    if (origin.weights >= 0) carried.controlnets.push_back(origin.weights);
  }
  // Without strength, the node hands on what it got (apply_controlnet in nodes.py).
  if (graph.input_of_type(node, "CONTROL_NET") && values.number(node, "strength") != 0.0) {
    ++carried.nets;
    const Origin origin = weights_.origin(node, "CONTROL_NET");
    if (origin.weights >= 0) carried.controlnets.push_back(origin.weights);
  }
}

const Carried& CarriedBy::from(const PromptGraph::Source& conditioning) {
  const auto [at, fresh] = known_.try_emplace(conditioning.exists() ? conditioning.node : -1);
  Carried& carried = at->second;
  if (!fresh || !conditioning.exists()) return carried;
  std::unordered_set<NodeIndex> seen = {conditioning.node};
  std::vector<NodeIndex> open = {conditioning.node};
  while (!open.empty() && visits_left_ > 0) {
    --visits_left_;
    const NodeIndex node = open.back();
    open.pop_back();
    visit(node, carried);
    for (const PromptInput& input : graph_.node(node).inputs) {
      if (!input.link || graph_.type(input) != "CONDITIONING") continue;
      const PromptGraph::Source source = graph_.source(input);
      if (source.exists() && seen.insert(source.node).second) open.push_back(source.node);
    }
  }
  if (!open.empty()) carried.why = Say::too_many_conditionings;
  return carried;
}

}  // namespace ebb
