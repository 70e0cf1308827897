// SPDX-License-Identifier: Apache-2.0
// What NodeDefinitions holds: a server's answer, and the classes read from it so far.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "json/document.h"
#include "workflow/node_table.h"

namespace ebb {

struct NodeDefinitions::State {
  explicit State(JsonDocument whole) : document(std::move(whole)) {}
  JsonDocument document;
  std::unordered_map<std::string, JsonValue> classes;
  std::string note;  ///< for every prompt made with them
  mutable std::mutex mutex;
  mutable std::unordered_map<std::string, std::unique_ptr<NodeDefinition>> read;
};

}  // namespace ebb
