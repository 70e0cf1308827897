// SPDX-License-Identifier: Apache-2.0
#include "tests/pass/prompt_json.h"

namespace ebb::test {
namespace {

// A list of a text and a number (Python takes a boolean for one) is a link, anything else a value.
std::optional<Link> link_of(JsonValue value) {
  if (!value.is_array() || value.size() != 2 || !value.at(0).is_string()) return std::nullopt;
  const JsonValue slot = value.at(1);
  if (!slot.is_number() && slot.kind() != JsonKind::boolean) return std::nullopt;
  return Link{value.at(0).string(), static_cast<int>(slot.integer_or(0))};
}

JsonValue definition(JsonValue info, const std::string& input) {
  for (const char* group : {"required", "optional"}) {
    if (const JsonValue found = info.find("input").find(group).find(input); found.exists()) {
      return found;
    }
  }
  return {};
}

PromptInput input_of(JsonValue value, JsonValue info) {
  PromptInput input;
  input.name = value.key();
  input.link = link_of(value);
  if (!input.link) input.value = value.raw();
  const JsonValue known = definition(info, input.name);
  input.type = known.at(0).text_or(known.at(0).is_array() ? "COMBO" : "");
  input.lazy = known.at(1).find("lazy").boolean().value_or(false);
  return input;
}

}  // namespace

Prompt prompt_from_json(JsonValue json, JsonValue classes) {
  Prompt prompt;
  for (JsonValue entry : json) {
    PromptNode node;
    node.id = entry.key();
    node.class_type = entry.find("class_type").text_or("");
    const JsonValue info = classes.find(node.class_type);
    node.known = info.exists();
    node.output_node = info.find("output_node").boolean().value_or(false);
    for (JsonValue type : info.find("output")) node.output_types.push_back(type.text_or(""));
    for (JsonValue value : entry.find("inputs")) node.inputs.push_back(input_of(value, info));
    prompt.index[node.id] = prompt.nodes.end_index();
    prompt.nodes.push_back(std::move(node));
  }
  return prompt;
}

}  // namespace ebb::test
