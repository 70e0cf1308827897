// SPDX-License-Identifier: Apache-2.0
// Legacy group nodes, small and against the prompts that were sent when the pictures were made.
#include <gtest/gtest.h>

#include "tests/support.h"
#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

using test::input_value;

TEST(Groups, InnerNodesGetTheirPlaceAsIdAndTheInstancesValues) {
  const std::string groups = R"("extra":{"groupNodes":{"G":{"nodes":[
      {"index":0,"type":"VAELoader","widgets_values":["old"],
       "outputs":[{"name":"VAE","type":"VAE"}]},
      {"index":1,"type":"VAEDecode","outputs":[{"name":"IMAGE","type":"IMAGE"}],"inputs":[
       {"name":"samples","type":"LATENT","link":null},{"name":"vae","type":"VAE","link":null}]}],
      "links":[[0,0,1,1,9,"VAE"]],"external":[]}}})";
  const std::string nodes = R"({"id":1,"type":"EmptyLatentImage"},
      {"id":7,"type":"workflow>G","widgets_values":["new"],
       "inputs":[{"name":"samples","type":"LATENT","link":1}],"outputs":[{"type":"IMAGE"}]},
      {"id":3,"type":"SaveImage","inputs":[{"name":"images","link":2}]})";
  const Prompt prompt =
      test::convert(test::graph(nodes, R"([1,1,0,7,0,"LATENT"],[2,7,0,3,0,"IMAGE"])", groups));
  EXPECT_EQ(test::ids(prompt), "1 3 7:0 7:1");
  EXPECT_EQ(input_value(prompt, "7:0", "vae_name"), "\"new\"");
  EXPECT_EQ(input_value(prompt, "7:1", "vae"), "-> 7:0:0");
  EXPECT_EQ(input_value(prompt, "7:1", "samples"), "-> 1:0");
  EXPECT_EQ(input_value(prompt, "3", "images"), "-> 7:1:0");
}

TEST(Groups, ValuesOfShownWidgetsFollowTheOthersOfTheirNode) {
  const std::string groups = R"("extra":{"groupNodes":{"G":{"nodes":[
      {"index":0,"type":"EmptyLatentImage","widgets_values":[1,2,3],"outputs":[{"type":"LATENT"}]},
      {"index":1,"type":"KSampler","widgets_values":[5,"fixed",20,8,"euler","normal",1],
       "inputs":[{"name":"model","type":"MODEL","link":null},
                 {"name":"latent_image","type":"LATENT","link":null},
                 {"name":"seed","type":"INT","link":null,"widget":{"name":"seed"}}],
       "outputs":[{"type":"LATENT"}]}],
      "links":[[0,0,1,1,9,"LATENT"]],"external":[]}}})";
  const Prompt prompt = test::convert(test::graph(
      R"({"id":7,"type":"workflow/G","inputs":[{"name":"seed","type":"INT","link":null,
          "widget":{"name":"seed"}}],
          "widgets_values":[64,32,1,30,6,"dpmpp_2m","karras",0.5,77,"fixed"]})",
      "", groups));
  EXPECT_EQ(input_value(prompt, "7:0", "width"), "64");
  EXPECT_EQ(input_value(prompt, "7:1", "steps"), "30");
  EXPECT_EQ(input_value(prompt, "7:1", "denoise"), "0.5");
  EXPECT_EQ(input_value(prompt, "7:1", "seed"), "77");
}

TEST(Groups, AGroupThatContainsItselfEnds) {
  const std::string groups = R"("extra":{"groupNodes":{"G":{"nodes":[
      {"type":"workflow>G"},{"type":"workflow>G"}],"links":[]}}})";
  (void)test::try_convert(test::graph(R"({"id":1,"type":"workflow>G"})", "", groups));
}

TEST(Groups, TheGraphGivesThePromptThatWasSent) {
  EBB_NEED_SHARED();
  const std::string base =
      "Comfy-Org+example_workflows/flux__kontext__dev__flux_1_kontext_dev_grouped.png";
  const auto corpus = *test::shared_dir() / "corpus";
  const auto read = [&](const char* ending) {
    return to_prompt(*read_workflow((corpus / (base + ending)).string()), {0, 18, 2});
  };
  const auto ours = read(".workflow.json"), sent = read(".prompt.json");
  ASSERT_TRUE(ours.ok()) << to_string(ours.error());
  ASSERT_TRUE(sent.ok());
  int compared = 0;
  for (const PromptNode& node : sent->nodes) {
    for (const PromptInput& input : node.inputs) {
      // A widget of older front ends; a name that was edited in the graph after the run.
      if (input.name == "upload" || input.name == "unet_name") continue;
      ++compared;
      const PromptInput* mine = ours->find(node.id)->input(input.name);
      ASSERT_NE(mine, nullptr) << node.label() << " " << input.name;
      EXPECT_EQ(mine->link, input.link) << node.label() << " " << input.name;
      EXPECT_EQ(mine->number(), input.number()) << node.label() << " " << input.name;
      EXPECT_EQ(mine->text(), input.text()) << node.label() << " " << input.name;
    }
  }
  EXPECT_GT(compared, 30);
  EXPECT_EQ(ours->nodes.size(), sent->nodes.size());
}

}  // namespace
}  // namespace ebb
