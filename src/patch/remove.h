// SPDX-License-Identifier: Apache-2.0
// Taking a pass-through node out of a file, so that its links go where they would without it.
#pragma once

#include <map>
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

/// Elements and members that go, with what separates them from the rest.
class Removals {
 public:
  void add(const JsonValue& container, const JsonValue& element);
  void put(TextEdits& edits) const;

 private:
  struct Gone {
    JsonValue container;
    std::vector<std::int64_t> offsets;
  };
  std::map<std::int64_t, Gone> gone_;  ///< by the container's offset
};

/// Edits that take out a node whose output n is its input n.
TextEdits remove_node(const Workflow& workflow, const PlacedJson& at);

}  // namespace ebb
