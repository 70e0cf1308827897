// SPDX-License-Identifier: Apache-2.0
#include "workflow/own_nodes.h"

#include <algorithm>

namespace ebb {
namespace {

constexpr OwnNode kRows[] = {
    {kUnloadModels, "anything", true}, {kEbbCut, "anything", true}, {kEbbBudget, "model", false}};

}  // namespace

std::span<const OwnNode> own_nodes() { return kRows; }

const OwnNode* own_node(std::string_view class_type) {
  const auto row = std::ranges::find(kRows, class_type, &OwnNode::class_type);
  return row == std::end(kRows) ? nullptr : row;
}

}  // namespace ebb
