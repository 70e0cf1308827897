// SPDX-License-Identifier: Apache-2.0
// What is known of public model files by their names, without having them: a table of well-known
// files, and patterns of (family, element type) for their variants.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ebb/weights.h"

namespace ebb {

/// One model in one element type. Files refer to it by key, which is also its key in the module
/// table where its modules were recorded.
struct KnownModel {
  std::string_view key = {};
  WeightsRole role = WeightsRole::other;
  std::string_view architecture = {};
  std::string_view stored_type = {};   ///< `fp16`, `fp8_e4m3fn_scaled`, `Q4_K_M`
  std::int64_t parameters = 0;         ///< 0: not known
  std::string_view structure = {};     ///< module-table key to take proportions from; may be empty
  std::int64_t loader_parameters = 0;  ///< values in a text encoder's file, if more than loaded
  std::int64_t bytes = 0;              ///< counted size where neither table nor formula gives it
};

std::span<const KnownModel> known_models();
const KnownModel* find_known_model(std::string_view key);

/// Stands for a part that a checkpoint is known not to hold.
constexpr std::string_view kNoPart = "none";

/// One public file. A checkpoint has up to three models in it.
struct KnownFile {
  std::string_view name = {};  ///< lower case, without folder
  std::string_view model = {};
  std::int64_t file_bytes = 0;       ///< 0: not known
  std::string_view repository = {};  ///< whose public listing states file_bytes; empty: computed
  std::string_view clip = {};        ///< checkpoints: key of the text encoder inside, kNoPart
  std::string_view vae = {};         ///< checkpoints: key of the VAE inside, kNoPart
  std::string_view audio_vae = {};   ///< checkpoints: key of the audio VAE inside
};

std::span<const KnownFile> known_files();

/// By the name without its folder, in any case; also as downloads are renamed (`x (1).safetensors`)
/// and with underscores before the extension.
const KnownFile* find_known_file(std::string_view name);

/// What a name says by its pattern alone.
struct NameGuess {
  WeightsRole role = WeightsRole::other;
  std::string architecture;
  std::string stored_type;       ///< empty: the name does not say
  std::int64_t parameters = 0;   ///< 0: not known for this family
  double bits = 0;               ///< per value as stored; 0: not known
  std::string structure;         ///< module-table key of a relative; may be empty
  int within_percent = 0;        ///< how far off files of this kind are; 0: the count is exact
  std::int64_t kept_values = 0;  ///< of the parameters, those that quantised files keep in 16 bits
  int lora_rank = 0;             ///< LoRAs: the rank that the name says
};

/// `part`: the id suffix of a checkpoint's part (`.clip`, `.vae`), which changes what is meant.
std::optional<NameGuess> guess_from_name(std::string_view name, WeightsRole role, bool checkpoint,
                                         std::string_view part);

/// The element type that a name says, `fp8_e4m3fn`; empty if none.
std::string_view type_in_name(std::string_view name);

/// Bits per value of an element type as stored, `Q4_K_M` mixes included; 0 if unknown.
double bits_per_value(std::string_view stored_type);

}  // namespace ebb
