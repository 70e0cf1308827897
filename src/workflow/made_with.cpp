// SPDX-License-Identifier: Apache-2.0
// Which ComfyUI a graph was made with, as far as it says so. Every front end since 1.17 or so
// writes the version of a node's pack into its properties; ComfyUI's own "pack" is comfy-core.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "workflow/state.h"

namespace ebb {
namespace {

constexpr const char* kCore = "comfy-core";

void take(std::optional<ComfyVersion>& newest, const JsonValue& text) {
  if (!text.is_string()) return;
  const auto version = parse_comfy_version(text.string());
  if (version) newest = newest ? std::max(*newest, *version) : *version;
}

/// Every node of a graph, those of subgraph definitions too.
template <class Look>
void each_node(const JsonValue& graph, const Look& look) {
  for (const JsonValue node : graph.find("nodes")) look(node);
  for (const JsonValue definition : graph.find("definitions").find("subgraphs")) {
    for (const JsonValue node : definition.find("nodes")) look(node);
  }
}

bool is_core(const JsonValue& node) { return node.find("properties").find("cnr_id").is(kCore); }

}  // namespace

std::optional<ComfyVersion> made_with(const JsonValue& graph) {
  std::optional<ComfyVersion> newest;
  each_node(graph, [&](const JsonValue& node) {
    if (is_core(node)) take(newest, node.find("properties").find("ver"));
  });
  take(newest, graph.find("extra").find("node_versions").find(kCore));
  return newest;
}

std::string newer_note(const JsonValue& graph, const Prompt& prompt) {
  const auto made = made_with(graph);
  if (!made || *made <= kNewestKnown) return {};
  std::set<std::string> unknown, missing;
  for (const PromptNode& node : prompt.nodes) {
    if (!node.known) unknown.insert(node.class_type);
  }
  each_node(graph, [&](const JsonValue& node) {
    const std::string type = node.find("type").text_or("");
    if (is_core(node) && unknown.contains(type)) missing.insert(type);
  });
  return fmt::format(
      "The file was made with ComfyUI {}, newer than {}, the newest that Ebb knows: what changed "
      "since is not known{}{}.",
      to_string(*made), to_string(kNewestKnown),
      missing.empty() ? "" : ", nor are these of its classes: ", fmt::join(missing, ", "));
}

}  // namespace ebb
