// SPDX-License-Identifier: Apache-2.0
// Small graphs for tests, written as JSON text.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "ebb/workflow.h"

namespace ebb::test {

/// `{"nodes": [nodes], "links": [links], "version": 0.4, more}`.
inline std::string graph(const std::string& nodes, const std::string& links = "",
                         const std::string& more = "") {
  return "{\"nodes\":[" + nodes + "],\"links\":[" + links + "],\"version\":0.4" +
         (more.empty() ? "" : "," + more) + "}";
}

inline Result<Prompt> try_convert(const std::string& json, ComfyVersion version = {0, 18, 2}) {
  auto workflow = parse_workflow(json, "test.json");
  if (!workflow) return std::move(workflow).error();
  return to_prompt(*workflow, version);
}

inline Prompt convert(const std::string& json) {
  auto prompt = try_convert(json);
  EXPECT_TRUE(prompt.ok()) << (prompt.ok() ? "" : to_string(prompt.error()));
  return prompt ? std::move(*prompt) : Prompt{};
}

/// A graph of one node with the given list of values, or other members after its type.
inline Prompt one_node(const std::string& type, const std::string& values) {
  return convert(graph("{\"id\":1,\"type\":\"" + type + "\",\"widgets_values\":" + values + "}"));
}

/// What node `id` gets for an input: its JSON text, `-> node:slot`, or `absent`.
inline std::string input_value(const Prompt& prompt, std::string_view id, std::string_view name) {
  const PromptNode* node = prompt.find(id);
  if (!node) return "no node";
  const PromptInput* input = node->input(name);
  if (!input) return "absent";
  if (input->link) return "-> " + input->link->node + ":" + std::to_string(input->link->slot);
  return input->value;
}

/// The names of a node's inputs in order, joined by spaces.
inline std::string input_names(const Prompt& prompt, std::string_view id) {
  std::string names;
  const PromptNode* node = prompt.find(id);
  if (!node) return "no node";
  for (const PromptInput& input : node->inputs) names += (names.empty() ? "" : " ") + input.name;
  return names;
}

/// The ids of all nodes in order, joined by spaces.
inline std::string ids(const Prompt& prompt) {
  std::string text;
  for (const PromptNode& node : prompt.nodes) text += (text.empty() ? "" : " ") + node.id;
  return text;
}

}  // namespace ebb::test
