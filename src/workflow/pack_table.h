// SPDX-License-Identifier: Apache-2.0
// Classes of packs: the order of their widgets, as public workflow files show it. A table of
// observations, not of definitions: what comes from it is a guess and is reported as one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/document.h"
#include "workflow/node_table.h"

namespace ebb {

/// A widget and the kind of its values: s text, n number, b truth, o object, x several kinds.
struct PackWidget {
  char kind = 'x';
  std::string name;
};

struct PackClass {
  std::vector<PackWidget> widgets;
  std::vector<std::string> outputs;  ///< types; empty where observations differ
  int observations = 0;
};

/// The class, or nothing. Allocates; ask once a node.
std::optional<PackClass> find_pack_class(std::string_view class_type);

/// Widgets of the class of ComfyUI that a loader of another pack stands in for, by its name:
/// `CLIPLoaderGGUF` for `CLIPLoader`. Empty if there is none.
std::vector<PackWidget> find_kin_widgets(std::string_view class_type);

/// Whether a saved value can be one of this widget's.
bool fits(const PackWidget& widget, const JsonValue& value);

}  // namespace ebb
