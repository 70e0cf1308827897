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

#include "ebb/bytes.h"
#include "ebb/index.h"
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

/// What ComfyUI's server refuses of a prompt. Output nodes that need the node are ignored; a prompt
/// without any other is refused.
struct Refusal {
  std::string node;  ///< id of a node that an output node needs
  std::string input;
  std::string why;   ///< a sentence without its full stop: `its input "steps" is -1; ...`
  std::string hint;  ///< the way out, a sentence

  bool operator==(const Refusal&) const = default;
};

/// The executed graph. Node order is the order of the keys in the JSON object.
struct Prompt {
  List<PromptNode, NodeIndex> nodes;
  std::unordered_map<std::string, NodeIndex> index;  ///< by id
  std::vector<std::string> notes;    ///< what was guessed or left out, whole sentences
  std::vector<Uncertain> uncertain;  ///< every value that is a guess or missing
  std::vector<Refusal> refused;      ///< of ComfyUI's own classes, by position of the nodes
  /// Model files whose size the graph's notes state, by lower-case name without folder.
  std::map<std::string, WrittenSize> stated_files;

  const PromptNode* find(std::string_view id) const;
  NodeIndex position(std::string_view id) const;  ///< none if absent
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
  /// `PNG`, `MP4`, ... of the media file that carries it; empty for JSON.
  const std::string& carrier() const;
  /// The newest ComfyUI that one of its own nodes in the graph was made with, as the file says.
  std::optional<ComfyVersion> made_with() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  friend class WorkflowReader;
  std::unique_ptr<State> state_;
};

/// Which one to take where a file carries both a graph and the prompt that was sent for it.
enum class WorkflowPart { any, graph, prompt };

/// Reads a file: UI graph, API prompt, POST body, or media that carry one. Decided by content,
/// never by extension. Of large videos only what may hold texts is read, so that their size does
/// not matter. Errors: unreadable, not a workflow, broken JSON with its place, not the wanted part.
Result<Workflow> read_workflow(const std::string& path, WorkflowPart part = WorkflowPart::any);

/// The same for bytes already in memory (JSON text, or a media file's bytes).
Result<Workflow> parse_workflow(std::string text, std::string file,
                                WorkflowPart part = WorkflowPart::any);

/// The classes of one server as it answers `GET /object_info`, packs included.
class NodeDefinitions {
 public:
  NodeDefinitions(NodeDefinitions&&) noexcept;
  NodeDefinitions& operator=(NodeDefinitions&&) noexcept;
  ~NodeDefinitions();

  struct State;
  const State& state() const { return *state_; }

 private:
  friend Result<NodeDefinitions> parse_definitions(std::string text, const std::string& file);
  friend Result<NodeDefinitions> fetch_definitions(const std::string& url,
                                                   const std::string& cache_folder);
  NodeDefinitions();
  std::unique_ptr<State> state_;
};

/// Reads a saved `GET /object_info`. Errors: unreadable, broken JSON, not such an answer.
Result<NodeDefinitions> read_definitions(const std::string& path);
Result<NodeDefinitions> parse_definitions(std::string text, const std::string& file);

/// Asks a running server (`http://host:port`, with or without `/object_info`; plain HTTP only).
/// An answer is kept in `cache_folder` (made if need be; empty: nothing is kept), one file a server
/// and version, eight at most: younger than ten minutes it serves again; where nobody answers, one
/// of the last thirty days does, and prompts note its age. At most 256 MiB and 60 s. Errors: no
/// address; nobody answers and nothing is kept; not such an answer.
Result<NodeDefinitions> fetch_definitions(const std::string& url, const std::string& cache_folder);

struct PromptOptions {
  explicit PromptOptions(ComfyVersion wanted = kNewestKnown) : version(wanted) {}
  ComfyVersion version;
  const NodeDefinitions* definitions = nullptr;  ///< asked first; must outlive the call
  bool repair = false;  ///< drop links that make the front end refuse the graph; notes say which
  /// Nobody said which version it is: what a newer server takes is not refused.
  bool version_assumed = false;
};

/// What the front end would send for this workflow, with types filled in from the table of node
/// definitions for `version`. Errors: a graph the front end itself refuses, with the place.
Result<Prompt> to_prompt(const Workflow& workflow, const ComfyVersion& version = kNewestKnown);
Result<Prompt> to_prompt(const Workflow& workflow, const PromptOptions& options);

/// Nodes of one kind (class, pack, subgraph) and how many there are.
struct NameCount {
  std::string name;
  std::int64_t count = 0;
};

/// A model file that a node names.
struct NamedModel {
  std::string file, node, class_type, input;
};

/// What is in a workflow file, for people.
struct Overview {
  std::string format;                  ///< `UI graph 0.4`, `API prompt`
  std::int64_t nodes = 0;              ///< in the file; those inside subgraphs once a definition
  std::int64_t links = 0;              ///< in the file
  std::vector<NameCount> classes;      ///< that are sent, by count
  std::vector<NameCount> canvas_only;  ///< notes, reroutes, primitives, ...: by class
  std::vector<std::string> muted, bypassed;  ///< `node 37 UNETLoader`
  std::vector<NameCount> subgraphs;          ///< instances
  std::vector<NameCount> packs;              ///< `comfyui-kjnodes`: nodes that need it
  std::vector<NameCount> unknown;            ///< classes without a definition
  std::vector<NamedModel> models;
  std::optional<Error> refused;  ///< why the front end makes no prompt of it
  std::int64_t sent = 0;         ///< nodes of the prompt
  std::vector<Uncertain> uncertain;
  std::vector<std::string> faults;  ///< what the server refuses of the prompt: `node 3 ...`
};

/// Describes any workflow, one whose prompt is refused too.
Overview describe(const Workflow& workflow, const PromptOptions& options);

/// The prompt as JSON: id -> {inputs, class_type, _meta.title}; numbers spelt as JavaScript does.
std::string to_json(const Prompt& prompt);

/// What the header of a picture or a video says, as ComfyUI's loaders give it: turned as EXIF asks,
/// and with all pictures of an animation.
struct MediaSize {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t frames = 1;       ///< 0: not known
  double frames_per_second = 0;  ///< of a video; 0: not known
  bool video = false;

  bool operator==(const MediaSize&) const = default;
};

/// Reads the header of a PNG, JPEG, WebP, GIF, BMP, AVIF, MP4, MOV, WebM or Matroska file, and of
/// larger ones a few bytes here and there. Errors: unreadable, of another kind, a broken header.
Result<MediaSize> read_media_size(const std::string& path);

/// ComfyUI's folders of pictures and videos; empty: not known.
struct MediaFolders {
  std::string input, output, temp;
};

/// The path of a file as a loader's widget names it, `sub/a.png` or `a.png [output]`; empty where
/// it is not there. What points out of its folder is never there.
std::string locate_media(const MediaFolders& folders, std::string_view name);

}  // namespace ebb
