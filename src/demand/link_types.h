// SPDX-License-Identifier: Apache-2.0
// What flows through a link, by its type: the one table that passes, cuts and nodes go by.
#pragma once

#include <string_view>

namespace ebb {

enum class LinkKind {
  any,       ///< `*`, or a type nobody told
  weights,   ///< a model, or something that holds one: they cross cuts without being handed over
  settings,  ///< numbers, texts, samplers: next to nothing
  data,      ///< results that take room: latents, pictures, conditioning
};

/// Weights are what ComfyUI's own loader classes give (loader_table.inc), guiders, and what packs
/// call a model, a VAE, a text encoder or a detector.
LinkKind link_kind(std::string_view type);

}  // namespace ebb
