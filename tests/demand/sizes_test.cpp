// SPDX-License-Identifier: Apache-2.0
// Sizes that follow the graph: latents, pictures, numbers, steps.
#include <gtest/gtest.h>

#include "demand/expression.h"
#include "demand/values.h"
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

/// The size of an output; the VAE of every node is of the kind `vae`.
SizeValue size_of(const PromptBuilder& builder, const std::string& id, int slot = 0,
                  const SizeOverrides& sizes = {}, const char* vae = "wan21-vae",
                  std::optional<Error>* error = nullptr) {
  const PromptGraph graph(builder.prompt());
  PromptValues values(graph, sizes,
                      {[vae](NodeIndex) { return vae ? find_vae_row(vae) : nullptr; }, {}, {}});
  const SizeValue value = values.of({builder.prompt().index.at(id), slot});
  if (error) *error = values.error();
  return value;
}

/// `BxCxTxHxW`, or why it is not known.
std::string text(const SizeValue& value) {
  if (!value.is_shape()) return say(value.why);
  const Shape& s = value.shape;
  std::string out;
  for (const std::int64_t n : {s.batch, s.channels, s.frames, s.height, s.width}) {
    out += (out.empty() ? "" : "x") + std::to_string(n);
  }
  return out;
}

PromptBuilder one(const std::string& class_type, std::vector<test::In> inputs,
                  std::vector<std::string> outputs = {"LATENT"}) {
  PromptBuilder b;
  b.add("1", class_type, std::move(inputs), std::move(outputs));
  return b;
}

TEST(Sizes, EmptyLatentsHaveTheStridesOfTheirModel) {
  struct Row {
    const char* class_type;
    const char* size;
  };
  const Row rows[] = {
      {"EmptyLatentImage", "2x4x1x64x128"},          {"EmptySD3LatentImage", "2x16x1x64x128"},
      {"EmptyFlux2LatentImage", "2x128x1x32x64"},    {"EmptyHunyuanImageLatent", "2x64x1x16x32"},
      {"EmptyHunyuanLatentVideo", "2x16x21x64x128"}, {"EmptyHunyuanVideo15Latent", "2x32x21x32x64"},
      {"EmptyLTXVLatentVideo", "2x128x11x16x32"},    {"EmptyMochiLatentVideo", "2x12x14x64x128"},
      {"EmptyCosmosLatentVideo", "2x16x11x64x128"},  {"WanImageToVideo", "2x16x21x64x128"},
      {"Wan22ImageToVideoLatent", "2x48x21x32x64"},  {"LTXVImgToVideo", "2x128x11x16x32"},
      {"SVD_img2vid_Conditioning", "81x4x1x64x128"}};
  for (const Row& row : rows) {
    const auto b = one(row.class_type, {num("width", 1024), num("height", 512), num("length", 81),
                                        num("video_frames", 81), num("batch_size", 2)});
    EXPECT_EQ(text(size_of(b, "1")), row.size) << row.class_type;
  }
}

/// What the nodes of ComfyUI 0.18.2 (comfy_extras/nodes_audio.py, nodes_ace.py) gave when run.
TEST(Sizes, SoundLatentsAreAsLongAsTheirNodesMakeThem) {
  struct Row {
    const char* class_type;
    const char* seconds;
    const char* size;
  };
  const Row rows[] = {
      {"EmptyLatentAudio", "47.6", "3x64x1x1x1024"},
      {"EmptyLatentAudio", "0.8359183673469388", "3x64x1x1x18"},
      {"EmptyAceStepLatentAudio", "120", "3x8x1x16x1291"},
      {"EmptyAceStep1.5LatentAudio", "120", "3x64x1x1x3000"},
      {"EmptyAceStep1.5LatentAudio", "1.5", "3x64x1x1x38"},
      {"EmptyAceStep1.5LatentAudio", "1.3", "3x64x1x1x32"},
  };
  for (const Row& row : rows) {
    const auto b = one(row.class_type, {val("seconds", row.seconds), num("batch_size", 3)});
    EXPECT_EQ(text(size_of(b, "1")), row.size) << row.class_type << " " << row.seconds;
  }
}

TEST(Sizes, WanNodesThatEncodeWithTheVaeTakeItsStrides) {
  const auto b =
      one("Wan22FunControlToVideo", {num("width", 1280), num("height", 704), num("length", 81)});
  EXPECT_EQ(text(size_of(b, "1", 0, {}, "wan22-vae")), "1x48x21x44x80");
  EXPECT_EQ(text(size_of(b, "1", 0, {}, "wan21-vae")), "1x16x21x88x160");
}

TEST(Sizes, AReferencePictureAddsALatentFrameThatIsTrimmedLater) {
  PromptBuilder b;
  b.add("1", "LoadImage", {str("image", "a.png")}, {"IMAGE", "MASK"});
  b.add("2", "WanVaceToVideo",
        {num("width", 640), num("height", 640), num("length", 81),
         link("reference_image", "IMAGE", "1")},
        {"CONDITIONING", "CONDITIONING", "LATENT", "INT"});
  b.add("3", "TrimVideoLatent",
        {link("samples", "LATENT", "2", 2), link("trim_amount", "INT", "2", 3)}, {"LATENT"});
  EXPECT_EQ(text(size_of(b, "2", 2)), "1x16x22x80x80");
  EXPECT_EQ(text(size_of(b, "3")), "1x16x21x80x80");
}

TEST(Sizes, NumbersComeThroughPrimitivesMathAndPictures) {
  PromptBuilder b;
  b.add("1", "PrimitiveInt", {num("value", 40)}, {"INT"});
  b.add("2", "INTConstant", {num("value", 832)}, {"INT"});
  b.add("3", "ComfyMathExpression",
        {val("expression", "\"a * 2 + 1\"", "STRING"), link("values.a", "INT", "1")},
        {"FLOAT", "INT"});
  b.add("4", "EmptyImage", {num("width", 500), num("height", 480)}, {"IMAGE"});
  b.add("5", "GetImageSize", {link("image", "IMAGE", "4")}, {"INT", "INT", "INT"});
  b.add("6", "Reroute", {link("", "*", "5", 1)}, {"*"});
  b.add("7", "EmptyHunyuanLatentVideo",
        {link("width", "INT", "2"), link("height", "INT", "6"), link("length", "INT", "3", 1)},
        {"LATENT"});
  EXPECT_EQ(text(size_of(b, "7")), "1x16x21x60x104");
}

TEST(Sizes, ASwitchHandsOnTheNumberOrTheLatentThatItChooses) {
  for (const bool fast : {false, true}) {
    PromptBuilder b;
    b.add("1", "PrimitiveBoolean", {val("value", fast ? "true" : "false", "BOOLEAN")}, {"BOOLEAN"});
    b.add("2", "PrimitiveInt", {num("value", 4)}, {"INT"});
    b.add("3", "ComfySwitchNode",
          {link("switch", "BOOLEAN", "1"), num("on_false", 20), link("on_true", "INT", "2")},
          {"*"});
    b.add("4", "BasicScheduler", {link("steps", "INT", "3")}, {"SIGMAS"});
    EXPECT_EQ(size_of(b, "4").number, fast ? 4.0 : 20.0);
    b.add("5", "EmptyLatentImage", {num("width", 512), num("height", 512)}, {"LATENT"});
    b.add("6", "EmptyLatentImage", {num("width", 1024), num("height", 512)}, {"LATENT"});
    b.add("7", "ComfyMathExpression",
          {val("expression", "\"a > 10\"", "STRING"), link("values.a", "INT", "3")},
          {"FLOAT", "INT", "BOOLEAN"});
    b.add("8", "ComfySoftSwitchNode",
          {link("switch", "BOOLEAN", "7", 2), link("on_false", "LATENT", "5"),
           link("on_true", "LATENT", "6")},
          {"*"});
    EXPECT_EQ(text(size_of(b, "8")), fast ? "1x4x1x64x64" : "1x4x1x64x128");
  }
}

TEST(Sizes, AProportionAndMegapixelsGiveASize) {
  const auto side = [](const char* ratio, const char* megapixels, int multiple, int slot) {
    PromptBuilder b;
    std::vector<test::In> inputs = {str("aspect_ratio", ratio),
                                    val("megapixels", megapixels, "FLOAT")};
    if (multiple) inputs.push_back(num("multiple", multiple));
    b.add("1", "ResolutionSelector", std::move(inputs), {"INT", "INT"});
    return size_of(b, "1", slot).number;
  };
  // What ResolutionSelector of ComfyUI 0.33.0 returned; 0.18.2 lacks the multiple, which was 8.
  EXPECT_EQ(side("1:1 (Square)", "1", 8, 0), 1024);
  EXPECT_EQ(side("16:9 (Widescreen)", "1", 8, 0), 1368);
  EXPECT_EQ(side("16:9 (Widescreen)", "1", 8, 1), 768);
  EXPECT_EQ(side("16:9 (Widescreen)", "1", 0, 0), 1368);
  EXPECT_EQ(side("21:9 (Ultrawide)", "2.5", 64, 0), 2496);
  EXPECT_EQ(side("21:9 (Ultrawide)", "2.5", 64, 1), 1088);
  EXPECT_EQ(side("wide", "1", 8, 0), 0);
}

TEST(Sizes, OverridesReplaceTheSizesOfGenerators) {
  const auto video =
      one("WanImageToVideo", {num("width", 640), num("height", 640), num("length", 81)});
  SizeOverrides sizes;
  sizes.frames = 161;
  EXPECT_EQ(text(size_of(video, "1", 0, sizes)), "1x16x41x80x80");
  sizes.width = 832;
  sizes.height = 1216;
  EXPECT_EQ(text(size_of(video, "1", 0, sizes)), "1x16x41x152x104");
  const auto picture = one("EmptyLatentImage", {num("width", 640), num("height", 640)});
  EXPECT_EQ(text(size_of(picture, "1", 0, sizes)), "1x4x1x152x104");
}

TEST(Sizes, AnUnknownPictureNamesTheNodeAndTheWayOut) {
  PromptBuilder b;
  b.add("12", "LoadImage", {str("image", "a.png")}, {"IMAGE", "MASK"});
  b.add("13", "VAEEncode", {link("pixels", "IMAGE", "12"), link("vae", "VAE", "9")}, {"LATENT"});
  const SizeValue value = size_of(b, "13");
  EXPECT_NE(say(value.why).find("node 12 LoadImage"), std::string::npos) << say(value.why);
  EXPECT_NE(say(value.why).find("--size WxH"), std::string::npos) << say(value.why);
  SizeOverrides sizes;
  sizes.width = 640;
  sizes.height = 480;
  EXPECT_EQ(text(size_of(b, "13", 0, sizes)), "1x16x1x60x80");
  EXPECT_NE(say(size_of(b, "12", 0, sizes).why).find("assumed to be 640x480"), std::string::npos);
}

TEST(Sizes, PicturesAreScaledCroppedAndJoined) {
  PromptBuilder b;
  b.add("1", "EmptyImage", {num("width", 1000), num("height", 500), num("batch_size", 3)},
        {"IMAGE"});
  b.add("2", "ImageScale", {link("image", "IMAGE", "1"), num("width", 0), num("height", 250)},
        {"IMAGE"});
  b.add("3", "ImageScaleBy", {link("image", "IMAGE", "1"), val("scale_by", "1.5")}, {"IMAGE"});
  b.add("4", "ImageScaleToTotalPixels", {link("image", "IMAGE", "1"), val("megapixels", "1.0")},
        {"IMAGE"});
  b.add("5", "ImageBatch", {link("image1", "IMAGE", "1"), link("image2", "IMAGE", "2")}, {"IMAGE"});
  b.add("6", "UpscaleModelLoader", {str("model_name", "RealESRGAN_x2plus.pth")}, {"UPSCALE_MODEL"});
  b.add("7", "ImageUpscaleWithModel",
        {link("upscale_model", "UPSCALE_MODEL", "6"), link("image", "IMAGE", "1")}, {"IMAGE"});
  b.add("8", "FluxKontextImageScale", {link("image", "IMAGE", "1")}, {"IMAGE"});
  b.add("9", "ImagePadForOutpaint",
        {link("image", "IMAGE", "1"), num("left", 100), num("right", 0), num("top", 0),
         num("bottom", 12)},
        {"IMAGE", "MASK"});
  EXPECT_EQ(text(size_of(b, "2")), "3x3x1x250x500");
  EXPECT_EQ(text(size_of(b, "3")), "3x3x1x750x1500");
  EXPECT_EQ(text(size_of(b, "4")), "3x3x1x724x1448");
  EXPECT_EQ(text(size_of(b, "5")), "6x3x1x500x1000");
  EXPECT_EQ(text(size_of(b, "7")), "3x3x1x1000x2000");
  EXPECT_EQ(text(size_of(b, "8")), "3x3x1x720x1456");
  EXPECT_EQ(text(size_of(b, "9")), "3x3x1x512x1100");
}

TEST(Sizes, VideoVaesTakeABatchOfPicturesAsAVideo) {
  PromptBuilder b;
  b.add("1", "EmptyImage", {num("width", 640), num("height", 480), num("batch_size", 81)},
        {"IMAGE"});
  b.add("2", "VAEEncode", {link("pixels", "IMAGE", "1")}, {"LATENT"});
  b.add("3", "VAEDecode", {link("samples", "LATENT", "2")}, {"IMAGE"});
  EXPECT_EQ(text(size_of(b, "2")), "1x16x21x60x80");
  EXPECT_EQ(text(size_of(b, "3")), "1x3x81x480x640");
  EXPECT_EQ(text(size_of(b, "2", 0, {}, "kl-vae")), "81x16x1x60x80");
}

TEST(Sizes, LatentsAreResizedBatchedAndCut) {
  PromptBuilder b;
  b.add("1", "EmptyLatentImage", {num("width", 512), num("height", 256)}, {"LATENT"});
  b.add("2", "LatentUpscale",
        {link("samples", "LATENT", "1"), num("width", 1024), num("height", 0)}, {"LATENT"});
  b.add("3", "LatentUpscaleBy", {link("samples", "LATENT", "1"), val("scale_by", "1.5")},
        {"LATENT"});
  b.add("4", "LatentBatch", {link("samples1", "LATENT", "1"), link("samples2", "LATENT", "1")},
        {"LATENT"});
  b.add("5", "RepeatLatentBatch", {link("samples", "LATENT", "4"), num("amount", 3)}, {"LATENT"});
  b.add("6", "LatentFromBatch",
        {link("samples", "LATENT", "5"), num("batch_index", 0), num("length", 1)}, {"LATENT"});
  EXPECT_EQ(text(size_of(b, "2")), "1x4x1x64x128");
  EXPECT_EQ(text(size_of(b, "3")), "1x4x1x48x96");
  EXPECT_EQ(text(size_of(b, "4")), "2x4x1x32x64");
  EXPECT_EQ(text(size_of(b, "5")), "6x4x1x32x64");
  EXPECT_EQ(text(size_of(b, "6")), "1x4x1x32x64");
}

TEST(Sizes, LtxGuidesAreAppendedAndCropped) {
  PromptBuilder b;
  b.add("1", "EmptyLTXVLatentVideo", {num("width", 768), num("height", 512), num("length", 97)},
        {"LATENT"});
  b.add("2", "LoadImage", {}, {"IMAGE"});
  b.add("3", "LTXVAddGuide", {link("latent", "LATENT", "1"), link("image", "IMAGE", "2")},
        {"CONDITIONING", "CONDITIONING", "LATENT"});
  b.add("4", "KSampler", {link("latent_image", "LATENT", "3", 2)}, {"LATENT"});
  b.add("5", "LTXVCropGuides", {link("latent", "LATENT", "4")},
        {"CONDITIONING", "CONDITIONING", "LATENT"});
  EXPECT_EQ(text(size_of(b, "4")), "1x128x14x16x24");
  EXPECT_EQ(text(size_of(b, "5", 2)), "1x128x13x16x24");
}

TEST(Sizes, SoundAndVideoLatentsTravelTogetherAndPart) {
  PromptBuilder b;
  b.add("1", "EmptyLTXVLatentVideo", {num("width", 768), num("height", 512), num("length", 97)},
        {"LATENT"});
  b.add("2", "LTXVEmptyLatentAudio", {num("frames_number", 97), num("frame_rate", 25)}, {"LATENT"});
  b.add("3", "LTXVConcatAVLatent",
        {link("video_latent", "LATENT", "1"), link("audio_latent", "LATENT", "2")}, {"LATENT"});
  b.add("4", "LTXVSeparateAVLatent", {link("av_latent", "LATENT", "3")}, {"LATENT", "LATENT"});
  const SizeValue both = size_of(b, "3");
  EXPECT_TRUE(both.packed);
  EXPECT_EQ(both.audio_elements, 8 * 97 * 16);
  EXPECT_EQ(text(size_of(b, "4", 0)), "1x128x13x16x24");
  EXPECT_EQ(text(size_of(b, "4", 1)), "1x8x1x97x16");
}

TEST(Sizes, SchedulesCountSteps) {
  PromptBuilder b;
  b.add("1", "BasicScheduler", {num("steps", 20), val("denoise", "0.5")}, {"SIGMAS"});
  b.add("2", "SplitSigmas", {link("sigmas", "SIGMAS", "1"), num("step", 8)}, {"SIGMAS", "SIGMAS"});
  b.add("3", "ManualSigmas", {str("sigmas", "1.0, 0.9, 0.5, 0.0")}, {"SIGMAS"});
  b.add("4", "FlipSigmas", {link("sigmas", "SIGMAS", "2", 1)}, {"SIGMAS"});
  b.add("5", "SplitSigmasDenoise", {link("sigmas", "SIGMAS", "1"), val("denoise", "0.25")},
        {"SIGMAS", "SIGMAS"});
  EXPECT_EQ(size_of(b, "1").number, 20);
  EXPECT_EQ(size_of(b, "2", 0).number, 8);
  EXPECT_EQ(size_of(b, "2", 1).number, 12);
  EXPECT_EQ(size_of(b, "3").number, 3);
  EXPECT_EQ(size_of(b, "4").number, 12);
  EXPECT_EQ(size_of(b, "5", 1).number, 5);
}

TEST(Sizes, SwitchesAreFollowedWhereTheChoiceIsTypedIn) {
  PromptBuilder b;
  b.add("1", "EmptyLatentImage", {num("width", 512), num("height", 512)}, {"LATENT"});
  b.add("2", "EmptyLatentImage", {num("width", 1024), num("height", 512)}, {"LATENT"});
  b.add("3", "ComfySwitchNode",
        {val("switch", "true", "BOOLEAN"), link("on_false", "*", "1"), link("on_true", "*", "2")},
        {"*"});
  EXPECT_EQ(text(size_of(b, "3")), "1x4x1x64x128");
}

TEST(Sizes, UnknownClassesHandOnWithAStatedAssumption) {
  PromptBuilder b;
  b.add("1", "EmptyImage", {num("width", 512), num("height", 256)}, {"IMAGE"});
  b.add("2", "SomebodysFilter", {link("image", "IMAGE", "1"), val("x", "1")}, {"IMAGE"}, false);
  b.add("3", "ImageResizeKJ", {link("image", "IMAGE", "1"), num("width", 640), num("height", 320)},
        {"IMAGE"}, false);
  b.add("4", "FancyUpscaler", {link("image", "IMAGE", "1"), val("x", "1")}, {"IMAGE"}, false);
  EXPECT_EQ(text(size_of(b, "2")), "1x3x1x256x512");
  EXPECT_NE(say(size_of(b, "2").why).find("assumed to keep the size"), std::string::npos);
  EXPECT_EQ(text(size_of(b, "3")), "1x3x1x320x640");
  EXPECT_FALSE(size_of(b, "4").known()) << text(size_of(b, "4"));
}

TEST(Sizes, AbsurdSizesAreUnknownWithNodeInputAndRange) {
  for (const char* bad : {"1000000000", "-5", "0", "4611686018427387904", "1e300"}) {
    const auto b =
        one("WanImageToVideo", {num("width", 832), num("height", 480), val("length", bad, "INT")});
    const SizeValue size = size_of(b, "1");
    EXPECT_FALSE(size.known()) << bad;
    EXPECT_NE(say(size.why).find("length is"), std::string::npos) << say(size.why);
    EXPECT_NE(say(size.why).find("from 1 to 131,072"), std::string::npos) << say(size.why);
  }
}

TEST(Sizes, EveryTableRowSurvivesANodeWithoutInputs) {
  for (const char* name :
       {"LatentUpscale", "LatentBatch", "LTXVAddGuide", "VAEDecode", "ImageStitch", "SplitSigmas",
        "GetImageSize", "ImageBatch", "ManualSigmas", "StableCascade_EmptyLatentImage",
        "EmptyLatentAudio", "ComfyMathExpression", "LTXVConcatAVLatent", "easy mathInt"}) {
    for (const char* type : {"LATENT", "IMAGE", "INT", "SIGMAS", "", "*"}) {
      PromptBuilder b;
      b.add("1", name, {}, {type, type});
      EXPECT_FALSE(size_of(b, "1").known()) << name;
      EXPECT_FALSE(size_of(b, "1", 1).known()) << name;
      EXPECT_FALSE(size_of(b, "1", 99).known()) << name;
    }
  }
}

TEST(Sizes, CirclesAreUnknownAndEnd) {
  PromptBuilder b;
  b.add("1", "LatentUpscaleBy", {link("samples", "LATENT", "2"), val("scale_by", "2")}, {"LATENT"});
  b.add("2", "LatentBatch", {link("samples1", "LATENT", "1"), link("samples2", "LATENT", "2")},
        {"LATENT"});
  EXPECT_FALSE(size_of(b, "1").known());
  EXPECT_FALSE(size_of(b, "2").known());
  PromptBuilder self;
  self.add("1", "LatentFlip", {link("samples", "LATENT", "1")}, {"LATENT"});
  EXPECT_NE(say(size_of(self, "1").why).find("circle"), std::string::npos)
      << say(size_of(self, "1").why);
}

TEST(Sizes, DeepChainsNeitherRecurseNorRepeatWork) {
  PromptBuilder b;
  b.add("0", "EmptyLatentImage", {num("width", 512), num("height", 512)}, {"LATENT"});
  constexpr int kNodes = 200'000;
  for (int i = 1; i < kNodes; ++i) {
    b.add(std::to_string(i), "LatentAdd",
          {link("samples1", "LATENT", std::to_string(i - 1)),
           link("samples2", "LATENT", std::to_string(i - 1))},
          {"LATENT"});
  }
  EXPECT_EQ(text(size_of(b, std::to_string(kNodes - 1))), "1x4x1x64x64");
}

TEST(Sizes, GrowthIsBounded) {
  PromptBuilder b;
  b.add("0", "EmptyLatentImage", {num("width", 16384), num("height", 16384)}, {"LATENT"});
  for (int i = 1; i < 100; ++i) {
    b.add(std::to_string(i), "LatentUpscaleBy",
          {link("samples", "LATENT", std::to_string(i - 1)), val("scale_by", "1000")}, {"LATENT"});
  }
  std::optional<Error> error;
  EXPECT_FALSE(size_of(b, "99", 0, {}, "kl-vae", &error).known());
  EXPECT_TRUE(error);
}

TEST(Expressions, ComputeWhatPeopleType) {
  const auto name = [](std::string_view n) -> std::optional<double> {
    if (n == "a") return 17;
    return n == "b" ? std::optional(5.0) : std::nullopt;
  };
  EXPECT_EQ(evaluate("a*8+1", name), 137);
  EXPECT_EQ(evaluate("(a - 1) // b * 2", name), 6);
  EXPECT_EQ(evaluate("-a % 5", name), 3);
  EXPECT_EQ(evaluate("min(a, b) + max(a, b, 100)", name), 105);
  EXPECT_EQ(evaluate("round(a / 2)", name), 8);
  EXPECT_EQ(evaluate("2 ** 3 ** 2", name), 512);
  EXPECT_EQ(evaluate("a & -8", name), 16);
  EXPECT_EQ(evaluate("(a + 2) & ~1", name), 18);
  EXPECT_EQ(evaluate("b if b > 20 else a", name), evaluate("a", name));
  EXPECT_EQ(evaluate("a % b if b > 100 else a // 0 if b > 100 else -1", name), -1);
  EXPECT_EQ(evaluate("(a % 4 == 0) and not (b == 1) or 3 < a", name), 1);
  EXPECT_EQ(evaluate("1 < 3 <= 2", name), 0);
  EXPECT_EQ(evaluate("0 and 1 / 0", name), 0);
  EXPECT_EQ(evaluate("ceil(1.5 * log2(8)) + 2", name), 7);
  for (const char* bad : {"1 / 0 > 1", "not 1 / 0", "1 & 0.5", "a if", "a if b", "max(1 / 0, 1)",
                          "1 / 0 and 1", "2 if 1 / 0 else 3", "a >", "ifb", "log2(0)"}) {
    EXPECT_FALSE(evaluate(bad, name)) << bad;
  }
  for (const char* bad :
       {"", "a +", "c", "1 / 0", "f(a)", "(a", "a b", "1..2", "min()", "sqrt(-1)"}) {
    EXPECT_FALSE(evaluate(bad, name)) << bad;
  }
  EXPECT_FALSE(evaluate(std::string(4000, '('), name));
  EXPECT_FALSE(evaluate(std::string(4000, '-') + "1", name));
  EXPECT_FALSE(evaluate(std::string(100'000, '1'), name));
}

// What ComfyUI 0.33.0's own node gives; tests/comfy/numbers_real.py asks it for many more.
TEST(Sizes, PicturesAreResizedInNineWays) {
  const auto resized = [](std::vector<test::In> how) {
    PromptBuilder b;
    b.add("1", "EmptyImage", {num("width", 500), num("height", 300)}, {"IMAGE"});
    how.push_back(link("input", "IMAGE", "1"));
    b.add("2", "ResizeImageMaskNode", std::move(how), {"IMAGE"});
    return text(size_of(b, "2"));
  };
  const auto by = [](const char* kind, const char* name, const char* value) {
    return std::vector<test::In>{str("resize_type", kind),
                                 val(std::string("resize_type.") + name, value)};
  };
  EXPECT_EQ(resized(by("scale longer dimension", "longer_size", "250")), "1x3x1x150x250");
  EXPECT_EQ(resized(by("scale shorter dimension", "shorter_size", "150")), "1x3x1x150x250");
  EXPECT_EQ(resized(by("scale width", "width", "100")), "1x3x1x60x100");
  EXPECT_EQ(resized(by("scale height", "height", "60")), "1x3x1x60x100");
  EXPECT_EQ(resized(by("scale by multiplier", "multiplier", "0.5")), "1x3x1x150x250");
  EXPECT_EQ(resized(by("scale to multiple", "multiple", "64")), "1x3x1x256x448");
  EXPECT_EQ(resized(by("scale total pixels", "megapixels", "0.1")), "1x3x1x251x418");
  EXPECT_EQ(resized({str("resize_type", "scale dimensions"), val("resize_type.width", "64"),
                     val("resize_type.height", "32")}),
            "1x3x1x32x64");
}

TEST(Sizes, MegapixelsInStepsRoundAsPythonDoes) {
  PromptBuilder b;
  b.add("1", "EmptyImage", {num("width", 500), num("height", 300)}, {"IMAGE"});
  b.add(
      "2", "ImageScaleToTotalPixels",
      {link("image", "IMAGE", "1"), val("megapixels", "0.1", "FLOAT"), num("resolution_steps", 32)},
      {"IMAGE"});
  EXPECT_EQ(text(size_of(b, "2")), "1x3x1x256x416");
}

TEST(Sizes, AChoiceOfTextsIsItsNumber) {
  const auto combo =
      one("CustomCombo", {str("choice", "Turbo"), num("index", 2)}, {"STRING", "INT"});
  EXPECT_EQ(size_of(combo, "1", 1).number, 2);
}

TEST(Expressions, KnowWhatComfyUIsMathNodeDoes) {
  const auto value = [](const char* text) {
    return evaluate(text, [](std::string_view name) -> std::optional<double> {
      return name == "a" ? std::optional(12.0) : std::nullopt;
    });
  };
  EXPECT_EQ(value("(a ^ 5) + (a | 3) + (a << 2) + (a >> 1)"), 9 + 15 + 48 + 6);
  EXPECT_EQ(value("sum(a, 1, 2) + pow(2, 5) + log10(100)"), 15 + 32 + 2);
  EXPECT_EQ(value("log(8, 2) + log(1) + sin(0) + cos(0) + tan(0)"), 4);
  for (const char* bad : {"a | 1.5", "1 << 99", "1 << -1", "pow(2)", "log(0)", "pow(10, 999)"}) {
    EXPECT_FALSE(value(bad)) << bad;
  }
}

TEST(Sizes, AStepThatALinkedTruthBypassesIsNone) {
  for (const std::string way : {"truth", "switch"}) {
    for (const bool bypass : {false, true}) {
      const std::string yes = bypass ? "true" : "false", no = bypass ? "false" : "true";
      PromptBuilder b;
      b.add("1", "VAELoader", {str("vae_name", "ltx.safetensors")}, {"VAE"});
      b.add("2", "EmptyImage", {num("width", 512), num("height", 512)}, {"IMAGE"});
      b.add("3", "EmptyLTXVLatentVideo",
            {num("width", 512), num("height", 512), num("length", 9), num("batch_size", 1)},
            {"LATENT"});
      b.add("4", "LTXVImgToVideoInplace",
            {link("vae", "VAE", "1"), link("image", "IMAGE", "2"), link("latent", "LATENT", "3"),
             val("strength", "1", "FLOAT"), link("bypass", "BOOLEAN", way)},
            {"LATENT"});
      b.add("truth", "PrimitiveBoolean", {val("value", yes, "BOOLEAN")}, {"BOOLEAN"});
      b.add("switch", "ComfySwitchNode",
            {link("switch", "BOOLEAN", "truth"), val("on_true", bypass ? yes : no, "BOOLEAN"),
             val("on_false", bypass ? no : yes, "BOOLEAN")},
            {"*"});
      const auto demand =
          estimate_demand(b.prompt(), finder({{"ltx.safetensors", "ltxv-vae"}}), machine());
      ASSERT_TRUE(demand.ok());
      EXPECT_EQ(demand->nodes[3].kind, bypass ? StepKind::other : StepKind::encode_image) << way;
      EXPECT_EQ(demand->nodes[3].uses.empty(), bypass) << way;
      EXPECT_TRUE(demand->unused.empty()) << way;
    }
  }
}

}  // namespace
}  // namespace ebb
