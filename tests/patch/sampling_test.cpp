// SPDX-License-Identifier: Apache-2.0
// Which models a prompt switches between, and the sentence where it loads several and does not.
#include "patch/sampling.h"

#include <gtest/gtest.h>

#include "patch/cuts.h"

namespace ebb {
namespace {

const std::string kLoaders =
    R"("1":{"class_type":"UNETLoader","inputs":{"unet_name":"a.safetensors"}},
       "2":{"class_type":"UNETLoader","inputs":{"unet_name":"b.safetensors"}},
       "3":{"class_type":"EmptyLatentImage","inputs":{"width":512,"height":512,"batch_size":1}},
       "9":{"class_type":"SaveLatent","inputs":{"samples":["8",0],"filename_prefix":"x"}},)";

std::string sampler(const std::string& id, const std::string& type, const std::string& inputs) {
  return "\"" + id + R"(":{"class_type":")" + type +
         R"(","inputs":{"seed":1,"steps":2,"cfg":1,"latent_image":["3",0],)" + inputs + "}}";
}

/// The number of switches, or the sentence why there is none.
std::string answer(const std::string& nodes) {
  const auto workflow = parse_workflow("{" + kLoaders + nodes + "}", "test.json");
  if (!workflow) return to_string(workflow.error());
  const auto prompt = to_prompt(*workflow, PromptOptions());
  const auto sampling = find_sampling(*prompt, {});
  if (!sampling) return to_string(sampling.error());
  const auto runs = runs_of(*prompt);
  const int switches = count_switches(*sampling, runs.front());
  return switches > 0 ? std::to_string(switches) : why_no_switch(*prompt, *sampling, runs.front());
}

TEST(Sampling, SwitchesWherePipesOrDitsBringTheModels) {
  const std::string sampled = sampler("4", "KSampler", R"("model":["1",0])");
  EXPECT_EQ(answer(sampled + R"(,"5":{"class_type":"ToBasicPipe","inputs":{"model":["2",0]}},
              "8":{"class_type":"ImpactKSamplerBasicPipe",
                   "inputs":{"basic_pipe":["5",0],"latent_image":["4",0]}})"),
            "1");
  EXPECT_EQ(answer(sampled + R"(,"5":{"class_type":"SomeLoadDiTModel","inputs":{"model":"x"}},
              "8":{"class_type":"SomeVideoUpscaler","inputs":{"dit":["5",0],"image":["4",0]}})"),
            "1");
}

TEST(Sampling, SaysWhyTwoModelsAreNotSwitched) {
  EXPECT_EQ(answer(R"("5":{"class_type":"ModelMergeSimple",
                           "inputs":{"model1":["1",0],"model2":["2",0],"ratio":1}},)" +
                   sampler("8", "KSampler", R"("model":["5",0])")),
            "a and b go into node 5 ModelMergeSimple, which hands on one model");
  EXPECT_EQ(answer(sampler("8", "TwoModelKSampler", R"("model":["1",0],"model_low":["2",0])")),
            "a and b go into node 8 TwoModelKSampler together, and what samples with both changes "
            "inside one node");
  EXPECT_EQ(answer(R"("5":{"class_type":"ModelSave",
                           "inputs":{"model":["2",0],"filename_prefix":"x"}},)" +
                   sampler("8", "KSampler", R"("model":["1",0])")),
            "b is loaded, but no sampler that Ebb knows takes it");
}

TEST(Sampling, OneModelNeedsNoSentence) {
  EXPECT_EQ(answer(sampler("8", "KSampler", R"("model":["1",0])")), "");
}

}  // namespace
}  // namespace ebb
