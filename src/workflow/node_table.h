// SPDX-License-Identifier: Apache-2.0
// What ComfyUI's own node classes look like: inputs, their types and defaults, outputs, per
// version. The table is text compiled in; a line is read when its class is first asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ebb/machine.h"
#include "ebb/workflow.h"

namespace ebb {

/// One declared input of a class.
struct InputDefinition {
  std::string name;
  std::string type;  ///< `INT`, `COMBO`, `IMAGE,MASK`; match types as what they allow
  bool optional = false;
  bool lazy = false;
  bool force_input = false;
  bool dynamic_prompts = false;
  bool multiline = false;              ///< its widget is a text area
  bool upload = false;                 ///< the front end adds an upload button
  std::optional<bool> control;         ///< control_after_generate, where it is declared
  std::optional<std::string> initial;  ///< declared default, JSON text as JavaScript spells it
  bool long_default = false;           ///< its default is a text too long for the table
  std::optional<std::string> first;    ///< a combo's first entry; nothing if its list is empty
  std::optional<double> min, max, step, round;
  std::string widget_type;  ///< of its widget, where its type is a list of types; else empty
  std::string match;        ///< its match group; empty if it has none
  /// A dynamic combo's options: key and the inputs that follow it.
  std::vector<std::pair<std::string, std::vector<InputDefinition>>> options;
  bool dynamic_combo = false;
  bool autogrow = false;
  std::string member_type;  ///< of an autogrow input's sockets

  /// Whether the front end shows a widget for it.
  bool has_widget() const;
};

struct NodeDefinition {
  std::string name;
  std::string display_name;
  std::vector<std::string> outputs;
  std::vector<InputDefinition> inputs;
  bool output_node = false;
  bool api_node = false;
  bool match_output = false;  ///< its outputs follow a match group
  bool newer = false;         ///< only versions after the wanted one have it
};

/// The definition of a class: of the newest table not above `version`, else of the oldest table
/// above that has it, else of an older one, else null. Thread-safe; lives forever.
const NodeDefinition* find_node(std::string_view class_type, const ComfyVersion& version);

/// The definition of a class as a server told it, or null. Lives as long as `server`.
const NodeDefinition* find_node(std::string_view class_type, const NodeDefinitions& server);

/// The ComfyUI whose classes are the newest that Ebb has.
ComfyVersion newest_definitions();

/// The oldest table that is not below `version`; nothing above the newest.
std::optional<ComfyVersion> definitions_not_before(const ComfyVersion& version);

/// What prompts made with these definitions should note; empty: nothing.
const std::string& note_of(const NodeDefinitions& server);

/// find_node for many nodes of few classes; a server's own definitions are asked first.
class NodeFinder {
 public:
  explicit NodeFinder(const ComfyVersion& version, const NodeDefinitions* server = nullptr)
      : version_(version), server_(server) {}
  const NodeDefinition* find(const std::string& class_type) {
    const auto [at, fresh] = found_.try_emplace(class_type);
    if (fresh && server_) at->second = find_node(class_type, *server_);
    if (fresh && !at->second) at->second = find_node(class_type, version_);
    return at->second;
  }

 private:
  ComfyVersion version_;
  const NodeDefinitions* server_;
  std::unordered_map<std::string, const NodeDefinition*> found_;
};

}  // namespace ebb
