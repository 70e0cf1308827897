// SPDX-License-Identifier: Apache-2.0
// The checker accepts a sound prediction and finds each thing that can be wrong with one.
#include <gtest/gtest.h>

#include <functional>

#include "ebb/report.h"
#include "tests/pass/two_pass.h"

namespace ebb {
namespace {

using test::TwoPass;

/// Findings after `spoil` has damaged a sound prediction.
std::string findings(const std::function<void(TwoPass&, Prediction&)>& spoil) {
  TwoPass example;
  Prediction prediction{std::make_shared<Passes>(example.passes), example.timeline, {}};
  prediction.outcome = judge(*prediction.passes, prediction.timeline, example.machine);
  spoil(example, prediction);
  const auto list = check(example.prompt, example.order, {example.machine, {}, {}}, prediction);
  std::string all;
  for (const auto& finding : list) all += finding + "\n";
  return all;
}

TEST(Check, AcceptsASoundPrediction) {
  EXPECT_EQ(findings([](TwoPass&, Prediction&) {}), "");
}

TEST(Check, FindsAWrongOrder) {
  const auto text = findings([](TwoPass& example, Prediction& p) {
    std::swap(test::own_passes(p).steps[4].node, test::own_passes(p).steps[3].node);
    std::swap(example.order.nodes[4], example.order.nodes[3]);
  });
  EXPECT_NE(text.find("which it needs"), std::string::npos) << text;
}

TEST(Check, FindsANodeThatRunsTwice) {
  const auto text =
      findings([](TwoPass&, Prediction& p) { test::own_passes(p).steps[9].node = 8; });
  EXPECT_NE(text.find("runs twice"), std::string::npos) << text;
}

TEST(Check, FindsWeightsThatAreNowhere) {
  const auto text = findings([](TwoPass&, Prediction& p) { p.timeline.steps[4].vram[1] -= 1_GiB; });
  EXPECT_NE(text.find("are nowhere"), std::string::npos) << text;
}

TEST(Check, FindsWeightsThatWereNeverRead) {
  const auto text =
      findings([](TwoPass&, Prediction& p) { test::own_passes(p).steps[5].reads.clear(); });
  EXPECT_NE(text.find("before it is read"), std::string::npos) << text;
}

TEST(Check, FindsBytesAboveThePeak) {
  auto text = findings([](TwoPass&, Prediction& p) { p.timeline.steps[6].vram_peak_bytes /= 2; });
  EXPECT_NE(text.find("above its own peak"), std::string::npos) << text;
  text = findings([](TwoPass&, Prediction& p) { p.timeline.steps[6].ram_needed_bytes = 1; });
  EXPECT_NE(text.find("above its own peak"), std::string::npos) << text;
}

TEST(Check, FindsMoreInVramThanThereIs) {
  const auto text = findings([](TwoPass&, Prediction& p) {
    p.timeline.steps[6].vram[2] += 1_GiB;
    p.timeline.steps[6].vram_peak_bytes += 1_GiB;
  });
  EXPECT_NE(text.find("more than its"), std::string::npos) << text;
}

TEST(Check, FindsALoadThatIsWholeAndOffloaded) {
  const auto text =
      findings([](TwoPass&, Prediction& p) { p.timeline.steps[4].loads[0].offloaded_bytes = 5; });
  EXPECT_NE(text.find("whole and offloaded"), std::string::npos) << text;
}

TEST(Check, FindsAVerdictBetterThanItsNumbers) {
  auto text =
      findings([](TwoPass&, Prediction& p) { p.outcome.passes[1].offloaded_bytes = 1_GiB; });
  EXPECT_NE(text.find("is called fits"), std::string::npos) << text;
  text = findings([](TwoPass&, Prediction& p) { p.outcome.passes[1].ram_peak_bytes = 900_GiB; });
  EXPECT_NE(text.find("more RAM than there is"), std::string::npos) << text;
  text = findings([](TwoPass&, Prediction& p) {
    p.outcome.passes[1].verdict = Verdict::offloads;
    p.outcome.passes[1].causes = {"x"};
  });
  EXPECT_NE(text.find("the run is called fits"), std::string::npos) << text;
}

TEST(Check, FindsPassesThatDoNotCoverTheRun) {
  auto text = findings([](TwoPass&, Prediction& p) { ++test::own_passes(p).passes[2].first_step; });
  EXPECT_NE(text.find("does not follow"), std::string::npos) << text;
  text = findings([](TwoPass&, Prediction& p) { p.timeline.steps.pop_back(); });
  EXPECT_NE(text.find("the timeline has"), std::string::npos) << text;
}

}  // namespace
}  // namespace ebb
