// SPDX-License-Identifier: Apache-2.0
#include "weights/known.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "weights/module_table.h"

namespace ebb {
namespace {

using enum WeightsRole;

#include "weights/known_files.inc"
#include "weights/known_models.inc"

/// Marks of an element type in a normalised name, most specific first.
struct TypeMark {
  std::string_view mark;
  std::string_view type;
  double bits = 0;  ///< per value; 0 where the mix differs too much to say
};

// For GGUF mixes: what public files of Flux, Wan and Qwen-Image come to, which differ by up to 8%.
constexpr TypeMark kTypeMarks[] = {
    {"q2-k", "Q2_K", 2.75},
    {"q3-k-s", "Q3_K_S", 3.5},
    {"q3-k-m", "Q3_K_M", 3.95},
    {"q3-k-l", "Q3_K_L", 4.2},
    {"q4-k-s", "Q4_K_S", 4.75},
    {"q4-k-m", "Q4_K_M", 5.2},
    {"q4-k-xl", "Q4_K_XL", 5.2},
    {"q4-k", "Q4_K", 4.75},
    {"q4-0", "Q4_0", 4.56},
    {"q4-1", "Q4_1", 5.06},
    {"q5-k-s", "Q5_K_S", 5.6},
    {"q5-k-m", "Q5_K_M", 5.85},
    {"q5-0", "Q5_0", 5.56},
    {"q5-1", "Q5_1", 6.06},
    {"q6-k", "Q6_K", 6.6},
    {"q8-0", "Q8_0", 8.55},
    {"-q8", "Q8_0", 8.55},
    {"iq4-xs", "IQ4_XS", 4.4},
    {"iq4-nl", "IQ4_NL", 4.6},
    {"svdq", "svdq", 0},
    {"nvfp4", "nvfp4", 0},
    {"fp4", "fp4", 0},
    {"nf4", "nf4", 0},
    {"int4", "int4", 0},
    {"int8", "int8", 8.1},
    {"fp8mixed", "fp8_mixed", 0},
    {"fp8-mixed", "fp8_mixed", 0},
    {"fp8-e4m3fn-scaled", "fp8_e4m3fn_scaled", 8},
    {"fp8-scaled", "fp8_e4m3fn_scaled", 8},
    {"fp8-e5m2-scaled", "fp8_e5m2_scaled", 8},
    {"fp8-e5m2", "fp8_e5m2", 8},
    {"fp8", "fp8_e4m3fn", 8},
    {"bf16", "bf16", 16},
    {"fp16", "fp16", 16},
    {"-f16", "fp16", 16},
    {"fp32", "fp32", 32},
};

/// Words that a normalised name must hold; `a|b` means either, `!a` forbids.
struct NameFamily {
  std::array<std::string_view, 4> words;
  WeightsRole role;
  std::string_view architecture;
  std::int64_t parameters = 0;
  std::string_view structure = {};
  int gguf_within_percent = 8;  ///< how far the files of different publishers differ
};

// The first that fits wins. Parameters are counted from the architectures, see known_models.inc.
constexpr NameFamily kFamilies[] = {
    {{"wan", "vace", "1-3b"}, diffusion, "wan-vace-1.3b", 2154071872, "wan21_t2v_1.3b_fp16"},
    {{"wan", "vace", "14b", "!module"},
     diffusion,
     "wan-vace-14b",
     17337592896,
     "wan22_i2v_14b_fp16"},
    {{"wan", "vace"}, diffusion, "wan-vace-14b"},
    {{"wan", "animate"}, diffusion, "wan-animate-14b"},
    {{"wan", "s2v"}, diffusion, "wan-s2v-14b", 16295755609, "wan22_i2v_14b_fp16"},
    {{"wan", "humo", "14b|17b"}, diffusion, "wan-14b", 17055925312, "wan22_i2v_14b_fp16"},
    {{"wan", "humo|infinitetalk|multitalk|ati-|wanmove"}, diffusion, "wan-14b"},
    {{"wan", "ti2v|-5b-"}, diffusion, "wan-5b", 4999787712, "wan22_ti2v_5b_fp16"},
    {{"wan", "1-3b", "!fun|control|camera|inp"},
     diffusion,
     "wan-1.3b",
     1419096640,
     "wan21_t2v_1.3b_fp16"},
    {{"wan", "1-3b", "fun", "camera"}, diffusion, "wan-1.3b", 1616313152, "wan21_t2v_1.3b_fp16"},
    {{"wan", "1-3b", "fun", "inp"}, diffusion, "wan-1.3b", 1564428608, "wan21_t2v_1.3b_fp16"},
    {{"wan", "1-3b", "fun", "control"}, diffusion, "wan-1.3b", 1564502336, "wan21_t2v_1.3b_fp16"},
    {{"wan", "1-3b"}, diffusion, "wan-1.3b"},
    {{"wan2-1|wan-2-1", "fun", "14b", "camera"},
     diffusion,
     "wan-14b",
     16898128704,
     "wan22_i2v_14b_fp16"},
    {{"wan2-1|wan-2-1", "fun", "14b", "inp|control"},
     diffusion,
     "wan-14b",
     16395124544,
     "wan22_i2v_14b_fp16"},
    {{"wan2-1|wan-2-1", "i2v|flf2v", "14b"},
     diffusion,
     "wan-14b",
     16394878784,
     "wan22_i2v_14b_fp16"},
    {{"wan", "14b", "i2v", "480p|720p"}, diffusion, "wan-14b", 16394878784, "wan22_i2v_14b_fp16"},
    {{"wan2-2|wan-2-2", "i2v|fun", "14b"}, diffusion, "wan-14b", 14288901184, "wan22_i2v_14b_fp16"},
    {{"wan2-1|wan-2-1", "fun", "14b"}, diffusion, "wan-14b"},
    {{"wan", "t2v", "14b"}, diffusion, "wan-14b", 14288491584, "wan22_i2v_14b_fp16"},
    {{"wan2|wan-2|wanvideo"}, diffusion, "wan-14b"},
    {{"qwen", "image", "!lora|lightning|controlnet"},
     diffusion,
     "qwen-image",
     20430401088,
     "qwen_image_fp8_e4m3fn"},
    {{"flux2|flux-2", "klein", "9b"}, diffusion, "flux2", 9078581248},
    {{"flux2|flux-2", "klein", "4b"}, diffusion, "flux2", 3875544576},
    {{"flux2|flux-2", "dev", "!lora"}, diffusion, "flux2", 32223281152},
    {{"flux2|flux-2"}, diffusion, "flux2"},
    {{"chroma", "radiance"}, diffusion, "chroma-radiance"},
    {{"chroma"}, diffusion, "chroma", 8900000000},
    {{"flux", "fill", "!lora"}, diffusion, "flux", 11902391360, "flux1_dev_bf16"},
    {{"flux", "schnell", "!lora"}, diffusion, "flux", 11891178560, "flux1_dev_bf16"},
    {{"flux", "canny-dev|depth-dev", "!lora"}, diffusion, "flux", 11901604928, "flux1_dev_bf16"},
    {{"flux", "dev|krea|kontext", "!lora"}, diffusion, "flux", 11901408320, "flux1_dev_bf16"},
    {{"flux", "!lora"}, diffusion, "flux"},
    {{"hunyuan", "video1-5|video-1-5|video15"}, diffusion, "hunyuan-video-15", 8326000000},
    {{"hunyuan", "image", "!refiner|distilled"}, diffusion, "hunyuan-image-21", 17425795520},
    {{"hunyuan", "image"}, diffusion, "hunyuan-image-21"},
    {{"hunyuan", "3d", "2.1|2_1|2-1|v21"}, diffusion, "hunyuan3d-21"},
    {{"hunyuan", "3d"}, diffusion, "hunyuan3d"},
    {{"hunyuan", "video|i2v|t2v"},
     diffusion,
     "hunyuan-video",
     12821012544,
     "hunyuan_video_t2v_bf16"},
    {{"ltx", "13b"}, diffusion, "ltxv-13b", 13042569344, "ltxv_13b_bf16"},
    {{"ltxv|ltx-video", "2b"}, diffusion, "ltxv-2b", 1923385472, "ltxv_2b_bf16"},
    {{"ltx-2-19b|ltx2-19b"}, diffusion, "ltxav", 19585115392, {}, 20},
    {{"ltx-2-3-22b|ltx2-3-22b|ltx23-22b"}, diffusion, "ltxav", 21010000000, {}, 20},
    {{"ltx"}, diffusion, "ltxav"},
    {{"z-image|zimage"}, diffusion, "z-image", 6154900000},
    {{"lumina"}, diffusion, "lumina2"},
    {{"hidream"}, diffusion, "hidream", 17105900000},
    {{"omnigen2"}, diffusion, "omnigen2"},
    {{"cosmos", "predict2"}, diffusion, "cosmos-predict2"},
    {{"cosmos"}, diffusion, "cosmos"},
    {{"mochi"}, diffusion, "mochi"},
    {{"sd3-5|sd35", "large"}, diffusion, "sd35-large", 8146280768},
    {{"sd3"}, diffusion, "sd3-medium"},
    {{"svd"}, diffusion, "svd"},
    {{"cascade", "-b-|-b"}, diffusion, "stable-cascade-b"},
    {{"cascade"}, diffusion, "stable-cascade-c"},
    {{"refiner", "xl"}, diffusion, "sdxl-refiner"},
    {{"umt5", "xxl"}, text_encoder, "umt5-xxl", 5680910336, "umt5_xxl_fp16"},
    {{"t5xxl|t5-xxl|t5-v1-1-xxl"}, text_encoder, "t5-xxl", 4762310656, "t5xxl_fp16"},
    {{"llava", "llama"}, text_encoder, "llava-llama3", 7505186816, "llava_llama3_fp8_scaled"},
    {{"llama-3-1|llama3-1", "8b"}, text_encoder, "llama31-8b", 7504924672},
    {{"qwen", "2-5-vl|2-5vl", "7b|fp16"},
     text_encoder,
     "qwen25-vl-7b",
     7747169280,
     "qwen_2.5_vl_7b_fp8_scaled"},
    {{"gemma-3|gemma3", "12b"}, text_encoder, "gemma3-12b", 12187325040},
    {{"gemma-2|gemma2", "2b"}, text_encoder, "gemma-2-2b", 2614341888},
    {{"qwen-3-8b|qwen3-8b"}, text_encoder, "qwen3-8b", 7568405504},
    {{"qwen-3-vl-4b|qwen3-vl-4b|qwen3vl-4b|qwen3vl4b"}, text_encoder, "qwen3vl-4b", 4437817344},
    {{"qwen-3-4b|qwen3-4b"}, text_encoder, "qwen3-4b", 4022468096},
    {{"mistral", "flux2|24b|small"}, text_encoder, "mistral3-24b"},
    {{"clip-g|bigg"}, text_encoder, "clip-g", 694659840, "clip_g"},
    {{"clip-l|vit-l"}, text_encoder, "clip-l", 123650304, "clip_l"},
    {{"wan2-2|wan-2-2"}, vae, "wan22-vae", 704688668, "wan2.2_vae"},
    {{"wan|qwen"}, vae, "wan21-vae", 126892531, "wan_2.1_vae"},
    {{"hunyuan", "15|1-5"}, vae, "hunyuan-video-15-vae"},
    {{"hunyuan", "image"}, vae, "hunyuan-image-21-vae"},
    {{"hunyuan|hyvid"}, vae, "hunyuan-video-vae", 246478803, "hunyuan_video_vae"},
    {{"ltx", "audio"}, vae, "audio-vae"},
    {{"ltx"}, vae, "ltxv-vae"},
    {{"flux2|flux-2"}, vae, "flux2-vae"},
    {{"flux|z-image"}, vae, "kl-vae", 83819683, "ae_flux"},
    {{"sdxl|sd-xl|xl-vae|mse-840000|kl-f8|orangemix|blessed|nyanmix"},
     vae,
     "kl-vae",
     83653863,
     "sdxl_vae"},
    {{"bigg|clip-vision-g"}, vision_encoder, "clip-vision-g"},
    {{"vit-h|clip-vision-h|huge"}, vision_encoder, "clip-vision-h"},
    {{"sigclip|siglip"}, vision_encoder, "sigclip"},
};

// Checkpoints of a family keep its shape whoever trained them on; names often say the family.
constexpr NameFamily kCheckpointFamilies[] = {
    {{"refiner", "xl"}, diffusion, "sdxl-refiner"},
    {{"flux"}, diffusion, "flux", 11901408320, "flux1_dev_bf16"},
    {{"ltx", "13b"}, diffusion, "ltxv-13b", 13042569344, "ltxv_13b_bf16"},
    {{"ltxv|ltx-video", "2b"}, diffusion, "ltxv-2b", 1923385472, "ltxv_2b_bf16"},
    {{"sdxl|xl-|-xl|xl1|xllight|xlsfw|xl09|pony|illustrious|noobai|animagine"},
     diffusion,
     "sdxl",
     2567463684,
     "sdxl"},
    {{"sd21|v2-1|sd2-1"}, diffusion, "sd21", 865910724},
    {{"sd15|sd1-5|v1-5|v15-"}, diffusion, "sd15", 859520964},
};

/// LoRAs of a family hold, for each unit of rank, one value per input and output of the layers that
/// they change: here all linear layers of the blocks (Qwen's but for the modulation), which is what
/// those of known size hold. Some change fewer.
struct LoraFamily {
  std::array<std::string_view, 4> words;
  std::int64_t values_per_rank = 0;
};
constexpr LoraFamily kLoraFamilies[] = {
    {{"wan|lightx2v|causvid", "1-3b"}, 1367040},
    {{"wan|lightx2v|causvid", "14b", "i2v", "!a14b|wan2-2|wan-2-2|wan22"}, 5611520},
    {{"wan|lightx2v|causvid", "14b"}, 4792320},
    {{"qwen", "image|edit"}, 6635520},
    {{"ltx-2|ltx2"}, 9910272},
};
constexpr int kLoraWithinPercent = 25;
constexpr int kLargestRank = 4096;

/// The parts that checkpoints of a family hold beside the diffusion model.
struct FamilyParts {
  std::string_view architecture;
  std::string_view clip;
  std::string_view vae;
};
constexpr FamilyParts kParts[] = {
    {"sdxl", "sdxl_clip", "sdxl_vae"}, {"sdxl-refiner", "clip_g", "sdxl_vae"},
    {"sd15", "clip_l", "sdxl_vae"},    {"sd21", "clip_h", "sdxl_vae"},
    {"ltxv-2b", "", "ltxv_vae"},       {"ltxv-13b", "", "ltxv_vae"},
};

std::string normalise(std::string_view name) {
  std::string text = "-" + lower(name) + "-";
  for (char& c : text) {
    if (c == '_' || c == '.' || c == ' ' || c == '/' || c == '\\') c = '-';
  }
  return text;
}

bool holds_any(std::string_view text, std::string_view words) {
  for (const std::string_view word : split(words, '|')) {
    if (contains(text, word)) return true;
  }
  return false;
}

bool fits(std::string_view text, const std::array<std::string_view, 4>& all_words) {
  for (const std::string_view words : all_words) {
    if (words.empty()) break;
    const bool forbidden = words.starts_with('!');
    if (holds_any(text, forbidden ? words.substr(1) : words) == forbidden) return false;
  }
  return true;
}

/// The number after `rank`; 0 without one.
int rank_in(std::string_view text) {
  const auto at = text.find("rank");
  if (at == std::string_view::npos) return 0;
  std::string_view rest = text.substr(at + 4);
  if (rest.starts_with('-')) rest.remove_prefix(1);
  int rank = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), rank);
  return rank > 0 && rank <= kLargestRank ? rank : 0;
}

std::optional<NameGuess> guess_lora(std::string_view text) {
  const int rank = rank_in(text);
  if (rank == 0) return std::nullopt;
  for (const LoraFamily& family : kLoraFamilies) {
    if (!fits(text, family.words)) continue;
    NameGuess guess;
    guess.role = lora;
    guess.architecture = "lora";
    guess.parameters = rank * family.values_per_rank;
    guess.stored_type = contains(text, "fp16") ? "fp16" : "bf16";
    guess.bits = 16;
    guess.within_percent = kLoraWithinPercent;
    guess.lora_rank = rank;
    return guess;
  }
  return std::nullopt;
}

/// A name as it was before a browser or a user made it unlike another in the same folder.
std::string without_copy_mark(std::string name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos) return name;
  std::string stem = name.substr(0, dot);
  if (const auto open = stem.rfind(" ("); open != std::string::npos && stem.ends_with(')')) {
    const std::string_view inside = std::string_view(stem).substr(open + 2);
    if (inside.size() > 1 && inside.find_first_not_of("0123456789") == inside.size() - 1)
      stem.resize(open);
  }
  while (stem.ends_with('_')) stem.pop_back();
  return stem + name.substr(dot);
}

NameGuess to_guess(const NameFamily& family) {
  NameGuess guess;
  guess.role = family.role;
  guess.architecture = family.architecture;
  guess.parameters = family.parameters;
  guess.structure = family.structure;
  return guess;
}

std::optional<NameGuess> part_guess(std::string_view key) {
  const KnownModel* model = find_known_model(key);
  if (!model) return std::nullopt;
  NameGuess guess;
  guess.role = model->role;
  guess.architecture = model->architecture;
  guess.parameters = model->parameters;
  guess.structure = model->structure;
  guess.stored_type = "fp16";
  guess.bits = 16;
  return guess;
}

}  // namespace

std::span<const KnownModel> known_models() { return kModels; }
std::span<const KnownFile> known_files() { return kFiles; }

const KnownModel* find_known_model(std::string_view key) {
  const auto at = std::find_if(std::begin(kModels), std::end(kModels),
                               [&](const KnownModel& model) { return model.key == key; });
  return at != std::end(kModels) && !key.empty() ? at : nullptr;
}

const KnownFile* find_known_file(std::string_view name) {
  const std::string given = lower(base_name(name));
  for (const std::string& wanted : {given, without_copy_mark(given)}) {
    const auto at = std::find_if(std::begin(kFiles), std::end(kFiles),
                                 [&](const KnownFile& file) { return file.name == wanted; });
    if (at != std::end(kFiles)) return at;
  }
  return nullptr;
}

double bits_per_value(std::string_view stored_type) {
  for (const TypeMark& mark : kTypeMarks) {
    if (mark.type == stored_type) return mark.bits;
  }
  return 0;
}

std::optional<NameGuess> guess_from_name(std::string_view name, WeightsRole role, bool checkpoint,
                                         std::string_view part) {
  const std::string text = normalise(name);
  if (role == lora) return guess_lora(text);
  std::optional<NameGuess> guess;
  int gguf_within_percent = 0;
  if (checkpoint) {
    for (const NameFamily& family : kCheckpointFamilies) {
      if (!fits(text, family.words)) continue;
      guess = to_guess(family);
      break;
    }
  }
  if (!guess && (!checkpoint || part.empty())) {
    for (const NameFamily& family : kFamilies) {
      if (family.role != role || !fits(text, family.words)) continue;
      guess = to_guess(family);
      gguf_within_percent = family.gguf_within_percent;
      break;
    }
  }
  if (!guess) return std::nullopt;
  if (checkpoint && !part.empty()) {
    for (const FamilyParts& parts : kParts) {
      if (parts.architecture != guess->architecture) continue;
      return part_guess(part == ".clip" ? parts.clip : parts.vae);
    }
    return std::nullopt;
  }
  for (const TypeMark& mark : kTypeMarks) {
    if (!contains(text, mark.mark)) continue;
    guess->stored_type = mark.type;
    guess->bits = mark.bits;
    break;
  }
  // Mixes of types, whose share publishers choose.
  const std::string_view type = guess->stored_type;
  if (type.starts_with('Q') || type.starts_with("IQ")) guess->within_percent = gguf_within_percent;
  return guess;
}

}  // namespace ebb
