// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <ctime>

#include "base/text.h"
#include "ebb/weights.h"
#include "tests/weights/model_headers.h"
#include "weights/count.h"

namespace ebb {
namespace {

WeightsRequest unet(const std::string& file, const std::string& weight_type = "default") {
  return {.node = "37",
          .id_suffix = "",
          .role = WeightsRole::diffusion,
          .files = {file},
          .folder = "diffusion_models",
          .loader_class = "UNETLoader",
          .weight_type = weight_type};
}

WeightsRequest clip(std::vector<std::string> files) {
  return {.node = "38",
          .id_suffix = "",
          .role = WeightsRole::text_encoder,
          .files = std::move(files),
          .folder = "text_encoders",
          .loader_class = "CLIPLoader",
          .weight_type = "wan"};
}

WeightsRequest checkpoint(const std::string& file, const std::string& suffix) {
  const WeightsRole role = suffix == ".clip"  ? WeightsRole::text_encoder
                           : suffix == ".vae" ? WeightsRole::vae
                                              : WeightsRole::diffusion;
  return {.node = "4",
          .id_suffix = suffix,
          .role = role,
          .files = {file},
          .folder = "checkpoints",
          .loader_class = "CheckpointLoaderSimple",
          .weight_type = ""};
}

Weights find(const WeightsRequest& request, const WeightsSearch& search = {}) {
  auto weights = find_weights(request, search);
  EXPECT_TRUE(weights.ok()) << (weights.ok() ? "" : to_string(weights.error()));
  return weights.ok() ? std::move(*weights) : Weights{};
}

TEST(Find, TheUsersWanPairByNameAlone) {
  for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 3, 73}}) {
    for (const char* file : {"wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors",
                             "WAN2.2\\wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors"}) {
      const Weights w = find(unet(file), {{}, {}, version});
      EXPECT_EQ(w.bytes, 14'293'601'848);
      EXPECT_EQ(w.listed_bytes, 14'291'119'768);
      EXPECT_EQ(w.bytes_from, BytesFrom::known);
      EXPECT_TRUE(w.modules_exact);
      EXPECT_EQ(w.architecture, "wan-14b");
      EXPECT_EQ(w.file_bytes, 14'294'742'832);
    }
  }
}

TEST(Find, AHeaderGivesTheSameAsTheTable) {
  const test::TempDir dir;
  test::wan_header("scaled", 5120, 13824, 40, 36).write(dir, "unet/mine.safetensors");
  const WeightsSearch search{{dir.path().string()}, {}, {0, 3, 73}};
  const Weights read = find(unet("mine.safetensors"), search);
  const Weights known = find(unet("wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors"));
  EXPECT_EQ(read.bytes_from, BytesFrom::header);
  EXPECT_EQ(read.bytes, known.bytes);
  EXPECT_EQ(read.modules, known.modules);
  EXPECT_EQ(read.architecture, "wan-14b");
  EXPECT_EQ(read.stored_type, "fp8_e4m3fn_scaled");
  EXPECT_TRUE(contains(read.source, "mine.safetensors")) << read.source;
}

TEST(Find, TheFoldersOfAServerTakeThePlaceOfModelFolders) {
  const test::TempDir dir;
  test::wan_header("scaled", 5120, 13824, 40, 36).write(dir, "far/mine.safetensors");
  WeightsSearch search{{"/not/there"}, {}, {0, 3, 73}};
  search.folders = {{"unet", {"/not/there/either", (dir.path() / "far").string()}}};
  EXPECT_EQ(find(unet("mine.safetensors"), search).bytes_from, BytesFrom::header);
  search.folders = {{"vae", {(dir.path() / "far").string()}}};
  EXPECT_EQ(find(unet("mine.safetensors"), search).bytes_from, BytesFrom::unknown);
}

TEST(Find, SizesGivenByTheUserWinButTheArchitectureStays) {
  const test::TempDir dir;
  test::flux_header("BF16").write(dir, "diffusion_models/mine.safetensors");
  WeightsSearch search{{dir.path().string()}, {}, {0, 3, 73}};
  for (const char* name : {"mine.safetensors", "MINE.safetensors"}) {
    search.given_bytes = {{name, 5'000'000'000}};
    const Weights w = find(unet("sub\\mine.safetensors"), search);
    EXPECT_EQ(w.bytes, 5'000'000'000);
    EXPECT_EQ(w.bytes_from, BytesFrom::given);
    EXPECT_EQ(w.architecture, "flux");
    EXPECT_EQ(sum_of(w.modules), w.listed_bytes);
    EXPECT_FALSE(w.modules_exact);
  }
  search.given_bytes = {{"nobody.safetensors", 7_GiB}};
  EXPECT_EQ(find(unet("nobody.safetensors"), search).bytes, 7_GiB);
}

TEST(Find, AnUnknownFileIsAnAnswer) {
  const Weights w = find(unet("mystery_model.safetensors"));
  EXPECT_EQ(w.bytes_from, BytesFrom::unknown);
  EXPECT_EQ(w.bytes, 0);
  EXPECT_TRUE(contains(w.source, "mystery_model")) << w.source;
  const Weights guessed = find(unet("my_ltx_merge.safetensors"));
  EXPECT_EQ(guessed.bytes_from, BytesFrom::unknown);
  EXPECT_EQ(guessed.architecture, "ltxav");
  EXPECT_TRUE(contains(guessed.source, "guessed")) << guessed.source;
  EXPECT_EQ(find(WeightsRequest{}).bytes_from, BytesFrom::unknown);
}

TEST(Find, ABrokenFileIsAnErrorEvenIfItsNameIsKnown) {
  const test::TempDir dir;
  dir.write("vae/wan_2.1_vae.safetensors", "not a model");
  const auto weights = find_weights({.node = "1",
                                     .id_suffix = "",
                                     .role = WeightsRole::vae,
                                     .files = {"wan_2.1_vae.safetensors"},
                                     .folder = "vae",
                                     .loader_class = "VAELoader",
                                     .weight_type = ""},
                                    {{dir.path().string()}, {}, {}});
  ASSERT_FALSE(weights.ok());
  EXPECT_TRUE(contains(to_string(weights.error()), "wan_2.1_vae.safetensors"));
}

TEST(Find, AWeightDtypeOfFp8IsSaidInTheSource) {
  const Weights w = find(unet("flux1-dev.safetensors", "fp8_e4m3fn"));
  EXPECT_EQ(w.bytes, 11'901'448'320);  // as recorded for the fp8 file
  EXPECT_TRUE(contains(w.source, "fp8_e4m3fn")) << w.source;
  const test::TempDir dir;
  test::flux_header("BF16").write(dir, "unet/flux.safetensors");
  const Weights read =
      find(unet("flux.safetensors", "fp8_e4m3fn_fast"), {{dir.path().string()}, {}, {0, 3, 73}});
  EXPECT_EQ(read.bytes, 11'901'448'320);
  EXPECT_TRUE(contains(read.source, "fp8_e4m3fn_fast")) << read.source;
}

TEST(Find, PairsOfTextEncodersAreTheRecordedPair) {
  for (const auto& files :
       {std::vector<std::string>{"clip_l.safetensors", "t5xxl_fp16.safetensors"},
        std::vector<std::string>{"t5xxl_fp16.safetensors", "clip_l.safetensors"}}) {
    const Weights w = find(clip(files));
    EXPECT_EQ(w.bytes, 9'771'921'928);
    EXPECT_EQ(w.architecture, "flux-clip");
    EXPECT_EQ(w.loader_bytes, 2 * 4'885'960'960);
    EXPECT_TRUE(w.modules_exact);
  }
  const Weights three =
      find(clip({"clip_g.safetensors", "clip_l.safetensors", "t5xxl_fp16.safetensors"}));
  EXPECT_EQ(three.architecture, "sd3-clip");
  EXPECT_EQ(sum_of(three.modules), three.listed_bytes);
  const Weights half = find(clip({"clip_l.safetensors", "who.safetensors"}));
  EXPECT_EQ(half.bytes_from, BytesFrom::unknown);
  EXPECT_TRUE(contains(half.source, "who.safetensors")) << half.source;
}

TEST(Find, AnFp8EncoderIsJudgedByItsValuesInTwoBytes) {
  const Weights w = find(clip({"umt5_xxl_fp8_e4m3fn_scaled.safetensors"}));
  EXPECT_EQ(w.bytes, 6'731'309'732);
  EXPECT_EQ(w.loader_bytes, 2 * 5'680'910'336);
}

TEST(Find, CheckpointsAreSplitIntoTheirParts) {
  const Weights model = find(checkpoint("sd_xl_base_1.0.safetensors", ""));
  const Weights text = find(checkpoint("sd_xl_base_1.0.safetensors", ".clip"));
  const Weights vae = find(checkpoint("sd_xl_base_1.0.safetensors", ".vae"));
  EXPECT_EQ(model.bytes, 5'134'967'368);
  EXPECT_EQ(text.bytes, 1'636'620'296);
  EXPECT_EQ(vae.bytes, 167'307'726);
  EXPECT_EQ(model.id, "4");
  EXPECT_EQ(text.id, "4.clip");
  // What the three parts take on disk is about the file: nothing is counted twice.
  const auto disk = model.file_bytes + text.file_bytes + vae.file_bytes;
  EXPECT_NEAR(static_cast<double>(disk), 6'938'078'334.0, 0.03 * 6'938'078'334.0);
}

TEST(Find, CheckpointHeadersAreSplitByPrefix) {
  const test::TempDir dir;
  test::ModelHeader file = test::wan_header("F16", 1536, 8960, 30, 16, "model.diffusion_model.");
  file.linear("text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q", 4096, 4096,
              "F16", false);
  file.add("text_encoders.t5xxl.transformer.shared.weight", "F16", {32128, 4096});
  file.add("first_stage_model.decoder.conv_in.weight", "F32", {512, 16, 3, 3});
  file.write(dir, "checkpoints/all.safetensors");
  const WeightsSearch search{{dir.path().string()}, {}, {0, 3, 73}};
  EXPECT_EQ(find(checkpoint("all.safetensors", ""), search).bytes, 2'838'197'280);
  const Weights text = find(checkpoint("all.safetensors", ".clip"), search);
  EXPECT_EQ(text.architecture, "t5-xxl");
  EXPECT_EQ(text.bytes, 2 * (4096 * 4096 + 32128 * 4096) + 4);
  const Weights vae = find(checkpoint("all.safetensors", ".vae"), search);
  EXPECT_EQ(vae.bytes, 2 * 512 * 16 * 9);  // fp32 in the file, two bytes when loaded
}

TEST(Find, ACheckpointWithoutAPartSaysSo) {
  const test::TempDir dir;
  test::wan_header("F16", 1536, 8960, 30, 16, "model.diffusion_model.")
      .write(dir, "checkpoints/bare.safetensors");
  const Weights text =
      find(checkpoint("bare.safetensors", ".clip"), {{dir.path().string()}, {}, {}});
  EXPECT_EQ(text.bytes_from, BytesFrom::unknown);
  EXPECT_TRUE(contains(text.source, "holds no text encoder")) << text.source;
}

TEST(Find, GgufCountsItsBlocksAsStored) {
  const test::TempDir dir;
  dir.write("unet/wan-Q4_K.gguf",
            test::gguf_file("wan",
                            {{"patch_embedding.weight", 0, {2, 2, 1, 16, 512}, 0},
                             {"blocks.0.ffn.0.weight", 12, {512, 4}, 131072}},
                            131072 + 8 * 144));
  const Weights w = find(unet("wan-Q4_K.gguf"), {{dir.path().string()}, {}, {0, 3, 73}});
  EXPECT_EQ(w.bytes, 131072 + 8 * 144 + 4000);
  EXPECT_EQ(w.bytes_from, BytesFrom::header);
  EXPECT_EQ(w.architecture, "wan-1.3b");
}

TEST(Find, UpscalersAreBuiltIn32BitsWhateverTheFileHolds) {
  const test::TempDir dir;
  test::ModelHeader half;
  half.add("model.1.sub.0.RDB1.conv1.0.weight", "F16", {32, 64, 3, 3});
  half.write(dir, "upscale_models/4x_mine.safetensors");
  const auto find_upscaler = [&dir](const char* file) {
    return find({.node = "2",
                 .id_suffix = "",
                 .role = WeightsRole::upscaler,
                 .files = {file},
                 .folder = "upscale_models",
                 .loader_class = "UpscaleModelLoader",
                 .weight_type = ""},
                {{dir.path().string()}, {}, {0, 18, 2}});
  };
  const Weights mine = find_upscaler("4x_mine.safetensors");
  EXPECT_EQ(mine.bytes, 4 * 32 * 64 * 9);
  EXPECT_EQ(mine.architecture, "rrdb");
  const Weights known = find_upscaler("RealESRGAN_x4plus.safetensors");
  EXPECT_EQ(known.bytes, 66'791'948) << "module_size of spandrel's class at its published size";
  EXPECT_EQ(known.architecture, "rrdb");
}

TEST(Find, EverythingKnownAddsUp) {
  for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 18, 2}}) {
    for (const char* file :
         {"wan2.1_i2v_480p_14B_fp16.safetensors", "wan2.1_vace_14B_fp16.safetensors",
          "qwen_image_edit_2511_fp8mixed.safetensors", "Wan2.2-I2V-A14B-HighNoise-Q5_K_M.gguf",
          "ltx-2.3-22b-dev.safetensors", "flux1-dev-Q4_K_S.gguf"}) {
      const Weights w = find(unet(file), {{}, {}, version});
      EXPECT_EQ(w.bytes_from, BytesFrom::known) << file;
      EXPECT_GT(w.bytes, 1_GiB) << file;
      EXPECT_EQ(sum_of(w.modules), w.listed_bytes) << file;
      EXPECT_LE(w.listed_bytes, w.bytes) << file;
      EXPECT_FALSE(w.source.empty()) << file;
    }
  }
}

TEST(Find, AThousandModelsInAFolderCostNothingExtra) {
  const test::TempDir dir;
  test::ModelHeader small;
  for (int i = 0; i < 40; ++i) small.linear("blocks." + std::to_string(i) + ".q", 64, 64, "F16");
  for (int i = 0; i < 1000; ++i) {
    small.write(dir, "diffusion_models/m" + std::to_string(i) + ".safetensors");
  }
  const WeightsSearch search{{dir.path().string()}, {}, {}};
  (void)find(unet("m0.safetensors"), search);
  const std::clock_t start = std::clock();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(find(unet("m" + std::to_string(i) + ".safetensors"), search).parameters,
              40 * (64 * 64 + 64));
  }
  const double taken_ms = 1000.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  fmt::print("1,000 headers: {:.0f} ms of processor time\n", taken_ms);
  EXPECT_LT(taken_ms, 3000.0);  // sanitizers take twenty times as long
}

WeightsRequest diffusers(const std::string& name, const std::string& suffix) {
  WeightsRequest request = checkpoint(name, suffix);
  request.folder = "diffusers";
  request.loader_class = "DiffusersLoader";
  return request;
}

TEST(Find, DiffusersFoldersByTheirHeaders) {
  const test::TempDir dir;
  test::ModelHeader unet_header;
  unet_header.add("conv_in.weight", "F16", {320, 4, 3, 3});
  unet_header.add("down_blocks.0.resnets.0.conv1.weight", "F16", {320, 320, 3, 3});
  unet_header.add("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight", "F16",
                  {640, 2048});
  test::ModelHeader vae_header;
  vae_header.add("decoder.conv_in.weight", "F32", {512, 4, 3, 3});
  test::ModelHeader clip_l, clip_g;
  clip_l.add("text_model.encoder.layers.11.mlp.fc1.weight", "F16", {3072, 768});
  clip_g.add("text_model.encoder.layers.31.mlp.fc1.weight", "F16", {5120, 1280});
  const std::string base = "models/diffusers/sub/my-xl/";
  dir.write(base + "model_index.json", "{}");
  for (const char* part : {"unet", "vae", "text_encoder", "text_encoder_2", "tokenizer"}) {
    std::filesystem::create_directories(dir.path() / base / part);
  }
  unet_header.write(dir, base + "unet/diffusion_pytorch_model.fp16.safetensors");
  dir.write(base + "unet/diffusion_pytorch_model.safetensors", "broken, but not the one taken");
  vae_header.write(dir, base + "vae/diffusion_pytorch_model.safetensors");
  clip_l.write(dir, base + "text_encoder/model.safetensors");
  clip_g.write(dir, base + "text_encoder_2/model-00001-of-00001.safetensors");
  dir.write(base + "text_encoder_2/model.safetensors.index.json",
            R"({"weight_map": {"text_model.encoder.layers.31.mlp.fc1.weight":
               "model-00001-of-00001.safetensors"}})");
  const WeightsSearch search{{dir.path().string()}, {}, {0, 3, 73}};

  const Weights model = find(diffusers("sub/my-xl", ""), search);
  EXPECT_EQ(model.bytes_from, BytesFrom::header) << model.source;
  EXPECT_EQ(model.architecture, "sdxl");
  const std::int64_t values = 320 * 4 * 9 + 320 * 320 * 9 + 640 * 2048;
  EXPECT_EQ(model.parameters, values);
  EXPECT_EQ(find(diffusers("sub\\my-xl", ".vae"), search).architecture, "kl-vae");
  const Weights encoders = find(diffusers("sub/my-xl", ".clip"), search);
  EXPECT_EQ(encoders.architecture, "sdxl-clip");
  EXPECT_EQ(encoders.parameters, 3072 * 768 + 5120 * 1280);

  dir.write("models/diffusers/empty/model_index.json", "{}");
  const Weights none = find(diffusers("empty", ""), search);
  EXPECT_FALSE(none.known());
  EXPECT_NE(none.source.find("holds no diffusion model"), std::string::npos) << none.source;
  EXPECT_FALSE(find(diffusers("../../secret", ""), search).known());
  EXPECT_FALSE(find(diffusers("missing", ""), search).known());
  EXPECT_EQ(find(diffusers("stable-diffusion-xl-base-1.0", ""), search).architecture, "sdxl");
}

}  // namespace
}  // namespace ebb
