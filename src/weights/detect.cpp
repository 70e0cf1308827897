// SPDX-License-Identifier: Apache-2.0
#include "weights/detect.h"

#include <algorithm>
#include <map>

#include "base/text.h"

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
  if (part.has_prefix("double_stream_modulation_img.")) return "flux2";
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

/// One language model by the width and rows of its embedding table.
std::string detect_language_model(std::int64_t vocabulary, std::int64_t width) {
  switch (width) {
    case 1024: return "qwen3-0.6b";
    case 2048: return "qwen25-vl-3b";
    case 2304: return "gemma-2-2b";
    case 2560: return "qwen3-4b";
    case 3584: return "qwen25-vl-7b";
    case 3840: return "gemma3-12b";
    case 5120: return "mistral3-24b";
    case 4096:
      if (vocabulary == 128256) return "llama31-8b";
      return vocabulary > 140'000 ? "qwen3-8b" : "llava-llama3";
    default: return {};
  }
}

std::string detect_t5(std::int64_t vocabulary, std::int64_t width) {
  if (width == 4096) return vocabulary > 200'000 ? "umt5-xxl" : "t5-xxl";
  if (width == 768) return "t5-base";
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
std::string detect_text_encoder(const TensorSet& part) {
  std::vector<std::string> found;
  std::map<std::string_view, int> clip_layers;  // by the prefix before the layers
  for (const NamedTensor& one : part.tensors()) {
    const auto& shape = one.tensor->shape;
    if (shape.size() == 2 &&
        (one.name == "shared.weight" || one.name.ends_with(".shared.weight"))) {
      found.push_back(detect_t5(shape[0], shape[1]));
    }
    if (shape.size() == 2 && one.name.ends_with("embed_tokens.weight") &&
        !contains(one.name, "encoder.")) {
      found.push_back(detect_language_model(shape[0], shape[1]));
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

std::string detect_gguf_text_encoder(const TensorSet& part, std::string_view architecture) {
  const std::int64_t vocabulary = part.dimension("token_embd.weight", 0);
  const std::int64_t width = part.dimension("token_embd.weight", 1);
  if (vocabulary == 0) return {};
  if (architecture.starts_with("t5")) return detect_t5(vocabulary, width);
  return detect_language_model(vocabulary, width);
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

std::string detect_architecture(const TensorSet& part, WeightsRole role,
                                std::string_view gguf_architecture) {
  switch (role) {
    case WeightsRole::diffusion: return detect_diffusion(part);
    case WeightsRole::text_encoder: {
      std::string found = detect_text_encoder(part);
      return found.empty() ? detect_gguf_text_encoder(part, gguf_architecture) : found;
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

}  // namespace ebb
