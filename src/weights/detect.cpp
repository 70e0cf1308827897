// SPDX-License-Identifier: Apache-2.0
#include "weights/detect.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "weights/layers.h"

namespace ebb {
namespace {

std::string detect_wan(const TensorSet& part) {
  if (!part.has("patch_embedding.weight") || !part.has_prefix("blocks.0.ffn.0.")) return {};
  std::int64_t width = part.dimension("patch_embedding.weight", 0);
  if (const TensorInfo* modulation = part.find("head.modulation")) {
    width = modulation->shape.empty() ? width : modulation->shape.back();
  }
  const std::string size = width >= 5120 ? "14b" : width >= 3072 ? "5b" : "1.3b";
  if (part.has("vace_patch_embedding.weight")) return "wan-vace-" + size;
  if (part.has_prefix("casual_audio_encoder.")) return "wan-s2v-" + size;
  if (part.has_prefix("face_adapter.") || part.has("pose_patch_embedding.weight")) {
    return "wan-animate-" + size;
  }
  return "wan-" + size;
}

/// Models of double and single blocks: Flux and its relatives.
std::string detect_flux_like(const TensorSet& part) {
  if (!part.has_prefix("double_blocks.0.")) return {};
  if (part.has_prefix("txt_in.individual_token_refiner.")) {
    if (part.has_prefix("vision_in.")) return "hunyuan-video-15";
    // A refiner of pictures, which patches nothing. Its demand is in no table.
    if (part.dimension("img_in.proj.weight", 3) == 1 &&
        part.dimensions("img_in.proj.weight") == 5) {
      return "hunyuan-image-21-refiner";
    }
    // The image model patches in two dimensions, the video models in three.
    return part.dimensions("img_in.proj.weight") == 4 ? "hunyuan-image-21" : "hunyuan-video";
  }
  if (part.has("latent_in.weight")) return "hunyuan3d";
  if (part.has_prefix("double_stream_modulation_img.")) {
    switch (part.dimension("img_in.weight", 0)) {
      case 4096: return "flux2-klein-9b";
      case 3072: return "flux2-klein-4b";
      default: return "flux2";
    }
  }
  if (part.has_prefix("distilled_guidance_layer.")) {
    return part.has_prefix("nerf_blocks.") ? "chroma-radiance" : "chroma";
  }
  const bool longcat = part.dimension("txt_in.weight", 1) == 3584 && !part.has_prefix("vector_in.");
  return longcat ? "longcat-image" : "flux";
}

/// U-Nets under the names of ComfyUI's files or, as diffusers saves them, of its own.
std::string detect_unet(const TensorSet& part) {
  const bool diffusers = part.has("conv_in.weight") && part.has_prefix("down_blocks.0.");
  if (!diffusers && !part.has("input_blocks.0.0.weight")) return {};
  const std::string_view blocks = diffusers ? "down_blocks." : "input_blocks.";
  std::int64_t context = 0;
  bool over_time = false;
  for (const NamedTensor& one : part.tensors()) {
    if (!one.name.starts_with(blocks)) continue;
    if (one.name.ends_with("attn2.to_k.weight") && one.tensor->shape.size() == 2 && context == 0) {
      context = one.tensor->shape[1];
    }
    if (contains(one.name, "time_stack") || contains(one.name, "time_mixer")) over_time = true;
  }
  if (over_time) return "svd";
  switch (context) {
    case 768: return "sd15";
    case 1024: return "sd21";
    case 1280: return "sdxl-refiner";
    case 2048: return "sdxl";
    default: return {};
  }
}

std::string detect_transformer_blocks(const TensorSet& part) {
  if (part.has("patchify_proj.weight")) {
    if (part.has_prefix("audio_adaln_single.") || part.has_prefix("audio_patchify_proj.")) {
      return "ltxav";
    }
    return part.dimension("patchify_proj.weight", 0) >= 4096 ? "ltxv-13b" : "ltxv-2b";
  }
  if (part.has_prefix("transformer_blocks.0.img_mod.")) return "qwen-image";
  if (part.has("genre_embedder.weight")) return "ace-step";
  return {};
}

/// Transformers as diffusers saves them, which ComfyUI renames while loading.
std::string detect_diffusers(const TensorSet& part) {
  if (!part.has("transformer_blocks.0.attn.add_q_proj.weight")) return {};
  if (part.has_prefix("single_transformer_blocks.0.") && part.has("x_embedder.weight")) {
    return "flux";
  }
  if (!part.has("pos_embed.proj.weight")) return {};
  return part.dimension("pos_embed.proj.weight", 0) >= 2432 ? "sd35-large" : "sd3-medium";
}

/// Files in diffusers' layout have other layers than ComfyUI's classes; what is asked of them is
/// what only this model of that layout has.
bool is_exact_diffusers(const TensorSet& part, std::string_view architecture) {
  if (architecture != "flux") return true;
  return part.has_prefix("time_text_embed.text_embedder.") &&
         part.has_prefix("context_embedder.") &&
         part.dimension("context_embedder.weight", 1) == 4096;
}

/// Layouts that ComfyUI renames while loading, so that its class's own names prove nothing.
bool is_renamed(const TensorSet& part, std::string_view architecture) {
  if (architecture.starts_with("hunyuan-")) return part.has_prefix("double_blocks.0.img_attn_qkv.");
  if (architecture == "kl-vae") return part.has_prefix("decoder.up_blocks.0.resnets.");
  return part.has_prefix("down_blocks.0.") && part.has("conv_in.weight");
}

std::string detect_lumina(const TensorSet& part) {
  if (part.has_prefix("time_caption_embed.")) return "omnigen2";
  if (!part.has_prefix("cap_embedder.")) return {};
  // Z-Image reads Qwen3-4B (2560 wide) and is 3840 wide; Lumina 2 reads Gemma 2 and is 2304 wide.
  const std::int64_t width = part.dimension("cap_embedder.1.weight", 0);
  return width >= 3840 ? "z-image" : "lumina2";
}

struct Mark {
  std::string_view prefix;
  std::string_view architecture;
};

// One prefix is enough for these.
constexpr Mark kDiffusionMarks[] = {
    {"clip_txt_mapper.", "stable-cascade-c"},
    {"clip_mapper.", "stable-cascade-b"},
    {"mlp_t5.", "hunyuan-dit"},
    {"cond_seq_linear.", "aura-flow"},
    {"t5_yproj.", "mochi"},
    {"caption_projection.0.linear.", "hidream"},
    {"visual_transformer_blocks.", "kandinsky5"},
    {"blocks.block0.", "cosmos"},
    {"encoder.lyric_encoder.layers.0.", "ace-step-15"},
    {"llm_adapter.blocks.", "anima"},
    {"blocks.0.adaln_modulation_self_attn.", "cosmos-predict2"},
    {"t_block.1.", "pixart"},
    {"transformer.rotary_pos_emb.", "stable-audio"},
    {"blocks.0.attn1.k_norm.", "hunyuan3d-21"},
};

std::string detect_diffusion(const TensorSet& part) {
  for (const auto detect : {detect_wan, detect_flux_like, detect_unet, detect_transformer_blocks,
                            detect_diffusers, detect_lumina}) {
    std::string found = detect(part);
    if (!found.empty()) return found;
  }
  if (part.has_prefix("joint_blocks.0.")) {
    return part.dimension("x_embedder.proj.weight", 0) >= 2432 ? "sd35-large" : "sd3-medium";
  }
  for (const Mark& mark : kDiffusionMarks) {
    if (part.has_prefix(mark.prefix)) return std::string(mark.architecture);
  }
  return {};
}

/// A language model that Ebb knows, by its embedding table.
struct LanguageModel {
  std::int64_t width;
  std::int64_t least_rows, most_rows;  ///< of the table
  std::string_view architecture;
};
constexpr LanguageModel kLanguageModels[] = {
    {1024, 151'669, 151'936, "qwen3-0.6b"},   {2048, 151'936, 151'936, "qwen25-vl-3b"},
    {2304, 256'000, 256'128, "gemma-2-2b"},   {2560, 151'936, 151'936, "qwen3-4b"},
    {3584, 151'936, 152'064, "qwen25-vl-7b"}, {3840, 262'144, 262'208, "gemma3-12b"},
    {4096, 128'256, 128'256, "llama31-8b"},   {4096, 128'257, 128'320, "llava-llama3"},
    {4096, 151'669, 151'936, "qwen3-8b"},     {5120, 131'072, 131'072, "mistral3-24b"},
};

/// One language model by the width and rows of its embedding table; empty for one that is not
/// known. `nearest`: the one of its width with most nearly as many rows.
std::string detect_language_model(std::int64_t vocabulary, std::int64_t width, bool nearest) {
  const LanguageModel* closest = nullptr;
  const auto distance = [&](const LanguageModel& model) {
    return std::max({model.least_rows - vocabulary, vocabulary - model.most_rows, std::int64_t{0}});
  };
  for (const LanguageModel& model : kLanguageModels) {
    if (model.width != width) continue;
    if (!closest || distance(model) < distance(*closest)) closest = &model;
  }
  if (!closest || (!nearest && distance(*closest) > 0)) return {};
  return std::string(closest->architecture);
}

/// Another model with the same table: its layers tell, by the marks that ComfyUI goes by.
std::string by_layers(const TensorSet& part, std::string_view table, std::string found) {
  const std::string_view before =
      table.substr(0, table.size() - std::string_view("embed_tokens.weight").size());
  const auto has = [&](std::string_view name) {
    return part.has(std::string(before) + std::string(name));
  };
  const bool visual = std::ranges::any_of(part.tensors(), [](const NamedTensor& one) {
    return contains(one.name, "visual.deepstack_merger_list.");
  });
  if (visual && found == "qwen3-4b") return "qwen3vl-4b";
  if (visual && found == "qwen3-8b") return "qwen3vl-8b";
  const bool layers =
      has("layers.0.self_attn.q_proj.weight") && has("layers.5.self_attn.q_proj.weight");
  if (found == "gemma3-12b" && layers && !has("layers.5.self_attn.v_proj.weight")) return {};
  const bool normed = has("layers.0.self_attn.q_norm.weight");
  if (found == "qwen25-vl-3b" && normed) return {};
  return found;
}

std::string detect_t5(std::int64_t vocabulary, std::int64_t width, bool nearest) {
  if (width == 4096 && vocabulary > 200'000) return "umt5-xxl";
  if (width == 4096 && (vocabulary <= 32'128 || nearest)) return "t5-xxl";
  if (width == 768 && (vocabulary <= 32'128 || nearest)) return "t5-base";
  return width == 1472 ? "byt5-small" : "";
}

/// CLIP text models by depth: L has 12 layers, H 24 and G 32.
std::string clip_by_layers(int layers) {
  if (layers > 24) return "clip-g";
  return layers > 12 ? "clip-h" : "clip-l";
}

int layer_number(std::string_view name) {
  int number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number > 999) break;
    number = number * 10 + (c - '0');
  }
  return number;
}

/// All encoders in a set, each found by its embedding table or its layers.
std::string detect_text_encoder(const TensorSet& part, bool nearest) {
  std::vector<std::string> found;
  std::map<std::string_view, int> clip_layers;  // by the prefix before the layers
  for (const NamedTensor& one : part.tensors()) {
    const auto& shape = one.tensor->shape;
    if (shape.size() == 2 &&
        (one.name == "shared.weight" || one.name.ends_with(".shared.weight"))) {
      found.push_back(detect_t5(shape[0], shape[1], nearest));
    }
    if (shape.size() == 2 && one.name.ends_with("embed_tokens.weight") &&
        !contains(one.name, "encoder.")) {
      const std::string model = detect_language_model(shape[0], shape[1], nearest);
      found.push_back(nearest ? model : by_layers(part, one.name, model));
    }
    for (const std::string_view mark : {"text_model.encoder.layers.", "transformer.resblocks."}) {
      const auto at = one.name.find(mark);
      if (at == std::string_view::npos) continue;
      int& layers = clip_layers[one.name.substr(0, at)];
      layers = std::max(layers, layer_number(one.name.substr(at + mark.size())) + 1);
    }
  }
  for (const auto& [prefix, layers] : clip_layers) {
    if (!contains(prefix, "vision")) found.push_back(clip_by_layers(layers));
  }
  return join_text_encoders(found);
}

std::string detect_gguf_text_encoder(const TensorSet& part, std::string_view architecture,
                                     bool nearest) {
  const std::int64_t vocabulary = part.dimension("token_embd.weight", 0);
  const std::int64_t width = part.dimension("token_embd.weight", 1);
  if (vocabulary == 0) return {};
  if (architecture.starts_with("t5")) return detect_t5(vocabulary, width, nearest);
  return detect_language_model(vocabulary, width, nearest);
}

std::string detect_vae(const TensorSet& part) {
  if (part.has_prefix("decoder.middle.0.residual.")) {
    return part.has_prefix("decoder.upsamples.0.upsamples.") ? "wan22-vae" : "wan21-vae";
  }
  if (part.has_prefix("decoder.up_blocks.0.res_blocks.")) return "ltxv-vae";
  if (part.has_prefix("decoder.unpatcher3d.")) return "cosmos-vae";
  if (part.has_prefix("vquantizer.")) return "cascade-vae";
  if (part.has_prefix("blocks.2.blocks.3.stack.") ||
      part.has_prefix("layers.4.layers.1.attn_block.")) {
    return "mochi-vae";
  }
  if (part.has_prefix("decoder.layers.1.layers.0.") || part.has_prefix("vocoder.") ||
      part.has_prefix("mel_encoder.") || part.has_prefix("decoder.mid.block_1.conv1.conv.bias1d")) {
    return "audio-vae";
  }
  if (part.has_prefix("decoder.conv_in_x_t.") || part.has_prefix("student.dconv_encoder.")) {
    return {};
  }
  if (part.has("decoder.conv_in.conv.weight")) {
    const auto latent = part.dimension("decoder.conv_in.conv.weight", 1);
    if (part.dimensions("decoder.conv_in.conv.weight") == 4) return "audio-vae";
    return latent == 32 ? "hunyuan-video-15-vae" : "hunyuan-video-vae";
  }
  if (part.has("decoder.conv_in.weight")) {
    const auto latent = part.dimension("decoder.conv_in.weight", 1);
    if (part.dimensions("decoder.conv_in.weight") == 5) return "hunyuan-video-15-vae";
    if (latent == 64) return "hunyuan-image-21-vae";
    return latent == 32 ? "flux2-vae" : "kl-vae";
  }
  return {};
}

std::string detect_vision(const TensorSet& part) {
  int layers = 0;
  for (const NamedTensor& one : part.tensors()) {
    for (const std::string_view mark :
         {"vision_model.encoder.layers.", "visual.transformer.resblocks."}) {
      const auto at = one.name.find(mark);
      if (at != std::string_view::npos) {
        layers = std::max(layers, layer_number(one.name.substr(at + mark.size())) + 1);
      }
    }
  }
  if (layers == 0) return {};
  if (layers > 40) return "clip-vision-g";
  if (layers > 30) return "clip-vision-h";
  return layers > 24 ? "sigclip" : "clip-vision-l";
}

/// RRDB is what ESRGAN is made of; its tensors have had three sets of names.
std::string detect_upscaler(const TensorSet& part) {
  const auto& all = part.tensors();
  const bool rrdb = std::any_of(all.begin(), all.end(), [](const NamedTensor& one) {
    return contains(lower(one.name), "rdb1.conv1.");
  });
  return rrdb ? "rrdb" : "upscaler";
}

std::string detect_controlnet(const TensorSet& part) {
  std::string base = detect_diffusion(part);
  if (base.empty() && part.has_prefix("controlnet_blocks.")) {
    base = part.has_prefix("transformer_blocks.0.img_mod.") ? "qwen-image" : "flux";
  }
  return base.empty() ? "controlnet" : "controlnet-" + base;
}

}  // namespace

std::string join_text_encoders(std::vector<std::string> architectures) {
  std::erase(architectures, std::string());
  std::sort(architectures.begin(), architectures.end());
  architectures.erase(std::unique(architectures.begin(), architectures.end()), architectures.end());
  const auto has = [&](std::string_view name) {
    return std::find(architectures.begin(), architectures.end(), name) != architectures.end();
  };
  if (architectures.empty()) return {};
  if (architectures.size() == 1) return architectures[0];
  if (has("llama31-8b")) return "hidream-clip";
  if (has("clip-l") && has("llava-llama3")) return "hunyuan-clip";
  if (has("clip-g") && has("t5-xxl")) return "sd3-clip";
  if (has("clip-l") && has("t5-xxl")) return "flux-clip";
  if (has("clip-l") && has("clip-g")) return "sdxl-clip";
  for (const std::string_view main :
       {"qwen25-vl-7b", "gemma3-12b", "t5-xxl", "umt5-xxl", "llava-llama3", "qwen3-4b"}) {
    if (has(main)) return std::string(main);
  }
  return architectures[0];
}

std::string nearest_architecture(const TensorSet& part, WeightsRole role,
                                 std::string_view gguf_architecture) {
  switch (role) {
    case WeightsRole::diffusion: return detect_diffusion(part);
    case WeightsRole::text_encoder: {
      std::string found = detect_text_encoder(part, true);
      return found.empty() ? detect_gguf_text_encoder(part, gguf_architecture, true) : found;
    }
    case WeightsRole::vae: return detect_vae(part);
    case WeightsRole::vision_encoder: return detect_vision(part);
    case WeightsRole::controlnet: return detect_controlnet(part);
    case WeightsRole::lora: return "lora";
    case WeightsRole::upscaler: return detect_upscaler(part);
    case WeightsRole::other: break;
  }
  return {};
}

std::string detect_architecture(const TensorSet& part, WeightsRole role,
                                std::string_view gguf_architecture) {
  if (role == WeightsRole::text_encoder) {
    std::string found = detect_text_encoder(part, false);
    return found.empty() ? detect_gguf_text_encoder(part, gguf_architecture, false) : found;
  }
  std::string found = nearest_architecture(part, role, gguf_architecture);
  if (role != WeightsRole::diffusion && role != WeightsRole::vae) return found;
  const bool diffusers = !detect_diffusers(part).empty();
  const bool exact = diffusers ? is_exact_diffusers(part, found)
                               : is_renamed(part, found) || has_layers_of(part, found);
  return exact ? found : std::string();
}

}  // namespace ebb
