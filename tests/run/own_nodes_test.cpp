// SPDX-License-Identifier: Apache-2.0
// Ebb's own nodes in a prompt, and what a plan takes them to do.
#include <gtest/gtest.h>

#include "ebb/run.h"

namespace ebb {
namespace {

/// Two passes of Wan 2.2 with `between` on the latent; node 20 stands before the second sampler.
std::string two_passes(const std::string& between, const std::string& model = R"(["1",0])") {
  const std::string sampler =
      R"("class_type":"KSampler","inputs":{"seed":1,"steps":4,"cfg":1,"sampler_name":"euler",)"
      R"("scheduler":"simple","denoise":1,"positive":["5",0],"negative":["5",0],)";
  return R"({"1":{"class_type":"UNETLoader","inputs":{"weight_dtype":"default",
      "unet_name":"wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"}},
    "2":{"class_type":"UNETLoader","inputs":{"weight_dtype":"default",
      "unet_name":"wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"}},
    "3":{"class_type":"CLIPLoader","inputs":{"type":"wan",
      "clip_name":"umt5_xxl_fp8_e4m3fn_scaled.safetensors"}},
    "4":{"class_type":"EmptyHunyuanLatentVideo",
      "inputs":{"width":832,"height":480,"length":81,"batch_size":1}},
    "5":{"class_type":"CLIPTextEncode","inputs":{"text":"a","clip":["3",0]}},
    "6":{)" +
         sampler + R"("model":)" + model + R"(,"latent_image":["4",0]}},
    "20":{)" +
         between + R"(},
    "7":{)" +
         sampler + R"("model":["2",0],"latent_image":["20",0]}},
    "8":{"class_type":"SaveLatent","inputs":{"samples":["7",0],"filename_prefix":"x"}},
    "21":{"class_type":"EbbBudget","inputs":{"model":["1",0],"budget_gib":6}}})";
}

Result<Run> predicted(const std::string& text) {
  RunArguments arguments;
  arguments.gpu = "rtx4090";
  arguments.ram = "64G";
  arguments.os = "linux";
  arguments.comfyui = "0.3.64";
  const auto workflow = parse_workflow(text, "test.json");
  if (!workflow) return workflow.error();
  return predict_run(*workflow, *understand(arguments));
}

/// `drop 1 3 after 1`: what the cuts do, weights by the ids of their loaders.
std::string cuts(const std::string& text) {
  const auto run = predicted(text);
  if (!run) return to_string(run.error());
  const Passes& passes = *run->report.prediction.passes;
  std::string words;
  for (const CutStep& cut : passes.own.cuts) {
    words += (words.empty() ? "" : "; ") + std::string(to_string(cut.action));
    for (const WeightsIndex w : cut.weights) words += " " + passes.weights[w].id;
    words += " after " + std::to_string(cut.after_pass.number());
  }
  return words;
}

std::string cut_node(const std::string& widgets) {
  return R"("class_type":"EbbCut","inputs":{"anything":["6",0],)" + widgets + "}";
}

TEST(OwnNodes, AnUnloadNodeDropsWhatNothingNeedsAndUnloadsTheRest) {
  EXPECT_EQ(cuts(two_passes(R"("class_type":"UnloadModels","inputs":{"anything":["6",0]})")),
            "drop 1 3 after 2; unload_all after 2");
}

TEST(OwnNodes, ACutTakesWhatItsWidgetsName) {
  const std::string none = R"("prefetch":"nothing")";
  EXPECT_EQ(cuts(two_passes(cut_node(R"("models":"pass_before","action":"drop",)" + none))),
            "drop 1 after 2");
  EXPECT_EQ(cuts(two_passes(cut_node(R"("models":"pass_before","action":"park",)" + none))),
            "park 1 after 2");
  EXPECT_EQ(cuts(two_passes(cut_node(R"("models":"all","action":"drop",)" + none))),
            "drop 1 3 after 2");
  EXPECT_EQ(cuts(two_passes(cut_node(R"("models":"all_but_next","action":"park",)" + none))),
            "park 1 3 after 2");
  EXPECT_EQ(cuts(two_passes(
                cut_node(R"("models":"connected","model_1":["3",0],"action":"drop",)" + none))),
            "drop 3 after 2");
  // What the next pass samples with is needed: a drop leaves it.
  EXPECT_EQ(cuts(two_passes(
                cut_node(R"("models":"connected","model_1":["2",0],"action":"drop",)" + none))),
            "");
}

TEST(OwnNodes, ACutThatReadsAheadFindsTheNextFileReadAlready) {
  EXPECT_EQ(cuts(two_passes(
                cut_node(R"("models":"pass_before","action":"drop","prefetch":"next_files")"))),
            "drop 1 after 2");
}

TEST(OwnNodes, ABudgetIsForTheSamplerBehindIt) {
  const std::string cut = R"("class_type":"UnloadModels","inputs":{"anything":["6",0]})";
  const auto run = predicted(two_passes(cut, R"(["21",0])"));
  ASSERT_TRUE(run.ok()) << to_string(run.error());
  const Prediction& prediction = run->report.prediction;
  const auto& budgets = prediction.passes->own.budgets;
  ASSERT_EQ(budgets.size(), 1U);
  const Step& step = prediction.passes->steps[budgets[0].step];
  EXPECT_EQ(step.id, "6");
  EXPECT_EQ(budgets[0].minimum_bytes, std::max(6_GiB, step.demand.live.bytes));
  EXPECT_EQ(prediction.timeline.steps[budgets[0].step].loads[0].minimum_bytes,
            budgets[0].minimum_bytes);
}

}  // namespace
}  // namespace ebb
