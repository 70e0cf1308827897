// SPDX-License-Identifier: Apache-2.0
#include "weights/known.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/text.h"
#include "ebb/report.h"
#include "json/document.h"
#include "tests/support.h"
#include "weights/module_table.h"

namespace ebb {
namespace {

TEST(Known, EveryFileRefersToAModelAndEveryModelToARecordedStructure) {
  std::set<std::string_view> names;
  for (const KnownFile& file : known_files()) {
    EXPECT_NE(find_known_model(file.model), nullptr) << file.name;
    EXPECT_EQ(lower(file.name), file.name);
    EXPECT_TRUE(names.insert(file.name).second) << file.name << " stands twice";
    for (const std::string_view part : {file.clip, file.vae, file.audio_vae}) {
      EXPECT_TRUE(part.empty() || part == kNoPart || find_known_model(part)) << file.name;
    }
    EXPECT_EQ(file.file_bytes == 0, file.repository.empty()) << file.name;
  }
  std::set<std::string_view> keys;
  for (const KnownModel& model : known_models()) {
    EXPECT_TRUE(keys.insert(model.key).second) << model.key << " stands twice";
    EXPECT_FALSE(model.architecture.empty()) << model.key;
    if (!model.structure.empty()) {
      EXPECT_NE(find_module_row(model.structure, {}), nullptr) << model.key;
    }
  }
  for (const ModuleRow& row : module_rows()) {
    EXPECT_TRUE(keys.contains(row.model)) << row.model << " is recorded but not known";
  }
}

// A file is its values plus a header: the listing and the architecture must tell the same story.
TEST(Known, ListedSizesFitTheArchitectures) {
  for (const KnownFile& file : known_files()) {
    const KnownModel* model = find_known_model(file.model);
    const double bits = bits_per_value(model->stored_type);
    const bool whole = file.clip.empty() && file.vae.empty();
    const bool exact = model->stored_type.starts_with("fp") || model->stored_type == "bf16";
    if (!exact || file.file_bytes == 0 || model->parameters == 0 || bits == 0 || !whole) continue;
    if (model->role == WeightsRole::vae || model->role == WeightsRole::text_encoder) continue;
    if (model->key == "clip_vision_h_in_clip") continue;  // its text half is in the file, too
    const double values = static_cast<double>(model->parameters) * bits / 8;
    // Checkpoints hold more than the model; a little is header and values kept at full precision.
    EXPECT_NEAR(static_cast<double>(file.file_bytes) / values, 1.0,
                model->architecture == "sd15" ? 1.6 : 0.05)
        << file.name;
  }
}

TEST(Known, SpellingsOfOtherPublishersAreUnderstoodByPattern) {
  struct Case {
    const char* name;
    const char* architecture;
    const char* type;
    std::int64_t parameters;
  };
  const Case cases[] = {
      {"Wan2_1-T2V-14B_fp8_e4m3fn.safetensors", "wan-14b", "fp8_e4m3fn", 14288491584},
      {"WanVideo\\Wan2_1-I2V-14B-480P_fp8_e4m3fn.safetensors", "wan-14b", "fp8_e4m3fn",
       16394878784},
      {"Wan2_1-T2V-1_3B_bf16.safetensors", "wan-1.3b", "bf16", 1419096640},
      {"Wan2_2-T2V-A14B-LOW_fp8_e4m3fn_scaled_KJ.safetensors", "wan-14b", "fp8_e4m3fn_scaled",
       14288491584},
      {"Wan2.2-I2V-A14B-HighNoise-Q4_K_S.gguf", "wan-14b", "Q4_K_S", 14288901184},
      {"wan2.1-i2v-14b-480p-Q8_0.gguf", "wan-14b", "Q8_0", 16394878784},
      {"Wan2.1-VACE-14B-Q6_K.gguf", "wan-vace-14b", "Q6_K", 17337592896},
      {"flux1-dev-Q5_K_S.gguf", "flux", "Q5_K_S", 11901408320},
      {"flux1-schnell-Q4_0.gguf", "flux", "Q4_0", 11891178560},
      {"qwen-image-Q3_K_S.gguf", "qwen-image", "Q3_K_S", 20430401088},
      {"hunyuan_video_I2V_fp8_e4m3fn.safetensors", "hunyuan-video", "fp8_e4m3fn", 12821012544},
      {"ltxv-13b-0.9.7-dev-Q4_K_M.gguf", "ltxv-13b", "Q4_K_M", 13042569344},
      {"svdq-int4_r32-flux.1-dev.safetensors", "flux", "svdq", 11901408320},
  };
  for (const Case& c : cases) {
    const auto guess = guess_from_name(c.name, WeightsRole::diffusion, false, "");
    ASSERT_TRUE(guess) << c.name;
    EXPECT_EQ(guess->architecture, c.architecture) << c.name;
    EXPECT_EQ(guess->stored_type, c.type) << c.name;
    EXPECT_EQ(guess->parameters, c.parameters) << c.name;
  }
  EXPECT_FALSE(guess_from_name("dreamshaper_8.safetensors", WeightsRole::diffusion, true, ""));
}

// A sibling's number, another model's word in front, or a version alone is not the family.
TEST(Known, ABareResemblanceOfNameIsNoModel) {
  for (const char* name :
       {"flux3-image-klein-int8-convrot.safetensors",
        "pid_flux1_1024_to_4096_4step_bf16.safetensors", "hidream_o1_image_bf16.safetensors",
        "qwen_image_2.1_int8_convrot.safetensors", "wan2.1_14B_SCAIL_2_fp16.safetensors",
        "wan_animate_2_distill_14b_int8.safetensors",
        "wan2.2_bernini_r_high_noise_fp8_scaled.safetensors",
        "wan2.2_dancer_14b_global_fp8_scaled.safetensors", "wan3_t2v_14b_fp16.safetensors",
        "qwen3.5_9b_qwen_image_2.1_pe_t2i.int8_convrot.safetensors",
        "hunyuanimage3_fp8.safetensors", "z_image_2_bf16.safetensors",
        "zavychromaxl_v70.safetensors", "SD3.5-L.safetensors", "omnigen3_fp16.safetensors",
        "cosmos_predict2_14B_t2i.safetensors", "flux_4_dev_fp8.safetensors"}) {
    EXPECT_FALSE(guess_from_name(name, WeightsRole::diffusion, false, "")) << name;
  }
  for (const char* name :
       {"hunyuan_3d_v2.1.safetensors", "ace_step_v1.5_turbo_aio.safetensors",
        "acestep_v1.5_xl_turbo_bf16.safetensors", "HV15-Rapid-AIO-v1.safetensors",
        "powerpaint_v2.1.safetensors", "umt5xxl_v1-5.safetensors"}) {
    const auto guess = guess_from_name(name, WeightsRole::diffusion, true, "");
    EXPECT_TRUE(!guess || guess->parameters == 0) << name << ": " << guess->architecture;
  }
  for (const char* name : {"qwen_image_2.1_vae_bf16.safetensors", "unwantedV10x.pt",
                           "qwen3vl_8b_int8_convrot.safetensors", "flux2-vae_small.safetensors"}) {
    EXPECT_FALSE(guess_from_name(name, WeightsRole::vae, false, "")) << name;
  }
  EXPECT_FALSE(
      guess_from_name("qwen_2.5_vl_3b_fp16.safetensors", WeightsRole::text_encoder, false, ""));
  EXPECT_FALSE(
      guess_from_name("dino_v3_vit_h.safetensors", WeightsRole::vision_encoder, false, ""));
}

TEST(Known, KleinIsNotDev) {
  const std::pair<const char*, const char*> cases[] = {
      {"flux-2-klein-9b.safetensors", "flux2-klein-9b"},
      {"flux-2-klein-base-4b.safetensors", "flux2-klein-4b"},
      {"flux2_dev_bf16.safetensors", "flux2"}};
  for (const auto& [name, architecture] : cases) {
    const auto guess = guess_from_name(name, WeightsRole::diffusion, false, "");
    ASSERT_TRUE(guess) << name;
    EXPECT_EQ(guess->architecture, architecture);
  }
  // Another file than the plain one: what its cache adds nobody has listed.
  EXPECT_EQ(guess_from_name("flux-2-klein-9b-kv-fp8.safetensors", WeightsRole::diffusion, false, "")
                ->parameters,
            0);
}

// The sizes that bits per value gives against files whose size is listed.
TEST(Known, GgufMixesAreWithinTenPercent) {
  for (const KnownFile& file : known_files()) {
    const KnownModel* model = find_known_model(file.model);
    if (!model->stored_type.starts_with("Q") || file.file_bytes == 0 || model->parameters == 0) {
      continue;
    }
    const double computed =
        static_cast<double>(model->parameters) * bits_per_value(model->stored_type) / 8;
    EXPECT_NEAR(computed / static_cast<double>(file.file_bytes), 1.0, 0.1) << file.name;
  }
}

struct Loader {
  std::string_view mark;  ///< in the class name, lower case; the first that fits counts
  WeightsRole role;
  std::string_view folder;
};

constexpr Loader kLoaders[] = {
    {"clipvision", WeightsRole::vision_encoder, "clip_vision"},
    {"clipload", WeightsRole::text_encoder, "text_encoders"},
    {"textencoder", WeightsRole::text_encoder, "text_encoders"},
    {"lora", WeightsRole::lora, "loras"},
    {"checkpointload", WeightsRole::diffusion, "checkpoints"},
    {"vaeload", WeightsRole::vae, "vae"},
    {"unetload", WeightsRole::diffusion, "diffusion_models"},
    {"diffusionmodelload", WeightsRole::diffusion, "diffusion_models"},
    {"wanvideomodelload", WeightsRole::diffusion, "diffusion_models"},
    {"hyvideomodelload", WeightsRole::diffusion, "diffusion_models"},
};

bool is_model_file(const std::string& text) {
  const std::string name = lower(text);
  for (const char* end : {".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

using Uses = std::map<std::pair<const Loader*, std::string>, int>;

/// Model files that the nodes of a graph or prompt name, by the kind of node that loads them.
void collect(const JsonValue& value, Uses& uses) {
  if (value.is_object()) {
    const std::string type = lower(value.find("class_type").text_or(value.find("type").string()));
    const auto loader =
        std::find_if(std::begin(kLoaders), std::end(kLoaders),
                     [&](const Loader& l) { return !type.empty() && contains(type, l.mark); });
    if (loader != std::end(kLoaders)) {
      for (const char* key : {"widgets_values", "inputs"}) {
        for (const JsonValue widget : value.find(key)) {
          if (is_model_file(widget.string())) ++uses[{loader, widget.string()}];
        }
      }
    }
  }
  for (const JsonValue child : value) collect(child, uses);
}

bool in_families(const std::string& file) {
  const std::string text = lower(base_name(file));
  for (const char* family : {"wan", "flux", "sd_xl", "sdxl", "qwen", "hunyuan", "ltx", "t5", "ae.s",
                             "clip_l", "clip_g", "llava", "gemma", "lightx2v", "clip_vision"}) {
    if (contains(text, family)) return true;
  }
  return false;
}

/// Why a size is not known, by what the name tells.
std::string_view cause_of(const Loader& loader, const std::string& file) {
  const std::string name = lower(file);
  if (loader.role == WeightsRole::lora) {
    return find_known_file(file) || contains(name, ":")
               ? "a path or another model where a LoRA belongs"
               : "a LoRA whose name says no rank";
  }
  const bool published = contains(name, "hunyuan3d") || contains(name, "ace_1.5");
  if (published) return "a public file that no listing or architecture gives";
  if (loader.folder == "checkpoints" || contains(name, "eros") || contains(name, "mix") ||
      contains(name, "dasiwa") || contains(name, "redgta") || contains(name, "vae.")) {
    return "a user's training or merge";
  }
  return "a public file that no listing or architecture gives";
}

// Every LoRA whose listed size and rank are known, against what the rank alone says.
TEST(Known, LoraSizesComputedByRankAreWithinAQuarter) {
  int compared = 0;
  for (const KnownFile& file : known_files()) {
    const KnownModel* model = find_known_model(file.model);
    if (model->role != WeightsRole::lora || file.file_bytes == 0) continue;
    const auto guess = guess_from_name(file.name, WeightsRole::lora, false, "");
    if (!guess) continue;
    ++compared;
    EXPECT_NEAR(static_cast<double>(2 * guess->parameters) / static_cast<double>(file.file_bytes),
                1.0, 0.25)
        << file.name;
    EXPECT_EQ(guess->within_percent, 25);
  }
  EXPECT_GE(compared, 7);
  EXPECT_FALSE(guess_from_name("my_wan_14b_style.safetensors", WeightsRole::lora, false, ""));
  EXPECT_FALSE(guess_from_name("wan_14b_rank.safetensors", WeightsRole::lora, false, ""));
  EXPECT_FALSE(guess_from_name("wan_14b_rank99999999999.sft", WeightsRole::lora, false, ""));
}

TEST(Known, RenamedDownloadsAreTheSameFile) {
  for (const char* name : {"wan_2.1_vae (1).safetensors", "video/Wan_2.1_VAE (12).safetensors",
                           "wan_2.1_vae_.safetensors"}) {
    const KnownFile* file = find_known_file(name);
    ASSERT_NE(file, nullptr) << name;
    EXPECT_EQ(file->name, "wan_2.1_vae.safetensors");
  }
  for (const char* name : {"wan_2.1_vae (a).safetensors", "wan_2.1_vae ().safetensors",
                           "(1).safetensors", "", "_", "._"}) {
    EXPECT_EQ(find_known_file(name), nullptr) << name;
  }
}

Weights find_part(const char* file, const char* suffix, WeightsRole role, const char* loader) {
  WeightsRequest request;
  request.files = {file};
  request.folder = "checkpoints";
  request.id_suffix = suffix;
  request.role = role;
  request.loader_class = loader;
  const auto weights = find_weights(request, {});
  EXPECT_TRUE(weights.ok());
  return weights.ok() ? *weights : Weights{};
}

// LTX-Video 0.9 is in fp32: (1,923,385,472 + 419,193,905) x 4 bytes are the 9.37 GB of its listing.
TEST(Known, LtxCheckpointsAreCountedByPart) {
  const char* old = "ltx-video-2b-v0.9.safetensors";
  const Weights model = find_part(old, "", WeightsRole::diffusion, "CheckpointLoaderSimple");
  const Weights vae = find_part(old, ".vae", WeightsRole::vae, "CheckpointLoaderSimple");
  EXPECT_EQ(vae.bytes, 2 * 419193905);
  EXPECT_NEAR(static_cast<double>(2 * (model.bytes + vae.bytes)), 9.37e9, 5e6);
  for (const char* file : {old, "ltx-video-2b-v0.9.5.safetensors"}) {
    const Weights clip =
        find_part(file, ".clip", WeightsRole::text_encoder, "CheckpointLoaderSimple");
    EXPECT_EQ(clip.bytes_from, BytesFrom::known) << file;
    EXPECT_EQ(clip.bytes, 0) << file;
    EXPECT_NE(say(clip.source).find("holds no text encoder"), std::string::npos)
        << say(clip.source);
  }
  const char* av = "ltx-2-19b-dev-fp8.safetensors";
  const Weights audio = find_part(av, ".audio_vae", WeightsRole::vae, "LTXVAudioVAELoader");
  EXPECT_EQ(audio.bytes, 4 * (53248402 + 55592802));  // held in fp32
  EXPECT_EQ(audio.file_bytes, 2 * (53248402 + 55592802));
  EXPECT_NEAR(static_cast<double>(model.file_bytes + vae.file_bytes), 9.37e9, 5e6);
  EXPECT_EQ(find_part(av, ".vae", WeightsRole::vae, "CheckpointLoaderSimple").bytes,
            2LL * 1222479857);
}

TEST(Known, ConnectorsOfLtx2ChangeTheirModel) {
  const auto parts = [](const ComfyVersion& version) {
    std::pair<std::int64_t, std::int64_t> bytes;
    for (const WeightsRole role : {WeightsRole::diffusion, WeightsRole::text_encoder}) {
      WeightsRequest request;
      request.files = {"ltx-2-19b-dev-fp8.safetensors"};
      request.folder = "checkpoints";
      request.role = role;
      request.id_suffix = role == WeightsRole::diffusion ? "" : ".clip";
      WeightsSearch search;
      search.comfyui = version;
      const auto weights = find_weights(request, search);
      (role == WeightsRole::diffusion ? bytes.first : bytes.second) = weights->bytes;
    }
    return bytes;
  };
  const auto before = parts({0, 14, 1}), after = parts({0, 15, 0});
  EXPECT_EQ(after.first - before.first, 1417881600);
  EXPECT_EQ(before.second - after.second, 1417881600);
}

TEST(Known, CoverageOfTheCorpusFamilies) {
  EBB_NEED_SHARED();
  Uses uses;
  for (const std::string& file : test::corpus_files()) {
    const auto document = JsonDocument::parse(test::slurp(file));
    if (document.ok()) collect(document->root(), uses);
  }
  std::map<std::string_view, std::pair<int, int>> by_folder;  // known, all
  std::map<std::string_view, std::vector<std::pair<int, std::string>>> unknown;
  int known = 0;
  int all = 0;
  for (const auto& [use, count] : uses) {
    if (!in_families(use.second)) continue;
    WeightsRequest request;
    request.role = use.first->role;
    request.folder = use.first->folder;
    request.files = {use.second};
    const auto weights = find_weights(request, {});
    ASSERT_TRUE(weights.ok());
    auto& [folder_known, folder_all] = by_folder[use.first->folder];
    folder_all += count;
    all += count;
    if (weights->known()) {
      folder_known += count;
      known += count;
    } else {
      unknown[cause_of(*use.first, use.second)].emplace_back(
          count, fmt::format("{} ({})", use.second, use.first->folder));
    }
  }
  for (const auto& [folder, counts] : by_folder) {
    fmt::print("{}: size known for {} of {} uses\n", folder, counts.first, counts.second);
  }
  fmt::print("size known for {} of {} uses\n", known, all);
  for (auto& [cause, files] : unknown) {
    std::sort(files.rbegin(), files.rend());
    int uses_of_cause = 0;
    for (const auto& file : files) uses_of_cause += file.first;
    fmt::print("{}: {} uses of {} files\n", cause, uses_of_cause, files.size());
    for (const auto& [count, file] : files) fmt::print("  {} x {}\n", count, file);
  }
  EXPECT_GE(known, 95 * all / 100);
}

}  // namespace
}  // namespace ebb
