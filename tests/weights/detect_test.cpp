// SPDX-License-Identifier: Apache-2.0
#include "weights/detect.h"

#include <gtest/gtest.h>

#include "tests/weights/model_headers.h"
#include "weights/comfyui_class.h"

namespace ebb {
namespace {

using enum WeightsRole;

struct Case {
  const char* architecture;
  WeightsRole role;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors;
};

Header header_of(const Case& c) {
  test::ModelHeader model;
  for (const auto& [name, shape] : c.tensors) model.add(name, "F16", shape);
  return model.header();
}

std::string detect(const Case& c) {
  const Header header = header_of(c);
  return detect_architecture(TensorSet(header, {""}), c.role);
}

std::string nearest(const Case& c) {
  const Header header = header_of(c);
  return nearest_architecture(TensorSet(header, {""}), c.role);
}

// Names and shapes as the public files of each family have them.
TEST(Detect, DiffusionFamiliesByTheirMarks) {
  const std::string wan = "blocks.0.ffn.0.weight";
  const Case cases[] = {
      {"wan-14b",
       diffusion,
       {{"patch_embedding.weight", {5120, 16, 1, 2, 2}},
        {wan, {13824, 5120}},
        {"head.modulation", {1, 2, 5120}}}},
      {"wan-5b",
       diffusion,
       {{"patch_embedding.weight", {3072, 48, 1, 2, 2}}, {wan, {14336, 3072}}}},
      {"wan-1.3b",
       diffusion,
       {{"patch_embedding.weight", {1536, 16, 1, 2, 2}}, {wan, {8960, 1536}}}},
      {"wan-vace-14b",
       diffusion,
       {{"patch_embedding.weight", {5120, 16, 1, 2, 2}},
        {wan, {13824, 5120}},
        {"vace_patch_embedding.weight", {5120, 96, 1, 2, 2}}}},
      {"wan-animate-14b",
       diffusion,
       {{"patch_embedding.weight", {5120, 36, 1, 2, 2}},
        {wan, {13824, 5120}},
        {"pose_patch_embedding.weight", {5120, 16, 1, 2, 2}}}},
      {"wan-s2v-14b",
       diffusion,
       {{"patch_embedding.weight", {5120, 16, 1, 2, 2}},
        {wan, {13824, 5120}},
        {"casual_audio_encoder.encoder.conv2.conv.weight", {2560, 2560, 3}}}},
      {"flux", diffusion, {{"double_blocks.0.img_attn.norm.key_norm.scale", {128}}}},
      {"longcat-image",
       diffusion,
       {{"double_blocks.0.img_attn.norm.key_norm.scale", {128}}, {"txt_in.weight", {3072, 3584}}}},
      {"ace-step-15",
       diffusion,
       {{"encoder.lyric_encoder.layers.0.input_layernorm.weight", {2048}}}},
      {"anima",
       diffusion,
       {{"blocks.0.adaln_modulation_self_attn.1.weight", {256, 2048}},
        {"llm_adapter.blocks.0.cross_attn.q_proj.weight", {1024, 1024}}}},
      {"flux2",
       diffusion,
       {{"double_blocks.0.img_attn.norm.key_norm.scale", {128}},
        {"double_stream_modulation_img.lin.weight", {36864, 6144}}}},
      {"chroma",
       diffusion,
       {{"double_blocks.0.img_attn.norm.key_norm.scale", {128}},
        {"distilled_guidance_layer.norms.0.scale", {5120}}}},
      {"hunyuan-video",
       diffusion,
       {{"double_blocks.0.img_attn.norm.key_norm.scale", {128}},
        {"img_in.proj.weight", {3072, 16, 1, 2, 2}},
        {"txt_in.individual_token_refiner.blocks.0.norm1.weight", {3072}}}},
      {"hunyuan-image-21",
       diffusion,
       {{"double_blocks.0.img_attn.norm.key_norm.scale", {128}},
        {"img_in.proj.weight", {3584, 64, 1, 1}},
        {"txt_in.individual_token_refiner.blocks.0.norm1.weight", {3584}}}},
      {"qwen-image",
       diffusion,
       {{"transformer_blocks.0.img_mod.1.weight", {18432, 3072}}, {"txt_norm.weight", {3584}}}},
      {"ltxv-2b", diffusion, {{"patchify_proj.weight", {2048, 128}}}},
      {"ltxv-13b", diffusion, {{"patchify_proj.weight", {4096, 128}}}},
      {"ltxav",
       diffusion,
       {{"patchify_proj.weight", {4096, 128}}, {"audio_patchify_proj.weight", {2048, 128}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(detect(c), c.architecture);
}

TEST(Detect, OlderDiffusionFamiliesByTheirMarks) {
  const Case cases[] = {
      {"sd15",
       diffusion,
       {{"input_blocks.0.0.weight", {320, 4, 3, 3}},
        {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {320, 768}}}},
      {"sd21",
       diffusion,
       {{"input_blocks.0.0.weight", {320, 4, 3, 3}},
        {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {320, 1024}}}},
      {"sdxl",
       diffusion,
       {{"input_blocks.0.0.weight", {320, 4, 3, 3}},
        {"input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", {640, 2048}}}},
      {"sdxl-refiner",
       diffusion,
       {{"input_blocks.0.0.weight", {384, 4, 3, 3}},
        {"input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", {768, 1280}}}},
      {"sd3-medium",
       diffusion,
       {{"joint_blocks.0.context_block.attn.qkv.weight", {4608, 1536}},
        {"x_embedder.proj.weight", {1536, 16, 2, 2}}}},
      {"sd35-large",
       diffusion,
       {{"joint_blocks.0.context_block.attn.qkv.weight", {7296, 2432}},
        {"x_embedder.proj.weight", {2432, 16, 2, 2}}}},
      {"lumina2", diffusion, {{"cap_embedder.1.weight", {2304, 2304}}}},
      {"z-image", diffusion, {{"cap_embedder.1.weight", {3840, 2560}}}},
      {"hidream", diffusion, {{"caption_projection.0.linear.weight", {2560, 4096}}}},
      {"mochi", diffusion, {{"t5_yproj.weight", {1536, 4096}}}},
      {"", diffusion, {{"something.else.weight", {2, 2}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(detect(c), c.architecture);
}

TEST(Detect, TextEncodersByVocabularyWidthAndDepth) {
  const Case cases[] = {
      {"t5-xxl", text_encoder, {{"shared.weight", {32128, 4096}}}},
      {"umt5-xxl", text_encoder, {{"shared.weight", {256384, 4096}}}},
      {"clip-l", text_encoder, {{"text_model.encoder.layers.11.mlp.fc1.weight", {3072, 768}}}},
      {"clip-g", text_encoder, {{"text_model.encoder.layers.31.mlp.fc1.weight", {5120, 1280}}}},
      {"llava-llama3", text_encoder, {{"model.embed_tokens.weight", {128320, 4096}}}},
      {"qwen25-vl-7b", text_encoder, {{"model.embed_tokens.weight", {152064, 3584}}}},
      {"gemma-2-2b", text_encoder, {{"model.embed_tokens.weight", {256000, 2304}}}},
      {"gemma3-12b", text_encoder, {{"model.embed_tokens.weight", {262208, 3840}}}},
      {"qwen3-4b", text_encoder, {{"model.embed_tokens.weight", {151936, 2560}}}},
      {"mistral3-24b", text_encoder, {{"model.embed_tokens.weight", {131072, 5120}}}},
      {"sdxl-clip",
       text_encoder,
       {{"0.transformer.text_model.encoder.layers.11.mlp.fc1.weight", {3072, 768}},
        {"1.model.transformer.resblocks.31.mlp.c_fc.weight", {5120, 1280}}}},
      {"flux-clip",
       text_encoder,
       {{"clip_l.transformer.text_model.encoder.layers.11.mlp.fc1.weight", {3072, 768}},
        {"t5xxl.transformer.shared.weight", {32128, 4096}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(detect(c), c.architecture);
}

TEST(Detect, VaesAndVision) {
  const Case cases[] = {
      {"wan21-vae", vae, {{"decoder.middle.0.residual.0.gamma", {384, 1, 1, 1}}}},
      {"wan22-vae",
       vae,
       {{"decoder.middle.0.residual.0.gamma", {1024, 1, 1, 1}},
        {"decoder.upsamples.0.upsamples.0.residual.2.weight", {1024, 1024, 3, 3, 3}}}},
      {"kl-vae", vae, {{"decoder.conv_in.weight", {512, 4, 3, 3}}}},
      {"kl-vae", vae, {{"decoder.conv_in.weight", {512, 16, 3, 3}}}},
      {"flux2-vae", vae, {{"decoder.conv_in.weight", {512, 32, 3, 3}}}},
      {"hunyuan-video-vae", vae, {{"decoder.conv_in.conv.weight", {512, 16, 3, 3, 3}}}},
      {"ltxv-vae", vae, {{"decoder.up_blocks.0.res_blocks.0.conv1.conv.weight", {8, 8, 3, 3, 3}}}},
      {"clip-vision-h",
       vision_encoder,
       {{"vision_model.encoder.layers.31.mlp.fc1.weight", {5120, 1280}}}},
      {"sigclip",
       vision_encoder,
       {{"vision_model.encoder.layers.26.mlp.fc1.weight", {4304, 1152}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(detect(c), c.architecture);
}

TEST(Detect, UpscalersOfTheEsrganKind) {
  const Case cases[] = {
      {"rrdb", upscaler, {{"model.1.sub.0.RDB1.conv1.0.weight", {32, 64, 3, 3}}}},
      {"rrdb", upscaler, {{"RRDB_trunk.0.RDB1.conv1.weight", {32, 64, 3, 3}}}},
      {"rrdb", upscaler, {{"body.0.rdb1.conv1.weight", {32, 64, 3, 3}}}},
      {"upscaler", upscaler, {{"body.0.weight", {64, 3, 3, 3}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(detect(c), c.architecture);
}

// Marks of a known model beside layers or widths that it does not have: relatives that came later.
TEST(Detect, WhatOnlyResemblesIsUnknown) {
  const Case cases[] = {
      {"omnigen2",
       diffusion,
       {{"time_caption_embed.timestep_embedder.linear_1.bias", {1024}},
        {"layers.0.attn.to_q.weight", {2520, 2520}},
        {"double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight", {3360, 3360}}}},
      {"flux",
       diffusion,
       {{"double_blocks.0.attn.img_attn_qkv.weight", {12288, 4096}},
        {"double_blocks.0.attn.img_attn_q_norm.weight", {128}},
        {"img_in.weight", {4096, 16, 1, 2, 2}}}},
      {"qwen-image",  // its caption embedding is narrower
       diffusion,
       {{"transformer_blocks.0.img_mod.1.weight", {18432, 3072}},
        {"txt_norm.weight", {2560}},
        {"proj_out.bias", {128}}}},
      {"qwen-image",  // a gated perceptron
       diffusion,
       {{"transformer_blocks.0.img_mod.1.weight", {6144, 1024}},
        {"transformer_blocks.0.img_mlp.w1.weight", {4096, 1536}}}},
      {"wan-14b",
       diffusion,
       {{"patch_embedding.weight", {5120, 36, 1, 2, 2}},
        {"blocks.0.ffn.0.weight", {13824, 5120}},
        {"music_injector.injector.0.q.weight", {5120, 5120}}}},
      {"z-image",
       diffusion,
       {{"cap_embedder.1.weight", {4096, 2304}}, {"cap_embedder.1.bias", {4096}}}},
      {"flux2",
       diffusion,
       {{"double_stream_modulation_img.lin.weight", {12288, 2048}},
        {"img_in.weight", {2048, 128}},
        {"double_blocks.0.img_attn.norm.key_norm.weight", {64}}}},
      {"flux",  // LongCat's caption width, in diffusers' layout
       diffusion,
       {{"transformer_blocks.0.attn.add_q_proj.weight", {3072, 3072}},
        {"single_transformer_blocks.0.attn.to_q.weight", {3072, 3072}},
        {"x_embedder.weight", {3072, 64}},
        {"context_embedder.weight", {3072, 3584}}}},
      {"flux2-vae",
       vae,
       {{"decoder.conv_in.weight", {384, 32, 3, 3}}, {"decoder.conv_in.bias", {384}}}},
      {"hunyuan-video-vae",
       vae,
       {{"decoder.conv_in.conv.weight", {512, 16, 3, 3, 3}},
        {"decoder.mid_block.resnets.0.conv1.conv.weight", {512, 512, 3, 3, 3}}}},
      {"qwen3-8b", text_encoder, {{"model.language_model.embed_tokens.weight", {248320, 4096}}}},
      {"qwen3-4b", text_encoder, {{"model.embed_tokens.weight", {262208, 2560}}}},
      {"qwen3-4b", text_encoder, {{"model.embed_tokens.weight", {217204, 2560}}}},
      {"mistral3-24b", text_encoder, {{"model.embed_tokens.weight", {151936, 5120}}}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(detect(c), "") << c.architecture;
    EXPECT_EQ(nearest(c), c.architecture);
  }
}

TEST(Detect, EncodersWithOneTableByTheirLayers) {
  const std::pair<std::string, std::vector<std::int64_t>> gemma[] = {
      {"model.embed_tokens.weight", {262144, 3840}},
      {"model.layers.0.self_attn.q_proj.weight", {4096, 3840}},
      {"model.layers.5.self_attn.q_proj.weight", {4096, 3840}}};
  Case c{"", text_encoder, {gemma[0], gemma[1], gemma[2]}};
  EXPECT_EQ(detect(c), "");  // Gemma 4 drops every sixth layer's values
  c.tensors.push_back({"model.layers.5.self_attn.v_proj.weight", {2048, 3840}});
  EXPECT_EQ(detect(c), "gemma3-12b");
  c.tensors = {{"model.embed_tokens.weight", {151936, 2560}},
               {"model.visual.deepstack_merger_list.0.norm.weight", {4096}}};
  EXPECT_EQ(detect(c), "qwen3vl-4b");
}

TEST(Detect, KleinIsTheModelOfItsWidth) {
  const auto klein = [](std::int64_t width) {
    return Case{"",
                diffusion,
                {{"double_stream_modulation_img.lin.weight", {6 * width, width}},
                 {"double_blocks.0.img_attn.norm.key_norm.scale", {128}},
                 {"img_in.weight", {width, 128}}}};
  };
  EXPECT_EQ(detect(klein(6144)), "flux2");
  EXPECT_EQ(detect(klein(4096)), "flux2-klein-9b");
  EXPECT_EQ(detect(klein(3072)), "flux2-klein-4b");
}

TEST(Detect, JoinedEncodersHaveOneName) {
  EXPECT_EQ(join_text_encoders({"t5-xxl", "clip-l"}), "flux-clip");
  EXPECT_EQ(join_text_encoders({"clip-l", "llava-llama3"}), "hunyuan-clip");
  EXPECT_EQ(join_text_encoders({"clip-g", "clip-l", "t5-xxl"}), "sd3-clip");
  EXPECT_EQ(join_text_encoders({"clip-l", "clip-g", "t5-xxl", "llama31-8b"}), "hidream-clip");
  EXPECT_EQ(join_text_encoders({"qwen25-vl-7b", "byt5-small"}), "qwen25-vl-7b");
  EXPECT_EQ(join_text_encoders({"clip-l", ""}), "clip-l");
  EXPECT_EQ(join_text_encoders({}), "");
}

// Variants of one row; tests/comfy/detect_real.py compares many more with ComfyUI.
TEST(Detect, NamesComfyUisClass) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"WAN21_T2V", {}},
      {"WAN21_I2V", {"img_emb.proj.0.bias"}},
      {"WAN22_Camera", {"control_adapter.conv.weight"}},
      {"WAN21_Camera", {"control_adapter.conv.weight", "img_emb.proj.0.bias"}},
  };
  for (const auto& [name, marks] : cases) {
    test::ModelHeader model;
    model.add("patch_embedding.weight", "F16", {5120, 36, 1, 2, 2});
    for (const std::string& mark : marks) model.add(mark, "F16", {5120});
    const Header header = model.header();
    EXPECT_EQ(comfyui_class(TensorSet(header, {""}), "wan-14b"), name);
  }
  EXPECT_EQ(comfyui_class(TensorSet(), "no-such-row"), "");
}

}  // namespace
}  // namespace ebb
