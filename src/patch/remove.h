// SPDX-License-Identifier: Apache-2.0
// Taking pass-through nodes out of a file, so that its links go where they would without them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "patch/text_edits.h"
#include "workflow/state.h"

namespace ebb {

/// A node of the file and the canvas or prompt it stands in.
struct PlacedJson {
  JsonValue scope, node;
};

/// Every node of the file: of the root, then of the subgraph definitions; of a prompt, its members.
std::vector<PlacedJson> nodes_in_file(const Workflow& workflow);

/// Nodes of which somebody reads an output.
class ReadNodes {
 public:
  explicit ReadNodes(const Workflow& workflow);
  bool contains(const PlacedJson& at) const;

 private:
  static std::string key(const JsonValue& scope, std::string_view id);
  bool api_;
  std::unordered_set<std::string> keys_;
};

/// Elements and members that go, with what separates them from the rest.
class Removals {
 public:
  void add(const JsonValue& container, const JsonValue& element);
  void put(TextEdits& edits) const;

 private:
  struct Gone {
    JsonValue container;
    std::unordered_set<std::int64_t> offsets;
  };
  std::map<std::int64_t, Gone> gone_;  ///< by the container's offset
};

/// An output that a node which stays reads, and that has no input of its own to be replaced by.
struct OpenOutput {
  JsonValue node;
  std::int64_t slot = 0;
};

/// Takes out nodes whose output n is their input n, all of them at once. Of an open output's
/// readers the links are cut; the first one is given back.
std::optional<OpenOutput> remove_nodes(const Workflow& workflow,
                                       const std::vector<PlacedJson>& nodes, TextEdits& edits,
                                       Removals& removals);

}  // namespace ebb
