// SPDX-License-Identifier: Apache-2.0
// The library's tables that the node pack needs without the library, as JSON:
// tools/make_pack_facts.py writes comfyui/facts.py from it.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "demand/architectures.h"
#include "demand/classes.h"
#include "demand/link_types.h"
#include "ebb/pass.h"
#include "json/write.h"
#include "workflow/node_table.h"
#include "workflow/own_nodes.h"

namespace ebb {
namespace {

void print_versions(JsonWriter& out) {
  out.key("versions").begin_array();
  for (const ComfyVersion& version : kColumns) {
    out.begin_array().value(version.major).value(version.minor).value(version.patch).end_array();
  }
  out.end_array();
}

/// Rows whose live bytes were traced and go by tokens: what a budget may be read off.
void print_rows(JsonWriter& out) {
  out.key("rows").begin_array();
  for (const DiffusionRow& row : diffusion_rows()) {
    if (row.rule != LiveRule::tokens || row.kind != NumberKind::measured) continue;
    out.begin_object().member("key", std::string_view(row.key)).member("hidden", row.hidden);
    out.member("cast_mib", row.cast_mib).member("high", row.high).key("live").begin_array();
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      const SampleLive& live = row.live[i];
      out.begin_array().value(live.rate).value(live.item_mib).value(live.reserved).end_array();
    }
    out.end_array().end_object();
  }
  out.end_array();
}

/// What loaders read, and the types of what they give.
void print_loaders(JsonWriter& out) {
  std::map<std::string, std::pair<std::string, std::set<std::string>>> classes;
  std::set<std::string> types;
  for (const LoaderRow& row : all_loader_rows()) {
    types.insert(row.gives);
    auto& [folder, inputs] = classes[row.class_type];
    folder = row.folder;
    for (const char* file : row.files) {
      if (file) inputs.insert(file);
    }
  }
  out.key("loaders").begin_object();
  for (const auto& [name, row] : classes) {
    out.key(name).begin_array().value(std::string_view(row.first));
    for (const std::string& input : row.second) out.value(std::string_view(input));
    out.end_array();
  }
  out.end_object().key("loaded_types").begin_array();
  for (const std::string& type : types) {
    if (link_kind(type) == LinkKind::weights) out.value(std::string_view(type));
  }
  out.end_array();
}

void print_nodes(JsonWriter& out) {
  out.key("nodes").begin_array();
  for (const std::string_view name : {"UnloadModels", "EbbCut", "EbbBudget", "EbbReport"}) {
    const NodeDefinition* node = find_node(name, newest_definitions());
    out.begin_object().member("class", name).member("title", std::string_view(node->display_name));
    out.member("placed", own_node(name) != nullptr).key("widgets").begin_object();
    for (const InputDefinition& input : node->inputs) {
      if (input.has_widget()) out.key(input.name).raw(*input.initial);
    }
    out.end_object()
        .member("sockets", std::ranges::count_if(
                               node->inputs, [](const auto& input) { return !input.has_widget(); }))
        .end_object();
  }
  out.end_array();
}

void print_facts() {
  JsonWriter out;
  out.begin_object();
  print_versions(out);
  print_rows(out);
  print_loaders(out);
  print_nodes(out);
  out.key("verdicts").begin_array();
  for (int i = 0; i < rank(Verdict::unknown); ++i) {
    out.value(std::string_view(to_string(static_cast<Verdict>(i))));
  }
  out.end_array().end_object();
  fmt::print("{}\n", std::move(out).finish());
}

}  // namespace
}  // namespace ebb

int main() { ebb::print_facts(); }
