// SPDX-License-Identifier: Apache-2.0
// How ComfyUI counts a model: element types after loading, modules, and what lies outside them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/machine.h"
#include "ebb/weights.h"
#include "weights/header.h"
#include "weights/tensors.h"

namespace ebb {

struct CountRules {
  WeightsRole role = WeightsRole::other;
  ComfyVersion comfyui;
  HeaderFormat format = HeaderFormat::safetensors;
  bool cast_to_fp8 = false;  ///< UNETLoader's weight_dtype asks for one byte a value
  bool fp32 = false;         ///< held so, whatever the file holds: upscalers, LTX's audio VAE
  std::string architecture;  ///< decides the size of the sampling table beside the weights
};

/// Rows of a token embedding from which on ComfyUI-GGUF keeps it in fp16.
constexpr std::int64_t kLargeVocabulary = 65'536;

struct Count {
  std::int64_t bytes = 0;
  std::int64_t listed_bytes = 0;
  std::int64_t parameters = 0;
  std::string stored_type;
  std::vector<ModuleGroup> modules;
};

Count count_tensors(const TensorSet& part, const CountRules& rules);

/// Runs that add up to `bytes`: modules of about 25 MiB, all castable. For weights whose modules
/// are not known. `offload_ratio`: extra room to stream one, as a multiple of its size.
std::vector<ModuleGroup> uniform_modules(std::int64_t bytes, double offload_ratio);

/// The structure of another model, scaled to `bytes`. For the same architecture in another type.
std::vector<ModuleGroup> scaled_modules(const std::vector<ModuleGroup>& runs, std::int64_t bytes);

std::int64_t sum_of(const std::vector<ModuleGroup>& runs);

/// Runs of several models loaded as one, in load order again.
std::vector<ModuleGroup> merge_modules(std::vector<ModuleGroup> a,
                                       const std::vector<ModuleGroup>& b);

/// ComfyUI keeps a sampling table with each diffusion model, in fp32: 1,000 or 10,000 values.
std::int64_t sampling_table_bytes(std::string_view architecture);

/// A VAE that ComfyUI may hold in bf16 or in fp32, but not in fp16, is held in four bytes a value
/// on cards where bf16 is slow; others stay as they are.
void hold_vae_in_fp32(Weights& weights);

}  // namespace ebb
