// SPDX-License-Identifier: Apache-2.0
// Ebb's own nodes: what each does to a prompt. Their titles, sockets and widgets are definitions
// like any other class's (own_nodes.inc, found by find_node); comfyui/facts.py is made from both.
#pragma once

#include <span>
#include <string_view>

namespace ebb {

inline constexpr std::string_view kUnloadModels = "UnloadModels", kEbbCut = "EbbCut",
                                  kEbbBudget = "EbbBudget";

/// A node that a patch puts on a link: it hands on what it gets.
struct OwnNode {
  std::string_view class_type;
  std::string_view handed_on;  ///< the input whose value comes out again
  bool ends_pass;              ///< whether it makes a cut
};

std::span<const OwnNode> own_nodes();

/// The row of a class; null for all that are not ours.
const OwnNode* own_node(std::string_view class_type);

}  // namespace ebb
