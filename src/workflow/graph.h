// SPDX-License-Identifier: Apache-2.0
// A UI graph as the front end holds it after loading: nodes with sockets and widgets, links, and
// subgraph definitions. ui_graph.cpp reads it, shape.cpp gives nodes their sockets and widgets,
// resolve.cpp follows links, to_prompt.cpp writes the prompt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/allowance.h"
#include "ebb/workflow.h"
#include "json/document.h"
#include "workflow/node_table.h"

namespace ebb {

constexpr int kNoLink = -1;      ///< nothing is connected
constexpr int kBrokenLink = -2;  ///< the socket names a link that the table of links lacks
constexpr int kNoNode = -1;      ///< a link's end that exists nowhere
constexpr int kInputNode = -10;  ///< a link's end at the boundary of a subgraph definition
constexpr int kOutputNode = -20;

/// What a node does when the prompt is made.
enum class NodeRole {
  ordinary,   ///< is sent
  note,       ///< exists on the canvas alone
  reroute,    ///< passes its input on
  primitive,  ///< writes its value into the widgets it is linked to
  instance,   ///< stands for the nodes of a subgraph definition
  setter,     ///< names its input (SetNode of KJNodes)
  getter,     ///< passes on what a setter of the same name got
};

struct Socket {
  std::string name;
  std::string type;
  std::int64_t link_id = -1;
  int link = kNoLink;  ///< index in Graph::links, or kNoLink, kBrokenLink
  int widget = -1;     ///< index of the widget it belongs to; -1 for a plain socket
  bool lazy = false;
  bool of_widget = false;  ///< the file says that it belongs to a widget
};

/// A socket as the file has it.
struct FileSocket : Socket {
  std::string widget_name;  ///< of the widget that it belongs to
};

// Why a value may differ from what the front end would send.
constexpr const char* kDoubtNamed = "the class is unknown; the file names this value";
constexpr const char* kDoubtSocket =
    "the class is unknown; named by the order of the node's sockets";
constexpr const char* kDoubtPack = "the class is unknown; position by the pack table";
constexpr const char* kDoubtShort =
    "the class is unknown; position by the pack table, which has more values than the file";
constexpr const char* kDoubtKin = "the class is unknown; named as in the class it is a variant of";
constexpr const char* kDoubtRounded = "an integer beyond 2^53 is rounded, as a browser does it";
constexpr const char* kDoubtTime = "it holds the time of the conversion";
constexpr const char* kDoubtCopied = "it holds a value of another node, which is a guess";
constexpr const char* kDoubtChosen = "the first of {a|b} is taken; ComfyUI takes a random one";
constexpr const char* kDoubtFace =
    "the subgraph's face says another value than the node in it; front ends before 1.46 send that";
constexpr const char* kDoubtLater =
    "the file is of a later ComfyUI than Ebb's definitions; named as the file names it";
constexpr const char* kDoubtShifted =
    "the file is of a later ComfyUI than Ebb's definitions; by place, as an older one takes it";
constexpr const char* kDoubtGroup = "what the group node saved does not fit; its description's";

struct Widget {
  std::string name;
  std::optional<std::string> value;             ///< JSON text; nothing is JavaScript's undefined
  bool saved = true;                            ///< takes a place in widgets_values
  bool sent = true;                             ///< appears in the prompt
  bool in_file = false;                         ///< its value was read from the file
  const char* doubt = nullptr;                  ///< why `value` may be another; null: it is sure
  const InputDefinition* definition = nullptr;  ///< null for the front end's own widgets
};

/// Where the values of a class that no table has come from.
enum class Values { none, by_name, by_place, by_pack, left_out };

struct GraphNode {
  std::string id;
  std::string type;
  std::string title;  ///< as the file has it; empty if it has none
  JsonValue json;
  NodeRole role = NodeRole::ordinary;
  int mode = 0;
  Values values = Values::none;
  bool later = false;     ///< the file has more of it than its definition: it is of a later one
  int unnamed_from = -1;  ///< place of the first saved value that nobody names; -1: all have names
  double order = 0;
  int definition_graph = -1;                   ///< of an instance: index in GraphSet::definitions
  const NodeDefinition* definition = nullptr;  ///< null for classes that no table has
  std::vector<FileSocket> file_inputs;         ///< until the node has its shape
  std::vector<Socket> inputs;
  std::vector<std::string> output_types;
  std::vector<Widget> widgets;

  bool muted() const { return mode == 2; }
  bool bypassed() const { return mode == 4; }
};

struct GraphLink {
  std::int64_t id = 0;
  int origin = kNoNode;  ///< node index, or kNoNode, kInputNode
  int origin_slot = 0;
  int target = kNoNode;  ///< node index, or kNoNode, kOutputNode
  int target_slot = 0;
};

/// A named input or output of a subgraph definition.
struct Boundary {
  std::string name;
  std::string type;
  std::vector<std::int64_t> link_ids;
};

struct Graph {
  std::string id;    ///< of a definition
  std::string name;  ///< of a definition
  std::vector<GraphNode> nodes;
  std::unordered_map<std::string, int> by_file_id;  ///< id in the file -> node index
  std::vector<GraphLink> links;
  std::unordered_map<std::int64_t, int> link_by_id;
  std::vector<Boundary> inputs, outputs;
  JsonValue group, group_values;  ///< of a legacy group node: its description, its saved values
  /// Link index -> the socket that names it: (node, input); (-1, -1) where none does.
  std::vector<std::pair<int, int>> socket_of_link;
};

/// Where releases of the front end differ; docs/reading.md says which release does what.
struct FrontEnd {
  bool recent = true;         ///< what a subgraph's face says is sent, not the inner value; ...
  bool recent_sure = true;    ///< something says that `recent` is right
  bool text_preview = false;  ///< PreviewAny's own widgets are sent
};

/// Whether a file is of a later ComfyUI than the definitions that are used, as far as it says so.
enum class Age { fits, may_be_later, later };

struct GraphSet {
  std::string file;  ///< for messages
  FrontEnd front_end;
  Age age = Age::fits;
  Graph root;
  std::vector<Graph> definitions;
  std::unordered_map<std::string, int> definition_by_id;
  std::vector<std::string> notes;
  bool follow_packs = true;  ///< as in ConvertOptions
  Allowance allowance;       ///< of whatever is made of the file

  Graph& graph(int index) { return index < 0 ? root : definitions[static_cast<size_t>(index)]; }
};

struct ConvertOptions {
  ComfyVersion version;
  /// Nodes of packs that live on the canvas alone (SetNode, GetNode, rgthree's Reroute) work as
  /// their packs do it; without, they are unknown classes, as for a front end without the packs.
  bool follow_packs = true;
  const NodeDefinitions* definitions = nullptr;  ///< of the user's server, asked first
  bool repair = false;                           ///< drop links that nobody can follow
  bool version_assumed = false;                  ///< what a newer server takes is not refused
  std::size_t input_bytes = 0;                   ///< of the whole file; 0: of the graph's own text
};

/// Reads nodes, links and definitions; ids are renumbered as the front end does on loading.
/// Errors: no `nodes` array, too many nodes.
Result<GraphSet> read_ui_graph(const JsonValue& root, const std::string& file,
                               const ConvertOptions& options);

/// Whether two slot types may be linked: equal ignoring case, `*`, or lists with a common member.
bool types_fit(std::string_view a, std::string_view b);

/// The same, and what it takes is counted.
bool types_fit(std::string_view a, std::string_view b, Allowance& allowance);

/// Gives a node the sockets, widgets and values that the front end gives it.
void shape_node(GraphNode& node, GraphSet& set);

/// Widgets of the front end itself that `node`'s class has besides those of its definition.
void add_special_widgets(GraphNode& node, const FrontEnd& front_end);

/// A fresh node's widgets and the values read from the file.
void build_widgets(GraphNode& node, GraphSet& set);

/// For a class that no table has: the widgets whose values the file names.
void guess_widgets(GraphNode& node, const std::vector<FileSocket>& file, bool follow_packs);

/// Which front end will send the graph: that of the wanted ComfyUI; where nobody said which that
/// is, today's.
FrontEnd front_end_of(const JsonValue& root, const ConvertOptions& options);

/// Whether the wanted ComfyUI is later than all definitions that there are.
bool after_definitions(const ConvertOptions& options);

Age age_of(const JsonValue& root, const ConvertOptions& options);

/// The widget an input of a subgraph definition shows on its instances, or null.
Widget* promoted_widget(GraphSet& set, int definition, int input);

/// Gives instances of subgraphs the values that the file has on their faces.
void read_faces(GraphSet& set);

}  // namespace ebb
