// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "base/text.h"
#include "ebb/report.h"
#include "ebb/weights.h"
#include "tests/weights/model_headers.h"
#include "weights/count.h"
#include "weights/known.h"

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
  const Weights known = find(unet("wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors"),
                             {.model_folders = {}, .given_bytes = {}, .comfyui = {0, 3, 73}});
  EXPECT_EQ(read.bytes_from, BytesFrom::header);
  EXPECT_EQ(read.bytes, known.bytes);
  EXPECT_EQ(read.modules, known.modules);
  EXPECT_EQ(read.architecture, "wan-14b");
  EXPECT_EQ(read.stored_type, "fp8_e4m3fn_scaled");
  EXPECT_TRUE(contains(say(read.source), "mine.safetensors")) << say(read.source);
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
  EXPECT_TRUE(contains(say(w.source), "mystery_model")) << say(w.source);
  const Weights guessed = find(unet("ltx-2-merge.safetensors"));
  EXPECT_EQ(guessed.bytes_from, BytesFrom::unknown);
  EXPECT_EQ(guessed.architecture, "ltxav");
  EXPECT_TRUE(contains(say(guessed.source), "guessed")) << say(guessed.source);
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
  EXPECT_TRUE(contains(say(w.source), "fp8_e4m3fn")) << say(w.source);
  const test::TempDir dir;
  test::flux_header("BF16").write(dir, "unet/flux.safetensors");
  const Weights read =
      find(unet("flux.safetensors", "fp8_e4m3fn_fast"), {{dir.path().string()}, {}, {0, 3, 73}});
  EXPECT_EQ(read.bytes, 11'901'448'320);
  EXPECT_TRUE(contains(say(read.source), "fp8_e4m3fn_fast")) << say(read.source);
}

TEST(Find, AFileThatIsCastToOneByteIsReadWhole) {
  const Weights cast = find(unet("wan2.1_vace_14B_fp16.safetensors", "fp8_e4m3fn_fast"), {});
  const Weights plain = find(unet("wan2.1_vace_14B_fp16.safetensors"), {});
  EXPECT_LT(100 * cast.bytes, 51 * plain.bytes);
  EXPECT_EQ(cast.file_bytes, plain.file_bytes);
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
  EXPECT_TRUE(contains(say(half.source), "who.safetensors")) << say(half.source);
}

TEST(Find, AnFp8EncoderIsJudgedByItsValuesInTwoBytes) {
  const Weights w = find(clip({"umt5_xxl_fp8_e4m3fn_scaled.safetensors"}),
                         {.model_folders = {}, .given_bytes = {}, .comfyui = {0, 3, 73}});
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
  EXPECT_TRUE(contains(say(text.source), "holds no text encoder")) << say(text.source);
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
      EXPECT_TRUE(w.known()) << file;
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
  EXPECT_EQ(model.bytes_from, BytesFrom::header) << say(model.source);
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
  EXPECT_NE(say(none.source).find("holds no diffusion model"), std::string::npos)
      << say(none.source);
  EXPECT_FALSE(find(diffusers("../../secret", ""), search).known());
  EXPECT_FALSE(find(diffusers("missing", ""), search).known());
  EXPECT_EQ(find(diffusers("stable-diffusion-xl-base-1.0", ""), search).architecture, "sdxl");
}

WeightsSearch stating(std::map<std::string, WrittenSize> sizes) {
  WeightsSearch search;
  search.stated = std::move(sizes);
  return search;
}

WrittenSize gigabytes(double number, bool bare = false) {
  return {.number = number, .step = 0.01, .power = 3, .binary = false, .bare = bare};
}

TEST(Find, ASizeStatedInTheWorkflowFillsWhatNoTableHas) {
  const char* file = "krea9_int8_convrot.safetensors";
  const Weights weights = find(unet(file), stating({{file, gigabytes(19.53)}}));
  EXPECT_EQ(weights.bytes_from, BytesFrom::stated);
  EXPECT_EQ(weights.bytes, std::llround(19.53 * 1073741824));  // brackets: powers of 1024
  EXPECT_EQ(weights.architecture, "");
  EXPECT_TRUE(contains(say(weights.source), "19.53 GB")) << say(weights.source);
  EXPECT_EQ(find(unet(file), stating({{file, gigabytes(19.53, true)}})).bytes, 19530000000);
  // A table, a header and the user know better.
  const char* known = "flux1-dev.safetensors";
  EXPECT_EQ(find(unet(known), stating({{known, gigabytes(1)}})).bytes_from, BytesFrom::known);
  WeightsSearch given = stating({{file, gigabytes(19.53)}});
  given.given_bytes[file] = 5;
  EXPECT_EQ(find(unet(file), given).bytes_from, BytesFrom::given);
}

// Files of known size beside it show which powers the author meant.
TEST(Find, AStatedSizeIsReadAsItsNeighboursAre) {
  const char* file = "new_model.safetensors";
  const auto with = [&](double known) {
    return find(unet(file),
                stating({{file, gigabytes(10)}, {"t5xxl_fp16.safetensors", gigabytes(known)}}));
  };
  EXPECT_EQ(with(9.12).bytes, 10LL << 30);  // 9,787,841,024 bytes
  EXPECT_EQ(with(9.79).bytes, 10000000000);
}

TEST(Find, StatedSizesAreHeldAsTheirTypeAndRoleSay) {
  const auto bytes = [](WeightsRequest request, const std::string& file) {
    request.files = {file};
    return find(request, stating({{file, gigabytes(2)}})).bytes;
  };
  WeightsRequest vae = unet("");
  vae.role = WeightsRole::vae;
  vae.folder = "vae";
  vae.loader_class = "VAELoader";
  EXPECT_EQ(bytes(vae, "some_video_vae_fp32.safetensors"), 1LL << 30);
  EXPECT_EQ(bytes(vae, "some_video_vae_fp16.safetensors"), 2LL << 30);
  EXPECT_EQ(bytes(vae, "some_audio_vae_fp32.safetensors"), 2LL << 30);  // held in fp32
  EXPECT_EQ(bytes(unet("", "fp8_e4m3fn"), "new_bf16.safetensors"), 1LL << 30);
  // How much of a checkpoint is its diffusion model is not stated.
  const char* file = "all_in_one.safetensors";
  const Weights whole = find(checkpoint(file, ""), stating({{file, gigabytes(7)}}));
  EXPECT_FALSE(whole.known());
  EXPECT_TRUE(contains(say(whole.source), "7.00 GB")) << say(whole.source);
}

// Qwen-Image's name, a third of its size.
TEST(Find, ANameThatTheStatedSizeContradictsIsNoGuess) {
  const char* file = "qwen_image_small_bf16.safetensors";
  EXPECT_EQ(find(unet(file)).architecture, "qwen-image");
  const Weights weights = find(unet(file), stating({{file, gigabytes(7)}}));
  EXPECT_EQ(weights.architecture, "");
  EXPECT_EQ(weights.nearest, "qwen-image");
  EXPECT_EQ(find(unet(file), stating({{file, gigabytes(38.1)}})).architecture, "qwen-image");
}

TEST(Find, ASizeGuessedFromANameIsAssumed) {
  EXPECT_EQ(find(unet("flux1-dev-Q4_K_S.gguf")).bytes_from, BytesFrom::assumed);
  EXPECT_EQ(find(unet("flux1-dev.safetensors")).bytes_from, BytesFrom::known);
  // A pair is as sure as the less sure of the two.
  EXPECT_EQ(find(clip({"clip_l.safetensors", "t5xxl_q8_0.gguf"})).bytes_from, BytesFrom::assumed);
}

TEST(Find, AGgufFileIsAtLeastAsLargeAsItsListing) {
  for (const KnownFile& file : known_files()) {
    const KnownModel* model = find_known_model(file.model);
    if (!file.name.ends_with(".gguf") || file.file_bytes == 0) continue;
    WeightsRequest request = unet(std::string(file.name));
    request.role = model->role;
    const Weights weights = find(request);
    EXPECT_GE(weights.bytes, file.file_bytes) << file.name;
  }
  // Z-Image keeps some layers in 16 bits, UMT5 its token embedding.
  EXPECT_NEAR(static_cast<double>(find(unet("z_image_turbo-Q8_0.gguf")).bytes) / (1 << 20), 6973.32,
              80);
  EXPECT_NEAR(static_cast<double>(find(clip({"umt5-xxl-encoder-Q6_K.gguf"})).bytes) / (1 << 20),
              5626.45, 30);
}

TEST(Find, TheLargestLayersOfAKnownClassSetTheStreamingBuffer) {
  WeightsSearch search;
  search.comfyui = {0, 8, 0};
  const Weights weights = find(unet("flux2_dev_fp8mixed.safetensors"), search);
  ASSERT_FALSE(weights.modules.empty());
  EXPECT_NEAR(static_cast<double>(weights.modules[0].bytes) / (1 << 20), 357, 20);
  EXPECT_EQ(sum_of(weights.modules), weights.bytes);
}

TEST(Find, LoadersJudgeEveryEncoderByItsValues) {
  for (const char* file : {"gemma_3_12b_it.safetensors", "mistral_3_small_flux2_fp8.safetensors",
                           "qwen3vl_8b_fp8_scaled.safetensors", "t5-base.safetensors"}) {
    const Weights weights = find(clip({file}));
    EXPECT_GT(weights.loader_bytes, weights.bytes * 9 / 10) << file;
  }
  EXPECT_EQ(find(clip({"gemma_3_12b_it.safetensors"})).loader_bytes, 2 * 12187325040);
}

}  // namespace
}  // namespace ebb
