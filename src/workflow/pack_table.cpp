// SPDX-License-Identifier: Apache-2.0
#include "workflow/pack_table.h"

#include <algorithm>

#include "base/text.h"

namespace ebb {
namespace {

struct PackRow {
  std::string_view name, widgets, outputs;
  int observations;
};

#include "workflow/pack_table.inc"

constexpr std::string_view kKinEndings[] = {"DisTorch2MultiGPU", "DisTorchMultiGPU", "MultiGPU",
                                            "DisTorch2",         "DisTorch",         "GGUF"};

char kind_of(const InputDefinition& input) {
  if (input.type == "INT" || input.type == "FLOAT") return 'n';
  if (input.type == "BOOLEAN") return 'b';
  return input.type == "STRING" || input.type == "COMBO" ? 's' : 'x';
}

}  // namespace

std::optional<PackClass> find_pack_class(std::string_view class_type) {
  const auto row = std::ranges::lower_bound(kPackRows, class_type, {}, &PackRow::name);
  if (row == std::end(kPackRows) || row->name != class_type) return std::nullopt;
  PackClass found;
  for (const auto widget : split(row->widgets, '\t')) {
    if (!widget.empty()) found.widgets.push_back({widget[0], std::string(widget.substr(1))});
  }
  for (const auto type : split(row->outputs, '\t')) {
    if (!type.empty()) found.outputs.emplace_back(type);
  }
  found.observations = row->observations;
  return found;
}

std::vector<PackWidget> find_kin_widgets(std::string_view class_type) {
  for (const std::string_view ending : kKinEndings) {
    if (!class_type.ends_with(ending)) continue;
    class_type.remove_suffix(ending.size());
    break;
  }
  constexpr ComfyVersion kNewest{1'000, 0, 0};
  const NodeDefinition* kin = find_node(class_type, kNewest);
  std::vector<PackWidget> widgets;
  if (!kin || !class_type.ends_with("Loader")) return widgets;
  for (const InputDefinition& input : kin->inputs) {
    if (input.has_widget()) widgets.push_back({kind_of(input), input.name});
  }
  return widgets;
}

bool fits(const PackWidget& widget, const JsonValue& value) {
  switch (widget.kind) {
    case 's': return value.is_string() || value.is_null();
    case 'n': return value.is_number();
    case 'b': return value.kind() == JsonKind::boolean;
    case 'o': return value.is_object() || value.is_null();
    default: return true;
  }
}

}  // namespace ebb
