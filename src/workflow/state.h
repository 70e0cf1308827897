// SPDX-License-Identifier: Apache-2.0
// What a Workflow holds: its file's JSON, and where in it the graph or prompt is.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ebb/workflow.h"
#include "json/document.h"
#include "workflow/graph.h"

namespace ebb {

struct Workflow::State {
  State(JsonDocument read, std::string name) : document(std::move(read)), file(std::move(name)) {}
  JsonDocument document;
  std::string file;
  WorkflowFormat format = WorkflowFormat::ui_graph;
  std::string carrier;          ///< kind of the media file around it
  JsonValue root;               ///< the graph or the prompt, inside `document`
  std::size_t input_bytes = 0;  ///< of the file, of which a packed text is a part
};

/// The newest ComfyUI that a graph says one of its core nodes was made with: `properties.ver`
/// beside `cnr_id` "comfy-core", subgraph definitions included, or `extra.node_versions` of older
/// front ends. Nothing where no such node says (an API prompt, files of before 2025).
std::optional<ComfyVersion> made_with(const JsonValue& graph);

/// A sentence where that is newer than what Ebb knows, with the core classes no table has; or
/// empty.
std::string newer_note(const JsonValue& graph, const Prompt& prompt);

/// The prompt of an API file, with types filled in from the table.
Result<Prompt> read_api_prompt(const JsonValue& root, const std::string& file,
                               const ConvertOptions& options);

/// The prompt that the front end would send for a graph.
Result<Prompt> convert_graph(const JsonValue& root, const std::string& file,
                             const ConvertOptions& options);

/// The same for a graph that is read already; changes values in it.
Result<Prompt> convert_set(GraphSet& set, const ConvertOptions& options);

/// The declaration of an input, dotted names of dynamic and autogrow inputs included, or null.
const InputDefinition* find_input(const NodeDefinition& node, std::string_view name);

/// `COMBO` for dynamic combos, else the declared type, of an autogrow input its members'.
std::string input_type(const InputDefinition& input);

/// Output types that follow a match group get the type of what is linked to the group, if that is
/// one type.
void settle_match_types(Prompt& prompt, NodeFinder& finder);

/// Drops links out of such nodes that no longer fit, as the front end does a frame after loading.
void drop_misfits(Prompt& prompt, NodeFinder& finder);

/// What of a file is of a later ComfyUI than the definitions that are used.
struct Later {
  bool all = false;
  std::unordered_set<std::string> nodes;  ///< ids in the prompt
};

/// Fills Prompt::refused. Of what is later than the definitions nothing is refused: what they would
/// refuse is uncertain.
void find_refusals(Prompt& prompt, const ConvertOptions& options, const Later& later);

/// The inputs of one node in the making: of equal names the last value, at the first's place.
class InputList {
 public:
  void start(std::vector<PromptInput>& inputs, std::size_t expected);
  void put(PromptInput input);

 private:
  PromptInput* find(const std::string& name);
  std::vector<PromptInput>* inputs_ = nullptr;
  std::unordered_map<std::string, std::size_t> at_;  ///< used once there are many
};

/// An error where an id is longer than any: the results of its node are named with it everywhere.
std::optional<Error> check_id(const PromptNode& node, const std::string& file);

/// Fills Prompt::index.
void index_nodes(Prompt& prompt);

}  // namespace ebb
