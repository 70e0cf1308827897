// SPDX-License-Identifier: Apache-2.0
// Every fuzz target on a few telling inputs, so that the targets compile and run with the tests.
#include "tests/fuzz/targets.h"

#include <gtest/gtest.h>

#include "tests/support.h"

namespace ebb::test {
namespace {

TEST(FuzzTargets, TakeWholeTruncatedAndForeignInput) {
  const std::string example =
      slurp(source_dir() / "examples" / "workflows" / "wan22_two_pass.json");
  ASSERT_GE(fuzz::targets().size(), 23u);
  for (const fuzz::Target& target : fuzz::targets()) {
    SCOPED_TRACE(target.name);
    std::string magic(target.magic_at, '\0');
    magic += target.magic;
    for (const std::string& bytes : {std::string(), magic, magic + std::string(64, '\xff'), example,
                                     example.substr(0, example.size() / 2)}) {
      target.run(bytes);  // a crash, or what a target itself refuses, ends the test
    }
  }
}

// Found by fuzzing: a pass whose demand was unknown without a reason.
TEST(FuzzTargets, PlanAnEncoderWithoutALength) {
  const std::string prompt = R"({
    "1": {"class_type": "VAELoader", "inputs": {"vae_name": "wan_2.1_vae.safetensors"}},
    "2": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
    "3": {"class_type": "UNETLoader", "inputs": {"unet_name": "wan2.1_vace_14B_fp16.safetensors"}},
    "4": {"class_type": "CLIPLoader", "inputs": {"clip_name": "umt5_xxl_fp16.safetensors"}},
    "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["4", 0]}},
    "6": {"class_type": "WanVaceToVideo", "inputs": {"positive": ["5", 0], "negative": ["5", 0],
          "width": 720, "height": 640, "vae": ["1", 0], "reference_image": ["2", 0]}},
    "7": {"class_type": "KSampler", "inputs": {"model": ["3", 0], "positive": ["6", 0],
          "negative": ["6", 1], "latent_image": ["6", 2], "seed": 1, "steps": 20, "cfg": 4.0,
          "sampler_name": "uni_pc", "scheduler": "simple", "denoise": 1.0}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0], "vae": ["1", 0]}},
    "9": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}})";
  fuzz::plan_workflow(prompt);
}

// Found by fuzzing: decoders that can't be tiled, as nothing is put into them, and a node that is
// none beside one of the same id.
TEST(FuzzTargets, PatchDecodersWithoutInputs) {
  const std::string rest =
      R"(, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},)"
      R"( "3": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["5", 2]}},)"
      R"( "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64}},)"
      R"( "5": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a"}}})";
  for (const char* decoder :
       {R"("1": {"class_type": "VAEDecode"})", R"("1": {"class_type": "VAEDecode", "inputs": {}})",
        R"("1": {"class_type": "VAEDecode", "inputs": [1]})",
        R"("3": {"class_type": "VAEDecode", "inputs": {"a": 1}})",
        R"("1": {"class_type": "VAEDecode", "inputs": {"a": 1}}, "1": {})"}) {
    fuzz::patch_workflow("{" + std::string(decoder) + rest);
  }
}

}  // namespace
}  // namespace ebb::test
