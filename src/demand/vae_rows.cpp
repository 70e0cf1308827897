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

constexpr const char* kTraced = "traced on meta tensors, tests/demand/traced.inc";

constexpr VaeFormula kUnknown = {0, Frames::none, 1, 0};

constexpr ByVersion<VaeLive> every(VaeLive live) { return {live}; }

constexpr ByVersion<VaeFormula> same(VaeFormula formula) { return {formula}; }

/// Two columns of 0.3.x, two from 0.8.0 on.
constexpr ByVersion<VaeFormula> since_0_8_0(VaeFormula before, VaeFormula after) {
  return {before, before, after};
}

/// Three columns before 0.18.2.
constexpr ByVersion<VaeFormula> since_0_18_2(VaeFormula before, VaeFormula after) {
  return {before, before, before, after};
}

// clang-format off
constexpr VaeRow kVaeRows[] = {
    // key, title, channels, spatial, temporal, decode formulas, encode formulas,
    //   decode live, encode live: {bytes a pixel, a pixel and frame, a pixel of a single picture,
    //   reserved / live}, share, low, high, kind, source
    {"kl-vae", "KL autoencoder (SD, SDXL, SD3, Flux)", 16, 8, 0,
     same({2178, Frames::none, 64, 0}), same({1767, Frames::none, 1, 0}),
     {{1280.5, 0, 0, 1.56}, {1280.5, 0, 0, 1.56}, {1296.5, 0, 0, 1.55}, {1296.5, 0, 0, 1.55}},
     every({774, 0, 0, 1.38}),
     0.3, 0.9, 1.4, kMeasured, kTraced},
    {"wan21-vae", "Wan 2.1 VAE", 16, 8, 4,
     since_0_8_0({7000, Frames::none, 64, 0}, {7000, Frames::none, 64, 2200}),
     since_0_8_0({6000, Frames::none, 1, 0}, {6000, Frames::none, 1, 1500}),
     {{8577.6, 6.232, 3267.2, 1.4},
       {8577.6, 6.232, 3267.2, 1.4},
       {8577.6, 6.232, 3267.2, 1.4},
       {6756.7, 6.25, 781, 1.48}},
     {{6656.6, 6.232, 1933.7, 1.2},
       {6656.6, 6.232, 1933.7, 1.2},
       {6656.6, 6.232, 1933.7, 1.2},
       {4402.7, 6.25, 774, 1.36}},
     0.5, 0.73, 1.4, kMeasured, kTraced},
    {"wan22-vae", "Wan 2.2 VAE", 48, 16, 4,
     same({8000, Frames::none, 256, 0}), same({3300, Frames::none, 1, 0}),
     {{8713, 6.104, 2644.5, 1.35},
       {8713, 6.104, 2644.5, 1.35},
       {8713, 6.104, 2644.5, 1.35},
       {7665.3, 6.187, 2257.1, 1.28}},
     {{3105, 6.161, 894.12, 1.22},
       {3105, 6.161, 894.12, 1.22},
       {3105, 6.161, 894.12, 1.22},
       {2937.6, 6.188, 652, 1.23}},
     0.5, 0.82, 1.4, kMeasured, kTraced},
    {"hunyuan-video-vae", "HunyuanVideo VAE", 16, 8, 4,
     since_0_8_0({1500, Frames::all, 256, 0}, {2800, Frames::at_most_8, 64, 0}),
     since_0_8_0({900, Frames::at_least_2, 1, 0}, {1400, Frames::at_most_9, 1, 0}),
     {{1130.2, 2115, 0, 1.27},
       {1130.2, 2115, 0, 1.27},
       {22456, 9.588, 0, 1.76},
       {22456, 9.588, 0, 1.76}},
     {{532.7, 1031, 0, 1.01},
       {532.7, 1031, 0, 1.01},
       {11147, 9.648, 0, 1.42},
       {11147, 9.648, 0, 1.42}},
     0.5, 0.88, 1.4, kMeasured, kTraced},
    {"hunyuan-video-15-vae", "HunyuanVideo 1.5 VAE", 32, 16, 4,
     {{1400, Frames::all, 256, 0}, {2800 * 4, Frames::none, 256, 0},
       {3600 * 4, Frames::none, 256, 0}, {3600 * 4, Frames::none, 256, 0}},
     {{1400, Frames::none, 1, 0}, {1400 * 9, Frames::none, 1, 0},
       {1400 * 9, Frames::none, 1, 0}, {1400 * 9, Frames::none, 1, 0}},
     {{14958, 8.062, 0, 1.79},
       {14958, 8.062, 0, 1.79},
       {15071, 7.859, 0, 1.78},
       {15071, 7.859, 0, 1.78}},
     {{13042, 8, 0, 1.51},
       {13042, 8, 0, 1.51},
       {13121, 7.858, 0, 1.21},
       {13121, 7.858, 0, 1.21}},
     0.5, 0.9, 1.4, kMeasured, kTraced},
    {"hunyuan-image-21-vae", "HunyuanImage 2.1 VAE", 64, 32, 0,
     same({700, Frames::none, 1024, 0}), same({700, Frames::none, 1, 0}),
     every({896.12, 0, 0, 1.6}),
     every({902, 0, 0, 1.01}),
     0.5, 0.9, 1.4, kMeasured, kTraced},
    {"ltxv-vae", "LTX-Video VAE", 128, 32, 8,
     since_0_18_2({900, Frames::all, 512, 0}, {1200, Frames::all, 512, 0}),
     since_0_18_2({70, Frames::at_least_7, 1, 0}, {80, Frames::at_least_7, 1, 0}),
     {{113.31, 96.25, 0, 1.35},
       {113.31, 96.25, 0, 1.35},
       {113.31, 96.25, 0, 1.35},
       {0, 0, 0, 1.7}},
     {{64, 86, 0, 1.14}, {64, 86, 0, 1.14}, {64, 86, 0, 1.14}, {0, 0, 0, 1.7}},
     0.5, 0.9, 1.4, kMeasured, kTraced},
    {"mochi-vae", "Mochi VAE", 12, 8, 6,
     same({1000, Frames::all, 384, 0}), same({1.5, Frames::at_least_7, 384, 0}),
     every({1027.7, 1538, 0, 1.67}),
     every({0, 804, 0, 1.19}),
     0.5, 0.9, 1.4, kMeasured, kTraced},
    {"cosmos-vae", "Cosmos VAE", 16, 8, 8,
     same({50, Frames::all, 512, 0}), same({50, Frames::rounded_up_to_8, 1, 0}),
     every({193.36, 64.37, 0, 1.66}),
     every({330, 52, 0, 1.86}),
     0.5, 0.9, 1.4, kMeasured, kTraced},
    {"cascade-vae", "Stable Cascade stage A", 4, 4, 0,
     same({2178, Frames::none, 64, 0}), same({1767, Frames::none, 1, 0}),
     every({1056.5, 0, 0, 1.41}),
     every({1056, 0, 0, 1.2}),
     0.5, 0.9, 1.4, kMeasured, kTraced},
    {"flux2-vae", "Flux 2 VAE", 128, 16, 0,
     same({2178 * 4, Frames::none, 64, 0}), same({1767, Frames::none, 1, 0}),
     {{1282, 0, 0, 1.59}, {1282, 0, 0, 1.59}, {1298, 0, 0, 1.57}, {1298, 0, 0, 1.57}},
     every({774, 0, 0, 1.34}),
     0.3, 0.9, 1.4, kMeasured, kTraced},
    {"audio-vae", "audio VAE", 64, 1, 0, same(kUnknown), same(kUnknown),
     every({0, 0, 0, 1.7}), every({0, 0, 0, 1.7}),
     0, 0.4, 2.0, kAssumed,
     "audio latents are not sized yet"},
};

// ESRGAN (RRDB, 64 channels): two large maps in 32 bits, or what a block of the small one needs.
constexpr UpscalerRow kUpscalerRows[] = {
    // key, scale, bytes a pixel, reserved / live
    {"rrdb-x1", 1, 2304, 1.91},
    {"rrdb-x2", 2, 2304, 2.8},
    {"rrdb-x4", 4, 8192, 1.79},
    {"rrdb-x8", 8, 32768, 1.45},
};

constexpr const char* kSmall = "inferred: under 0.2 GiB at 512 tokens";

constexpr TextRow kTextRows[] = {
    // key, title, conditioning tokens and width, live MiB, asked MiB per token, source, parameters
    {"clip-l", "CLIP-L", 77, 768, 32, 0, kSmall, 0.123e9},
    {"clip-g", "CLIP-G", 77, 1280, 64, 0, kSmall, 0.695e9},
    {"sdxl-clip", "CLIP-L + CLIP-G", 77, 2048, 64, 0, kSmall, 0.818e9},
    {"t5-xxl", "T5-XXL", 512, 4096, 200, 0, kSmall, 4.76e9},
    {"umt5-xxl", "UMT5-XXL", 512, 4096, 200, 0, kSmall, 5.68e9},
    {"flux-clip", "CLIP-L + T5-XXL", 512, 4096, 200, 0, kSmall, 4.89e9},
    {"sd3-clip", "CLIP-L + CLIP-G + T5-XXL", 333, 4096, 200, 0, kSmall, 5.58e9},
    {"llava-llama3", "Llava-Llama3", 256, 4096, 200, 0, kSmall, 8.03e9},
    {"hunyuan-clip", "CLIP-L + Llava-Llama3", 256, 4096, 200, 0, kSmall, 8.15e9},
    {"qwen25-vl-7b", "Qwen 2.5 VL 7B", 512, 3584, 200, 0, kSmall, 7.62e9},
    {"gemma-2-2b", "Gemma 2 2B", 256, 2304, 200, 0, kSmall, 2.61e9},
    {"gemma3-12b", "Gemma 3 12B", 1024, 3840, 400, 6.0, kSmall, 11.8e9},
    {"qwen3-4b", "Qwen 3 4B", 512, 2560, 200, 0, kSmall, 4.02e9},
    {"mistral3-24b", "Mistral 3 24B", 512, 15360, 400, 0, kSmall, 23.6e9},
    {"hidream-clip", "CLIP-L + CLIP-G + T5-XXL + Llama 3.1", 512, 4096, 200, 0, kSmall, 13.6e9},
};

// Operations of convolutions, matrix products and attention, counted with PyTorch's flop counter in
// the tracer's calls (0.18.2; LTX-Video 0.3.73).
constexpr VaeFlops kVaeFlops[] = {
    // key, decode: first frame, later ones; encode: first, later (a pixel); width of attention
    {"kl-vae", 9'462'784, 0, 4'132'096, 0, 512, false},
    {"wan21-vae", 4'098'824, 8'444'882, 2'326'496, 5'002'857, 384, false},
    {"wan22-vae", 9'470'866, 18'393'876, 1'622'632, 3'490'778, 1024, false},
    {"hunyuan-video-vae", 28'060'728, 16'828'353, 12'265'211, 9'070'217, 512, true},
    {"hunyuan-video-15-vae", 32'353'277, 24'913'856, 17'209'082, 14'022'272, 1024, true},
    {"hunyuan-image-21-vae", 8'089'472, 0, 4'717'568, 0, 1024, false},
    {"ltxv-vae", 3'566'712, 1'404'000, 1'533'217, 811'634, 0, false},
    {"mochi-vae", 26'997'806, 15'805'232, 7'146'702, 4'144'559, 0, false},
    {"cosmos-vae", 2'763'543, 483'657, 1'632'583, 256'204, 512, false},
    {"cascade-vae", 2'071'776, 0, 445'008, 0, 0, false},
    {"flux2-vae", 9'465'120, 0, 4'136'832, 0, 8192, false},
};
// clang-format on

}  // namespace

std::span<const VaeRow> vae_rows() { return kVaeRows; }
std::span<const UpscalerRow> upscaler_rows() { return kUpscalerRows; }
std::span<const TextRow> text_rows() { return kTextRows; }
std::span<const VaeFlops> vae_flops() { return kVaeFlops; }

}  // namespace ebb
