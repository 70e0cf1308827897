// SPDX-License-Identifier: Apache-2.0
// What kind of workflow a file is, decided by its content.
#include "ebb/workflow.h"

#include <fmt/format.h>

#include "base/text.h"
#include "ebb/file.h"
#include "workflow/embedded.h"
#include "workflow/state.h"

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

/// Finds the graph, else the prompt, in a document or in the objects people wrap them in.
std::optional<Found> search(const JsonValue& root, int depth) {
  if (auto found = look_at(root); found && !found->as_text) return found;
  if (depth >= kWrappersMax || !root.is_object()) return std::nullopt;
  for (const char* key : {"workflow", "prompt", "output"}) {
    const JsonValue member = root.find(key);
    if (auto found = look_at(member)) return found;
    if (auto found = search(member, depth + 1)) return found;
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

struct Text {
  std::string json;
  std::string prompt;  ///< tried if `json` is no workflow
};

/// The JSON text of a file: its own bytes, or what a picture carries.
Result<Text> json_text(std::string bytes, const std::string& file) {
  if (media_kind(bytes).empty()) {
    if (auto checked = check_text(bytes, file); !checked) return std::move(checked).error();
    return Text{std::move(bytes), {}};
  }
  auto texts = read_embedded(bytes, file);
  if (!texts) return std::move(texts).error();
  if (texts->workflow.empty() && texts->prompt.empty()) {
    const auto kind = std::string(media_kind(bytes));
    return input_error(texts->truncated ? "the " + kind +
                                              " ends early and no workflow was found "
                                              "up to there"
                                        : "the " + kind + " carries no workflow",
                       file, "",
                       "Media lose it when they are edited or re-saved; look for the original.");
  }
  if (texts->workflow.empty()) return Text{std::move(texts->prompt), {}};
  return Text{std::move(texts->workflow), std::move(texts->prompt)};
}

struct Parsed {
  JsonDocument document;
  JsonValue root;
  WorkflowFormat format;
};

Result<Parsed> parse(std::string json, const std::string& file) {
  for (int depth = 0; depth < kWrappersMax; ++depth) {
    auto document = JsonDocument::parse(std::move(json), file);
    if (!document) return std::move(document).error();
    const auto found = search(document->root(), 0);
    if (!found) return input_error(why_not(document->root()), file, "", kHint);
    if (!found->as_text) return Parsed{std::move(*document), found->value, found->format};
    json = found->value.string();
  }
  return input_error("wraps JSON in JSON too often", file, "", kHint);
}

void collect_models(const JsonValue& list, std::map<std::string, std::string>& models) {
  for (const JsonValue model : list) {
    const std::string name = model.find("name").text_or("");
    if (!name.empty()) models.try_emplace(name, model.find("directory").text_or(""));
  }
}

void collect_node_models(const JsonValue& nodes, std::map<std::string, std::string>& models) {
  for (const JsonValue node : nodes) {
    collect_models(node.find("properties").find("models"), models);
  }
}

}  // namespace

Workflow::Workflow() = default;
Workflow::Workflow(Workflow&&) noexcept = default;
Workflow& Workflow::operator=(Workflow&&) noexcept = default;
Workflow::~Workflow() = default;

WorkflowFormat Workflow::format() const { return state_->format; }
const std::string& Workflow::file() const { return state_->file; }
std::string_view Workflow::json() const { return state_->root.raw(); }

std::map<std::string, std::string> Workflow::declared_models() const {
  std::map<std::string, std::string> models;
  const JsonValue& root = state_->root;
  if (state_->format != WorkflowFormat::ui_graph) return models;
  collect_node_models(root.find("nodes"), models);
  for (const JsonValue definition : root.find("definitions").find("subgraphs")) {
    collect_node_models(definition.find("nodes"), models);
  }
  collect_models(root.find("models"), models);
  return models;
}

Result<Workflow> read_workflow(const std::string& path) {
  const auto head = read_range(path, 0, 16);
  const std::int64_t header = head ? safetensors_header_bytes(*head) : 0;
  auto bytes = header > 0 ? read_range(path, 0, header) : read_file(path, kFileMax);
  if (!bytes) return std::move(bytes).error();
  return parse_workflow(std::move(*bytes), path);
}

Result<Workflow> parse_workflow(std::string text, std::string file) {
  auto json = json_text(std::move(text), file);
  if (!json) return std::move(json).error();
  auto parsed = parse(std::move(json->json), file);
  if (!parsed && !json->prompt.empty()) {
    auto second = parse(std::move(json->prompt), file);
    if (second) parsed = std::move(second);
  }
  if (!parsed) return std::move(parsed).error();
  Workflow workflow;
  workflow.state_ = std::make_unique<Workflow::State>(std::move(parsed->document), std::move(file));
  workflow.state_->root = parsed->root;
  workflow.state_->format = parsed->format;
  return workflow;
}

Result<Prompt> to_prompt(const Workflow& workflow, const ComfyVersion& version) {
  const auto& state = workflow.state();
  if (state.format == WorkflowFormat::api_prompt) {
    return read_api_prompt(state.root, state.file, version);
  }
  return convert_graph(state.root, state.file, {.version = version});
}

}  // namespace ebb
