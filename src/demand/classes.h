// SPDX-License-Identifier: Apache-2.0
// Loader classes: which inputs name files, of which kind, and what comes out.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/weights.h"
#include "ebb/workflow.h"

namespace ebb {

/// One set of weights that a loader class gives.
struct LoaderRow {
  const char* class_type;
  const char* gives;   ///< type of the output: `MODEL`, `CLIP`, `VAE`
  const char* suffix;  ///< of the weights' id, for loaders that give several
  WeightsRole role;
  const char* folder;                ///< ComfyUI's folder kind
  std::array<const char*, 4> files;  ///< inputs that name files, null after the last
  const char* type_input;            ///< input that decides how types are cast; null: none
};

/// The rows of a class, MultiGPU and DisTorch variants included; empty for other classes.
std::vector<const LoaderRow*> loader_rows(std::string_view class_type);

/// All of them: ComfyUI's own (made by tools/make_loader_table.py) and those of packs.
std::span<const LoaderRow> all_loader_rows();

/// A request for find_weights, or nothing where the file's name is linked or missing.
std::optional<WeightsRequest> loader_request(const LoaderRow& row, const PromptNode& node);

/// LoRA files that a node puts on a model, those with strength 0 or switched off left out.
std::vector<std::string> lora_files(const PromptNode& node);

/// Loaders whose models ComfyUI's memory manager never sees.
bool is_unmanaged_loader(std::string_view class_type);
bool is_unmanaged_sampler(std::string_view class_type);

}  // namespace ebb
