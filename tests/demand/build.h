// SPDX-License-Identifier: Apache-2.0
// Prompts written by hand, and a search for weights that knows what the test says.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ebb/demand.h"
#include "ebb/workflow.h"

namespace ebb::test {

/// An input: a link `"5:0"` spelt with link(), or a value as JSON text.
struct In {
  std::string name;
  std::string type;
  std::string value;
  std::optional<Link> link;
};

inline In val(std::string name, std::string json, std::string type = "") {
  return {std::move(name), std::move(type), std::move(json), {}};
}
inline In num(std::string name, long long value) {
  return val(std::move(name), std::to_string(value), "INT");
}
inline In str(std::string name, const std::string& text) {
  return val(std::move(name), '"' + text + '"', "COMBO");
}
inline In link(std::string name, std::string type, std::string node, int slot = 0) {
  return {std::move(name), std::move(type), "", Link{std::move(node), slot}};
}

class PromptBuilder {
 public:
  PromptBuilder& add(std::string id, std::string class_type, std::vector<In> inputs,
                     std::vector<std::string> outputs, bool known = true) {
    PromptNode node;
    node.id = std::move(id);
    node.class_type = std::move(class_type);
    node.output_types = std::move(outputs);
    node.known = known;
    for (In& in : inputs) {
      node.inputs.push_back(
          {std::move(in.name), std::move(in.type), std::move(in.link), std::move(in.value), false});
    }
    prompt_.index[node.id] = prompt_.nodes.end_index();
    prompt_.nodes.push_back(std::move(node));
    return *this;
  }
  const Prompt& prompt() const { return prompt_; }

 private:
  Prompt prompt_;
};

/// Architectures by file name; all other files are unknown.
inline FindWeights finder(std::map<std::string, std::string> architectures,
                          std::string stored_type = "bf16") {
  return [=](const WeightsRequest& request) -> Result<Weights> {
    Weights weights;
    weights.id = request.node + request.id_suffix;
    weights.name = request.files.front();
    weights.files = request.files;
    weights.node = request.node;
    weights.role = request.role;
    weights.stored_type = stored_type;
    weights.bytes = 1000;
    const auto found = architectures.find(request.files.front() + request.id_suffix);
    if (found != architectures.end()) {
      weights.architecture = found->second;
      weights.bytes_from = BytesFrom::known;
    }
    return weights;
  };
}

inline Machine machine(ComfyVersion version = {0, 3, 73}) {
  Machine machine;
  machine.comfyui = version;
  return machine;
}

}  // namespace ebb::test
