// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/pass/two_pass.h"

namespace ebb {
namespace {

using test::TwoPass;

TEST(Passes, StepsWithTheSameWeightsAreOnePass) {
  const TwoPass example;
  const Passes& passes = example.passes;
  ASSERT_EQ(passes.passes.size(), 4u);
  EXPECT_EQ(passes.passes[0].kind, StepKind::encode_text);
  EXPECT_EQ(passes.passes[1].weights, std::vector<WeightsIndex>{1});
  EXPECT_EQ(passes.passes[2].weights, std::vector<WeightsIndex>{2});
  EXPECT_EQ(passes.passes[3].kind, StepKind::decode);
}

TEST(Passes, ALoaderBelongsToThePassItPrepares) {
  const TwoPass example;
  const Pass& low = example.passes.passes[2];
  EXPECT_EQ(example.passes.steps[low.first_step].class_type, "UNETLoader");
}

TEST(Passes, CutsNameWhatCrosses) {
  const TwoPass example;
  ASSERT_EQ(example.passes.cuts.size(), 3u);
  const auto& crossing = example.passes.cuts[1].crossing;
  ASSERT_FALSE(crossing.empty());
  EXPECT_EQ(crossing[0].type, "LATENT");
  EXPECT_EQ(crossing[0].bytes, 20_MiB);
  for (const auto& c : crossing) EXPECT_NE(c.type, "MODEL");
}

TEST(Passes, ConsumersAreLaterSteps) {
  const TwoPass example;
  for (const StepIndex s : example.passes.steps.indices()) {
    for (const StepIndex consumer : example.passes.steps[s].consumers) {
      EXPECT_GT(consumer, s);
    }
  }
}

TEST(Passes, APromptWithoutModelsHasNoPass) {
  Prompt prompt;
  prompt.nodes.push_back({"1", "EmptyImage", "", {}, {"IMAGE"}, true, false});
  prompt.index["1"] = 0;
  PromptDemand demand;
  demand.nodes.resize(1);
  const Passes passes = build_passes(prompt, {{0}, {}, {}, false, {}}, demand);
  EXPECT_TRUE(passes.passes.empty());
  EXPECT_TRUE(passes.cuts.empty());
  EXPECT_EQ(passes.steps.size(), 1u);
}

}  // namespace
}  // namespace ebb
