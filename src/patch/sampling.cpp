// SPDX-License-Identifier: Apache-2.0
#include "patch/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace ebb {
namespace {

/// Weights by name alone: which model it is matters here, not its size.
Result<Weights> named_weights(const WeightsRequest& request) {
  Weights weights;
  weights.id = request.node + request.id_suffix;
  weights.node = request.node;
  weights.role = request.role;
  weights.files = request.files;
  if (!request.files.empty()) {
    const std::string_view name = base_name(request.files.front());
    weights.name = name.substr(0, name.rfind('.'));
  }
  return weights;
}

bool is_pipe(std::string_view name) { return contains(name, "pipe") || contains(name, "PIPE"); }

/// How a link brings a diffusion model: 2 by itself, 1 in a pipe of several things, 0 not at all.
/// Told by the type, or by the input's name where nobody knows the type.
int model_rank(const Prompt& prompt, const PromptInput& input) {
  if (!input.link) return 0;
  const std::string_view type = link_type(prompt, input);
  if (type.empty() || type == "*") {
    if (input.name == "model" || input.name == "dit") return 2;
    return is_pipe(input.name) ? 1 : 0;
  }
  if (type.ends_with("MODEL") && type != "UPSCALE_MODEL" && type != "STYLE_MODEL") return 2;
  if (type.ends_with("_DIT")) return 2;
  return is_pipe(type) ? 1 : 0;
}

bool gives(const PromptNode& node, std::initializer_list<std::string_view> types) {
  return std::ranges::any_of(node.output_types, [&](const std::string& type) {
    return std::ranges::find(types, type) != types.end();
  });
}

/// A sampler of a pack, by its name, what it takes and what it gives.
bool looks_like_sampler(const Prompt& prompt, const PromptNode& node) {
  if (node.known) return false;
  const bool named = std::ranges::any_of(
      std::initializer_list<std::string_view>{"KSampler", "Sampler", "Detailer", "VideoUpscaler"},
      [&](std::string_view word) { return contains(node.class_type, word); });
  const bool takes = std::ranges::any_of(
      node.inputs, [&](const PromptInput& input) { return model_rank(prompt, input) > 0; });
  const bool typed = std::ranges::any_of(
      node.output_types, [](const std::string& type) { return !type.empty() && type != "*"; });
  return named && takes && (!typed || gives(node, {"LATENT", "IMAGE"}));
}

/// The node that a node's model comes from: back along links that bring one, those that bring it
/// by itself first, to a node that takes none.
class ModelRoots {
 public:
  explicit ModelRoots(const Prompt& prompt) : prompt_(prompt), root_(prompt.nodes.size()) {}

  /// None if there is no such link.
  NodeIndex of(NodeIndex sampler) {
    const NodeIndex first = next(sampler);
    if (!first.exists()) return first;
    std::vector<NodeIndex> path;
    NodeIndex node = first;
    while (!root_[node].exists()) {
      root_[node] = node;  // where the path ends, or meets itself
      path.push_back(node);
      if (const NodeIndex more = next(node); more.exists()) node = more;
    }
    const NodeIndex root = root_[node];
    for (const NodeIndex at : path) root_[at] = root;
    return root;
  }

 private:
  NodeIndex next(NodeIndex node) const {
    NodeIndex found;
    int best = 0;
    for (const PromptInput& input : prompt_.nodes[node].inputs) {
      const int rank = model_rank(prompt_, input);
      if (rank > best) {
        best = rank;
        found = prompt_.position(input.link->node);
      }
    }
    return found;
  }

  const Prompt& prompt_;
  List<NodeIndex, NodeIndex> root_;  // none until it is known
};

/// The first node of a run in which several diffusion models come together over links that bring
/// models, and these models; none where none do.
std::pair<NodeIndex, std::set<WeightsIndex>> meeting(const Prompt& prompt, const Sampling& sampling,
                                                     const NodeOrder& run) {
  List<WeightsIndex, NodeIndex> reach(
      prompt.nodes.size());  // before the first meeting a node has one
  for (const NodeIndex n : run) {
    std::set<WeightsIndex> models;
    for (const WeightsIndex model : sampling.reads[n]) {
      if (sampling.diffusion[model]) models.insert(model);
    }
    for (const PromptInput& input : prompt.nodes[n].inputs) {
      if (model_rank(prompt, input) == 0) continue;
      const WeightsIndex model = reach[prompt.position(input.link->node)];
      if (model.exists()) models.insert(model);
    }
    if (models.size() > 1) return {n, models};
    if (!models.empty()) reach[n] = *models.begin();
  }
  return {};
}

std::string list_names(const Sampling& sampling, const std::set<WeightsIndex>& models) {
  std::string list;
  for (const WeightsIndex model : models) {
    list += (list.empty() ? "" : " and ") + sampling.names[model];
  }
  return list;
}

}  // namespace

std::string_view link_type(const Prompt& prompt, const PromptInput& input) {
  const PromptNode* origin = prompt.origin(input);
  const auto slot = static_cast<std::size_t>(std::max(input.link->slot, 0));
  if (origin && slot < origin->output_types.size() && !origin->output_types[slot].empty() &&
      origin->output_types[slot] != "*") {
    return origin->output_types[slot];
  }
  return input.type;
}

Result<Sampling> find_sampling(const Prompt& prompt, const ComfyVersion& version) {
  Machine machine;
  machine.comfyui = version;
  auto demand = estimate_demand(prompt, named_weights, machine);
  if (!demand) return demand.error();
  Sampling sampling;
  sampling.model.resize(prompt.nodes.size());
  sampling.reads.resize(prompt.nodes.size());
  std::vector<std::pair<NodeIndex, NodeIndex>> others;  // sampler, root
  std::map<NodeIndex, WeightsIndex> roots;              // root -> model
  ModelRoots model_roots(prompt);
  for (const Weights& weights : demand->weights) {
    sampling.names.push_back(weights.name);
    sampling.diffusion.push_back(weights.role == WeightsRole::diffusion);
  }
  for (const NodeIndex i : prompt.nodes.indices()) {
    const NodeDemand& node = demand->nodes[i];
    sampling.reads[i] = node.reads;
    for (const WeightsIndex model : node.reads) {
      if (sampling.diffusion[model]) roots.try_emplace(i, model);
    }
    if (node.kind == StepKind::sample && !node.uses.empty()) {
      sampling.model[i] = node.uses.front();
      continue;
    }
    const bool samples =
        node.kind == StepKind::sample || looks_like_sampler(prompt, prompt.nodes[i]);
    const NodeIndex root = samples ? model_roots.of(i) : NodeIndex();
    if (root.exists()) others.emplace_back(i, root);
  }
  for (const auto& [node, root] : others) {
    const WeightsIndex model = sampling.names.end_index();
    sampling.model[node] = roots.try_emplace(root, model).first->second;
    if (sampling.model[node] != model) continue;
    sampling.names.push_back(prompt.nodes[root].label());
    sampling.diffusion.push_back(true);
    sampling.reads[root].push_back(model);
  }
  return sampling;
}

int count_switches(const Sampling& sampling, const NodeOrder& run) {
  int count = 0;
  WeightsIndex last;
  for (const NodeIndex at : run) {
    const WeightsIndex model = sampling.model[at];
    if (!model.exists()) continue;
    count += last.exists() && model != last;
    last = model;
  }
  return count;
}

std::string why_no_switch(const Prompt& prompt, const Sampling& sampling, const NodeOrder& run) {
  std::set<WeightsIndex> loaded, sampled;
  for (const NodeIndex at : run) {
    for (const WeightsIndex model : sampling.reads[at]) {
      if (sampling.diffusion[model]) loaded.insert(model);
    }
    if (sampling.model[at].exists()) sampled.insert(sampling.model[at]);
  }
  if (loaded.size() < 2) return {};
  if (const auto [at, models] = meeting(prompt, sampling, run); at.exists()) {
    const PromptNode& node = prompt.nodes[at];
    const std::string names = list_names(sampling, models);
    if (gives(node, {"MODEL"})) {
      return fmt::format("{} go into {}, which hands on one model", names, node.label());
    }
    return fmt::format("{} go into {} together, and what samples with both changes inside one node",
                       names, node.label());
  }
  for (const WeightsIndex model : sampled) loaded.erase(model);
  if (loaded.empty()) return {};
  return fmt::format("{} {} loaded, but no sampler that Ebb knows takes {}",
                     list_names(sampling, loaded), loaded.size() == 1 ? "is" : "are",
                     loaded.size() == 1 ? "it" : "them");
}

}  // namespace ebb
