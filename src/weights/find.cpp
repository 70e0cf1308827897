// SPDX-License-Identifier: Apache-2.0
// find_weights: given by the user, read from a header, known by name, or unknown, in this order.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/names.h"
#include "base/text.h"
#include "ebb/file.h"
#include "ebb/weights.h"
#include "machine/versions.h"
#include "weights/by_name.h"
#include "weights/comfyui_class.h"
#include "weights/count.h"
#include "weights/detect.h"
#include "weights/folders.h"
#include "weights/header.h"
#include "weights/known.h"
#include "weights/module_table.h"
#include "weights/tensors.h"

namespace ebb {
namespace {

constexpr double kSameEncoderTolerance = 0.006;  // CLIP files may lack the text projection

std::string_view default_folder(WeightsRole role) {
  return name_in<WeightsRole::other>({"diffusion_models", "text_encoders", "vae", "clip_vision",
                                      "controlnet", "loras", "upscale_models", ""},
                                     role);
}

// ---- from a header ------------------------------------------------------------------------

/// The recorded model whose size is nearest, if it is near enough to be the same model.
const ModuleRow* same_recorded_model(const Weights& weights, const ComfyVersion& version) {
  const double tolerance =
      weights.role == WeightsRole::text_encoder ? kSameEncoderTolerance : kSameModelTolerance;
  const ModuleRow* best = nullptr;
  double best_distance = tolerance;
  for (const KnownModel& model : known_models()) {
    if (model.role != weights.role || model.architecture != weights.architecture) continue;
    const ModuleRow* row = find_module_row(model.key, version);
    if (!row) continue;
    const double distance =
        std::abs(static_cast<double>(row->bytes - weights.bytes)) / static_cast<double>(row->bytes);
    if (distance > best_distance) continue;
    best = row;
    best_distance = distance;
  }
  return best;
}

/// LTX's audio VAE with its vocoder, which works in fp32 alone.
bool is_ltx_audio(const TensorSet& part) {
  for (const std::string_view mark :
       {"vocoder.resblocks.", "vocoder.vocoder.resblocks.", "resblocks.0.convs1."}) {
    if (part.has_prefix(mark)) return true;
  }
  return false;
}

void count_header(Weights& weights, const TensorSet& part, const Header& header,
                  const WeightsRequest& request, const ComfyVersion& version) {
  const CountRules rules{
      .role = weights.role,
      .comfyui = version,
      .format = header.format,
      .cast_to_fp8 = casts_to_fp8(request) && header.format != HeaderFormat::gguf,
      .fp32 = request.folder == "upscale_models" || is_ltx_audio(part),
      .architecture = weights.architecture};
  Count count = count_tensors(part, rules);
  weights.bytes = count.bytes;
  weights.listed_bytes = count.listed_bytes;
  weights.parameters = count.parameters;
  weights.stored_type = std::move(count.stored_type);
  weights.source = {Say::header_of, {header.file}};
  if (rules.cast_to_fp8) {
    weights.source += {Say::loaded_as, {request.weight_type}};
  }
  if (!has_modules(weights.role)) {
    weights.listed_bytes = 0;
    return;
  }
  weights.modules = std::move(count.modules);
  weights.modules_exact = true;
  if (header.format == HeaderFormat::gguf) return;
  if (const ModuleRow* row = same_recorded_model(weights, version)) {
    set_row(weights, *row);
    weights.source += {Say::modules_as_recorded, {row->model}};
  }
}

std::int64_t stored_values(const Header& header) {
  std::int64_t sum = 0;
  for (const TensorInfo& tensor : header.tensors) sum += tensor.elements;
  return sum;
}

Weights weights_from_header(const Header& header, const FoundFile& found,
                            const WeightsRequest& request, const ComfyVersion& version) {
  // The folders of a diffusers model have one model each, without the prefixes of a checkpoint.
  const bool one_of_several = is_checkpoint(request) && !is_diffusers(request);
  const TensorSet part = select_tensors(header, request.role, one_of_several, loads_audio(request));
  Weights weights;
  weights.role = request.role;
  weights.file_bytes = header.file_bytes;
  if (part.empty()) {
    weights.source = {Say::holds_no, {found.path, name_of(request.role)}};
    return weights;
  }
  weights.bytes_from = BytesFrom::header;
  weights.architecture = detect_architecture(part, request.role, header.architecture);
  if (weights.architecture.empty()) {
    weights.nearest = nearest_architecture(part, request.role, header.architecture);
  }
  if (request.role == WeightsRole::diffusion) {
    weights.comfyui_class = comfyui_class(part, weights.architecture);
  }
  count_header(weights, part, header, request, version);
  if (request.role == WeightsRole::text_encoder) {
    const std::int64_t values = one_of_several ? weights.parameters : stored_values(header);
    weights.loader_bytes = 2 * values;
  }
  if (!found.exact) weights.source += Say::found_in_another_folder;
  return weights;
}

// ---- one file, then all ---------------------------------------------------------------------

const std::int64_t* given_size(const WeightsSearch& search, const WeightsRequest& request,
                               const std::string& name) {
  if (!request.id_suffix.empty()) return nullptr;  // a checkpoint's size is its diffusion model's
  for (const auto& [given, bytes] : search.given_bytes) {
    if (equal_ignoring_case(given, name)) return &bytes;
  }
  for (const auto& [given, bytes] : search.given_bytes) {
    if (equal_ignoring_case(given, base_name(name))) return &bytes;
  }
  return nullptr;
}

void apply_given(Weights& weights, std::int64_t bytes, const std::string& name,
                 const ComfyVersion& version) {
  std::string_view structure;
  if (const KnownFile* file = find_known_file(name)) {
    if (const KnownModel* model = find_known_model(file->model)) structure = model->structure;
  }
  const std::vector<ModuleGroup> old = weights.modules;
  const bool scale = weights.modules_exact && bytes > 0;
  weights.bytes = bytes;
  weights.bytes_from = BytesFrom::given;
  weights.source = {Say::given_for, {base_name(name)}};
  if (weights.file_bytes == 0) weights.file_bytes = bytes;
  assume_modules(weights, structure, version);
  if (scale && !old.empty()) {
    weights.modules = scaled_modules(old, bytes);
    weights.listed_bytes = sum_of(weights.modules);
  }
}

/// A file that lists no tensors: known by its name, else counted as it lies on the disk.
Weights weights_by_size(const Header& header, const std::string& name,
                        const WeightsRequest& request, const WeightsSearch& search) {
  Weights weights = weights_by_name(name, request, search);
  weights.file_bytes = header.file_bytes;
  if (weights.known() || !request.id_suffix.empty()) return weights;
  weights.bytes = header.file_bytes;
  weights.bytes_from = BytesFrom::header;
  weights.source = {Say::size_of_file, {header.file, header.note}};
  assume_modules(weights, {}, search.comfyui);
  return weights;
}

Result<Weights> weights_of_file(const std::string& name, const WeightsRequest& request,
                                const WeightsSearch& search,
                                const std::vector<std::string>& folders) {
  const FoundFile found = locate_file(folders, name, search.memo.get());
  Weights weights;
  if (found.path.empty()) {
    weights = weights_by_name(name, request, search);
  } else {
    const auto header = read_header(found.path);
    if (!header) return header.error();
    weights = header->note.empty() ? weights_from_header(*header, found, request, search.comfyui)
                                   : weights_by_size(*header, name, request, search);
  }
  if (const std::int64_t* bytes = given_size(search, request, name)) {
    apply_given(weights, *bytes, name, search.comfyui);
  }
  return weights;
}

/// The files of one role in a diffusers folder, one Weights each; by its name where it is not
/// there.
Result<std::vector<Weights>> weights_of_folder(const std::string& name,
                                               const WeightsRequest& request,
                                               const WeightsSearch& search,
                                               const std::vector<std::string>& folders) {
  const DiffusersFolder found = locate_diffusers(folders, name, request.role);
  std::vector<Weights> parts;
  for (const std::string& path : found.files) {
    const auto header = read_header(path);
    if (!header) return header.error();
    parts.push_back(header->note.empty()
                        ? weights_from_header(*header, {path, true}, request, search.comfyui)
                        : weights_by_size(*header, name, request, search));
  }
  if (!parts.empty()) return parts;
  Weights weights = weights_by_name(name, request, search);
  if (!found.path.empty()) {
    weights = {};
    weights.role = request.role;
    weights.source = {Say::holds_no, {found.path, name_of(request.role)}};
  }
  if (const std::int64_t* bytes = given_size(search, request, name)) {
    apply_given(weights, *bytes, name, search.comfyui);
  }
  parts.push_back(std::move(weights));
  return parts;
}

/// The recorded pair, if both files are the ones that were recorded together.
const ModuleRow* recorded_pair(const std::vector<std::string>& files, const ComfyVersion& version) {
  if (files.size() != 2) return nullptr;
  const KnownFile* a = find_known_file(files[0]);
  const KnownFile* b = find_known_file(files[1]);
  if (!a || !b) return nullptr;
  for (const auto& [first, second] : {std::pair(a, b), std::pair(b, a)}) {
    const std::string key = fmt::format("{}+{}", first->model, second->model);
    if (const ModuleRow* row = find_module_row(key, version)) return row;
  }
  return nullptr;
}

/// Of two answers put together, the one to be told: a guess before what is read.
BytesFrom weaker(BytesFrom a, BytesFrom b) {
  for (const BytesFrom from :
       {BytesFrom::assumed, BytesFrom::stated, BytesFrom::given, BytesFrom::known}) {
    if (a == from || b == from) return from;
  }
  return a;
}

Weights join(std::vector<Weights> parts) {
  Weights all = std::move(parts[0]);
  std::vector<std::string> architectures = {all.architecture};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    Weights& part = parts[i];
    architectures.push_back(part.architecture);
    if (all.known() && !part.known()) {
      all.bytes_from = BytesFrom::unknown;
      all.source = part.source;
    } else if (all.known()) {
      all.bytes_from = weaker(all.bytes_from, part.bytes_from);
      all.source = {Say::both, {all.source, part.source}};
    }
    all.bytes += part.bytes;
    all.listed_bytes += part.listed_bytes;
    all.file_bytes += part.file_bytes;
    all.loader_bytes += part.loader_bytes;
    if (part.parameters > all.parameters) all.stored_type = part.stored_type;
    all.parameters += part.parameters;
    all.modules_exact = all.modules_exact && part.modules_exact;
    all.modules = merge_modules(std::move(all.modules), part.modules);
  }
  if (!all.known()) {
    all.bytes = 0;
    all.listed_bytes = 0;
    all.modules.clear();
    all.modules_exact = false;
  }
  if (parts.size() > 1) all.architecture = join_text_encoders(std::move(architectures));
  return all;
}

std::string short_name(std::string_view file) {
  const std::string_view name = base_name(file);
  const auto dot = name.rfind('.');
  return cut_text(dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot), 200);
}

void name_weights(Weights& weights, const WeightsRequest& request) {
  weights.id = request.node + request.id_suffix;
  weights.node = request.node;
  weights.files = request.files;
  weights.role = request.role;
  weights.name.clear();
  for (const std::string& file : request.files) {
    if (!weights.name.empty()) weights.name += " + ";
    weights.name += short_name(file);
  }
}

}  // namespace

const char* to_string(WeightsRole role) {
  return name_in<WeightsRole::other>({"diffusion", "text_encoder", "vae", "vision_encoder",
                                      "controlnet", "lora", "upscaler", "other"},
                                     role);
}

Say name_of(WeightsRole role) {
  return name_in<WeightsRole::other>(
      {Say::a_diffusion_model, Say::a_text_encoder, Say::a_vae, Say::a_vision_encoder,
       Say::a_controlnet, Say::a_lora, Say::an_upscaler, Say::a_model},
      role);
}

const char* to_string(BytesFrom from) {
  return name_in<BytesFrom::unknown>({"header", "known", "stated", "assumed", "given", "unknown"},
                                     from);
}

std::optional<Weights> find_table_weights(std::string_view name, const ComfyVersion& version) {
  const KnownModel* model = find_known_model(name);
  if (!model) return {};
  Weights weights = weights_from_model(*model, {}, {}, version);
  if (!weights.known()) return {};
  weights.id = weights.name = name;
  return weights;
}

Result<Weights> find_weights(const WeightsRequest& request, const WeightsSearch& search) {
  const std::string_view kind =
      request.folder.empty() ? default_folder(request.role) : std::string_view(request.folder);
  const auto ask = [&] {
    return search.folders ? known_folders(*search.folders, kind)
                          : expand_folders(search.model_folders, kind);
  };
  const auto folders = search.memo ? search.memo->folders(std::string(kind), ask) : ask();
  if (!folders) return folders.error();
  std::vector<Weights> parts;
  for (const std::string& file : request.files) {
    if (is_diffusers(request)) {
      auto some = weights_of_folder(file, request, search, *folders);
      if (!some) return some.error();
      std::move(some->begin(), some->end(), std::back_inserter(parts));
      continue;
    }
    auto part = weights_of_file(file, request, search, *folders);
    if (!part) return part.error();
    parts.push_back(std::move(*part));
  }
  Weights weights;
  if (parts.empty()) {
    weights.source = Say::names_no_file;
  } else {
    const bool by_table = std::all_of(parts.begin(), parts.end(), [](const Weights& part) {
      return part.bytes_from == BytesFrom::known;
    });
    weights = join(std::move(parts));
    const ModuleRow* pair = by_table && !is_checkpoint(request)
                                ? recorded_pair(request.files, search.comfyui)
                                : nullptr;
    if (pair) set_row(weights, *pair);
  }
  if (search.fp32_vaes) hold_vae_in_fp32(weights);
  name_weights(weights, request);
  return weights;
}

}  // namespace ebb
