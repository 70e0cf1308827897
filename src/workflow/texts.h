// SPDX-License-Identifier: Apache-2.0
// Texts that the front end changes on their way: dynamic prompts and `%...%` in file names.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "workflow/graph.h"

namespace ebb {

/// Cuts comments, takes the first member of each `{a|b}` (the front end takes a random one, which
/// `chosen` reports), and frees escaped braces.
std::string plain_prompt(std::string_view text, bool* chosen = nullptr);

/// Finds nodes by what `%Node.widget%` may call them. REQUIRES: `set` does not change its nodes.
class NameReplacer {
 public:
  explicit NameReplacer(GraphSet& set);
  /// `%date:FORMAT%` becomes the present local time, `%Node.widget%` that widget's value.
  /// Tells in `doubt` why the result may be another.
  std::string replace(const std::string& text, const char** doubt = nullptr);

 private:
  std::string meaning(std::string_view text, std::string_view whole, const char*& doubt);
  void index();

  GraphSet& set_;
  bool indexed_ = false;
  std::unordered_map<std::string, const GraphNode*> by_property_, by_title_;
};

/// Whether the front end replaces names in this class's `filename_prefix`.
bool replaces_prefix(std::string_view class_type);

}  // namespace ebb
