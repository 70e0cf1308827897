// SPDX-License-Identifier: Apache-2.0
// API prompts: what the server gets, already flat; types are filled in from the table of classes.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/allowance.h"
#include "base/text.h"
#include "workflow/js_value.h"
#include "workflow/pack_table.h"
#include "workflow/state.h"

namespace ebb {
namespace {

/// What ComfyUI takes for a link: a list of a string and a number.
std::optional<Link> read_link(const JsonValue& value) {
  if (!value.is_array() || value.size() != 2) return std::nullopt;
  const JsonValue node = *value.begin();
  const JsonValue slot = *++value.begin();
  if (!node.is_string() || !slot.is_number()) return std::nullopt;
  using Slots = std::numeric_limits<int>;
  return Link{node.string(), static_cast<int>(std::clamp<std::int64_t>(
                                 slot.integer_or(0), Slots::min(), Slots::max()))};
}

void read_inputs(const JsonValue& json, const NodeDefinition* definition, PromptNode& node) {
  InputList inputs;
  inputs.start(node.inputs, json.size());
  for (const JsonValue member : json) {
    PromptInput input;
    input.name = member.key();
    input.link = read_link(member);
    if (!input.link) input.value = member.raw();
    if (definition) {
      if (const InputDefinition* declared = find_input(*definition, input.name)) {
        input.type = input_type(*declared);
        input.lazy = declared->lazy;
      }
    }
    inputs.put(std::move(input));
  }
}

PromptNode read_node(const JsonValue& json, NodeFinder& finder) {
  PromptNode node;
  node.id = json.key();
  node.class_type = json.find("class_type").text_or("");
  node.title = json.find("_meta").find("title").text_or("");
  const NodeDefinition* definition = finder.find(node.class_type);
  read_inputs(json.find("inputs"), definition, node);
  if (!definition) return node;
  node.known = true;
  node.output_node = definition->output_node;
  node.output_types = definition->outputs;
  if (node.title.empty()) node.title = definition->display_name;
  return node;
}

void put(Prompt& prompt, Allowance& allowance, const PromptNode& node, const PromptInput& input,
         std::string why) {
  if (!allowance.hold(sizeof(Uncertain) + node.id.size() + input.name.size() + 500)) return;
  prompt.uncertain.push_back({node.id, input.name, std::move(why)});
}

/// Classes that no table has: outputs as far as somebody uses them, and a guess which of them
/// ComfyUI starts from.
void guess_outputs(Prompt& prompt, Allowance& allowance) {
  List<int, NodeIndex> slots(prompt.nodes.size(), 0);
  constexpr int kSlotsMax = 1000;
  for (const PromptNode& node : prompt.nodes) {
    for (const PromptInput& input : node.inputs) {
      if (!input.link) continue;
      const NodeIndex at = prompt.position(input.link->node);
      if (!at.exists()) {
        const std::string missing = cut_text(input.link->node);
        prompt.notes.push_back(fmt::format(
            "{}: its input \"{}\" is linked to node {}, which does not exist; ComfyUI would "
            "refuse it.",
            node.label(), cut_text(input.name), missing));
        put(prompt, allowance, node, input, "linked to node " + missing + ", which does not exist");
        continue;
      }
      int& count = slots[at];
      count = std::max(count, std::min(input.link->slot, kSlotsMax - 1) + 1);
    }
  }
  std::string others, starts;
  for (const NodeIndex i : prompt.nodes.indices()) {
    PromptNode& node = prompt.nodes[i];
    if (node.known) continue;
    node.output_types.resize(std::size_t(slots[i]));
    if (const auto pack = find_pack_class(node.class_type)) {
      const std::size_t count = std::min(pack->outputs.size(), node.output_types.size());
      std::copy_n(pack->outputs.begin(), count, node.output_types.begin());
    }
    node.output_node = slots[i] == 0;
    auto& list = node.output_node ? starts : others;
    list += (list.empty() ? "" : "; ") +
            fmt::format("{} (node {})", cut_text(node.class_type), cut_text(node.id));
  }
  if (!others.empty()) prompt.notes.push_back("Classes that Ebb does not know: " + others + ".");
  if (!starts.empty()) {
    prompt.notes.push_back(
        "Unknown classes whose outputs nobody uses, taken for nodes that ComfyUI starts from: " +
        starts + ".");
  }
}

/// Takes out links to nodes that are not there, and says so.
void drop_dangling(Prompt& prompt, Allowance& allowance) {
  for (PromptNode& node : prompt.nodes) {
    std::erase_if(node.inputs, [&](const PromptInput& input) {
      if (!input.link || prompt.position(input.link->node) >= 0) return false;
      const std::string why = "its link to node " + cut_text(input.link->node) + " was dropped";
      prompt.notes.push_back(node.label() + ": " + cut_text(input.name) + ": " + why +
                             ", because that node does not exist.");
      put(prompt, allowance, node, input, why);
      return true;
    });
  }
}

}  // namespace

Result<Prompt> read_api_prompt(const JsonValue& root, const std::string& file,
                               const ConvertOptions& options) {
  Prompt prompt;
  NodeFinder finder(options.version, options.definitions);
  prompt.nodes.reserve(root.size());
  prompt.index.reserve(root.size());
  for (const JsonValue json : root) {
    if (!json.is_object() || !json.find("class_type").is_string()) {
      prompt.notes.push_back(
          fmt::format("\"{}\" is no node of the prompt and was left out.", cut_text(json.key())));
      prompt.uncertain.push_back({json.key(), "", "left out: it is no node of a prompt"});
      continue;
    }
    PromptNode node = read_node(json, finder);
    if (auto error = check_id(node, file)) return *std::move(error);
    const auto [at, fresh] = prompt.index.try_emplace(node.id, prompt.nodes.end_index());
    if (fresh) {
      prompt.nodes.push_back(std::move(node));
    } else {
      prompt.notes.push_back(node.label() + " stands twice in the file; the last one is taken.");
      prompt.nodes[at->second] = std::move(node);
    }
  }
  if (prompt.nodes.empty()) {
    return input_error("the prompt has no node", file, "",
                       "Export the workflow again with \"Export (API)\".");
  }
  Allowance allowance(options.input_bytes > 0 ? options.input_bytes : root.raw().size());
  if (options.repair) drop_dangling(prompt, allowance);
  guess_outputs(prompt, allowance);
  if (allowance.spent()) return Allowance::error(file);
  settle_match_types(prompt, finder);
  Later later;
  later.all = after_definitions(options);
  find_refusals(prompt, options, later);
  return prompt;
}

}  // namespace ebb
