// SPDX-License-Identifier: Apache-2.0
// What the nodes of Ebb's pack do in a prediction. The prompt: text, pass 1 (high), pass 2 (low),
// decode, with one of our nodes between.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ebb/ebb.h"
#include "ebb/run.h"

namespace ebb {
namespace {

const char* kSampler =
    R"("class_type": "KSamplerAdvanced", "inputs": {{"model": ["{}", 0], "positive": ["p", 0],
    "negative": ["n", 0], "latent_image": ["{}", 0], "add_noise": "enable", "noise_seed": 1,
    "steps": 20, "cfg": 3.5, "sampler_name": "euler", "scheduler": "simple", "start_at_step": 0,
    "end_at_step": 10, "return_with_leftover_noise": "enable"}})";

/// `middle` are members that make node `cut` of ["pass1", 0]; `high` feeds pass 1's model.
Run predicted(const std::string& middle, const std::string& after = "pass2",
              const std::string& model = "high") {
  const auto loader = [](const char* name) {
    return fmt::format(R"("class_type": "UNETLoader", "inputs": {{"weight_dtype": "default",
        "unet_name": "wan2.2_t2v_{}_noise_14B_fp8_scaled.safetensors"}})",
                       name);
  };
  const std::string text = fmt::format(
      R"({{"clip": {{"class_type": "CLIPLoader", "inputs": {{"type": "wan",
           "clip_name": "umt5_xxl_fp8_e4m3fn_scaled.safetensors"}}}},
         "p": {{"class_type": "CLIPTextEncode", "inputs": {{"clip": ["clip", 0], "text": "a"}}}},
         "n": {{"class_type": "CLIPTextEncode", "inputs": {{"clip": ["clip", 0], "text": "b"}}}},
         "empty": {{"class_type": "EmptyHunyuanLatentVideo", "inputs": {{"width": 832,
           "height": 480, "length": 81, "batch_size": 1}}}},
         "high": {{{}}}, "low": {{{}}}, "pass1": {{{}}}, "pass2": {{{}}}{},
         "vae": {{"class_type": "VAELoader", "inputs": {{
           "vae_name": "wan_2.1_vae.safetensors"}}}},
         "decode": {{"class_type": "VAEDecode", "inputs": {{"samples": ["{}", 0],
           "vae": ["vae", 0]}}}},
         "save": {{"class_type": "SaveImage", "inputs": {{"images": ["decode", 0],
           "filename_prefix": "x"}}}}}})",
      loader("high"), loader("low"), fmt::format(fmt::runtime(kSampler), model, "empty"),
      fmt::format(fmt::runtime(kSampler), "low", after == "pass2" ? "cut" : "pass1"), middle,
      after);
  RunArguments arguments;
  arguments.gpu = "rtx4090";
  arguments.ram = "64G";
  arguments.comfyui = "0.3.73";
  const auto options = understand(arguments);
  const auto workflow = parse_workflow(text, "prompt");
  EXPECT_TRUE(options.ok() && workflow.ok()) << to_string(workflow.error());
  auto run = predict_run(*workflow, *options);
  EXPECT_TRUE(run.ok()) << to_string(run.error());
  return *std::move(run);
}

std::string cut(const std::string& inputs, const std::string& anything = "pass1") {
  return fmt::format(
      R"(, "cut": {{"class_type": "EbbCut", "inputs": {{"anything": ["{}", 0]{}}}}})", anything,
      inputs);
}

/// The cuts as text: `2 drop high`.
std::vector<std::string> cuts(const Run& run) {
  std::vector<std::string> lines;
  for (const CutOrder& order : run.report.trial.levers.cuts) {
    std::string line = fmt::format("{} {}", order.after_pass, to_string(order.action));
    for (const int w : order.weights) {
      const std::string name = run.report.prediction.passes->weights[size_t(w)].files.front();
      line += name.find("high") != std::string::npos   ? " high"
              : name.find("low") != std::string::npos  ? " low"
              : name.find("umt5") != std::string::npos ? " text"
                                                       : " vae";
    }
    lines.push_back(line);
  }
  std::ranges::sort(lines);
  return lines;
}

using Lines = std::vector<std::string>;

TEST(OwnNodes, a_cut_does_what_its_widgets_say) {
  EXPECT_EQ(cuts(predicted(cut(""))), (Lines{"1 drop high"}));
  EXPECT_EQ(cuts(predicted(cut(R"(, "action": "park")"))), (Lines{"1 park high"}));
  EXPECT_EQ(cuts(predicted(cut(R"(, "models": "all")"))), (Lines{"1 drop high", "1 drop text"}));
  EXPECT_EQ(cuts(predicted(cut(R"(, "models": "all_but_next")"))),
            (Lines{"1 drop high", "1 drop text"}));
  EXPECT_EQ(cuts(predicted(cut(R"(, "models": "connected", "model_1": ["high", 0],
                                    "model_2": ["p", 0])"))),
            (Lines{"1 drop high", "1 drop text"}));
  EXPECT_EQ(cuts(predicted(cut(R"(, "models": "connected")"))), Lines{});
  EXPECT_EQ(cuts(predicted(cut(R"(, "prefetch": "next_files")"))),
            (Lines{"1 drop high", "1 prefetch vae"}));
}

TEST(OwnNodes, within_a_pass_nothing_is_cut) {
  const std::string again = R"(, "low2": {"class_type": "ModelSamplingSD3",
      "inputs": {"model": ["low", 0], "shift": 8}})";  // both samplers with the same model
  for (const char* action : {"park", "drop"}) {
    const std::string inputs = fmt::format(R"(, "action": "{}")", action);
    EXPECT_EQ(cuts(predicted(cut(inputs) + again, "pass2", "low2")), Lines{});
  }
}

TEST(OwnNodes, what_is_needed_later_is_parked_and_not_dropped) {
  const auto with_the_vae = [](const char* action) {  // which decodes at the end
    return cuts(predicted(cut(fmt::format(R"(, "models": "connected", "model_1": ["vae", 0],
        "action": "{}")", action))));
  };
  EXPECT_EQ(with_the_vae("park"), (Lines{"1 park vae"}));
  EXPECT_EQ(with_the_vae("drop"), Lines{});
}

TEST(OwnNodes, unload_drops_what_nothing_needs_and_parks_the_rest) {
  EXPECT_EQ(cuts(predicted(R"(, "cut": {"class_type": "UnloadModels", "inputs": {
                               "anything": ["pass1", 0]}})")),
            (Lines{"1 drop high", "1 drop text", "1 unload all"}));
}

TEST(OwnNodes, a_cut_after_the_last_pass_counts_there) {
  EXPECT_EQ(cuts(predicted(cut("", "pass2"), "cut")), (Lines{"2 drop low"}));
}

TEST(OwnNodes, a_budget_is_that_of_the_sampler_it_feeds) {
  const auto with = [](const char* gib) {
    return predicted(cut("") + fmt::format(R"(, "budget": {{"class_type": "EbbBudget", "inputs": {{
        "model": ["high", 0], "budget_gib": {}}}}})",
                                           gib),
                     "pass2", "budget");
  };
  const auto run = with("9.5");
  ASSERT_EQ(run.report.trial.levers.budgets.size(), 1U);
  const Budget& budget = run.report.trial.levers.budgets.front();
  EXPECT_EQ(budget.minimum_bytes, 9_GiB + 512_MiB);
  EXPECT_EQ(run.report.prediction.passes->weights[size_t(budget.weights)].node, "high");
  EXPECT_TRUE(with("0.0").report.trial.levers.budgets.empty());
  const auto low = with("0.001");  // never below what is live
  const Step& step = [&]() -> const Step& {
    return *std::ranges::find(low.report.prediction.passes->steps, "pass1", &Step::id);
  }();
  EXPECT_EQ(low.report.trial.levers.budgets.front().minimum_bytes, step.demand.live.bytes);
}

TEST(OwnNodes, a_dropped_model_is_no_longer_in_ram) {
  const auto plain = predicted(cut(R"(, "models": "connected")"));
  const auto dropped = predicted(cut(""));
  EXPECT_GT(plain.report.prediction.outcome.ram_peak_bytes -
                dropped.report.prediction.outcome.ram_peak_bytes,
            10_GiB);
}

}  // namespace
}  // namespace ebb
