// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/pass/two_pass.h"

namespace ebb {
namespace {

using test::TwoPass;

TEST(Judge, WhatFitsHasNoCause) {
  const TwoPass example;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::fits) << outcome.cause;
  EXPECT_EQ(outcome.cause, "");
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
  EXPECT_EQ(outcome.cause,
            "asked 15,299 + reserve 4,096 of 30,724 MiB free leave 11,329 for 13,312 MiB of "
            "weights");
  EXPECT_EQ(outcome.offloaded_bytes, 2_GiB);
}

TEST(Judge, AnUnknownModelIsUnknownUnlessSomethingElseIsKnownToGoWrong) {
  TwoPass example;
  example.passes.weights[3].bytes_from = BytesFrom::unknown;
  Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::unknown);
  EXPECT_NE(outcome.cause.find("vae.safetensors"), std::string::npos);
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
  EXPECT_NE(outcome.cause.find("node 10 SaveImage"), std::string::npos) << outcome.cause;
}

TEST(Judge, MoreThanTheCardSpillsOnWindowsAndIsTightOnLinux) {
  TwoPass example;
  for (auto* quantity :
       {&example.passes.steps[4].demand.live, &example.passes.steps[4].demand.reserved}) {
    quantity->bytes = 25_GiB;
  }
  example.machine.os = Os::windows;
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::spills);
  example.machine.os = Os::linux;
  EXPECT_EQ(judge(example.passes, example.timeline, example.machine).verdict, Verdict::tight);
}

TEST(Judge, TightWithinTheErrorBar) {
  TwoPass example;
  example.passes.steps[4].demand.high = 4;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::tight);
  EXPECT_NE(outcome.cause.find("fits unless"), std::string::npos) << outcome.cause;
}

TEST(Judge, RamShort) {
  TwoPass example;
  example.timeline.ram_limit_bytes = 16_GiB;
  example.machine.ram_total.bytes = 16_GiB;
  const Outcome outcome = judge(example.passes, example.timeline, example.machine);
  EXPECT_EQ(outcome.verdict, Verdict::ram_short);
  EXPECT_NE(outcome.cause.find("of 16.0 GiB"), std::string::npos) << outcome.cause;
}

TEST(Judge, RankIsTheOrderOfBadness) {
  EXPECT_LT(rank(Verdict::fits), rank(Verdict::tight));
  EXPECT_LT(rank(Verdict::tight), rank(Verdict::offloads));
  EXPECT_LT(rank(Verdict::offloads), rank(Verdict::ram_short));
  EXPECT_LT(rank(Verdict::ram_short), rank(Verdict::spills));
  EXPECT_LT(rank(Verdict::spills), rank(Verdict::unknown));
}

}  // namespace
}  // namespace ebb
