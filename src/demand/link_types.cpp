// SPDX-License-Identifier: Apache-2.0
#include "demand/link_types.h"

#include <algorithm>
#include <unordered_set>

#include "base/text.h"
#include "demand/classes.h"

namespace ebb {
namespace {

constexpr std::string_view kSettings[] = {"INT",   "FLOAT",   "STRING", "BOOLEAN",
                                          "COMBO", "SAMPLER", "SIGMAS", "NOISE"};
constexpr std::string_view kEndings[] = {"MODEL", "VAE", "CLIP", "ENCODER", "DETECTOR", "GUIDER"};

bool comes_from_loader(std::string_view type) {
  static const auto* const types = [] {
    auto* made = new std::unordered_set<std::string_view>;  // lives as long as we
    for (const LoaderRow& row : all_loader_rows()) made->insert(row.gives);
    return made;
  }();
  return types->contains(type);
}

}  // namespace

LinkKind link_kind(std::string_view type) {
  if (type.empty() || type == "*") return LinkKind::any;
  if (std::ranges::find(kSettings, type) != std::end(kSettings)) return LinkKind::settings;
  if (comes_from_loader(type)) return LinkKind::weights;
  if (type.ends_with("_OUTPUT")) return LinkKind::data;  // CLIP_VISION_OUTPUT: what it made
  const auto ends = [&](std::string_view ending) { return type.ends_with(ending); };
  const bool named =
      std::ranges::any_of(kEndings, ends) || contains(type, "MODEL") || contains(type, "PIPE");
  return named ? LinkKind::weights : LinkKind::data;
}

}  // namespace ebb
