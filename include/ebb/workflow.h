// SPDX-License-Identifier: Apache-2.0
// A workflow is a file a user has; a prompt is the graph ComfyUI's server would get for it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ebb/machine.h"
#include "ebb/result.h"

namespace ebb {

/// Where an input's value comes from: output `slot` of node `node`.
struct Link {
  std::string node;
  int slot = 0;

  bool operator==(const Link&) const = default;
};

/// One input of a node: either a link or a JSON value.
struct PromptInput {
  std::string name;
  std::string type;  ///< `MODEL`, `INT`, `COMBO`; empty when nobody says
  std::optional<Link> link;
  std::string value;  ///< JSON text as ComfyUI would get it; empty when linked
  bool lazy = false;  ///< ComfyUI follows the link only when the node asks for it

  /// The value read as a number or a string; nothing if it is linked or of another kind.
  std::optional<double> number() const;
  std::optional<std::string> text() const;
};

/// One node to be executed.
struct PromptNode {
  std::string id;  ///< "57", "12:3" inside a subgraph
  std::string class_type;
  std::string title;
  std::vector<PromptInput> inputs;        ///< in the order ComfyUI gets them: it decides execution
  std::vector<std::string> output_types;  ///< `MODEL`, `LATENT`; empty strings where unknown
  bool known = false;                     ///< its class is in the table of node definitions
  bool output_node = false;  ///< ComfyUI starts from it (for unknown classes: a guess, see notes)

  const PromptInput* input(std::string_view name) const;
  std::string label() const;  ///< `node 37 UNETLoader`, for messages
};

/// A value of the prompt that may differ from what ComfyUI's front end would send, or is missing.
struct Uncertain {
  std::string node;   ///< id of a node of the prompt
  std::string input;  ///< `seed`; `widgets_values[2]` for a value without a name; empty: the node
  std::string why;    ///< a phrase: what is not known

  bool operator==(const Uncertain&) const = default;
};

/// The executed graph. Node order is the order of the keys in the JSON object.
struct Prompt {
  std::vector<PromptNode> nodes;
  std::unordered_map<std::string, int> index;  ///< id -> position in nodes
  std::vector<std::string> notes;              ///< what was guessed or left out, whole sentences
  std::vector<Uncertain> uncertain;            ///< every value that is a guess or missing

  const PromptNode* find(std::string_view id) const;
  int position(std::string_view id) const;  ///< -1 if absent
  /// The node an input is linked to, or null.
  const PromptNode* origin(const PromptInput& input) const;
};

enum class WorkflowFormat { ui_graph, api_prompt };

/// A workflow file in memory. The JSON text is kept byte for byte for later edits.
class Workflow {
 public:
  Workflow();
  Workflow(Workflow&&) noexcept;
  Workflow& operator=(Workflow&&) noexcept;
  ~Workflow();

  WorkflowFormat format() const;
  const std::string& file() const;  ///< as the user gave it
  std::string_view json() const;    ///< the JSON text of the graph or prompt itself
  /// Model files named in the graph's metadata: file name -> folder such as `diffusion_models`.
  std::map<std::string, std::string> declared_models() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  friend Result<Workflow> parse_workflow(std::string text, std::string file);
  std::unique_ptr<State> state_;
};

/// Reads a file: UI graph, API prompt, POST body, or a PNG that carries one. Decided by content,
/// never by extension. Errors: unreadable, not a workflow, broken JSON with its place.
Result<Workflow> read_workflow(const std::string& path);

/// The same for bytes already in memory (JSON text, or a PNG's bytes).
Result<Workflow> parse_workflow(std::string text, std::string file);

/// What the front end would send for this workflow, with types filled in from the table of node
/// definitions for `version`. Errors: a graph the front end itself refuses, with the place.
Result<Prompt> to_prompt(const Workflow& workflow, const ComfyVersion& version = {});

/// The prompt as JSON: id -> {inputs, class_type, _meta.title}; numbers spelt as JavaScript does.
std::string to_json(const Prompt& prompt);

}  // namespace ebb
