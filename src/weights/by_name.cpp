// SPDX-License-Identifier: Apache-2.0
#include "weights/by_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "machine/versions.h"
#include "weights/count.h"
#include "weights/folders.h"
#include "weights/layers.h"
#include "weights/stated.h"

namespace ebb {
namespace {

std::string version_text(const ComfyVersion& version) {
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

/// Streaming room per byte of a module, from 0.4.0 on, for weights whose modules are assumed.
double offload_ratio(WeightsRole role, std::int64_t bytes, std::int64_t parameters,
                     const ComfyVersion& version) {
  if (!rules_for(version).looks_ahead || parameters <= 0 || bytes <= 0) return 0;
  const double values_per_byte = static_cast<double>(parameters) / static_cast<double>(bytes);
  if (role == WeightsRole::text_encoder) return 4 * values_per_byte;
  const bool quantised = values_per_byte > 0.75;
  return role == WeightsRole::diffusion && quantised ? 2 * values_per_byte : 0;
}

std::int64_t bytes_of(std::int64_t parameters, double bits) {
  return static_cast<std::int64_t>(static_cast<double>(parameters) * std::min(bits, 16.0) / 8);
}

/// Counted size of a known model; 0 if nothing but its file's size tells.
std::int64_t counted_bytes(const KnownModel& model, const ComfyVersion& version) {
  if (const ModuleRow* row = find_module_row(model.key, version)) return row->bytes;
  if (model.bytes > 0) return model.bytes;
  const double bits = bits_per_value(model.stored_type);
  if (model.parameters == 0 || bits == 0) return 0;
  if (model.architecture == "audio-vae") return 4 * model.parameters;  // held in fp32
  return bytes_of(model.parameters, bits) +
         (model.role == WeightsRole::diffusion ? sampling_table_bytes(model.architecture) : 0);
}

}  // namespace

bool is_diffusers(const WeightsRequest& request) { return request.folder == "diffusers"; }

bool is_checkpoint(const WeightsRequest& request) {
  return folder_kind(request.folder) == "checkpoints" || is_diffusers(request) ||
         !request.id_suffix.empty();
}

bool loads_audio(const WeightsRequest& request) {
  return request.role == WeightsRole::vae && contains(request.loader_class, "Audio");
}

bool casts_to_fp8(const WeightsRequest& request) {
  return request.role == WeightsRole::diffusion && request.weight_type.starts_with("fp8_");
}

void set_row(Weights& weights, const ModuleRow& row) {
  weights.bytes = row.bytes;
  weights.listed_bytes = row.listed_bytes;
  weights.modules.assign(row.runs.begin(), row.runs.end());
  weights.modules_exact = true;
}

void assume_modules(Weights& weights, std::string_view structure, const ComfyVersion& version) {
  weights.modules_exact = false;
  weights.modules.clear();
  weights.listed_bytes = 0;
  if (!has_modules(weights.role) || weights.bytes <= 0) return;
  const double ratio = offload_ratio(weights.role, weights.bytes, weights.parameters, version);
  weights.listed_bytes = weights.bytes;
  const ModuleRow* row = find_module_row(structure, version);
  const std::vector<ModuleGroup> shapes =
      row ? std::vector<ModuleGroup>(row->runs.begin(), row->runs.end())
          : class_modules(weights.architecture);
  if (shapes.empty()) {
    weights.modules = uniform_modules(weights.bytes, ratio);
    return;
  }
  weights.modules = scaled_modules(shapes, weights.bytes);
  for (ModuleGroup& run : weights.modules) {
    run.extra_offload_bytes =
        static_cast<std::int64_t>(std::llround(static_cast<double>(run.bytes) * ratio));
  }
}

namespace {

bool is_gguf(std::string_view type) { return type.starts_with('Q') || type.starts_with("IQ"); }

/// Values of a text encoder's token embedding that ComfyUI-GGUF makes fp16 of.
std::int64_t dequantised_values(std::string_view architecture) {
  constexpr std::pair<std::string_view, std::int64_t> kEmbeddings[] = {
      {"umt5-xxl", 256'384LL * 4096},     {"llava-llama3", 128'320LL * 4096},
      {"llama31-8b", 128'256LL * 4096},   {"qwen25-vl-7b", 152'064LL * 3584},
      {"gemma3-12b", 262'208LL * 3840},   {"gemma-2-2b", 256'000LL * 2304},
      {"qwen3-8b", 151'936LL * 4096},     {"qwen3-4b", 151'936LL * 2560},
      {"mistral3-24b", 131'072LL * 5120},
  };
  for (const auto& [name, values] : kEmbeddings) {
    if (name == architecture) return values;
  }
  return 0;
}

/// What is held of a GGUF file beyond its own bytes.
std::int64_t dequantised_bytes(std::string_view architecture, double bits) {
  return bytes_of(dequantised_values(architecture), 16) -
         bytes_of(dequantised_values(architecture), bits);
}

/// How often larger a file is than what its models come to: 2 where it is in fp32.
int stored_factor(const KnownFile& file, const ComfyVersion& version) {
  double counted = 0;
  for (const std::string_view key : {file.model, file.clip, file.vae, file.audio_vae}) {
    if (const KnownModel* part = find_known_model(key)) {
      const std::int64_t bytes = counted_bytes(*part, version);
      if (bytes == 0) return 1;
      counted += static_cast<double>(bytes);
    }
  }
  return static_cast<double>(file.file_bytes) > 1.8 * counted ? 2 : 1;
}

/// The two connectors of LTX-2 belong to the text encoder's model before 0.15.0.
void move_connectors(Weights& weights, const KnownFile& file, const ComfyVersion& version) {
  constexpr std::int64_t kConnectors = 2 * 2 * 354'470'400LL;
  if (file.clip != "ltxav_19b_text_projection" || !weights.known()) return;
  if (!(version < ComfyVersion{0, 15, 0})) return;
  if (weights.role == WeightsRole::diffusion) weights.bytes -= kConnectors;
  if (weights.role == WeightsRole::text_encoder) weights.bytes += kConnectors;
}

}  // namespace

Weights weights_from_model(const KnownModel& model, const KnownFile& file,
                           const WeightsRequest& request, const ComfyVersion& version) {
  Weights weights;
  weights.role = model.role;
  weights.architecture = model.architecture;
  weights.stored_type = model.stored_type;
  weights.parameters = model.parameters;
  weights.file_bytes = file.file_bytes;
  weights.bytes_from = BytesFrom::known;
  const bool whole_file = file.clip.empty() && file.vae.empty();
  const ModuleRow* row = find_module_row(model.key, version);
  // A GGUF mix is as large as its file says, not as its type does on average.
  const bool listed_gguf = is_gguf(model.stored_type) && file.file_bytes > 0 && whole_file;
  const bool cast =
      casts_to_fp8(request) && model.parameters > 0 && bits_per_value(model.stored_type) >= 16;
  if (row && !cast) {
    set_row(weights, *row);
    weights.source = {Say::known_as_recorded, {model.key, version_text(row->version)}};
  } else if (cast) {
    weights.bytes = model.parameters + sampling_table_bytes(model.architecture);
    // All of the file is read, whatever it becomes.
    if (weights.file_bytes == 0) weights.file_bytes = counted_bytes(model, version);
    weights.source = {Say::known_loaded_as, {model.parameters, request.weight_type}};
  } else if (listed_gguf) {
    weights.bytes = file.file_bytes;
    weights.source = Say::known_from_its_size;
    if (model.role == WeightsRole::text_encoder) {
      weights.bytes += dequantised_bytes(model.architecture, bits_per_value(model.stored_type));
      weights.source += Say::embedding_in_fp16;
    }
  } else if (const std::int64_t bytes = counted_bytes(model, version); bytes > 0) {
    weights.bytes = bytes;
    weights.source = {Say::known_from_its_values, {model.parameters, model.stored_type}};
    if (model.parameters == 0) weights.source = Say::known_from_its_layers;
  } else if (file.file_bytes > 0) {
    weights.bytes = model.stored_type == "fp32" ? file.file_bytes / 2 : file.file_bytes;
    weights.source = Say::known_from_its_size;
    if (!whole_file) {
      for (const std::string_view other : {file.clip, file.vae, file.audio_vae}) {
        if (const KnownModel* part = find_known_model(other)) {
          weights.bytes -= counted_bytes(*part, version);
        }
      }
      weights.source = Say::known_less_the_others;
    }
  } else {
    weights.bytes_from = BytesFrom::unknown;
    weights.source = {Say::size_in_no_table, {file.name}};
  }
  move_connectors(weights, file, version);
  if (weights.known() && file.file_bytes > 0 && !file.repository.empty()) {
    weights.source += {Say::size_from_listings, {file.repository}};
  }
  if (!weights.modules_exact) assume_modules(weights, model.structure, version);
  if (cast) {  // The recorded list in that type, where there is one.
    const std::size_t end = model.key.rfind('_');
    const std::string fp8 = std::string(model.key.substr(0, end)) + "_fp8_e4m3fn";
    if (const ModuleRow* in_fp8 = find_module_row(fp8, version)) set_row(weights, *in_fp8);
  }
  if (weights.role == WeightsRole::text_encoder) {
    const double bits = bits_per_value(model.stored_type);
    std::int64_t values = std::max(model.parameters, model.loader_parameters);
    if (values == 0 && bits > 0 && whole_file) {
      values = static_cast<std::int64_t>(8 * static_cast<double>(file.file_bytes) / bits);
    }
    weights.loader_bytes = 2 * values;
  }
  // What is read from disk for one part of a checkpoint is that part.
  if (!whole_file || weights.file_bytes == 0) {
    const double bits = bits_per_value(model.stored_type);
    weights.file_bytes =
        bits > 16 || stored_factor(file, version) == 2 ? 2 * weights.bytes : weights.bytes;
    if (model.architecture == "audio-vae") weights.file_bytes = weights.bytes / 2;
  }
  return weights;
}

namespace {

Weights weights_from_guess(const NameGuess& guess, std::string_view name,
                           const WeightsRequest& request, const ComfyVersion& version) {
  Weights weights;
  weights.role = request.role;
  weights.architecture = guess.architecture;
  weights.stored_type = guess.stored_type;
  weights.parameters = guess.parameters;
  const bool gguf = is_gguf(guess.stored_type);
  // Whatever the file holds, ComfyUI keeps VAEs and the U-Nets of checkpoints in two bytes, and
  // nobody stores CLIP in less.
  const bool two_bytes_anyway =
      request.role == WeightsRole::vae ||
      (guess.architecture.starts_with("clip-") && guess.stored_type.empty()) ||
      (is_checkpoint(request) && guess.stored_type.empty() && guess.architecture.starts_with("sd"));
  double bits = two_bytes_anyway ? 16 : guess.bits;
  if (casts_to_fp8(request) && !gguf && guess.parameters > 0) bits = 8;
  if (guess.parameters == 0 || bits == 0) {
    weights.parameters = 0;
    weights.source = {Say::kind_guessed_from_name, {cut_text(name, 200), guess.architecture}};
    return weights;
  }
  weights.bytes_from = BytesFrom::assumed;
  const bool mixed = gguf || guess.architecture.starts_with("flux2-klein");
  const std::int64_t kept = mixed ? guess.kept_values : 0;
  weights.bytes =
      bytes_of(guess.parameters - kept, bits) + bytes_of(kept, 16) +
      (request.role == WeightsRole::diffusion && !gguf ? sampling_table_bytes(guess.architecture)
                                                       : 0);
  weights.file_bytes =
      bytes_of(guess.parameters - kept, guess.bits > 0 ? guess.bits : 16) + bytes_of(kept, 16);
  if (gguf && request.role == WeightsRole::text_encoder) {
    weights.bytes += dequantised_bytes(guess.architecture, guess.bits);
  }
  weights.source = guess.lora_rank > 0
                       ? Message(Say::assumed_rank, {guess.lora_rank, guess.stored_type})
                       : Message(Say::assumed_from_name,
                                 {guess.architecture, guess.parameters, std::min(bits, 16.0)});
  if (kept > 0) weights.source += {Say::and_in_16_bits, {kept}};
  if (guess.within_percent > 0) weights.source += {Say::within_about, {guess.within_percent}};
  if (const ModuleRow* row = find_module_row(guess.structure, version);
      row && std::abs(static_cast<double>(row->bytes - weights.bytes)) <
                 kSameModelTolerance * static_cast<double>(row->bytes)) {
    set_row(weights, *row);
    weights.source += {Say::modules_as_recorded, {row->model}};
  } else {
    assume_modules(weights, guess.structure, version);
  }
  if (request.role == WeightsRole::text_encoder) weights.loader_bytes = 2 * guess.parameters;
  return weights;
}

/// Whether the file holds other models than the one that is asked for: a checkpoint, which loaders
/// of text encoders and VAEs take parts of, too.
bool holds_several(const std::string& name, const Weights& weights, const WeightsRequest& request) {
  if (request.role == WeightsRole::lora) return false;
  if (is_checkpoint(request) || !request.id_suffix.empty()) return true;
  return weights.architecture.empty() && request.role != WeightsRole::diffusion &&
         guess_from_name(name, WeightsRole::diffusion, false, "");
}

/// A model guessed from its name whose size is another is another model.
void drop_contradicted(Weights& weights, std::int64_t file_bytes) {
  constexpr double kSame = 0.12;
  if (weights.bytes_from != BytesFrom::assumed || weights.file_bytes == 0) return;
  const double ratio = static_cast<double>(file_bytes) / static_cast<double>(weights.file_bytes);
  if (std::abs(ratio - 1) <= kSame) return;
  // VAEs, say, are counted in 16 bits where the name says no type, and may lie there in 32.
  if (weights.stored_type.empty() && std::abs(ratio - 2) <= 2 * kSame) return;
  weights.nearest = std::exchange(weights.architecture, "");
  weights.parameters = 0;
}

/// Puts in the size that the workflow states for the file, if it does. What ComfyUI holds of it is
/// counted as of a listed file of which nothing else is known.
void apply_stated(Weights& weights, const std::string& name, std::string_view structure,
                  const WeightsRequest& request, const WeightsSearch& search) {
  const auto stated = stated_size(name, search.stated);
  if (!stated) return;
  if (holds_several(name, weights, request)) {
    if (!weights.known()) {
      weights.source = {Say::stated_for_several,
                        {stated->text, base_name(name), name_of(request.role)}};
    }
    return;
  }
  drop_contradicted(weights, stated->bytes);
  const std::string type =
      weights.stored_type.empty() ? std::string(type_in_name(name)) : weights.stored_type;
  const double bits = bits_per_value(type);
  // fp32 is halved while loading, but by upscalers, which are built in it whatever the file holds.
  double share = 1;
  if (request.role == WeightsRole::upscaler) {
    share = bits == 16 ? 2 : 1;
  } else if (bits > 16 || (bits == 16 && casts_to_fp8(request))) {
    share = 0.5;
  }
  const bool audio = request.role == WeightsRole::vae &&
                     (weights.architecture == "audio-vae" || contains(lower(name), "audio"));
  if (audio && bits > 0) share = bits > 16 ? 1 : 2;  // held in fp32
  weights.stored_type = type;
  weights.file_bytes = stated->bytes;
  weights.bytes = std::llround(share * static_cast<double>(stated->bytes));
  weights.bytes_from = BytesFrom::stated;
  if (weights.parameters == 0 && bits > 0) {
    weights.parameters = std::llround(8 * static_cast<double>(stated->bytes) / bits);
  }
  weights.source = {Say::stated_in_workflow, {stated->text, stated->why}};
  if (share != 1) weights.source += share == 2 ? Say::twice_is_held : Say::half_is_held;
  assume_modules(weights, structure, search.comfyui);
  if (request.role == WeightsRole::text_encoder) weights.loader_bytes = 2 * weights.parameters;
}

/// The model of a known file that a request means: one of a checkpoint's parts, or the only one.
/// A loader of text encoders or VAEs that names a checkpoint takes that part of it.
std::string_view known_part(const KnownFile& file, const WeightsRequest& request) {
  const KnownModel* main = find_known_model(file.model);
  const bool other_role = main && main->role != request.role;
  if (loads_audio(request) && (other_role || !file.audio_vae.empty())) return file.audio_vae;
  if (request.id_suffix == ".clip" || (request.role == WeightsRole::text_encoder && other_role)) {
    return file.clip;
  }
  if (request.id_suffix == ".vae" || (request.role == WeightsRole::vae && other_role)) {
    return file.vae;
  }
  return file.model;
}

}  // namespace

Weights weights_by_name(const std::string& name, const WeightsRequest& request,
                        const WeightsSearch& search) {
  const ComfyVersion& version = search.comfyui;
  if (const KnownFile* file = find_known_file(name)) {
    const std::string_view key = known_part(*file, request);
    const bool part = is_checkpoint(request);
    const KnownModel* model = find_known_model(key);
    if (model && model->role == request.role) {
      Weights weights = weights_from_model(*model, *file, request, version);
      if (!weights.known()) apply_stated(weights, name, model->structure, request, search);
      return weights;
    }
    if (part && !request.id_suffix.empty() && (key.empty() || key == kNoPart)) {
      Weights weights;
      weights.role = request.role;
      if (key == kNoPart) weights.bytes_from = BytesFrom::known;
      weights.source = {key == kNoPart ? Say::known_to_hold_no : Say::part_in_no_table,
                        {name, name_of(request.role)}};
      return weights;
    }
  }
  const auto guess = guess_from_name(name, request.role, is_checkpoint(request), request.id_suffix);
  Weights weights;
  weights.role = request.role;
  if (request.role == WeightsRole::lora) weights.architecture = "lora";
  if (request.role == WeightsRole::upscaler) weights.architecture = "upscaler";
  weights.source = {Say::file_in_no_table, {cut_text(name, 200)}};
  if (guess) weights = weights_from_guess(*guess, name, request, version);
  apply_stated(weights, name, guess ? guess->structure : std::string(), request, search);
  return weights;
}

}  // namespace ebb
