// SPDX-License-Identifier: Apache-2.0
// Finds the weights of a prompt's loader nodes and follows links back to them.
#include "demand/weights_of.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "demand/classes.h"
#include "demand/link_types.h"
#include "demand/node_kinds.h"

namespace ebb {
namespace {

/// Loaders of one class with the same values share one cached result in ComfyUI.
std::string cache_key(const PromptNode& node, const WeightsRequest& request) {
  std::string key = request.loader_class + '\n' + request.id_suffix + '\n';
  for (const std::string& file : request.files) key += file + '\n';
  for (const PromptInput& input : node.inputs) {
    key += input.name + '=' +
           (input.link ? fmt::format("{}:{}", input.link->node, input.link->slot) : input.value) +
           '\n';
  }
  return key;
}

struct Given {
  const char* type;
  const char* suffix;
  WeightsRole role;
  const char* folder;
  std::string_view word, other_word;  // in the names of inputs that name its files
};
constexpr Given kGiven[] = {
    {"MODEL", "", WeightsRole::diffusion, "diffusion_models", "model", "unet"},
    {"CLIP", ".clip", WeightsRole::text_encoder, "text_encoders", "clip", "text_encoder"},
    {"VAE", ".vae", WeightsRole::vae, "vae", "vae", "vae"},
};

bool names_a_model(std::string_view value) {
  if (value.starts_with("embedding:") || value.find('\n') != value.npos) return false;  // a text
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{".safetensors", ".gguf", ".ckpt", ".pt", ".pth",
                                              ".sft", ".bin", ".onnx"},
      [&](std::string_view ending) { return value.ends_with(ending); });
}

/// Model files in inputs whose name has one of these words.
std::vector<std::string> named_files(const PromptNode& node,
                                     std::initializer_list<std::string_view> words) {
  std::vector<std::string> files;
  for (const PromptInput& input : node.inputs) {
    const bool fits = std::ranges::any_of(
        words, [&](std::string_view word) { return contains(input.name, word); });
    const auto file = fits ? input.text() : std::nullopt;
    if (file && names_a_model(*file)) files.push_back(*file);
  }
  return files;
}

/// What a loader that nobody knows reads for one of its outputs: files of its own, or the part of a
/// checkpoint; without either, nobody knows.
WeightsRequest guessed_request(const PromptNode& node, const Given& given) {
  WeightsRequest request;
  request.node = node.id;
  request.role = given.role;
  request.folder = given.folder;
  request.loader_class = node.class_type;
  request.files = named_files(node, {given.word, given.other_word});
  if (request.files.empty()) {
    request.files = named_files(node, {"ckpt", "checkpoint"});
    request.folder = "checkpoints";
    request.id_suffix = given.suffix;
  }
  return request;
}

}  // namespace

Result<Done> PromptWeights::add(NodeIndex node, const WeightsRequest& request,
                                std::string_view gives, const FindWeights& find) {
  const std::string key = cache_key(graph_.node(node), request);
  const auto [entry, fresh] = same_.try_emplace(key, all_.end_index());
  if (fresh) {
    auto weights = find(request);
    if (!weights) {
      Error error = std::move(weights).error();
      if (error.where.place.empty()) error.where.place = graph_.node(node).label();
      return error;
    }
    all_.push_back(std::move(weights).value());
  }
  reads_[node].push_back(entry->second);
  if (gives == "LORA") {
    lora_files_[node].push_back(entry->second);
  } else {
    given_[{node, std::string(gives)}] = entry->second;
  }
  return Done{};
}

Result<Done> PromptWeights::find_all(const FindWeights& find) {
  reads_.resize(graph_.size());
  lora_files_.resize(graph_.size());
  for (const NodeIndex i : graph_.nodes()) {
    const PromptNode& node = graph_.node(i);
    for (const LoaderRow* row : loader_rows(node.class_type)) {
      const auto request = loader_request(*row, node);
      if (!request) continue;
      const std::string_view gives = row->role == WeightsRole::lora ? "LORA" : row->gives;
      if (auto done = add(i, *request, gives, find); !done) return done;
    }
    if (auto done = guess_loader(i, find); !done) return done;
    if (auto done = guess_others(i, find); !done) return done;
    int number = 0;
    for (const std::string& file : lora_files(node)) {
      WeightsRequest request;
      request.node = node.id;
      request.id_suffix = number == 0 ? ".lora" : fmt::format(".lora{}", number + 1);
      request.role = WeightsRole::lora;
      request.files = {file};
      request.folder = "loras";
      request.loader_class = node.class_type;
      ++number;
      if (auto done = add(i, request, "LORA", find); !done) return done;
    }
  }
  return Done{};
}

/// A class that gives models, takes none and is in no table loads something: that it fits must not
/// be said without it.
Result<Done> PromptWeights::guess_loader(NodeIndex i, const FindWeights& find) {
  const PromptNode& node = graph_.node(i);
  if (!loader_rows(node.class_type).empty() || is_unmanaged_loader(node.class_type)) return Done{};
  for (const Given& given : kGiven) {
    const auto slot = std::ranges::find(node.output_types, given.type);
    if (slot == node.output_types.end()) continue;
    const int at = static_cast<int>(slot - node.output_types.begin());
    if (graph_.handed_on({i, at}, given.type).exists()) continue;
    const WeightsRequest request = guessed_request(node, given);
    const auto found = [&](const WeightsRequest& wanted) -> Result<Weights> {
      Result<Weights> weights = wanted.files.empty() ? Weights() : find(wanted);
      if (!weights) return weights;
      if (wanted.files.empty()) {
        weights->name = cut_text(node.class_type);
        weights->role = wanted.role;
        weights->source = {Say::files_not_known, {NodeName{node.label()}}};
      } else {
        weights->source = {Say::guessed_from_inputs, {weights->source, NodeName{node.label()}}};
      }
      weights->node = node.id;
      weights->id = node.id + given.suffix;
      return weights;
    };
    if (auto done = add(i, request, given.type, found); !done) return done;
  }
  return Done{};
}

/// A class that is in no table and names further model files reads them, whatever it gives.
Result<Done> PromptWeights::guess_others(NodeIndex i, const FindWeights& find) {
  const PromptNode& node = graph_.node(i);
  if (!loader_rows(node.class_type).empty() || !lora_files(node).empty() ||
      is_unmanaged_loader(node.class_type)) {
    return Done{};
  }
  const auto gives = std::ranges::find_if(node.output_types, [](const std::string& type) {
    return link_kind(type) == LinkKind::weights || link_kind(type) == LinkKind::data;
  });
  // A class that gives texts and numbers only picks a name for others.
  if (gives == node.output_types.end() && !node.output_types.empty()) return Done{};
  int number = 0;
  for (const PromptInput& input : node.inputs) {
    const auto file = input.text();
    const bool chosen = input.type.empty() || input.type == "COMBO";  // not a text that is written
    if (!file || !chosen || !names_a_model(*file) || is_asked_for(i, *file)) continue;
    WeightsRequest request;
    request.node = node.id;
    request.id_suffix = number == 0 ? "" : fmt::format(".{}", number + 1);
    request.role = contains(lower(input.name), "lora") ? WeightsRole::lora : WeightsRole::other;
    request.files = {*file};
    request.loader_class = node.class_type;
    ++number;
    const bool lora = request.role == WeightsRole::lora;
    const std::string_view type = gives == node.output_types.end() ? "" : std::string_view(*gives);
    if (auto done = add(i, request, lora ? "LORA" : type, find); !done) return done;
  }
  return Done{};
}

/// Whether this node was found to read this file already.
bool PromptWeights::is_asked_for(NodeIndex node, std::string_view file) const {
  return std::ranges::any_of(reads_[node], [&](WeightsIndex w) {
    return std::ranges::find(all_[w].files, file) != all_[w].files.end();
  });
}

std::vector<WeightsIndex> PromptWeights::taken(
    const std::function<bool(NodeIndex node)>& is_off) const {
  std::vector<WeightsIndex> taken;
  std::map<std::string_view, std::vector<NodeIndex>> givers;  // by type
  for (const auto& [given, weights] : given_) {
    if (link_kind(given.second) == LinkKind::weights) {
      givers[given.second].push_back(given.first);
    } else {
      taken.push_back(weights);  // read as data, or nobody knows as what
    }
  }
  const PromptGraph::Readers readers = graph_.readers();
  for (const auto& [type, nodes] : givers) {
    for (const NodeIndex node : givers_in_use(nodes, type, readers, is_off)) {
      const auto given = given_.find({node, std::string(type)});
      if (given != given_.end()) taken.push_back(given->second);
    }
  }
  return taken;
}

/// What a reader does with a type that comes to it.
PromptWeights::Use PromptWeights::use_of(NodeIndex reader, std::string_view type,
                                         const std::function<bool(NodeIndex node)>& is_off) const {
  const PromptNode& node = graph_.node(reader);
  const bool hands_on = std::ranges::any_of(
      node.output_types, [&](const std::string& given) { return given == type || is_any(given); });
  // A class nobody knows may do both; what it hands on and a sampler uses is in use anyway.
  const bool ends = !hands_on || !node.known;
  return {hands_on, ends && answers_for(graph_, reader, type) && !is_off(reader)};
}

/// Follows what these nodes give through all that hands it on, forward and then back from where it
/// is used: each node once, however many loaders lead through it.
std::unordered_set<NodeIndex> PromptWeights::givers_in_use(
    const std::vector<NodeIndex>& givers, std::string_view type,
    const PromptGraph::Readers& readers, const std::function<bool(NodeIndex node)>& is_off) const {
  std::unordered_map<NodeIndex, std::vector<NodeIndex>> from;  // who hands it to a node
  std::unordered_map<NodeIndex, Use> uses;
  std::vector<NodeIndex> open = givers, back;
  for (const NodeIndex node : givers) from[node];
  while (!open.empty()) {
    const NodeIndex node = open.back();
    open.pop_back();
    for (const auto& [reader, input] : readers[node]) {
      const std::string_view flows = graph_.type(*input);
      if (flows != type && !is_any(flows)) continue;
      const auto [use, unseen] = uses.try_emplace(reader);
      if (unseen) use->second = use_of(reader, type, is_off);
      if (use->second.ends) back.push_back(node);
      if (!use->second.hands_on) continue;
      const auto [entry, fresh] = from.try_emplace(reader);
      entry->second.push_back(node);
      if (fresh) open.push_back(reader);
    }
  }
  std::unordered_set<NodeIndex> in_use;
  while (!back.empty()) {
    const NodeIndex node = back.back();
    back.pop_back();
    if (!in_use.insert(node).second) continue;
    back.insert(back.end(), from[node].begin(), from[node].end());
  }
  return in_use;
}

Origin PromptWeights::origin(const PromptGraph::Source& from, std::string_view type) const {
  Origin origin;
  PromptGraph::Source source = from;
  // A walk visits each node once; more steps than nodes mean that the links form a circle.
  for (int steps = 0; source.exists() && steps <= graph_.size(); ++steps) {
    if (--steps_left_ < 0) {
      origin.loras.clear();
      origin.why = {Say::through_too_many_nodes, {type}};
      return origin;
    }
    const auto given = given_.find({source.node, std::string(type)});
    if (given != given_.end()) {
      origin.weights = given->second;
      return origin;
    }
    for (const WeightsIndex lora : lora_files_[source.node]) origin.loras.push_back(lora);
    if (const PromptInput* patch = graph_.input_of_type(source.node, "MODEL_PATCH")) {
      const PromptGraph::Source loader = graph_.source(*patch);
      const auto found = given_.find({loader.node, "MODEL_PATCH"});
      if (found != given_.end()) origin.patches.push_back(found->second);
    }
    const PromptGraph::Source next = graph_.handed_on(source, type);
    if (!next.exists()) {
      origin.why = {Say::comes_from_unknown_files,
                    {type, NodeName{graph_.node(source.node).label()}}};
      return origin;
    }
    source = next;
  }
  origin.why = {source.exists() ? Say::its_links_form_a_circle : Say::nothing_is_linked, {type}};
  return origin;
}

Origin PromptWeights::origin(NodeIndex node, std::string_view input_type) const {
  const PromptInput* input = graph_.input_of_type(node, input_type);
  return origin(input ? graph_.source(*input) : PromptGraph::Source{}, input_type);
}

}  // namespace ebb
