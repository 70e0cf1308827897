// SPDX-License-Identifier: Apache-2.0
// The demand table, part two: VAEs and text encoders. docs/demand.md prints it and a test compares
// both.
//
// Formulas: memory_used_encode and memory_used_decode in comfy/sd.py of the four versions. Live
// figures called measured were traced on meta tensors (bf16, one item, convolution workspaces not
// counted).
#include "demand/architectures.h"

namespace ebb {
namespace {

constexpr NumberKind kMeasured = NumberKind::measured;
constexpr NumberKind kAssumed = NumberKind::assumed;

// The traced VAEs need 0.23 to 0.65 of the estimate; a half with room on both sides.
constexpr const char* kHalf =
    "half of ComfyUI's estimate: traced VAEs need 0.23 to 0.65 of it; not traced itself";

constexpr VaeFormula kUnknown = {0, Frames::none, 1, 0};

constexpr std::array<VaeFormula, 4> same(VaeFormula formula) {
  return {formula, formula, formula, formula};
}

/// Two columns of 0.3.x, two from 0.8.0 on.
constexpr std::array<VaeFormula, 4> since_0_8_0(VaeFormula before, VaeFormula after) {
  return {before, before, after, after};
}

/// Three columns before 0.18.2.
constexpr std::array<VaeFormula, 4> since_0_18_2(VaeFormula before, VaeFormula after) {
  return {before, before, before, after};
}

// clang-format off
constexpr VaeRow kVaeRows[] = {
    // key, title, channels, spatial, temporal, decode formulas, encode formulas,
    //   decode bytes a pixel, a pixel and frame, a pixel of a single picture; encode bytes a pixel,
    //   share, reserved, low, high, kind, kind of the reserved factor, source
    {"kl-vae", "KL autoencoder (SD, SDXL, SD3, Flux)", 16, 8, 0,
     same({2178, Frames::none, 64, 0}), same({1767, Frames::none, 1, 0}),
     1280, 0, 0, 0, 0.3, 1.43, 0.9, 1.4, kMeasured, kAssumed,
     "traced: 1.25 GiB at 1024^2, 5.00 GiB at 2048^2; reserved factor as the Wan VAE's"},
    {"wan21-vae", "Wan 2.1 VAE", 16, 8, 4,
     since_0_8_0({7000, Frames::none, 64, 0}, {7000, Frames::none, 64, 2200}),
     since_0_8_0({6000, Frames::none, 1, 0}, {6000, Frames::none, 1, 1500}),
     8580, 6.1, 3267, 6675, 0.5, 1.43, 0.9, 1.3, kMeasured, kMeasured,
     "traced: decode 3.37, 7.79, 8.21 GiB at 832x480x81, 1280x720x81 and x161, encode 2.48 GiB"},
    {"wan22-vae", "Wan 2.2 VAE", 48, 16, 4,
     same({8000, Frames::none, 256, 0}), same({3300, Frames::none, 1, 0}),
     8713, 6, 0, 0, 0.5, 1.43, 0.9, 1.3, kMeasured, kAssumed,
     "traced: decode 7.72 GiB at 1280x704x81, 7.92 GiB at x121; reserved as the Wan 2.1 VAE's"},
    {"hunyuan-video-vae", "HunyuanVideo VAE", 16, 8, 4,
     since_0_8_0({1500, Frames::all, 256, 0}, {2800, Frames::at_most_8, 64, 0}),
     since_0_8_0({900, Frames::at_least_2, 1, 0}, {1400, Frames::at_most_9, 1, 0}),
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"hunyuan-video-15-vae", "HunyuanVideo 1.5 VAE", 32, 16, 4,
     {{{1400, Frames::all, 256, 0}, {2800 * 4, Frames::none, 256, 0},
       {3600 * 4, Frames::none, 256, 0}, {3600 * 4, Frames::none, 256, 0}}},
     {{{1400, Frames::none, 1, 0}, {1400 * 9, Frames::none, 1, 0},
       {1400 * 9, Frames::none, 1, 0}, {1400 * 9, Frames::none, 1, 0}}},
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"hunyuan-image-21-vae", "HunyuanImage 2.1 VAE", 64, 32, 0,
     same({700, Frames::none, 1024, 0}), same({700, Frames::none, 1, 0}),
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"ltxv-vae", "LTX-Video VAE", 128, 32, 8,
     since_0_18_2({900, Frames::all, 512, 0}, {1200, Frames::all, 512, 0}),
     since_0_18_2({70, Frames::at_least_7, 1, 0}, {80, Frames::at_least_7, 1, 0}),
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"mochi-vae", "Mochi VAE", 12, 8, 6,
     same({1000, Frames::all, 384, 0}), same({1.5, Frames::at_least_7, 384, 0}),
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"cosmos-vae", "Cosmos VAE", 16, 8, 8,
     same({50, Frames::all, 512, 0}), same({50, Frames::rounded_up_to_8, 1, 0}),
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"cascade-vae", "Stable Cascade stage A", 4, 4, 0,
     same({2178, Frames::none, 64, 0}), same({1767, Frames::none, 1, 0}),
     0, 0, 0, 0, 0.5, 1.7, 0.4, 2.0, kAssumed, kAssumed, kHalf},
    {"flux2-vae", "Flux 2 VAE", 128, 16, 0,
     same({2178 * 4, Frames::none, 64, 0}), same({1767, Frames::none, 1, 0}),
     1280, 0, 0, 0, 0.3, 1.43, 0.7, 1.6, kAssumed, kAssumed,
     "as the KL autoencoder, whose decoder it has; not traced"},
    {"audio-vae", "audio VAE", 64, 1, 0, same(kUnknown), same(kUnknown),
     0, 0, 0, 0, 0, 1.7, 0.4, 2.0, kAssumed, kAssumed,
     "audio latents are not sized yet"},
};

constexpr const char* kSmall = "inferred: under 0.2 GiB at 512 tokens";

constexpr TextRow kTextRows[] = {
    // key, title, conditioning tokens and width, live MiB, asked MiB per token, source
    {"clip-l", "CLIP-L", 77, 768, 32, 0, kSmall},
    {"clip-g", "CLIP-G", 77, 1280, 64, 0, kSmall},
    {"sdxl-clip", "CLIP-L + CLIP-G", 77, 2048, 64, 0, kSmall},
    {"t5-xxl", "T5-XXL", 512, 4096, 200, 0, kSmall},
    {"umt5-xxl", "UMT5-XXL", 512, 4096, 200, 0, kSmall},
    {"flux-clip", "CLIP-L + T5-XXL", 512, 4096, 200, 0, kSmall},
    {"sd3-clip", "CLIP-L + CLIP-G + T5-XXL", 333, 4096, 200, 0, kSmall},
    {"llava-llama3", "Llava-Llama3", 256, 4096, 200, 0, kSmall},
    {"hunyuan-clip", "CLIP-L + Llava-Llama3", 256, 4096, 200, 0, kSmall},
    {"qwen25-vl-7b", "Qwen 2.5 VL 7B", 512, 3584, 200, 0, kSmall},
    {"gemma-2-2b", "Gemma 2 2B", 256, 2304, 200, 0, kSmall},
    {"gemma3-12b", "Gemma 3 12B", 1024, 3840, 400, 6.0, kSmall},
    {"qwen3-4b", "Qwen 3 4B", 512, 2560, 200, 0, kSmall},
    {"mistral3-24b", "Mistral 3 24B", 512, 15360, 400, 0, kSmall},
    {"hidream-clip", "CLIP-L + CLIP-G + T5-XXL + Llama 3.1", 512, 4096, 200, 0, kSmall},
};
// clang-format on

}  // namespace

std::span<const VaeRow> vae_rows() { return kVaeRows; }
std::span<const TextRow> text_rows() { return kTextRows; }

}  // namespace ebb
