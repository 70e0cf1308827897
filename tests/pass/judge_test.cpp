// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "ebb/report.h"
#include "tests/pass/two_pass.h"

namespace ebb {
namespace {

using test::TwoPass;

TEST(Judge, WhatFitsHasNoCause) {
  const TwoPass example;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::fits) << say(outcome.causes);
  EXPECT_EQ(say(outcome.causes), "");
  EXPECT_EQ(outcome.passes.size(), 4u);
  EXPECT_EQ(outcome.read_bytes, 32_GiB + 242_MiB);
}

TEST(Judge, OffloadingNamesTheTermsThatBind) {
  TwoPass example;
  auto& state = example.timeline.steps[4];
  Load& load = state.loads[0];
  load.full = false;
  load.free_bytes = 30724_MiB;
  load.minimum_bytes = 15299_MiB;
  load.reserve_bytes = 4096_MiB;
  load.usable_bytes = 11329_MiB;
  load.loaded_bytes = 11_GiB;
  load.offloaded_bytes = 2_GiB;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
  EXPECT_EQ(say(outcome.causes),
            "asked 15,299 + reserve 4,096 of 30,724 MiB free leave 11,329 for 13,312 MiB of "
            "weights");
  EXPECT_EQ(outcome.offloaded_bytes, 2_GiB);
}

// The headline names the sampler, so that the cause must be the sampler's.
TEST(Judge, ASamplerSpeaksForTheRunBeforeAnEncoderThatOffloadsMore) {
  TwoPass example;
  const auto offload = [&](StepKind kind, std::int64_t bytes) {
    for (const StepIndex s : example.passes.steps.indices()) {
      auto& loads = example.timeline.steps[s].loads;
      if (example.passes.steps[s].kind != kind || loads.empty()) continue;
      loads[0].full = false;
      loads[0].usable_bytes = kind == StepKind::sample ? 7777_MiB : 1111_MiB;
      loads[0].offloaded_bytes = bytes;
    }
  };
  offload(StepKind::encode_text, 5_GiB);
  offload(StepKind::sample, 2_GiB);
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
  EXPECT_NE(say(outcome.causes).find("leave 7,777 for"), std::string::npos) << say(outcome.causes);
}

TEST(Judge, AnUnknownModelIsUnknownUnlessSomethingElseIsKnownToGoWrong) {
  TwoPass example;
  example.passes.weights[3].bytes_from = BytesFrom::unknown;
  Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_NE(say(outcome.causes).find("vae.safetensors"), std::string::npos);
  example.timeline.steps[4].loads[0].full = false;
  example.timeline.steps[4].loads[0].offloaded_bytes = 1_GiB;
  outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
}

TEST(Judge, ASamplerOfAnUnknownModelIsNeverSaidToFit) {
  TwoPass example;
  example.passes.steps[9].kind = StepKind::sample;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_NE(say(outcome.causes).find("node 10 SaveImage"), std::string::npos)
      << say(outcome.causes);
}

TEST(Judge, MoreThanTheCardSpillsOnWindowsAndMayRunOutOnLinux) {
  TwoPass example;
  for (auto* quantity :
       {&example.passes.steps[4].demand.live, &example.passes.steps[4].demand.reserved}) {
    quantity->bytes = 25_GiB;
  }
  example.machine.os = Os::windows;
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::spills);
  example.machine.os = Os::linux;
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::may_run_out);
}

void offload(StepState& state, std::int64_t bytes) {
  state.loads[0].full = false;
  state.loads[0].offloaded_bytes = bytes;
}

// An encoder that offloads says nothing of a diffusion model whose size nobody knows.
TEST(Judge, AnUnknownMainModelIsUnknownWhateverElseGoesWrong) {
  TwoPass example;
  example.passes.weights[1].bytes_from = BytesFrom::unknown;
  offload(example.timeline.steps[1], 1_GiB);
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_EQ(outcome.known, Verdict::offloads);
  EXPECT_EQ(outcome.known_pass.at, 0);
  EXPECT_NE(say(outcome.causes).find("high.safetensors"), std::string::npos) << say(outcome.causes);
  EXPECT_NE(say(outcome.causes).find("pass 1: asked"), std::string::npos) << say(outcome.causes);
  example.passes.weights[1].bytes_from = BytesFrom::known;
  Step& sampler = example.passes.steps[4];
  sampler.model_known = false;
  sampler.demand.asked = sampler.demand.minimum = {0, NumberKind::unknown, "which kind it is"};
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::unknown);
}

// It may be the largest of the run.
TEST(Judge, OtherWorkWithAModelThatNobodyKnowsHidesTheRun) {
  TwoPass example;
  Pass& pass = example.passes.passes[0];
  pass.kind = StepKind::use;
  Weights& weights = example.passes.weights[pass.weights.front()];
  weights.role = WeightsRole::diffusion;
  weights.bytes_from = BytesFrom::unknown;
  offload(example.timeline.steps[4], 1_GiB);
  weights.architecture = "wan-14b";
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::offloads);
  weights.architecture.clear();
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_EQ(outcome.known, Verdict::offloads);
}

TEST(Judge, AnUnknownPartLeavesTheOthersTheirVerdicts) {
  TwoPass example;
  example.passes.weights[3].bytes_from = BytesFrom::unknown;
  offload(example.timeline.steps[4], 1_GiB);
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
  EXPECT_EQ(outcome.passes[0].verdict, Verdict::fits);
  EXPECT_EQ(outcome.passes[3].verdict, Verdict::unknown);
  ASSERT_EQ(outcome.lacking.size(), 1u);
  EXPECT_EQ(say(outcome.lacking[0]), "the size of vae.safetensors is not known");
}

TEST(Judge, AGgufFileThatPagedModelsLeaveForIsUnknown) {
  TwoPass example;
  const auto verdict = [&] {
    return judge(example.passes, example.timeline, example.machine).passes[2].verdict;
  };
  const Pass& pass = example.passes.passes[2];
  example.timeline.policy.kind = Policy::paged;
  example.passes.weights[pass.weights.front()].files = {"high.gguf"};
  example.timeline.steps[pass.main_step].evictions.clear();
  EXPECT_NE(verdict(), Verdict::unknown);
  example.timeline.steps[pass.main_step].evictions.push_back({});
  EXPECT_EQ(verdict(), Verdict::unknown);
  example.passes.weights[pass.weights.front()].files = {"high.safetensors"};
  EXPECT_NE(verdict(), Verdict::unknown);
}

TEST(Judge, AModelInNoPassAndAnOutputLeftOutAreUnknown) {
  TwoPass unused;
  unused.passes.unused = {3};
  Outcome outcome = judge(unused.passes, unused.timeline, unused.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_NE(say(outcome.causes).find("vae.safetensors"), std::string::npos) << say(outcome.causes);
  TwoPass left_out;
  left_out.passes.left_out = {"node 11 SaveImage"};
  outcome = judge(left_out.passes, left_out.timeline, left_out.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_EQ(say(outcome.causes), "node 11 SaveImage will not run");
  TwoPass unseen;
  unseen.passes.steps[0].loads_unseen = true;
  outcome = judge(unseen.passes, unseen.timeline, unseen.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_NE(say(outcome.causes).find("node 1 CLIPLoader"), std::string::npos)
      << say(outcome.causes);
}

TEST(Judge, TheCopiesThatStreamingTakesMayRunOut) {
  TwoPass example;
  example.machine.os = Os::linux;
  offload(example.timeline.steps[4], 1_GiB);
  Demand& demand = example.passes.steps[4].demand;
  demand.cast_bytes = 1_GiB;
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::offloads);
  demand.cast_bytes = 32_GiB - demand.live.bytes;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::may_run_out);
  EXPECT_NE(say(outcome.causes).find("to stream its largest weight"), std::string::npos);
}

TEST(Judge, APeakAboveTheCardAnywhereMayRunOut) {
  TwoPass example;
  example.machine.os = Os::linux;
  example.timeline.steps[0].vram_peak_bytes = example.timeline.vram_limit_bytes + 1_GiB;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::may_run_out) << say(outcome.causes);
}

TEST(Judge, FullRamIsTheTroubleBesideASmallOffload) {
  TwoPass example;
  offload(example.timeline.steps[8], 114_MiB);
  Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
  example.machine.ram_total.bytes = example.timeline.ram_limit_bytes =
      outcome.ram_peak_bytes + outcome.ram_peak_bytes / 20;
  outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::ram_short);
  offload(example.timeline.steps[4], 4_GiB);  // a sampler's steps pay more
  outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
}

TEST(Judge, TightWithinTheErrorBar) {
  TwoPass example;
  example.passes.steps[4].demand.high = 4;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::tight);
  EXPECT_NE(say(outcome.causes).find("fits unless"), std::string::npos) << say(outcome.causes);
}

TEST(Judge, RamShort) {
  TwoPass example;
  example.timeline.ram_limit_bytes = 16_GiB;
  example.machine.ram_total.bytes = 16_GiB;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::ram_short);
  EXPECT_NE(say(outcome.causes).find("of 16.0 GiB"), std::string::npos) << say(outcome.causes);
}

TEST(Judge, RankIsTheOrderOfBadness) {
  EXPECT_LT(rank(Verdict::fits), rank(Verdict::tight));
  EXPECT_LT(rank(Verdict::tight), rank(Verdict::offloads));
  EXPECT_LT(rank(Verdict::offloads), rank(Verdict::may_run_out));
  EXPECT_LT(rank(Verdict::may_run_out), rank(Verdict::ram_short));
  EXPECT_LT(rank(Verdict::ram_short), rank(Verdict::spills));
  EXPECT_LT(rank(Verdict::spills), rank(Verdict::unknown));
}

TEST(Judge, APassAboveTheCardIsNamedBesideOneThatOffloads) {
  TwoPass example;
  example.machine.os = Os::linux;
  Load& load = example.timeline.steps[4].loads[0];
  load.full = false;
  load.usable_bytes = 11329_MiB;
  load.offloaded_bytes = 2_GiB;
  PassIndex decode;
  for (const PassIndex p : example.passes.passes.indices()) {
    if (example.passes.passes[p].kind == StepKind::decode) decode = p;
  }
  ASSERT_TRUE(decode.exists());
  const Pass& pass = example.passes.passes[decode];
  Demand& demand = example.passes.steps[pass.main_step].demand;
  demand.live = demand.reserved = {60_GiB, NumberKind::measured, "traced"};
  Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::offloads);
  const PassOutcome& above = outcome.passes[decode];
  EXPECT_EQ(above.verdict, Verdict::tight);
  EXPECT_GT(above.above_bytes, 20_GiB);
  const std::string named =
      "; pass " + std::to_string(decode.number()) + ": the step allocates about";
  EXPECT_NE(say(outcome.causes).find(named), std::string::npos) << say(outcome.causes);
  EXPECT_NE(say(outcome.causes).find("ComfyUI will run out, then retry in tiles"),
            std::string::npos);
  demand.low = 0.1;
  outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_NE(say(outcome.causes).find("(6,144 are possible)"), std::string::npos)
      << say(outcome.causes);
  EXPECT_NE(say(outcome.causes).find("is likely to run out"), std::string::npos)
      << say(outcome.causes);
  example.machine.os = Os::windows;
  outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::spills);
}

TEST(Judge, WherePagesLeaveByThemselvesTheyTakeNoRoomFromTheStep) {
  TwoPass example;
  example.machine.os = Os::linux;
  Demand& demand = example.passes.steps[4].demand;
  demand.live = demand.reserved = {20_GiB, NumberKind::measured, "traced"};
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::may_run_out);
  example.timeline.policy.kind = Policy::paged;
  Load& load = example.timeline.steps[4].loads[0];
  load.usable_bytes = example.passes.weights[load.weights].bytes + 1_GiB;
  EXPECT_EQ(say(judge(example.passes, example.timeline, example.machine).passes[1].causes), "");
  demand.high = 1.2;  // 4 GiB more than the 1 GiB that is spare
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.passes[1].verdict, Verdict::tight);
  EXPECT_EQ(say(outcome.passes[1].causes),
            "stays whole unless the step takes more than 21,504 MiB; 20,480 are expected, up to "
            "24,576 possible. Then pages of its weights leave and are streamed");
}

TEST(Judge, SecondsOfARunAreUnknownButThoseThatAreKnownAreSummed) {
  TwoPass example;
  for (StepState& state : example.timeline.steps) {
    state.read_seconds = state.move_seconds = state.stall_seconds = state.compute_seconds = 1;
  }
  Outcome outcome = judge(example.passes, example.timeline, example.machine);
  ASSERT_TRUE(outcome.seconds.has_value());
  EXPECT_DOUBLE_EQ(*outcome.seconds, 4.0 * static_cast<double>(example.timeline.steps.size()));
  double passes = 0;
  for (const PassOutcome& pass : outcome.passes) passes += pass.seconds.value_or(0);
  EXPECT_DOUBLE_EQ(passes, *outcome.seconds);
  const StepIndex decode = example.passes.passes.back().main_step;
  example.timeline.steps[decode].compute_seconds.reset();
  outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_FALSE(outcome.seconds.has_value());
  EXPECT_FALSE(outcome.passes.back().seconds.has_value());
  EXPECT_DOUBLE_EQ(outcome.known_seconds,
                   4.0 * static_cast<double>(example.timeline.steps.size()) - 1);
}

}  // namespace
}  // namespace ebb
