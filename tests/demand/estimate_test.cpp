// SPDX-License-Identifier: Apache-2.0
// Whole prompts: which weights each node uses, and what it needs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ebb/demand.h"
#include "ebb/report.h"
#include "tests/demand/build.h"

namespace ebb {
namespace {

using test::finder;
using test::link;
using test::machine;
using test::num;
using test::PromptBuilder;
using test::str;
using test::val;

const std::map<std::string, std::string> kWan = {{"high.safetensors", "wan-14b"},
                                                 {"low.safetensors", "wan-14b"},
                                                 {"umt5.safetensors", "umt5-xxl"},
                                                 {"wan_vae.safetensors", "wan21-vae"},
                                                 {"light.safetensors.lora", "lora"}};

/// The user's case: two experts, two samplers, a start picture.
PromptBuilder two_pass(long long frames = 81) {
  PromptBuilder b;
  b.add("1", "CLIPLoader", {str("clip_name", "umt5.safetensors"), str("type", "wan")}, {"CLIP"});
  b.add("2", "CLIPTextEncode", {val("text", "\"a cat\"", "STRING"), link("clip", "CLIP", "1")},
        {"CONDITIONING"});
  b.add("3", "CLIPTextEncode", {val("text", "\"\"", "STRING"), link("clip", "CLIP", "1")},
        {"CONDITIONING"});
  b.add("4", "VAELoader", {str("vae_name", "wan_vae.safetensors")}, {"VAE"});
  b.add("5", "LoadImage", {str("image", "cat.png")}, {"IMAGE", "MASK"});
  b.add("6", "WanImageToVideo",
        {link("positive", "CONDITIONING", "2"), link("negative", "CONDITIONING", "3"),
         link("vae", "VAE", "4"), num("width", 832), num("height", 1216), num("length", frames),
         num("batch_size", 1), link("start_image", "IMAGE", "5")},
        {"CONDITIONING", "CONDITIONING", "LATENT"});
  b.add("7", "UNETLoader", {str("unet_name", "high.safetensors"), str("weight_dtype", "default")},
        {"MODEL"});
  b.add("8", "LoraLoaderModelOnly",
        {link("model", "MODEL", "7"), str("lora_name", "light.safetensors"),
         val("strength_model", "1.0", "FLOAT")},
        {"MODEL"});
  b.add("9", "ModelSamplingSD3", {link("model", "MODEL", "8"), val("shift", "8", "FLOAT")},
        {"MODEL"});
  b.add("10", "KSamplerAdvanced",
        {link("model", "MODEL", "9"), num("steps", 20), val("cfg", "3.5", "FLOAT"),
         str("sampler_name", "euler"), link("positive", "CONDITIONING", "6", 0),
         link("negative", "CONDITIONING", "6", 1), link("latent_image", "LATENT", "6", 2),
         num("start_at_step", 0), num("end_at_step", 12)},
        {"LATENT"});
  b.add("11", "UNETLoader", {str("unet_name", "low.safetensors"), str("weight_dtype", "default")},
        {"MODEL"});
  b.add("12", "KSamplerAdvanced",
        {link("model", "MODEL", "11"), num("steps", 20), val("cfg", "1.0", "FLOAT"),
         str("sampler_name", "euler"), link("positive", "CONDITIONING", "6", 0),
         link("negative", "CONDITIONING", "6", 1), link("latent_image", "LATENT", "10"),
         num("start_at_step", 12), num("end_at_step", 10000)},
        {"LATENT"});
  b.add("13", "VAEDecode", {link("samples", "LATENT", "12"), link("vae", "VAE", "4")}, {"IMAGE"});
  b.add("14", "CreateVideo", {link("images", "IMAGE", "13"), val("fps", "16", "FLOAT")}, {"VIDEO"});
  return b;
}

struct Estimated {
  PromptDemand demand;
  const Prompt* prompt;
  const NodeDemand& at(const std::string& id) const { return demand.nodes[prompt->index.at(id)]; }
  std::string name(WeightsIndex weights) const { return demand.weights[weights].name; }
};

Estimated estimate(const PromptBuilder& b, const FindWeights& find, const SizeOverrides& sizes = {},
                   ComfyVersion version = {0, 3, 73}) {
  auto result = estimate_demand(b.prompt(), find, machine(version), sizes);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : to_string(result.error()));
  return {result.ok() ? std::move(result).value() : PromptDemand{}, &b.prompt()};
}

TEST(Estimate, TheUsersCase) {
  const PromptBuilder b = two_pass();
  const Estimated e = estimate(b, finder(kWan));
  const NodeDemand& high = e.at("10");
  EXPECT_EQ(high.kind, StepKind::sample);
  ASSERT_EQ(high.uses.size(), 1u);
  EXPECT_EQ(e.name(high.uses[0]), "high.safetensors");
  ASSERT_EQ(high.loras.size(), 1u);
  EXPECT_EQ(e.name(high.loras[0]), "light.safetensors");
  EXPECT_EQ(high.demand.repeats, 12);
  EXPECT_EQ(high.shape, (Shape{1, 16, 21, 152, 104, true}));
  EXPECT_EQ((high.demand.minimum.bytes + (1 << 19)) >> 20, 15299);
  EXPECT_EQ(high.demand.result_bytes, 4LL * 16 * 21 * 152 * 104);
  const NodeDemand& low = e.at("12");
  EXPECT_EQ(e.name(low.uses[0]), "low.safetensors");
  EXPECT_TRUE(low.loras.empty());
  EXPECT_EQ(low.demand.repeats, 8);
  EXPECT_EQ(high.demand.forwards, 2);
  EXPECT_EQ(low.demand.forwards, 1);
  EXPECT_NEAR(high.demand.flops, 2 * low.demand.flops, 1e6) << "cfg 3.5 runs the model twice";

  EXPECT_EQ(e.at("1").kind, StepKind::load);
  EXPECT_EQ(e.at("1").reads.size(), 1u);
  EXPECT_EQ(e.at("2").kind, StepKind::encode_text);
  EXPECT_EQ(e.at("2").demand.asked.bytes, 0);
  EXPECT_TRUE(e.at("2").demand.asked.known());
  EXPECT_EQ(e.at("8").reads, high.loras);
  EXPECT_EQ(e.at("9").kind, StepKind::other);
  const NodeDemand& encode = e.at("6");
  EXPECT_EQ(encode.kind, StepKind::encode_image);
  EXPECT_EQ(e.name(encode.uses.at(0)), "wan_vae.safetensors");
  EXPECT_EQ(encode.shape, (Shape{1, 3, 81, 1216, 832, true}));
  EXPECT_EQ(encode.demand.asked.bytes, 6000LL * 1216 * 832 * 2);
  const NodeDemand& decode = e.at("13");
  EXPECT_EQ(decode.kind, StepKind::decode);
  EXPECT_EQ(decode.demand.asked.bytes, 7000LL * 152 * 104 * 64 * 2);
  EXPECT_EQ(decode.demand.minimum.bytes, decode.demand.asked.bytes);
  EXPECT_EQ(decode.demand.result_bytes, 81LL * 1216 * 832 * 3 * 4);
  EXPECT_EQ(e.at("14").demand.result_bytes, 0) << "it hands the pictures on";
  EXPECT_EQ(e.demand.picture, (Shape{1, 3, 81, 1216, 832, true}));
  for (const NodeDemand& node : e.demand.nodes) EXPECT_EQ(node.note, "");
}

TEST(Estimate, ATextEncoderThatTakesAPictureUsesTheVaeBeforeItself) {
  PromptBuilder b;
  b.add("1", "CLIPLoader", {str("clip_name", "qwen.safetensors"), str("type", "qwen_image")},
        {"CLIP"});
  b.add("2", "VAELoader", {str("vae_name", "wan_vae.safetensors")}, {"VAE"});
  b.add("3", "EmptyImage", {num("width", 1024), num("height", 1024)}, {"IMAGE"});
  b.add("4", "TextEncodeQwenImageEdit",
        {link("clip", "CLIP", "1"), val("prompt", "\"a cat\"", "STRING"), link("vae", "VAE", "2"),
         link("image", "IMAGE", "3")},
        {"CONDITIONING"});
  const Estimated done = estimate(
      b, finder({{"qwen.safetensors", "qwen25-vl-7b"}, {"wan_vae.safetensors", "wan21-vae"}}));
  const NodeDemand& node = done.at("4");
  ASSERT_TRUE(node.earlier);
  EXPECT_EQ(done.demand.weights[node.uses.front()].architecture, "qwen25-vl-7b");
  ASSERT_EQ(node.earlier->uses.size(), 1u);
  EXPECT_EQ(done.demand.weights[node.earlier->uses.front()].architecture, "wan21-vae");
  EXPECT_EQ(node.demand.asked.bytes, 0);  // an encoder asks for nothing
  EXPECT_GT(node.earlier->demand.asked.bytes, 1'000'000'000);
}

TEST(Estimate, FramesAreReplacedForAWhatIf) {
  SizeOverrides sizes;
  sizes.frames = 61;
  const PromptBuilder b = two_pass(), fewer = two_pass(61);
  EXPECT_EQ(estimate(b, finder(kWan), sizes).at("10").demand.minimum.bytes,
            estimate(fewer, finder(kWan)).at("10").demand.minimum.bytes);
}

TEST(Estimate, TilingLowersWhatIsLiveButNotWhatIsAsked) {
  SizeOverrides sizes;
  sizes.tile_vae = true;
  const PromptBuilder b = two_pass();
  const NodeDemand tiled = estimate(b, finder(kWan), sizes).at("13");
  const NodeDemand whole = estimate(b, finder(kWan)).at("13");
  EXPECT_EQ(tiled.demand.asked.bytes, whole.demand.asked.bytes);
  EXPECT_LT(tiled.demand.live.bytes, whole.demand.live.bytes / 2);
}

TEST(Estimate, AContextHandsOnAndDoesNotDecode) {
  PromptBuilder b = two_pass();
  b.add("50", "Context (rgthree)",
        {link("clip", "CLIP", "1"), link("vae", "VAE", "4"), link("latent", "LATENT", "6", 2)},
        {"RGTHREE_CONTEXT", "MODEL", "CLIP", "VAE", "CONDITIONING", "LATENT", "IMAGE"});
  const Estimated e = estimate(b, finder(kWan));
  EXPECT_EQ(e.at("50").kind, StepKind::other);
  EXPECT_TRUE(e.at("50").uses.empty());
}

TEST(Estimate, ALoaderNobodyKnowsReadsWhatItsInputsName) {
  PromptBuilder b;
  b.add("1", "SomePackLoader",
        {str("model_name", "high.safetensors"), str("clip_name1", "umt5.safetensors")},
        {"MODEL", "CLIP", "VAE"});
  b.add("2", "CLIPTextEncode", {val("text", "\"a\"", "STRING"), link("clip", "CLIP", "1", 1)},
        {"CONDITIONING"});
  b.add("3", "EmptyLatentImage", {num("width", 64), num("height", 64), num("batch_size", 1)},
        {"LATENT"});
  b.add("4", "VAEDecode", {link("samples", "LATENT", "3"), link("vae", "VAE", "1", 2)}, {"IMAGE"});
  const Estimated e = estimate(b, finder(kWan));
  ASSERT_EQ(e.at("1").reads.size(), 3U);
  ASSERT_EQ(e.at("2").uses.size(), 1U);
  EXPECT_EQ(e.name(e.at("2").uses[0]), "umt5.safetensors");
  ASSERT_EQ(e.at("4").uses.size(), 1U) << "not known, and never left out";
  const Weights& vae = e.demand.weights[e.at("4").uses[0]];
  EXPECT_FALSE(vae.known());
  EXPECT_EQ(say(vae.source), "which files node 1 SomePackLoader loads is not known to Ebb");
}

NodeIndex position(const PromptBuilder& b, const char* id) { return b.prompt().position(id); }

TEST(Estimate, AClassThatReadsAModelFolderLoadsWhateverItGives) {
  PromptBuilder b;
  b.add("1", "LoadBackgroundRemovalModel", {str("bg_removal_name", "birefnet.safetensors")},
        {"BACKGROUND_REMOVAL"});
  b.add("2", "LoadImage", {str("image", "cat.png")}, {"IMAGE", "MASK"});
  b.add("3", "RemoveBackground",
        {link("model", "BACKGROUND_REMOVAL", "1"), link("image", "IMAGE", "2")}, {"MASK"});
  const auto demand = estimate_demand(b.prompt(), finder({}), machine());
  ASSERT_TRUE(demand.ok());
  ASSERT_EQ(demand->weights.size(), 1u);
  const NodeDemand& node = demand->nodes[2];
  EXPECT_EQ(node.kind, StepKind::use);
  EXPECT_EQ(node.uses, std::vector<WeightsIndex>{0});
  EXPECT_FALSE(node.model_known);
  EXPECT_FALSE(node.demand.asked.known());
  EXPECT_TRUE(demand->unused.empty());
}

TEST(Estimate, AFileThatAClassInNoTableNamesIsRead) {
  PromptBuilder b;
  b.add("1", "SAM3DBody_Loader", {str("model", "sam_3d_body.safetensors")}, {"SAM3D_BODY_MODEL"},
        false);
  b.add("2", "SAM3DBody_Predict", {link("model", "SAM3D_BODY_MODEL", "1")}, {"MESH"}, false);
  b.add("3", "ConditioningLoader", {str("name", "normals.safetensors")}, {"CONDITIONING"}, false);
  b.add("4", "Text Box", {val("text", "\"embedding:bad.pt\"", "STRING")}, {"STRING"}, false);
  const auto demand = estimate_demand(b.prompt(), finder({}), machine());
  ASSERT_TRUE(demand.ok());
  ASSERT_EQ(demand->weights.size(), 2u);
  EXPECT_EQ(demand->nodes[1].kind, StepKind::use);
  EXPECT_EQ(demand->unused, std::vector<WeightsIndex>{1});
}

TEST(Estimate, AModelThatOnlyAClassNobodyKnowsTakesIsNotForgotten) {
  PromptBuilder b;
  b.add("1", "LoadBackgroundRemovalModel", {str("bg_removal_name", "birefnet.safetensors")}, {""},
        false);
  b.add("2", "RemoveBackground", {link("model", "", "1")}, {""}, false);
  b.add("3", "MaskPreview", {link("mask", "MASK", "2")}, {});
  const auto demand = estimate_demand(b.prompt(), finder({}), machine());
  ASSERT_TRUE(demand.ok());
  EXPECT_EQ(demand->unused, std::vector<WeightsIndex>{0});
}

TEST(Estimate, ATextEncoderThatWritesIsAPassAndKeepsItsTokens) {
  PromptBuilder b;
  b.add("1", "CLIPLoader", {str("clip_name", "qwen.safetensors")}, {"CLIP"});
  b.add("2", "TextGenerate",
        {link("clip", "CLIP", "1"), val("prompt", "\"a\"", "STRING"), num("max_length", 4096)},
        {"STRING"});
  const auto demand =
      estimate_demand(b.prompt(), finder({{"qwen.safetensors", "qwen3-4b"}}), machine());
  ASSERT_TRUE(demand.ok());
  const NodeDemand& node = demand->nodes[1];
  EXPECT_EQ(node.kind, StepKind::encode_text);
  EXPECT_EQ(node.uses, std::vector<WeightsIndex>{0});
  EXPECT_EQ(node.demand.repeats, 4096);
  EXPECT_EQ(node.demand.live.bytes, 200_MiB + (4096 + 512) * 147456);
}

TEST(Estimate, AStepThatItsOwnWidgetBypassesIsNone) {
  for (const bool bypass : {false, true}) {
    PromptBuilder b;
    b.add("1", "VAELoader", {str("vae_name", "ltx.safetensors")}, {"VAE"});
    b.add("2", "EmptyImage", {num("width", 512), num("height", 512)}, {"IMAGE"});
    b.add("3", "EmptyLTXVLatentVideo",
          {num("width", 512), num("height", 512), num("length", 9), num("batch_size", 1)},
          {"LATENT"});
    b.add("4", "LTXVImgToVideoInplace",
          {link("vae", "VAE", "1"), link("image", "IMAGE", "2"), link("latent", "LATENT", "3"),
           val("strength", "1", "FLOAT"), val("bypass", bypass ? "true" : "false", "BOOLEAN")},
          {"LATENT"});
    const auto demand =
        estimate_demand(b.prompt(), finder({{"ltx.safetensors", "ltxv-vae"}}), machine());
    ASSERT_TRUE(demand.ok());
    EXPECT_EQ(demand->nodes[3].kind, bypass ? StepKind::other : StepKind::encode_image);
    EXPECT_EQ(demand->nodes[3].uses.empty(), bypass);
    EXPECT_TRUE(demand->unused.empty());
  }
}

TEST(Estimate, AGuiderWithTwoModelsUsesBoth) {
  for (const char* cfg : {"4", "1"}) {
    PromptBuilder b;
    b.add("1", "UNETLoader", {str("unet_name", "a.safetensors")}, {"MODEL"});
    b.add("2", "UNETLoader", {str("unet_name", "b.safetensors")}, {"MODEL"});
    b.add("3", "DualModelGuider",
          {link("model", "MODEL", "1"), link("model_negative", "MODEL", "2"),
           val("cfg", cfg, "FLOAT")},
          {"GUIDER"});
    b.add("4", "EmptySD3LatentImage", {num("width", 512), num("height", 512), num("batch_size", 1)},
          {"LATENT"});
    b.add("5", "SamplerCustomAdvanced",
          {link("guider", "GUIDER", "3"), link("latent_image", "LATENT", "4")},
          {"LATENT", "LATENT"});
    const auto demand = estimate_demand(b.prompt(), finder({}), machine());
    ASSERT_TRUE(demand.ok());
    const auto both = std::vector<WeightsIndex>{0, 1};
    EXPECT_EQ(demand->nodes[position(b, "5")].uses,
              *cfg == '1' ? std::vector<WeightsIndex>{0} : both);
  }
}

TEST(Estimate, AttentionInSlicesIsNoted) {
  Machine sliced = machine();
  const auto noted = [&] {
    const auto demand = estimate_demand(two_pass().prompt(), finder(kWan), sliced);
    return std::ranges::count(demand->notes, Say::attention_in_slices, &Message::code) > 0;
  };
  EXPECT_FALSE(noted());
  sliced.flags.disable_xformers_and_pytorch_attention = true;
  EXPECT_TRUE(noted());
}

TEST(Estimate, UnusableOverridesAreUsageErrors) {
  const PromptBuilder b = two_pass();
  for (const std::int64_t frames : {0LL, -1LL, 1'000'000'000LL, 1LL << 62}) {
    SizeOverrides sizes;
    sizes.frames = frames;
    const auto result = estimate_demand(b.prompt(), finder(kWan), machine(), sizes);
    ASSERT_FALSE(result.ok()) << frames;
    EXPECT_EQ(result.error().code, ErrorCode::usage);
    EXPECT_NE(result.error().message.find("131,072"), std::string::npos);
  }
  SizeOverrides narrow;
  narrow.width = 8;
  EXPECT_FALSE(estimate_demand(b.prompt(), finder(kWan), machine(), narrow).ok());
}

// A class that knows its limits refuses such a length when the file is read.
TEST(Estimate, AbsurdLengthsAreUnknownWithTheReason) {
  for (const long long frames : {0LL, -5LL, 1'000'000'000LL, 1LL << 62}) {
    const PromptBuilder b = two_pass(frames);
    const Estimated e = estimate(b, finder(kWan));
    const Quantity& asked = e.at("10").demand.asked;
    EXPECT_FALSE(asked.known()) << frames;
    EXPECT_NE(say(asked.source).find("length is"), std::string::npos) << say(asked.source);
  }
}

TEST(Estimate, ABrokenFileIsAnErrorWithTheLoadersPlace) {
  const PromptBuilder b = two_pass();
  const FindWeights broken = [](const WeightsRequest&) -> Result<Weights> {
    return input_error("the header is cut off", "high.safetensors");
  };
  const auto result = estimate_demand(b.prompt(), broken, machine());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().where.place, "node 1 CLIPLoader");
}

TEST(Estimate, UnknownModelsAndSizesSayWhy) {
  const PromptBuilder b = two_pass();
  auto known = kWan;
  known.erase("high.safetensors");
  const Estimated e = estimate(b, finder(known));
  EXPECT_FALSE(e.at("10").demand.minimum.known());
  EXPECT_NE(say(e.at("10").note).find("high.safetensors"), std::string::npos)
      << say(e.at("10").note);
  EXPECT_TRUE(e.at("12").demand.minimum.known());
  EXPECT_EQ(e.at("10").uses.size(), 1u) << "still in use, whatever it is";
}

TEST(Estimate, CheckpointsGiveThreeModelsAndSameLoadersShareOne) {
  PromptBuilder b;
  for (const char* id : {"1", "2"}) {
    b.add(id, "CheckpointLoaderSimple", {str("ckpt_name", "sdxl.safetensors")},
          {"MODEL", "CLIP", "VAE"});
  }
  b.add("3", "CheckpointLoaderSimple", {str("ckpt_name", "refiner.safetensors")},
        {"MODEL", "CLIP", "VAE"});
  b.add("4", "EmptyLatentImage", {num("width", 1024), num("height", 1024), num("batch_size", 2)},
        {"LATENT"});
  b.add("5", "CLIPTextEncode", {link("clip", "CLIP", "1", 1), str("text", "x")}, {"CONDITIONING"});
  b.add("6", "KSampler",
        {link("model", "MODEL", "2"), num("steps", 20), val("cfg", "8"),
         link("positive", "CONDITIONING", "5"), link("negative", "CONDITIONING", "5"),
         link("latent_image", "LATENT", "4"), str("sampler_name", "dpmpp_sde")},
        {"LATENT"});
  b.add("7", "VAEDecode", {link("samples", "LATENT", "6"), link("vae", "VAE", "1", 2)}, {"IMAGE"});
  const Estimated e = estimate(b, finder({{"sdxl.safetensors", "sdxl"},
                                          {"sdxl.safetensors.clip", "sdxl-clip"},
                                          {"sdxl.safetensors.vae", "kl-vae"}}));
  EXPECT_EQ(e.demand.weights.size(), 6u);
  EXPECT_EQ(e.at("1").reads, e.at("2").reads);
  EXPECT_EQ(e.at("6").uses[0], e.at("1").reads[0]);
  EXPECT_EQ(e.at("7").uses[0], e.at("1").reads[2]);
  EXPECT_EQ(e.at("5").uses[0], e.at("1").reads[1]);
  EXPECT_NEAR(e.at("6").demand.flops, 2 * 2 * 128 * 128 * 4.13e8, 1e6)
      << "two conditionings of two pictures";
  EXPECT_EQ(e.at("6").demand.repeats, 40) << "dpmpp_sde evaluates the model twice a step";
  EXPECT_EQ(e.demand.picture, (Shape{2, 3, 1, 1024, 1024, false}));
}

TEST(Estimate, GuidersSchedulesAndReferencesReachTheSampler) {
  PromptBuilder b;
  b.add("1", "UNETLoader", {str("unet_name", "kontext.safetensors")}, {"MODEL"});
  b.add("2", "DualCLIPLoader", {str("clip_name1", "l"), str("clip_name2", "t5")}, {"CLIP"});
  b.add("3", "CLIPTextEncode", {link("clip", "CLIP", "2"), str("text", "x")}, {"CONDITIONING"});
  b.add("4", "EmptySD3LatentImage", {num("width", 1024), num("height", 1024)}, {"LATENT"});
  b.add("5", "ReferenceLatent",
        {link("conditioning", "CONDITIONING", "3"), link("latent", "LATENT", "4")},
        {"CONDITIONING"});
  b.add("6", "FluxGuidance", {link("conditioning", "CONDITIONING", "5")}, {"CONDITIONING"});
  b.add("7", "BasicGuider",
        {link("model", "MODEL", "1"), link("conditioning", "CONDITIONING", "6")}, {"GUIDER"});
  b.add("8", "BasicScheduler", {link("model", "MODEL", "1"), num("steps", 28)}, {"SIGMAS"});
  b.add("9", "SplitSigmas", {link("sigmas", "SIGMAS", "8"), num("step", 10)}, {"SIGMAS", "SIGMAS"});
  b.add("10", "SamplerCustomAdvanced",
        {link("guider", "GUIDER", "7"), link("sigmas", "SIGMAS", "9", 1),
         link("latent_image", "LATENT", "4")},
        {"LATENT", "LATENT"});
  const Estimated e = estimate(b, finder({{"kontext.safetensors", "flux"}}));
  EXPECT_EQ(e.at("10").demand.repeats, 18);
  EXPECT_EQ(e.demand.weights[e.at("10").uses[0]].name, "kontext.safetensors");
  EXPECT_EQ(e.at("10").demand.minimum.bytes,
            std::llround(2 * 128.0 * 128 * 2 * 0.01 * 3.1 * (1 << 20)));
  EXPECT_EQ(e.demand.weights[e.at("3").uses[0]].files.size(), 2u);
}

TEST(Estimate, ControlNetsAndModelPatchesAreInUseBesideTheModel) {
  PromptBuilder b;
  b.add("1", "CheckpointLoaderSimple", {str("ckpt_name", "a")}, {"MODEL", "CLIP", "VAE"});
  b.add("2", "ControlNetLoader", {str("control_net_name", "net")}, {"CONTROL_NET"});
  b.add("3", "CLIPTextEncode", {link("clip", "CLIP", "1", 1), str("text", "x")}, {"CONDITIONING"});
  b.add("4", "ControlNetApplyAdvanced",
        {link("positive", "CONDITIONING", "3"), link("negative", "CONDITIONING", "3"),
         link("control_net", "CONTROL_NET", "2")},
        {"CONDITIONING", "CONDITIONING"});
  b.add("5", "EmptyLatentImage", {num("width", 512), num("height", 512)}, {"LATENT"});
  b.add("6", "ModelPatchLoader", {str("name", "patch")}, {"MODEL_PATCH"});
  b.add("7", "QwenImageDiffsynthControlnet",
        {link("model", "MODEL", "1"), link("model_patch", "MODEL_PATCH", "6")}, {"MODEL"});
  b.add("8", "KSampler",
        {link("model", "MODEL", "7"), num("steps", 20), val("cfg", "7"),
         link("positive", "CONDITIONING", "4", 0), link("negative", "CONDITIONING", "4", 1),
         link("latent_image", "LATENT", "5")},
        {"LATENT"});
  const Estimated e = estimate(b, finder({{"a", "sd15"}}));
  std::vector<std::string> names;
  for (const WeightsIndex w : e.at("8").uses) names.push_back(e.name(w));
  EXPECT_EQ(names, (std::vector<std::string>{"a", "patch", "net"}));
  EXPECT_EQ(e.at("8").demand.live.bytes,
            std::llround(64.0 * 64 * (16648 + 1744) + 0.1 * (1 << 20)));
}

/// A sampler behind as many ControlNetApply nodes as there are strengths.
NodeDemand behind_controlnets(const char* model, const std::vector<std::string>& strengths) {
  PromptBuilder b;
  b.add("1", "UNETLoader", {str("unet_name", "m")}, {"MODEL"});
  b.add("2", "ControlNetLoader", {str("control_net_name", "net")}, {"CONTROL_NET"});
  b.add("c0", "CLIPTextEncode", {str("text", "x")}, {"CONDITIONING"});
  std::string last = "c0";
  for (const std::string& strength : strengths) {
    const std::string next = "c" + std::to_string(b.prompt().nodes.size());
    b.add(next, "ControlNetApply",
          {link("conditioning", "CONDITIONING", last), link("control_net", "CONTROL_NET", "2"),
           val("strength", strength)},
          {"CONDITIONING"});
    last = next;
  }
  b.add("4", "EmptySD3LatentImage", {num("width", 1024), num("height", 1024)}, {"LATENT"});
  b.add("5", "KSampler",
        {link("model", "MODEL", "1"), num("steps", 20), val("cfg", "1"),
         link("positive", "CONDITIONING", last), link("latent_image", "LATENT", "4")},
        {"LATENT"});
  return estimate(b, finder({{"m", model}, {"net", "controlnet"}})).at("5");
}

TEST(Estimate, ControlNetsAddTheirOutputsToWhatIsLive) {
  const auto live = [](const char* model, const std::vector<std::string>& strengths) {
    return static_cast<double>(behind_controlnets(model, strengths).demand.live.bytes);
  };
  // One hidden state of Flux and of Qwen-Image for a megapixel.
  const double u = 4096.0 * 3072 * 2;
  EXPECT_NEAR(live("flux", {"0.6"}) - live("flux", {}), 5.021 * u, 2);
  EXPECT_NEAR(live("flux", {"0.6", "1"}) - live("flux", {}), 19.042 * u, 2);
  EXPECT_NEAR(live("qwen-image", {"1", "1"}) - live("qwen-image", {}), 60.042 * u, 2);
  EXPECT_EQ(behind_controlnets("flux", {"1", "1"}).uses.size(), 2u) << "one net, twice";
}

TEST(Estimate, AControlNetWithoutStrengthIsNotUsed) {
  const NodeDemand off = behind_controlnets("flux", {"0"}), none = behind_controlnets("flux", {});
  EXPECT_EQ(off.uses.size(), 1u);
  EXPECT_EQ(off.demand.live.bytes, none.demand.live.bytes);
}

TEST(Estimate, ControlNetsThatNobodyTracedWidenTheBounds) {
  const auto high = [](const char* model, const std::vector<std::string>& strengths) {
    return behind_controlnets(model, strengths).demand.high;
  };
  EXPECT_NEAR(high("hidream", {"1"}), 1.5 * high("hidream", {}), 1e-9);
  EXPECT_NEAR(high("flux", {"1", "1", "1"}), 1.5 * high("flux", {"1", "1"}), 1e-9);
}

TEST(Estimate, LorasAreListedAsTheyArePutOn) {
  PromptBuilder b;
  b.add("1", "UNETLoader", {str("unet_name", "m")}, {"MODEL"});
  b.add("2", "LoraLoaderModelOnly",
        {link("model", "MODEL", "1"), str("lora_name", "first"), val("strength_model", "1")},
        {"MODEL"});
  b.add("3", "LoraLoaderModelOnly",
        {link("model", "MODEL", "2"), str("lora_name", "off"), val("strength_model", "0")},
        {"MODEL"});
  b.add("4", "Power Lora Loader (rgthree)",
        {link("model", "MODEL", "3"),
         val("lora_1", R"({"on":true,"lora":"sub\\second.safetensors","strength":1})"),
         val("lora_2", R"({"on":false,"lora":"third.safetensors","strength":1})")},
        {"MODEL", "CLIP"}, false);
  b.add("5", "EmptyLatentImage", {num("width", 512), num("height", 512)}, {"LATENT"});
  b.add("6", "KSampler",
        {link("model", "MODEL", "4"), num("steps", 4), val("cfg", "1"),
         link("latent_image", "LATENT", "5")},
        {"LATENT"});
  const Estimated e = estimate(b, finder({{"m", "sd15"}}));
  std::vector<std::string> names;
  for (const WeightsIndex w : e.at("6").loras) names.push_back(e.name(w));
  EXPECT_EQ(names, (std::vector<std::string>{"first", "sub\\second.safetensors"}));
}

TEST(Estimate, LoadersOutsideTheMemoryManagerSaySo) {
  PromptBuilder b;
  b.add("1", "WanVideoModelLoader", {str("model", "x.safetensors")}, {"WANVIDEOMODEL"}, false);
  b.add("2", "WanVideoSampler", {link("model", "WANVIDEOMODEL", "1")}, {"LATENT"}, false);
  const Estimated e = estimate(b, finder({}));
  EXPECT_EQ(e.at("1").kind, StepKind::load);
  EXPECT_NE(say(e.at("1").note).find("memory manager"), std::string::npos);
  EXPECT_EQ(e.at("2").kind, StepKind::sample);
  EXPECT_FALSE(e.at("2").demand.live.known());
  EXPECT_NE(say(e.at("2").note), "");
}

TEST(Estimate, VariantsOfLoadersAreTheSameLoaders) {
  for (const char* name : {"UNETLoader", "UNETLoaderMultiGPU", "UNETLoaderDisTorch2MultiGPU",
                           "UnetLoaderGGUF", "UnetLoaderGGUFDisTorchMultiGPU"}) {
    PromptBuilder b;
    b.add("1", name, {str("unet_name", "m.gguf")}, {"MODEL"}, false);
    const Estimated e = estimate(b, finder({{"m.gguf", "flux"}}));
    EXPECT_EQ(e.at("1").reads.size(), 1u) << name;
  }
}

TEST(Estimate, CirclesDanglingLinksAndEmptyPromptsEnd) {
  EXPECT_TRUE(estimate(PromptBuilder(), finder({})).demand.nodes.empty());
  PromptBuilder b;
  b.add("1", "ModelSamplingSD3", {link("model", "MODEL", "2")}, {"MODEL"});
  b.add("2", "ModelSamplingSD3", {link("model", "MODEL", "1")}, {"MODEL"});
  b.add("3", "KSampler",
        {link("model", "MODEL", "1"), link("latent_image", "LATENT", "3"),
         link("positive", "CONDITIONING", "99")},
        {"LATENT"});
  b.add("4", "VAEDecode", {link("samples", "LATENT", "3", 7), link("vae", "VAE", "77", -3)},
        {"IMAGE"});
  const Estimated e = estimate(b, finder({}));
  EXPECT_NE(say(e.at("3").note).find("circle"), std::string::npos) << say(e.at("3").note);
}

TEST(Estimate, VersionsOutsideTheTableAreNoted) {
  const PromptBuilder b = two_pass();
  const auto newer = estimate(b, finder(kWan), {}, {0, 12, 0});
  ASSERT_FALSE(newer.demand.notes.empty());
  EXPECT_EQ(newer.demand.notes[0], Message(Say::estimates_of_version, {"0.8.0"}));
  EXPECT_TRUE(estimate(b, finder(kWan)).demand.notes.empty());
}

TEST(Estimate, TenThousandNodesTakeLinearTime) {
  PromptBuilder b;
  b.add("m", "UNETLoader", {str("unet_name", "high.safetensors")}, {"MODEL"});
  b.add("l", "EmptyHunyuanLatentVideo", {num("width", 832), num("height", 480), num("length", 81)},
        {"LATENT"});
  std::string last = "l";
  for (int i = 0; i < 5'000; ++i) {
    const std::string id = std::to_string(i);
    b.add("s" + id, "ModelSamplingSD3", {link("model", "MODEL", "m")}, {"MODEL"});
    b.add("k" + id, "KSampler",
          {link("model", "MODEL", "s" + id), num("steps", 4), val("cfg", "1"),
           link("latent_image", "LATENT", last)},
          {"LATENT"});
    last = "k" + id;
  }
  const Estimated e = estimate(b, finder(kWan));
  EXPECT_TRUE(e.at(last).demand.minimum.known());
}

}  // namespace
}  // namespace ebb
