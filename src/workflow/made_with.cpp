// SPDX-License-Identifier: Apache-2.0
// Which ComfyUI a graph was made with, as far as it says so. Every front end since 1.17 or so
// writes the version of a node's pack into its properties; ComfyUI's own "pack" is comfy-core.
#include <algorithm>

#include "workflow/state.h"

namespace ebb {
namespace {

constexpr const char* kCore = "comfy-core";

void take(std::optional<ComfyVersion>& newest, const JsonValue& text) {
  if (!text.is_string()) return;
  const auto version = parse_comfy_version(text.string());
  if (version) newest = newest ? std::max(*newest, *version) : *version;
}

void take_nodes(std::optional<ComfyVersion>& newest, const JsonValue& nodes) {
  for (const JsonValue node : nodes) {
    const JsonValue properties = node.find("properties");
    if (properties.find("cnr_id").is(kCore)) take(newest, properties.find("ver"));
  }
}

}  // namespace

std::optional<ComfyVersion> made_with(const JsonValue& graph) {
  std::optional<ComfyVersion> newest;
  take_nodes(newest, graph.find("nodes"));
  for (const JsonValue definition : graph.find("definitions").find("subgraphs")) {
    take_nodes(newest, definition.find("nodes"));
  }
  take(newest, graph.find("extra").find("node_versions").find(kCore));
  return newest;
}

}  // namespace ebb
