// SPDX-License-Identifier: Apache-2.0
#include "workflow/node_table.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>

#include "json/document.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

struct VersionTable {
  ComfyVersion version;
  std::span<const std::string_view> lines;
};

#include "workflow/node_table.inc"

constexpr std::string_view kDynamicCombo = "COMFY_DYNAMICCOMBO_V3";
constexpr std::string_view kAutogrow = "COMFY_AUTOGROW_V3";

std::vector<InputDefinition> read_inputs(const JsonValue& list);

void read_attribute(const JsonValue& value, InputDefinition& input) {
  switch (value.key()[0]) {
    case 'd':
      if (value.is_null()) {
        input.long_default = true;
      } else {
        input.initial = js_text(value);
      }
      break;
    case 'e': input.first = js_text(value); break;
    case 'm': input.min = value.number(); break;
    case 'M': input.max = value.number(); break;
    case 's': input.step = value.number(); break;
    case 'r': input.round = value.number(); break;
    case 'c': input.control = value.integer_or(0) != 0; break;
    case 'f': input.force_input = true; break;
    case 'l': input.lazy = true; break;
    case 'p': input.dynamic_prompts = true; break;
    case 'a': input.multiline = true; break;
    case 'u': input.upload = true; break;
    case 'q': input.optional = true; break;
    case 'w': input.widget_type = value.string(); break;
    case 'y': input.match = value.string(); break;
    case 'o':
      for (const JsonValue option : value) {
        input.options.emplace_back(option.at(0).string(), read_inputs(option.at(1)));
      }
      break;
    case 't': input.member_type = value.at(0).at(1).string(); break;
    default: break;
  }
}

std::vector<InputDefinition> read_inputs(const JsonValue& list) {
  std::vector<InputDefinition> inputs;
  inputs.reserve(list.size());
  for (const JsonValue item : list) {
    InputDefinition input;
    input.name = item.at(0).string();
    input.type = item.at(1).string();
    for (const JsonValue attribute : item.at(2)) read_attribute(attribute, input);
    input.dynamic_combo = input.type == kDynamicCombo;
    input.autogrow = input.type == kAutogrow;
    inputs.push_back(std::move(input));
  }
  return inputs;
}

/// REQUIRES: `line` is a line of the table with a definition.
std::unique_ptr<NodeDefinition> read_line(std::string_view line) {
  const auto tab = line.find('\t');
  const auto document = JsonDocument::parse(std::string(line.substr(tab + 1)));
  assert(document.ok());
  const JsonValue root = document->root();
  const auto flags = root.at(0).integer_or(0);
  auto node = std::make_unique<NodeDefinition>();
  node->name = line.substr(0, tab);
  node->display_name = root.at(1).string();
  for (const JsonValue type : root.at(2)) node->outputs.push_back(type.string());
  node->inputs = read_inputs(root.at(3));
  node->output_node = flags & 1;
  node->api_node = flags & 2;
  node->match_output = flags & 8;
  return node;
}

std::string_view class_of(std::string_view line) { return line.substr(0, line.find('\t')); }

/// The line of a class in one table, or nothing.
std::string_view find_line(const VersionTable& table, std::string_view class_type) {
  const auto at = std::ranges::lower_bound(table.lines, class_type, {}, class_of);
  return at != table.lines.end() && class_of(*at) == class_type ? *at : std::string_view();
}

/// The line of a class as version `index` has it: its own, else the newest version's.
std::string_view line_at(std::size_t index, std::string_view class_type) {
  std::string_view line = find_line(kTables[index], class_type);
  if (line.empty()) line = find_line(kTables[0], class_type);
  return line.ends_with("\t-") ? std::string_view() : line;
}

#include "workflow/own_nodes.inc"

constexpr VersionTable kOwnTable = {{}, kOwnNodes};

/// Tables are sorted newest first. The wanted one, then newer ones, then older ones.
std::vector<std::size_t> order_of_search(const ComfyVersion& version) {
  const std::size_t count = std::size(kTables);
  std::size_t wanted = 0;
  while (wanted + 1 < count && kTables[wanted].version > version) ++wanted;
  std::vector<std::size_t> order;
  for (std::size_t i = wanted + 1; i-- > 0;) order.push_back(i);
  for (std::size_t i = wanted + 1; i < count; ++i) order.push_back(i);
  return order;
}

struct Cache {
  std::shared_mutex mutex;
  std::map<std::pair<std::size_t, std::string_view>, std::unique_ptr<NodeDefinition>> nodes;
};

}  // namespace

bool InputDefinition::has_widget() const {
  constexpr std::string_view kTypes[] = {"INT",    "FLOAT", "STRING",       "BOOLEAN",
                                         "COMBO",  "COLOR", "BOUNDING_BOX", "BOUNDING_BOXES",
                                         "COLORS", "CURVE", "COMPOSITOR",   "RANGE",
                                         "LOAD_3D"};
  if (force_input) return false;
  return std::ranges::find(kTypes, type) != std::end(kTypes) || dynamic_combo ||
         !widget_type.empty();
}

ComfyVersion newest_definitions() { return kTables[0].version; }

std::optional<ComfyVersion> definitions_not_before(const ComfyVersion& version) {
  std::optional<ComfyVersion> found;
  for (const VersionTable& table : kTables) {
    if (table.version >= version) found = table.version;
  }
  return found;
}

const NodeDefinition* find_node(std::string_view class_type, const ComfyVersion& version) {
  static Cache cache;
  const auto order = order_of_search(version);
  const std::string_view own = find_line(kOwnTable, class_type);
  for (const std::size_t index : order) {
    const std::string_view line = own.empty() ? line_at(index, class_type) : own;
    if (line.empty()) continue;
    {
      const std::shared_lock lock(cache.mutex);
      if (const auto at = cache.nodes.find({order.front(), line}); at != cache.nodes.end()) {
        return at->second.get();
      }
    }
    auto node = read_line(line);
    node->newer = own.empty() && kTables[index].version > version && index != order.front();
    const std::unique_lock lock(cache.mutex);
    return cache.nodes.try_emplace({order.front(), line}, std::move(node)).first->second.get();
  }
  return nullptr;
}

}  // namespace ebb
