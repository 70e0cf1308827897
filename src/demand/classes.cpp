// SPDX-License-Identifier: Apache-2.0
// The table of loader classes.
#include "demand/classes.h"

#include <cctype>
#include <unordered_map>

#include "base/text.h"

namespace ebb {
namespace {

using Role = WeightsRole;

constexpr LoaderRow kLoaders[] = {
// class, gives, suffix, role, folder, inputs that name files, input that decides on types
#include "demand/loader_table.inc"
    {"DiffusersLoader", "MODEL", "", Role::diffusion, "diffusers", {"model_path"}, nullptr},
    {"DiffusersLoader", "CLIP", ".clip", Role::text_encoder, "diffusers", {"model_path"}, nullptr},
    {"DiffusersLoader", "VAE", ".vae", Role::vae, "diffusers", {"model_path"}, nullptr},
    // Packs.
    {"DiffusionModelLoaderKJ",
     "MODEL",
     "",
     Role::diffusion,
     "diffusion_models",
     {"model_name"},
     "weight_dtype"},
    {"DiffusionModelSelector",
     "MODEL",
     "",
     Role::diffusion,
     "diffusion_models",
     {"model_name"},
     nullptr},
    {"UnetLoaderGGUF", "MODEL", "", Role::diffusion, "diffusion_models", {"unet_name"}, nullptr},
    {"UnetLoaderGGUFAdvanced",
     "MODEL",
     "",
     Role::diffusion,
     "diffusion_models",
     {"unet_name"},
     nullptr},
    {"GGUFLoaderKJ", "MODEL", "", Role::diffusion, "diffusion_models", {"model_name"}, nullptr},
    {"LoaderGGUF", "MODEL", "", Role::diffusion, "diffusion_models", {"gguf_name"}, nullptr},
    {"VAELoaderKJ", "VAE", "", Role::vae, "vae", {"vae_name"}, "weight_dtype"},
    {"ControlNetLoaderAdvanced",
     "CONTROL_NET",
     "",
     Role::controlnet,
     "controlnet",
     {"control_net_name"},
     nullptr},
};

/// Other names of the same loaders.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"CheckpointLoaderAdvanced", "CheckpointLoaderSimple"},
    {"Checkpoint Loader (Simple)", "CheckpointLoaderSimple"},
    {"Checkpoint Loader with Name (Image Saver)", "CheckpointLoaderSimple"},
    {"LowVRAMCheckpointLoader", "CheckpointLoaderSimple"},
    {"CLIPLoaderGGUF", "CLIPLoader"},
    {"DualCLIPLoaderGGUF", "DualCLIPLoader"},
    {"DualClipLoaderGGUF", "DualCLIPLoader"},
    {"TripleCLIPLoaderGGUF", "TripleCLIPLoader"},
    {"QuadrupleCLIPLoaderGGUF", "QuadrupleCLIPLoader"},
    {"UnetLoaderGGUFDisTorch", "UnetLoaderGGUF"},
    {"LowVRAMAudioVAELoader", "LTXVAudioVAELoader"},
};

/// Where strengths stand for the LoRA inputs of loaders with one LoRA.
constexpr const char* kStrengths[] = {"strength_model", "strength_clip", "strength"};

std::string_view without_variant(std::string_view name) {
  for (const std::string_view ending : {"MultiGPU", "DisTorch2", "DisTorch"}) {
    if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending) {
      name.remove_suffix(ending.size());
    }
  }
  return name;
}

std::string_view real_name(std::string_view class_type) {
  const std::string_view name = without_variant(class_type);
  for (const auto& [alias, real] : kAliases) {
    if (alias == name) return real;
  }
  return name;
}

using LoaderMap = std::unordered_map<std::string_view, std::vector<const LoaderRow*>>;

const LoaderMap& loader_map() {
  static const LoaderMap* const map = [] {
    auto* made = new LoaderMap;
    for (const LoaderRow& row : kLoaders) (*made)[row.class_type].push_back(&row);
    return made;
  }();
  return *map;
}

/// The text of a field in a small JSON object that a widget holds, as rgthree's LoRA rows do.
std::string field(std::string_view object, std::string_view name) {
  const std::string key = '"' + std::string(name) + '"';
  std::size_t at = object.find(key);
  if (at == std::string_view::npos) return {};
  at = object.find(':', at + key.size());
  if (at == std::string_view::npos) return {};
  while (++at < object.size() && object[at] == ' ') continue;
  std::string text;
  const bool quoted = at < object.size() && object[at] == '"';
  for (at += quoted; at < object.size(); ++at) {
    if (quoted ? object[at] == '"' : object[at] == ',' || object[at] == '}') break;
    if (quoted && object[at] == '\\' && at + 1 < object.size()) ++at;
    text += object[at];
  }
  return std::string(trim(text));
}

bool is_lora_loader(std::string_view class_type) {
  return contains(lower(class_type), "lora") && contains(lower(class_type), "load");
}

bool is_nothing(std::string_view file) { return file.empty() || equal_ignoring_case(file, "none"); }

}  // namespace

std::vector<const LoaderRow*> loader_rows(std::string_view class_type) {
  const auto found = loader_map().find(real_name(class_type));
  return found == loader_map().end() ? std::vector<const LoaderRow*>{} : found->second;
}

std::span<const LoaderRow> all_loader_rows() { return kLoaders; }

std::optional<WeightsRequest> loader_request(const LoaderRow& row, const PromptNode& node) {
  WeightsRequest request;
  request.node = node.id;
  request.id_suffix = row.suffix;
  request.role = row.role;
  request.folder = row.folder;
  request.loader_class = node.class_type;
  for (const char* name : row.files) {
    if (!name) break;
    const PromptInput* input = node.input(name);
    const auto file = input ? input->text() : std::nullopt;
    if (file && !is_nothing(*file)) request.files.push_back(*file);
  }
  if (request.files.empty()) return {};
  if (row.type_input) {
    const PromptInput* input = node.input(row.type_input);
    if (input) request.weight_type = input->text().value_or("");
  }
  return request;
}

std::vector<std::string> lora_files(const PromptNode& node) {
  std::vector<std::string> files;
  if (!is_lora_loader(node.class_type)) return files;
  if (const PromptInput* name = node.input("lora_name")) {
    bool used = false, has_strength = false;
    for (const char* strength : kStrengths) {
      const PromptInput* input = node.input(strength);
      if (!input) continue;
      has_strength = true;
      used |= input->link.has_value() || input->number().value_or(1) != 0;
    }
    const auto file = name->text();
    if (file && !is_nothing(*file) && (used || !has_strength)) files.push_back(*file);
    return files;
  }
  for (const PromptInput& input : node.inputs) {
    if (input.name.rfind("lora", 0) != 0 || input.link) continue;
    if (!input.value.empty() && input.value.front() == '{') {
      const std::string file = field(input.value, "lora");
      if (field(input.value, "on") != "false" && !is_nothing(file)) files.push_back(file);
    } else if (const auto file = input.text(); file && contains(*file, ".safetensors")) {
      files.push_back(*file);
    }
  }
  return files;
}

bool is_unmanaged_loader(std::string_view class_type) {
  if (!contains(class_type, "Load")) return false;
  for (const std::string_view prefix :
       {"WanVideo", "HyVideo", "Nunchaku", "SeedVR2", "CogVideo", "DownloadAndLoad", "LoadWanVideo",
        "Hy3D", "MZ_Kolors", "SUPIR"}) {
    if (class_type.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

bool is_unmanaged_sampler(std::string_view class_type) {
  for (const std::string_view name : {"WanVideoSampler", "HyVideoSampler", "CogVideoSampler",
                                      "SeedVR2VideoUpscaler", "SeedVR2", "SUPIR_sample"}) {
    if (without_variant(class_type) == name) return true;
  }
  return false;
}

}  // namespace ebb
