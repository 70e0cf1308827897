// SPDX-License-Identifier: Apache-2.0
// What kind of workflow a file is, decided by its content.
#include "ebb/workflow.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ebb/file.h"
#include "workflow/embedded.h"
#include "workflow/state.h"
#include "workflow/stated.h"

namespace ebb {
namespace {

constexpr std::int64_t kFileMax = std::int64_t{512} << 20;
constexpr int kWrappersMax = 4;  // a workflow inside JSON inside JSON

const char* const kHint =
    "Give a workflow saved by ComfyUI, one exported with \"Export (API)\", or a picture, video or "
    "sound that ComfyUI saved.";

bool is_graph(const JsonValue& value) {
  if (!value.find("nodes").is_array()) return false;
  return value.find("links").is_array() || value.find("last_node_id").is_number();
}

bool is_prompt(const JsonValue& value) {
  if (!value.is_object()) return false;
  for (const JsonValue member : value) {
    if (member.is_object() && member.find("class_type").is_string()) return true;
  }
  return false;
}

/// A graph or a prompt, or a string with the JSON text of one; nothing if it is neither.
struct Found {
  JsonValue value;
  WorkflowFormat format = WorkflowFormat::ui_graph;
  bool as_text = false;
};

std::optional<Found> look_at(const JsonValue& value) {
  if (is_graph(value)) return Found{value, WorkflowFormat::ui_graph, false};
  if (is_prompt(value)) return Found{value, WorkflowFormat::api_prompt, false};
  if (value.is_string() && trim(value.string()).starts_with('{')) return Found{value, {}, true};
  return std::nullopt;
}

bool is_wanted(WorkflowFormat format, WorkflowPart part) {
  if (part == WorkflowPart::any) return true;
  return (part == WorkflowPart::graph) == (format == WorkflowFormat::ui_graph);
}

/// Where people and programs wrap workflows, the wanted part first.
std::vector<const char*> wrapper_keys(WorkflowPart part) {
  if (part == WorkflowPart::prompt) return {"prompt", "output", "workflow"};
  if (part == WorkflowPart::any) return {"workflow", "prompt", "output"};
  return {"workflow", "extra_data", "extra_pnginfo", "prompt", "output"};
}

/// Finds the graph, else the prompt, in a document or in the objects people wrap them in.
std::optional<Found> search(const JsonValue& root, int depth, WorkflowPart part) {
  const auto wanted = [&](const std::optional<Found>& found) {
    return found && (found->as_text || is_wanted(found->format, part));
  };
  if (auto found = look_at(root); wanted(found) && !found->as_text) return found;
  if (depth >= kWrappersMax || !root.is_object()) return std::nullopt;
  for (const char* key : wrapper_keys(part)) {
    const JsonValue member = root.find(key);
    if (auto found = look_at(member); wanted(found)) return found;
    if (auto found = search(member, depth + 1, part)) return found;
  }
  return std::nullopt;
}

/// Why a JSON document is no workflow, as exactly as can be told.
std::string why_not(const JsonValue& root) {
  if (root.is_array()) return "is a JSON list, not a workflow";
  if (!root.is_object()) return "is a single JSON value, not a workflow";
  if (root.find("nodes").is_array() && root.find("connections").exists()) {
    return "has nodes and connections but no links: it is a workflow of another program";
  }
  if (root.find("nodes").is_array()) return "has a list of nodes but no links between them";
  if (root.size() == 0) return "is an empty JSON object";
  return "is JSON but no workflow: it has neither \"nodes\" and \"links\" nor nodes with a "
         "\"class_type\"";
}

Result<Done> check_text(std::string_view text, const std::string& file) {
  if (trim(text).empty()) return input_error("the file is empty", file, "", kHint);
  const auto head = text.substr(0, 4096);
  if (head.find('\0') != head.npos) {
    return input_error("is a binary file that Ebb does not know, not a workflow", file, "", kHint);
  }
  return Done{};
}

/// The JSON texts of a file: its own bytes, or what media carry, the wanted part first.
struct Texts {
  std::vector<std::string> json;
  std::string carrier;
};

Result<Texts> json_texts(std::string bytes, const std::string& file, WorkflowPart part) {
  Texts found;
  if (media_kind(bytes).empty()) {
    if (auto checked = check_text(bytes, file); !checked) return std::move(checked).error();
    found.json.push_back(std::move(bytes));
    return found;
  }
  found.carrier = media_kind(bytes);
  auto texts = read_embedded(bytes, file);
  if (!texts) return std::move(texts).error();
  for (std::string* text : {&texts->workflow, &texts->prompt}) {
    if (!text->empty()) found.json.push_back(std::move(*text));
  }
  if (found.json.empty() && texts->too_large) {
    return input_error("the " + found.carrier + " has a text that unpacks to far more than a " +
                           "workflow in a file of its size",
                       file, "", "Is it the right picture?");
  }
  if (found.json.empty()) {
    return input_error(
        texts->truncated
            ? "the " + found.carrier + " ends early and no workflow was found up to there"
            : "the " + found.carrier + " carries no workflow",
        file, "", "Media lose it when they are edited or re-saved; look for the original.");
  }
  if (part == WorkflowPart::prompt) std::ranges::reverse(found.json);
  return found;
}

struct Parsed {
  JsonDocument document;
  JsonValue root;
  WorkflowFormat format;
};

/// Texts that were packed may hold more values than their file has bytes.
std::size_t values_max(std::size_t input_bytes) { return (std::size_t{1} << 19) + input_bytes; }

Result<Parsed> parse(std::string json, const std::string& file, WorkflowPart part,
                     std::size_t input_bytes) {
  for (int depth = 0; depth < kWrappersMax; ++depth) {
    auto document = JsonDocument::parse(std::move(json), file, values_max(input_bytes));
    if (!document) return std::move(document).error();
    const auto found = search(document->root(), 0, part);
    if (!found) {
      const bool other =
          part != WorkflowPart::any && search(document->root(), 0, WorkflowPart::any);
      if (!other) return input_error(why_not(document->root()), file, "", kHint);
      const bool graph = part == WorkflowPart::graph;
      return input_error(graph ? "has a prompt but no graph" : "has a graph but no prompt", file,
                         "", graph ? "Leave out --workflow." : "Leave out --prompt.");
    }
    if (!found->as_text) return Parsed{std::move(*document), found->value, found->format};
    json = found->value.string();
  }
  return input_error("wraps JSON in JSON too often", file, "", kHint);
}

/// Bytes of a file, as far as they can matter.
Result<std::string> read_bytes(const std::string& path) {
  const auto size = file_size(path);
  if (!size) return size.error();
  const auto head = read_range(path, 0, 64);
  if (!head) return head.error();
  if (const auto header = safetensors_header_bytes(*head)) return read_range(path, 0, header);
  const auto kind = media_kind(*head);
  constexpr std::int64_t kSmall = std::int64_t{8} << 20;  // quicker read than skimmed
  if (*size > kSmall && (kind == "MP4" || kind == "WebM")) return skim_media(path, kind, *size);
  const bool early = kind == "FLAC" || kind == "Ogg" || kind == "MP3" || kind == "GLB";
  if (early) return read_range(path, 0, std::min(*size, kFileMax));
  return read_file(path, kFileMax);
}

}  // namespace

Workflow::Workflow() = default;
Workflow::Workflow(Workflow&&) noexcept = default;
Workflow& Workflow::operator=(Workflow&&) noexcept = default;
Workflow::~Workflow() = default;

WorkflowFormat Workflow::format() const { return state_->format; }
const std::string& Workflow::file() const { return state_->file; }
const std::string& Workflow::carrier() const { return state_->carrier; }
std::string_view Workflow::json() const { return state_->root.raw(); }

std::optional<ComfyVersion> Workflow::made_with() const { return ebb::made_with(state_->root); }

class WorkflowReader {
 public:
  static Workflow make(Parsed parsed, std::string file, std::string carrier,
                       std::size_t input_bytes) {
    Workflow workflow;
    workflow.state_ =
        std::make_unique<Workflow::State>(std::move(parsed.document), std::move(file));
    workflow.state_->root = parsed.root;
    workflow.state_->format = parsed.format;
    workflow.state_->carrier = std::move(carrier);
    workflow.state_->input_bytes = input_bytes;
    return workflow;
  }
};

Result<Workflow> read_workflow(const std::string& path, WorkflowPart part) {
  auto bytes = read_bytes(path);
  if (!bytes) return std::move(bytes).error();
  return parse_workflow(std::move(*bytes), path, part);
}

Result<Workflow> parse_workflow(std::string text, std::string file, WorkflowPart part) {
  const std::size_t input_bytes = text.size();
  auto texts = json_texts(std::move(text), file, part);
  if (!texts) return std::move(texts).error();
  std::optional<Error> first;
  for (std::string& json : texts->json) {
    auto parsed = parse(std::move(json), file, part, input_bytes);
    if (parsed) {
      return WorkflowReader::make(std::move(*parsed), std::move(file), std::move(texts->carrier),
                                  input_bytes);
    }
    if (!first) first = std::move(parsed).error();
  }
  return std::move(*first);
}

Result<Prompt> to_prompt(const Workflow& workflow, const PromptOptions& options) {
  const auto& state = workflow.state();
  const ConvertOptions convert{.version = options.version,
                               .definitions = options.definitions,
                               .repair = options.repair,
                               .version_assumed = options.version_assumed,
                               .input_bytes = state.input_bytes};
  auto prompt = state.format == WorkflowFormat::api_prompt
                    ? read_api_prompt(state.root, state.file, convert)
                    : convert_graph(state.root, state.file, convert);
  const std::string note = options.definitions ? note_of(*options.definitions) : "";
  if (prompt && state.format == WorkflowFormat::ui_graph) {
    prompt->stated_files = stated_files(state.root);
  }
  if (prompt && !note.empty()) prompt->notes.insert(prompt->notes.begin(), note);
  if (!prompt) return prompt;
  const std::string newer = newer_note(state.root, *prompt);
  if (!newer.empty()) prompt->notes.push_back(newer);
  return prompt;
}

Result<Prompt> to_prompt(const Workflow& workflow, const ComfyVersion& version) {
  return to_prompt(workflow, PromptOptions(version));
}

}  // namespace ebb
