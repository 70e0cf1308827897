// SPDX-License-Identifier: Apache-2.0
// Definitions as a server tells them (`GET /object_info`): a class is read when it is first asked
// for. The attributes are those that tools/make_node_table.py keeps in the project's own table.
#include "workflow/object_info.h"

#include <algorithm>
#include <map>

#include "ebb/file.h"
#include "json/document.h"
#include "workflow/js_value.h"

namespace ebb {

namespace {

constexpr std::int64_t kFileMax = std::int64_t{512} << 20;
constexpr int kDepthMax = 16;  // dynamic combos in dynamic combos

/// What each match group of a class allows.
using Allowed = std::map<std::string, std::string>;

bool is_true(const JsonValue& value) {
  return value.boolean().value_or(false) || (value.is_number() && value.number() != 0.0);
}

std::vector<InputDefinition> read_sections(const JsonValue& sections, const JsonValue& order,
                                           Allowed& allowed, int depth);

void read_plain(const JsonValue& options, InputDefinition& input) {
  if (const JsonValue value = options.find("default"); value.exists() && !value.is_null()) {
    input.initial = js_text(value);
  }
  input.min = options.find("min").number();
  input.max = options.find("max").number();
  input.step = options.find("step").number();
  input.round = options.find("round").number();
  input.force_input = is_true(options.find("forceInput"));
  input.lazy = is_true(options.find("lazy"));
  input.dynamic_prompts = is_true(options.find("dynamicPrompts"));
  input.multiline = is_true(options.find("multiline"));
  if (const JsonValue control = options.find("control_after_generate"); control.exists()) {
    input.control = control.is_string() || is_true(control);
  }
  for (const char* upload : {"image_upload", "video_upload", "animated_image_upload"}) {
    input.upload |= input.type == "COMBO" && is_true(options.find(upload));
  }
  if (!input.type.starts_with("COMFY_")) input.widget_type = options.find("widgetType").text_or("");
}

InputDefinition read_input(const std::string& name, const JsonValue& spec, bool optional,
                           Allowed& allowed, int depth) {
  const JsonValue kind = spec.at(0), options = spec.at(1), more = options.find("template");
  InputDefinition input;
  input.name = name;
  input.optional = optional;
  input.type = kind.is_array() ? "COMBO" : kind.string();
  if (input.type == "COMFY_MATCHTYPE_V3") {
    input.match = more.find("template_id").text_or("");
    input.type = more.find("allowed_types").text_or("*");
    allowed[input.match] = input.type;
  }
  read_plain(options, input);
  if (input.type == "COMBO") {
    const JsonValue first = (kind.is_array() ? kind : options.find("options")).at(0);
    if (first.exists()) input.first = js_text(first);
  }
  input.dynamic_combo = input.type == "COMFY_DYNAMICCOMBO_V3";
  input.autogrow = input.type == "COMFY_AUTOGROW_V3";
  if (input.dynamic_combo && depth < kDepthMax) {
    for (const JsonValue option : options.find("options")) {
      input.options.emplace_back(option.find("key").text_or(""),
                                 read_sections(option.find("inputs"), {}, allowed, depth + 1));
    }
  }
  if (input.autogrow && depth < kDepthMax) {
    const auto members = read_sections(more.find("input"), {}, allowed, depth + 1);
    if (!members.empty()) input.member_type = members[0].type;
  }
  return input;
}

std::vector<InputDefinition> read_sections(const JsonValue& sections, const JsonValue& order,
                                           Allowed& allowed, int depth) {
  std::vector<InputDefinition> inputs;
  for (const char* section : {"required", "optional"}) {
    const bool optional = section[0] == 'o';
    const JsonValue specs = sections.find(section), names = order.find(section);
    if (names.is_array()) {
      for (const JsonValue name : names) {
        const JsonValue spec = specs.find(name.string());
        if (spec.exists()) {
          inputs.push_back(read_input(name.string(), spec, optional, allowed, depth));
        }
      }
      continue;
    }
    for (const JsonValue spec : specs) {
      inputs.push_back(read_input(spec.key(), spec, optional, allowed, depth));
    }
  }
  return inputs;
}

std::unique_ptr<NodeDefinition> read_class(const std::string& name, const JsonValue& info) {
  auto node = std::make_unique<NodeDefinition>();
  Allowed allowed;
  node->name = name;
  node->display_name = info.find("display_name").text_or(name);
  node->inputs = read_sections(info.find("input"), info.find("input_order"), allowed, 0);
  const auto groups = elements_of(info.find("output_matchtypes"));
  for (const JsonValue type : info.find("output")) {
    const std::size_t i = node->outputs.size();
    const auto group = i < groups.size() ? allowed.find(groups[i].string()) : allowed.end();
    if (i < groups.size() && groups[i].is_string()) node->match_output = true;
    node->outputs.push_back(group != allowed.end() ? group->second : type.text_or("COMBO"));
  }
  node->output_node = is_true(info.find("output_node"));
  node->api_node = is_true(info.find("api_node"));
  return node;
}

bool is_class(const JsonValue& value) {
  return value.find("input").is_object() && value.find("output").is_array();
}

}  // namespace

NodeDefinitions::NodeDefinitions() = default;
NodeDefinitions::NodeDefinitions(NodeDefinitions&&) noexcept = default;
NodeDefinitions& NodeDefinitions::operator=(NodeDefinitions&&) noexcept = default;
NodeDefinitions::~NodeDefinitions() = default;

Result<NodeDefinitions> parse_definitions(std::string text, const std::string& file) {
  auto document = JsonDocument::parse(std::move(text), file);
  if (!document) return std::move(document).error();
  NodeDefinitions definitions;
  definitions.state_ = std::make_unique<NodeDefinitions::State>(std::move(*document));
  auto& state = *definitions.state_;
  for (const JsonValue value : state.document.root()) {
    if (is_class(value)) state.classes[value.key()] = value;
  }
  if (state.classes.empty()) {
    return input_error(
        "has no definitions of nodes", file, "",
        "Save what a running ComfyUI answers to GET /object_info, or give its address.");
  }
  return definitions;
}

Result<NodeDefinitions> read_definitions(const std::string& path) {
  auto text = read_file(path, kFileMax);
  if (!text) return std::move(text).error();
  return parse_definitions(std::move(*text), path);
}

const std::string& note_of(const NodeDefinitions& server) { return server.state().note; }

const NodeDefinition* find_node(std::string_view class_type, const NodeDefinitions& server) {
  const NodeDefinitions::State& state = server.state();
  const std::string name(class_type);
  const auto found = state.classes.find(name);
  if (found == state.classes.end()) return nullptr;
  const std::lock_guard lock(state.mutex);
  auto& node = state.read[name];
  if (!node) node = read_class(name, found->second);
  return node.get();
}

}  // namespace ebb
