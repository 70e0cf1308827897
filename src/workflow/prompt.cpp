// SPDX-License-Identifier: Apache-2.0
// Questions about a prompt, and its JSON.
#include <algorithm>

#include "base/text.h"
#include "json/write.h"
#include "workflow/js_value.h"
#include "workflow/state.h"

namespace ebb {

std::optional<double> PromptInput::number() const {
  if (link || value.empty()) return std::nullopt;
  const bool numeric = value[0] == '-' || (value[0] >= '0' && value[0] <= '9');
  if (!numeric) return std::nullopt;
  return std::strtod(value.c_str(), nullptr);
}

std::optional<std::string> PromptInput::text() const {
  if (link || value.empty() || value[0] != '"') return std::nullopt;
  return json_unquote(value);
}

const PromptInput* PromptNode::input(std::string_view name) const {
  const auto found = std::ranges::find(inputs, name, &PromptInput::name);
  return found == inputs.end() ? nullptr : &*found;
}

std::string PromptNode::label() const {
  std::string text = "node " + cut_text(id);
  return class_type.empty() ? text : text + " " + cut_text(class_type);
}

const PromptNode* Prompt::find(std::string_view id) const {
  const NodeIndex at = position(id);
  return at.exists() ? &nodes[at] : nullptr;
}

NodeIndex Prompt::position(std::string_view id) const {
  const auto at = index.find(std::string(id));
  return at == index.end() ? NodeIndex() : at->second;
}

const PromptNode* Prompt::origin(const PromptInput& input) const {
  return input.link ? find(input.link->node) : nullptr;
}

namespace {
constexpr std::size_t kFew = 24;  // names that are searched one by one
}  // namespace

void InputList::start(std::vector<PromptInput>& inputs, std::size_t expected) {
  inputs_ = &inputs;
  at_.clear();
  inputs.reserve(std::min(expected, kFew));
}

PromptInput* InputList::find(const std::string& name) {
  auto& inputs = *inputs_;
  if (inputs.size() <= kFew) {
    const auto found = std::ranges::find(inputs, name, &PromptInput::name);
    return found == inputs.end() ? nullptr : &*found;
  }
  if (at_.empty()) {
    for (std::size_t i = 0; i < inputs.size(); ++i) at_.try_emplace(inputs[i].name, i);
  }
  const auto [at, fresh] = at_.try_emplace(name, inputs.size());
  return fresh ? nullptr : &inputs[at->second];
}

void InputList::put(PromptInput input) {
  if (PromptInput* same = find(input.name)) {
    *same = std::move(input);
  } else {
    inputs_->push_back(std::move(input));
  }
}

std::optional<Error> check_id(const PromptNode& node, const std::string& file) {
  constexpr std::size_t kIdMax = 1'000;
  if (node.id.size() <= kIdMax) return std::nullopt;
  return input_error("has an id of " + std::to_string(node.id.size()) + " characters", file,
                     node.label(), "Give the node another id; ComfyUI's are numbers.");
}

void index_nodes(Prompt& prompt) {
  prompt.index.clear();
  prompt.index.reserve(prompt.nodes.size());
  for (const NodeIndex i : prompt.nodes.indices()) prompt.index[prompt.nodes[i].id] = i;
}

const InputDefinition* find_input(const NodeDefinition& node, std::string_view name) {
  // A name may have a dot of its own: `middle_block.1` of the nodes that merge models.
  const auto whole = std::ranges::find(node.inputs, name, &InputDefinition::name);
  if (whole != node.inputs.end()) return &*whole;
  const auto dot = name.find('.');
  const std::string_view head = name.substr(0, dot);
  const auto found = std::ranges::find(node.inputs, head, &InputDefinition::name);
  if (found == node.inputs.end()) return nullptr;
  const InputDefinition* input = &*found;
  while (name != head && input->dynamic_combo) {
    name.remove_prefix(std::min(name.size(), name.find('.') + 1));
    const std::string_view part = name.substr(0, name.find('.'));
    const InputDefinition* next = nullptr;
    for (const auto& [key, members] : input->options) {
      const auto member = std::ranges::find(members, part, &InputDefinition::name);
      if (!next && member != members.end()) next = &*member;
    }
    if (!next) return nullptr;
    input = next;
    if (part == name) break;
  }
  return input;
}

std::string input_type(const InputDefinition& input) {
  if (input.dynamic_combo) return "COMBO";
  return input.autogrow ? input.member_type : input.type;
}

namespace {

/// The type that all links into the match group have; empty if there is none, or several.
std::string common_type(const Prompt& prompt, const PromptNode& node,
                        const NodeDefinition& definition) {
  std::string common;
  for (const PromptInput& input : node.inputs) {
    const InputDefinition* declared = find_input(definition, input.name);
    if (!declared || (declared->match.empty() && !declared->autogrow)) continue;
    const PromptNode* origin = prompt.origin(input);
    if (!origin || input.link->slot < 0) continue;
    const auto slot = std::size_t(input.link->slot);
    if (slot >= origin->output_types.size()) continue;
    const std::string& type = origin->output_types[slot];
    if (type.empty() || type == "*" || type.find(',') != type.npos) continue;
    if (!common.empty() && common != type) return {};
    common = type;
  }
  return common;
}

}  // namespace

void settle_match_types(Prompt& prompt, NodeFinder& finder) {
  constexpr int kPasses = 8;  // chains of switches longer than this keep their group's type
  std::vector<std::pair<NodeIndex, const NodeDefinition*>> open;
  for (const NodeIndex i : prompt.nodes.indices()) {
    if (!prompt.nodes[i].known) continue;
    const NodeDefinition* definition = finder.find(prompt.nodes[i].class_type);
    if (definition && definition->match_output) open.emplace_back(i, definition);
  }
  for (int pass = 0; pass < kPasses && !open.empty(); ++pass) {
    for (const auto& [i, definition] : open) {
      PromptNode& node = prompt.nodes[i];
      const std::string type = common_type(prompt, node, *definition);
      for (std::size_t slot = 0; slot < node.output_types.size(); ++slot) {
        if (!type.empty()) {
          node.output_types[slot] = type;
        } else if (slot < definition->outputs.size()) {
          node.output_types[slot] = definition->outputs[slot];
        }
      }
    }
  }
}

void drop_misfits(Prompt& prompt, NodeFinder& finder) {
  for (PromptNode& node : prompt.nodes) {
    const NodeDefinition* wanting = node.known ? finder.find(node.class_type) : nullptr;
    std::erase_if(node.inputs, [&](const PromptInput& input) {
      const PromptNode* origin = prompt.origin(input);
      if (!wanting || !origin || !origin->known || input.link->slot < 0) return false;
      const NodeDefinition* giver = finder.find(origin->class_type);
      const auto slot = std::size_t(input.link->slot);
      if (!giver || !giver->match_output || slot >= origin->output_types.size()) return false;
      const InputDefinition* declared = find_input(*wanting, input.name);
      // A group that nothing settled, and a widget, whose own value would be sent, are left alone.
      const std::string& given = origin->output_types[slot];
      if (!declared || given == giver->outputs[slot] || declared->has_widget()) return false;
      if (types_fit(given, input_type(*declared))) return false;
      prompt.notes.push_back(node.label() + ": the link into its input \"" + input.name +
                             "\" is dropped, as ComfyUI's page does it: " + origin->label() +
                             " gives " + given + " now.");
      return true;
    });
  }
}

std::string to_json(const Prompt& prompt) {
  JsonWriter writer;
  writer.begin_object();
  for (const PromptNode& node : prompt.nodes) {
    writer.key(node.id).begin_object();
    writer.key("inputs").begin_object();
    for (const PromptInput& input : node.inputs) {
      writer.key(input.name);
      if (input.link) {
        writer.raw("[" + json_quote(input.link->node) + ", " + std::to_string(input.link->slot) +
                   "]");
      } else {
        writer.raw(input.value.empty() ? "null" : input.value);
      }
    }
    writer.end_object();
    writer.member("class_type", node.class_type);
    writer.key("_meta").begin_object().member("title", node.title).end_object();
    writer.end_object();
  }
  writer.end_object();
  return std::move(writer).finish();
}

}  // namespace ebb
