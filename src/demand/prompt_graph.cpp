// SPDX-License-Identifier: Apache-2.0
// Resolves links and types of a prompt.
#include "demand/prompt_graph.h"

#include <iterator>

namespace ebb {
namespace {

/// Switch nodes and the inputs they choose from.
bool is_switch(std::string_view class_type) {
  return class_type == "ComfySwitchNode" || class_type == "ComfySoftSwitchNode" ||
         class_type == "LazySwitchKJ";
}

/// Inputs and outputs of the Impact pack's pipes, in the order in which a pipe holds them.
struct PipePart {
  std::string_view name, type;
};
constexpr PipePart kPipe[] = {{"model", "MODEL"},
                              {"clip", "CLIP"},
                              {"vae", "VAE"},
                              {"positive", "CONDITIONING"},
                              {"negative", "CONDITIONING"}};

bool takes_pipe_apart(std::string_view class_type) {
  return class_type == "FromBasicPipe" || class_type == "FromBasicPipe_v2";
}

/// Where an output of a node that takes a pipe apart was put into the pipe.
PromptGraph::Source through_pipe(const PromptGraph& graph, const PromptGraph::Source& from) {
  // The second version hands the pipe itself on first.
  const int part = from.slot - (graph.node(from.node).class_type == "FromBasicPipe" ? 0 : 1);
  if (part < 0 || part >= static_cast<int>(std::size(kPipe))) return {};
  PromptGraph::Source pipe = graph.source(from.node, "basic_pipe");
  for (int steps = 0; pipe.exists() && steps <= graph.size(); ++steps) {
    const PromptGraph::Source put_in = graph.source(pipe.node, kPipe[part].name);
    if (put_in.exists()) return put_in;
    pipe = graph.source(pipe.node, "basic_pipe");
  }
  return {};
}

}  // namespace

bool is_any(std::string_view type) { return type.empty() || type == "*"; }

PromptGraph::Source PromptGraph::source(const PromptInput& input) const {
  if (!input.link) return {};
  const auto found = prompt_.index.find(input.link->node);
  if (found == prompt_.index.end()) return {};
  return {found->second, input.link->slot};
}

PromptGraph::Source PromptGraph::source(NodeIndex position, std::string_view name) const {
  const PromptInput* input = node(position).input(name);
  return input ? source(*input) : Source{};
}

std::string_view PromptGraph::output_type(const Source& source) const {
  if (!source.exists()) return {};
  const auto& types = node(source.node).output_types;
  if (source.slot < 0 || source.slot >= static_cast<int>(types.size())) return {};
  return types[source.slot];
}

std::string_view PromptGraph::type(const PromptInput& input) const {
  const std::string_view origin = output_type(source(input));
  return is_any(origin) ? std::string_view(input.type) : origin;
}

bool PromptGraph::gives(NodeIndex position, std::string_view type) const {
  for (const std::string& output : node(position).output_types) {
    if (output == type) return true;
  }
  return false;
}

const PromptInput* PromptGraph::input_of_type(NodeIndex position, std::string_view wanted) const {
  for (const PromptInput& input : node(position).inputs) {
    if (input.link && type(input) == wanted) return &input;
  }
  return nullptr;
}

PromptGraph::Readers PromptGraph::readers() const {
  Readers readers(prompt_.nodes.size());
  for (const NodeIndex i : nodes()) {
    for (const PromptInput& input : node(i).inputs) {
      const Source from = source(input);
      if (from.exists()) readers[from.node].emplace_back(i, &input);
    }
  }
  return readers;
}

PromptGraph::Source PromptGraph::handed_on(const Source& from, std::string_view wanted) const {
  const PromptNode& giver = node(from.node);
  if (takes_pipe_apart(giver.class_type)) return through_pipe(*this, from);
  if (is_switch(giver.class_type)) {
    const PromptInput* choice = giver.input("switch");
    const PromptInput* value = choice;
    if (choice && choice->link) {
      const Source origin = source(*choice);
      value = origin.exists() ? node(origin.node).input("value") : nullptr;
    }
    if (value && !value->link && (value->value == "true" || value->value == "false")) {
      return source(from.node, value->value == "true" ? "on_true" : "on_false");
    }
  }
  if (const PromptInput* input = input_of_type(from.node, wanted)) return source(*input);
  // A pass-through of anything: its only link carries what it gives.
  if (!is_any(output_type(from)) && output_type(from) != wanted) return {};
  const PromptInput* only = nullptr;
  for (const PromptInput& input : giver.inputs) {
    if (!input.link || (!is_any(wanted) && !is_any(type(input)))) continue;
    if (only) return {};
    only = &input;
  }
  return only ? source(*only) : Source{};
}

}  // namespace ebb
