// SPDX-License-Identifier: Apache-2.0
#include "weights/comfyui_class.h"

#include <algorithm>
#include <array>

namespace ebb {
namespace {

/// A tensor that must be there, `axis` of it `size` long if that is not 0. A name that ends in a
/// dot is the beginning of names. One without a name always holds.
struct Mark {
  std::string_view tensor = {};
  std::size_t axis = 0;
  std::int64_t size = 0;

  bool holds(const TensorSet& part) const {
    if (tensor.empty()) return true;
    if (tensor.ends_with('.')) return part.has_prefix(tensor);
    return size == 0 ? part.has(tensor) : part.dimension(tensor, axis) == size;
  }
};

struct ClassRow {
  std::string_view architecture;  ///< one ending in a dash stands for all that begin so
  std::string_view name;          ///< of ComfyUI's class; empty: one that the tensors don't tell
  std::array<Mark, 2> marks = {};
};

constexpr std::string_view kUnetIn = "input_blocks.0.0.weight";
constexpr std::string_view kUnetVector = "label_emb.0.0.weight";
constexpr std::string_view kWanPicture = "img_emb.proj.0.bias";
constexpr std::string_view kCosmosIn = "x_embedder.proj.1.weight";

// The first row whose marks hold decides, as in ComfyUI's list of models. Source: unet_config of
// comfy/supported_models.py and what comfy/model_detection.py reads it from, 0.18.2.
constexpr ClassRow kRows[] = {
    {"wan-vace-", "WAN21_Vace"},
    {"wan-s2v-", "WAN22_S2V"},
    {"wan-animate-", "WAN22_Animate"},
    {"wan-", "WAN21_Camera", {{{"control_adapter.conv.weight"}, {kWanPicture}}}},
    {"wan-", "WAN22_Camera", {{{"control_adapter.conv.weight"}}}},
    {"wan-", "WAN21_HuMo", {{{"audio_proj.audio_proj_glob_1.layer.bias"}}}},
    {"wan-", "WAN21_SCAIL2", {{{"patch_embedding_mask.weight"}}}},
    {"wan-", "WAN21_SCAIL", {{{"patch_embedding_pose.weight"}}}},
    {"wan-", "WAN21_FunControl2V", {{{kWanPicture}, {"patch_embedding.weight", 1, 48}}}},
    {"wan-", "WAN21_I2V", {{{kWanPicture}}}},
    {"wan-", "WAN22_T2V", {{{"head.head.weight", 0, 4 * 48}}}},
    {"wan-", "WAN21_T2V"},
    {"flux", "FluxInpaint", {{{"img_in.weight", 1, 4 * 96}}}},
    {"flux", "FluxInpaint", {{{"x_embedder.weight", 1, 4 * 96}}}},
    {"flux", "Flux", {{{"guidance_in.in_layer.weight"}}}},
    {"flux", "Flux", {{{"time_text_embed.guidance_embedder."}}}},
    {"flux", "FluxSchnell"},
    {"longcat-image", "LongCatImage"},
    {"flux2", "Flux2"},
    {"flux2-", "Flux2"},
    {"chroma", "Chroma"},
    {"chroma-radiance", "ChromaRadiance"},
    {"hunyuan-video-15", "HunyuanVideo15_SR_Distilled", {{{"img_in.proj.weight", 1, 98}}}},
    {"hunyuan-video-15", "HunyuanVideo15"},
    {"hunyuan-image-21", "HunyuanImage21"},
    {"hunyuan-image-21-refiner", "HunyuanImage21Refiner"},
    {"hunyuan-video", "HunyuanVideoSkyreelsI2V", {{{"img_in.proj.weight", 1, 32}}}},
    {"hunyuan-video", "HunyuanVideoI2V", {{{"img_in.proj.weight", 1, 33}}}},
    {"hunyuan-video", "HunyuanVideo"},
    {"hunyuan3d", "Hunyuan3Dv2", {{{"double_blocks.8."}}}},
    {"hunyuan3d", "Hunyuan3Dv2mini"},
    {"hunyuan3d-21", "Hunyuan3Dv2_1"},
    // Eight channels in are Stable Zero123's too, whose mark is outside of the U-Net.
    {"sd15", "", {{{kUnetIn, 1, 8}}}},
    {"sd15", "SD15"},
    {"sd21", "SD_X4Upscaler", {{{kUnetIn, 0, 256}}}},
    {"sd21", "LotusD", {{{kUnetVector, 1, 4}}}},
    {"sd21", "SD21UnclipL", {{{kUnetVector, 1, 1536}}}},
    {"sd21", "SD21UnclipH", {{{kUnetVector, 1, 2048}}}},
    {"sd21", "SD20"},
    {"sdxl-refiner", "SDXLRefiner"},
    {"sdxl",
     "SDXL_instructpix2pix",
     {{{kUnetIn, 1, 8}, {"input_blocks.7.1.transformer_blocks.9."}}}},
    {"sdxl", "SDXL", {{{"input_blocks.7.1.transformer_blocks.9."}}}},
    {"sdxl", "SDXL", {{{"down_blocks.2.attentions.0.transformer_blocks.9."}}}},
    {"sdxl", "SSD1B", {{{"input_blocks.7.1.transformer_blocks.3."}}}},
    {"sdxl", "Segmind_Vega", {{{"input_blocks.7.1.transformer_blocks.1."}}}},
    {"sdxl", "KOALA_1B", {{{"input_blocks.5.1.transformer_blocks.5."}}}},
    {"sdxl", "KOALA_700M", {{{"input_blocks.5.1.transformer_blocks.4."}}}},
    {"svd", "SV3D_u", {{{kUnetVector, 1, 256}}}},
    {"svd", "SV3D_p", {{{kUnetVector, 1, 1280}}}},
    {"svd", "SVD_img2vid"},
    {"stable-cascade-b", "Stable_Cascade_B"},
    {"stable-cascade-c", "Stable_Cascade_C"},
    {"sd3-medium", "SD3"},
    {"sd35-large", "SD3"},
    {"ltxav", "LTXAV"},
    {"ltxv-", "LTXV"},
    {"qwen-image", "QwenImage"},
    {"z-image", "ZImagePixelSpace", {{{"dec_net.cond_embed.weight"}}}},
    {"z-image", "ZImage"},
    {"lumina2", "Lumina2"},
    {"omnigen2", "Omnigen2"},
    {"hidream", "HiDream"},
    {"aura-flow", "AuraFlow"},
    {"mochi", "GenmoMochi"},
    {"pixart", "PixArtAlpha", {{{"ar_embedder.mlp.0.weight"}}}},
    {"pixart", "PixArtSigma"},
    {"hunyuan-dit", "HunyuanDiT1", {{{"extra_embedder.0.weight", 1, 3968}}}},
    {"hunyuan-dit", "HunyuanDiT"},
    // Four values a patch of each channel, and one channel of padding.
    {"cosmos", "CosmosI2V", {{{kCosmosIn, 1, 4 * 18}}}},
    {"cosmos", "CosmosT2V"},
    {"anima", "Anima"},
    {"cosmos-predict2", "CosmosI2VPredict2", {{{kCosmosIn, 1, 4 * 18}}}},
    {"cosmos-predict2", "CosmosT2IPredict2"},
    {"kandinsky5",
     "Kandinsky5Image",
     {{{"visual_embeddings.in_layer.weight", 0, 2560},
       {"visual_embeddings.in_layer.weight", 1, 64}}}},
    {"kandinsky5", "Kandinsky5"},
    {"ace-step", "ACEStep"},
    {"ace-step-15", "ACEStep15"},
    {"stable-audio", "StableAudio"},
};

bool stands_for(std::string_view row, std::string_view architecture) {
  return row.ends_with('-') ? architecture.starts_with(row) : architecture == row;
}

}  // namespace

std::string comfyui_class(const TensorSet& part, std::string_view architecture) {
  for (const ClassRow& row : kRows) {
    if (!stands_for(row.architecture, architecture)) continue;
    const auto holds = [&](const Mark& mark) { return mark.holds(part); };
    if (std::all_of(row.marks.begin(), row.marks.end(), holds)) return std::string(row.name);
  }
  return {};
}

}  // namespace ebb
