// SPDX-License-Identifier: Apache-2.0
// What the server refuses is said with node, input and way out; what it takes is not.
// tests/comfy/refuse_real.py asks real servers.
#include <gtest/gtest.h>

#include "tests/support.h"
#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

/// A prompt that samples and saves; `latent` and `more` are JSON of KSampler's inputs.
std::string sampler(const std::string& latent, const std::string& more = "") {
  return R"({"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a.safetensors"}},
      "2":{"class_type":"CLIPTextEncode","inputs":{"clip":["1",1],"text":"a"}},
      "3":{"class_type":"EmptyLatentImage","inputs":{"width":512,"height":512,"batch_size":1}},
      "4":{"class_type":"KSampler","inputs":{"model":["1",0],"positive":["2",0],
       "negative":["2",0],"latent_image":)" +
         latent + R"(,"seed":1,"steps":20,"cfg":7.0,"sampler_name":"euler","scheduler":"normal",
       "denoise":1.0)" +
         more + R"(}},
      "5":{"class_type":"VAEDecode","inputs":{"samples":["4",0],"vae":["1",2]}},
      "6":{"class_type":"SaveImage","inputs":{"images":["5",0],"filename_prefix":"x"}}})";
}

/// `node input: why (hint)` of every refusal, joined by line breaks.
std::string refused(const Prompt& prompt) {
  std::string text;
  for (const Refusal& entry : prompt.refused) {
    text += entry.node + ": " + entry.why + " (" + entry.hint + ")\n";
  }
  return text;
}

std::string refused(const std::string& json) { return refused(test::convert(json)); }

TEST(Refuse, NothingOfASoundPrompt) { EXPECT_EQ(refused(sampler(R"(["3",0])")), ""); }

TEST(Refuse, AnOutputOfAnotherType) {
  EXPECT_EQ(refused(sampler(R"(["1",0])")),
            "4: its input \"latent_image\" wants LATENT, but output 0 of node 1 "
            "CheckpointLoaderSimple gives MODEL (Link it to an output of that type.)\n");
}

TEST(Refuse, AnOutputThatIsNotThere) {
  EXPECT_EQ(refused(sampler(R"(["1",7])")),
            "4: its input \"latent_image\" is linked to output 7 of node 1 "
            "CheckpointLoaderSimple, which has 3 (Link it to one of 0 (MODEL), 1 (CLIP), 2 "
            "(VAE).)\n");
  EXPECT_EQ(refused(sampler(R"(["3",-1])")), "") << "counted from the end, as Python does";
  EXPECT_NE(refused(sampler(R"(["3",-2])")), "");
}

TEST(Refuse, ListsThatAreNoLinks) {
  EXPECT_EQ(refused(sampler("[3,0]")),
            "4: its input \"latent_image\" is [3,0]; ComfyUI takes every list for a link, which is "
            "[\"node id\", output] (Write the id as a text and the output as a number, such as "
            "[\"4\", 0].)\n");
}

TEST(Refuse, NumbersOutsideTheirLimits) {
  const auto with = [](const char* name, const char* value) {
    return refused(sampler(R"(["3",0])", std::string(",\"") + name + "\":" + value));
  };
  EXPECT_EQ(with("steps", "-1"),
            "4: its input \"steps\" is -1; ComfyUI refuses less than 1 (Set it to a number from 1 "
            "to 10,000.)\n");
  EXPECT_NE(with("steps", "1000000000000000000"), "");
  EXPECT_NE(with("steps", "\"many\""), "");
  EXPECT_NE(with("steps", "null"), "");
  EXPECT_NE(with("steps", "\"a lens \u2014 warm, 35 mm\""), "")
      << "letters beside no digits of ASCII";
  EXPECT_NE(with("denoise", "\"\u0664 steps\""), "");
  EXPECT_EQ(with("steps", "\"\u0664\""), "") << "a 4 for Python, which Ebb does not read";
  EXPECT_EQ(with("denoise", "\"\u06641e-1\""), "");
  EXPECT_NE(with("denoise", "1.5"), "");
  EXPECT_EQ(with("steps", "\" 12 \""), "") << "Python makes 12 of it";
  EXPECT_NE(with("steps", "0.5"), "") << "Python cuts it to 0";
  EXPECT_EQ(with("steps", "1.5"), "") << "and this to 1";
  EXPECT_EQ(with("seed", "18446744073709551615"), "");
  EXPECT_NE(with("seed", "18446744073709552000"), "") << "2^64 - 1 as a browser rounds it";
}

TEST(Refuse, NothingThatNoOutputNeeds) {
  EXPECT_EQ(refused(R"({"1":{"class_type":"EmptyImage","inputs":{"width":-5}},
      "2":{"class_type":"EmptyImage","inputs":{"width":8,"height":8,"batch_size":1,"color":0}},
      "3":{"class_type":"SaveImage","inputs":{"images":["2",0],"filename_prefix":"x"}}})"),
            "");
}

TEST(Refuse, NothingOfClassesThatOnlyAServerKnows) {
  const auto definitions = parse_definitions(
      R"({"Packed":{"input":{"required":{"n":["INT",{"max":5}],"m":["MODEL"]}},"output":["IMAGE"],
          "output_node":true}})",
      "test");
  PromptOptions options({0, 18, 2});
  options.definitions = &*definitions;
  const auto workflow = parse_workflow(
      R"({"1":{"class_type":"Packed","inputs":{"n":9,"m":["2",0]}},
          "2":{"class_type":"EmptyImage","inputs":{}}})",
      "test.json");
  EXPECT_EQ(refused(*to_prompt(*workflow, options)), "") << "its own check may decide";
}

TEST(Refuse, WhatANewerServerTakesUnlessTheVersionWasSaid) {
  // Rodin3D_Regular has a second output in 0.18.2.
  const auto workflow = parse_workflow(
      R"({"1":{"class_type":"Rodin3D_Regular","inputs":{}},
          "2":{"class_type":"PreviewAny","inputs":{"source":["1",1]}}})",
      "test.json");
  PromptOptions options({0, 3, 64});
  const bool old = !to_prompt(*workflow, options)->refused.empty();
  options.version_assumed = true;
  EXPECT_EQ(refused(*to_prompt(*workflow, options)), "");
  EXPECT_TRUE(old);
}

TEST(Refuse, NoOutputThatTheFileShowsWhereTheVersionIsNotSaid) {
  const auto workflow = parse_workflow(
      test::graph(R"({"id":1,"type":"PreviewAny","outputs":[{"type":"STRING","links":[1]}]},
          {"id":2,"type":"PreviewAny","inputs":[{"name":"source","type":"*","link":1}]})",
                  R"([1,1,0,2,0,"*"])"),
      "test.json");
  PromptOptions options({0, 18, 2});
  EXPECT_NE(refused(*to_prompt(*workflow, options)), "") << "0.18.2 has no such output";
  options.version_assumed = true;
  EXPECT_EQ(refused(*to_prompt(*workflow, options)), "");
}

TEST(Refuse, ValuesOfInputsWithADotInTheirName) {
  const auto merged = [](const std::string& value) {
    return refused(R"({"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a"}},
        "2":{"class_type":"ModelMergeSDXL","inputs":{"model1":["1",0],"model2":["1",0],
         "middle_block.1":)" +
                   value + R"(}},
        "3":{"class_type":"ModelSave","inputs":{"model":["2",0],"filename_prefix":"x"}}})");
  };
  EXPECT_EQ(merged("0.5"), "");
  EXPECT_NE(merged("{}").find("2: its input \"middle_block.1\" is {}"), std::string::npos);
}

}  // namespace
}  // namespace ebb
