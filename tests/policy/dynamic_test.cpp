// SPDX-License-Identifier: Apache-2.0
// Weights in pages: who leaves, what stays, what is streamed; and runs on such a machine.
#include "policy/dynamic.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ebb/policy.h"
#include "tests/policy/wan_case.h"

namespace ebb {
namespace {

using namespace test;  // NOLINT: the case is half of this test

TEST(Dynamic, WeightsThatFitStayWhole) {
  Pager pager({16000_MiB, 1000_MiB}, 2);
  const WeightsIndex w = pager.add({{32_MiB, 0, 100, true}}, 3200_MiB);
  const PagedWork work = pager.use(w, 1000_MiB, false);
  EXPECT_EQ(work.resident_pages, 100);
  EXPECT_EQ(work.streamed_bytes, 0);
  EXPECT_EQ(work.cast_buffer_bytes, 0);
  EXPECT_EQ(work.hit_bytes, 0);
  EXPECT_EQ(pager.use(w, 1000_MiB, false).hit_bytes, 3200_MiB);
}

TEST(Dynamic, PagesGoFirstFromTheModelUsedLongestAgo) {
  Pager pager({8000_MiB, 256_MiB}, 2);  // room for 234 pages without activations
  const WeightsIndex a = pager.add({{32_MiB, 0, 100, true}}, 3200_MiB);
  const WeightsIndex b = pager.add({{32_MiB, 0, 100, true}}, 3200_MiB);
  const WeightsIndex c = pager.add({{32_MiB, 0, 100, true}}, 3200_MiB);
  for (const WeightsIndex w : {a, b, c}) pager.use(w, 0, false);
  EXPECT_EQ(pager.pages(a), 34);
  EXPECT_EQ(pager.pages(b), 100);
  EXPECT_EQ(pager.pages(c), 100);
  EXPECT_EQ(pager.listed(), (std::vector<WeightsIndex>{c, b, a}));
  EXPECT_EQ(pager.use(a, 0, false).hit_bytes, 34 * 32_MiB);  // the lowest addresses were kept
}

TEST(Dynamic, BuffersToStreamThroughTakeRoomOfPages) {
  Pager pager({2000_MiB, 0}, 2);
  const WeightsIndex w = pager.add({{64_MiB, 0, 100, true}}, 6400_MiB);
  const PagedWork work = pager.use(w, 0, false);
  EXPECT_EQ(work.cast_buffer_bytes, 128_MiB);
  EXPECT_EQ(work.resident_pages, (2000 - 256 - 128) / 32);
  EXPECT_EQ(work.kept_bytes + work.streamed_bytes, 6400_MiB);
}

TEST(Dynamic, UnloadingEmptiesEverything) {
  Pager pager({16000_MiB, 1000_MiB}, 2);
  const WeightsIndex w = pager.add({{32_MiB, 0, 10, true}, {1_MiB, 0, 1, false}}, 321_MiB);
  pager.use(w, 0, true);
  EXPECT_EQ(pager.used_bytes(), 321_MiB);  // what can't be paged is loaded beside the pages
  pager.unload_all();
  EXPECT_EQ(pager.used_bytes(), 0);
  EXPECT_TRUE(pager.listed().empty());
}

TEST(Dynamic, NothingFitsOnAFullCard) {
  Pager pager({1000_MiB, 900_MiB}, 2);
  const WeightsIndex w = pager.add({{64_MiB, 0, 100, true}}, 6400_MiB);
  for (const bool once : {false, true}) {
    const PagedWork work = pager.use(w, 1LL << 60, once);
    EXPECT_EQ(work.resident_pages, 0);
    EXPECT_EQ(work.streamed_bytes, 6400_MiB);
  }
}

Machine paged_machine(WanCase& run) {
  Machine machine = run.machine;
  machine.flags = {};
  return machine;
}

TEST(Dynamic, FlagsAndVersionsDecideWhetherWeightsArePaged) {
  WanCase run(81, {0, 18, 2});
  Machine machine = paged_machine(run);
  EXPECT_TRUE(uses_dynamic_vram(machine));
  machine.flags.vram_state = VramState::low;
  EXPECT_TRUE(uses_dynamic_vram(machine));
  for (const char* flags :
       {"--disable-dynamic-vram", "--highvram", "--novram", "--gpu-only", "--cpu"}) {
    machine.flags = *parse_comfy_flags(flags);
    EXPECT_FALSE(uses_dynamic_vram(machine)) << flags;
  }
  machine.flags = {};
  machine.comfyui = {0, 8, 0};
  EXPECT_FALSE(uses_dynamic_vram(machine));
}

TEST(Dynamic, BeforeItWasTheDefaultFastAskedForIt) {
  WanCase run(81, {0, 14, 1});
  Machine machine = paged_machine(run);
  const auto pages = [&](ComfyVersion version, const char* flags) {
    machine.comfyui = version;
    machine.flags = *parse_comfy_flags(flags);
    return uses_dynamic_vram(machine);
  };
  EXPECT_FALSE(pages({0, 14, 1}, ""));
  EXPECT_TRUE(pages({0, 14, 1}, "--fast dynamic_vram"));
  EXPECT_TRUE(pages({0, 14, 1}, "--fast fp16_accumulation dynamic_vram --port 1"));
  EXPECT_TRUE(pages({0, 14, 1}, "--fast")) << "without a list it is all of them";
  EXPECT_FALSE(pages({0, 14, 1}, "--fast fp16_accumulation"));
  EXPECT_FALSE(pages({0, 14, 1}, "--fast dynamic_vram --highvram"));
  EXPECT_FALSE(pages({0, 11, 1}, "--fast dynamic_vram")) << "no such choice yet";
  const auto notes = simulate(run.passes, machine).notes;
  EXPECT_EQ(std::ranges::count(notes, Say::no_pages_on_wish, &Message::code), 1);
  EXPECT_TRUE(pages({0, 18, 2}, "--enable-dynamic-vram --novram"));
}

TEST(Dynamic, WithoutSmartMemoryEachRequestEmptiesTheRest) {
  WanCase run(61, {0, 18, 2});
  Machine machine = paged_machine(run);
  machine.flags = *parse_comfy_flags("--disable-smart-memory");
  const Timeline timeline = simulate(run.passes, machine);
  const StepState& low = timeline.steps[WanCase::kSampleLow];
  EXPECT_EQ(low.vram[WanCase::high], 0);
  ASSERT_FALSE(low.evictions.empty());
  EXPECT_FALSE(low.evictions[0].partial);
}

// Room for pages: min(card - others - 256, card - reserve) - headroom, from 0.25.0 on.
TEST(Dynamic, ReserveAndHeadroomActOnPagesFrom0250On) {
  Machine machine = WanCase(61, {0, 25, 0}).machine;
  machine.vram_total.bytes = 24576_MiB;
  machine.vram_free.bytes = 23576_MiB;  // others hold 1,000
  const auto kept = [&](ComfyVersion version, const char* flags) {
    machine.comfyui = version;
    machine.flags = *parse_comfy_flags(flags);
    return Pager(paged_card(machine), 2).kept_free_bytes();
  };
  EXPECT_EQ(kept({0, 25, 0}, ""), 256_MiB);
  EXPECT_EQ(kept({0, 25, 0}, "--reserve-vram 1"), 256_MiB) << "others hold nearly as much";
  EXPECT_EQ(kept({0, 25, 0}, "--reserve-vram 4"), 3096_MiB);
  EXPECT_EQ(kept({0, 25, 0}, "--vram-headroom 2"), 2304_MiB);
  EXPECT_EQ(kept({0, 33, 0}, "--reserve-vram 4 --vram-headroom 2"), 5144_MiB);
  EXPECT_EQ(kept({0, 18, 2}, "--reserve-vram 4 --vram-headroom 2"), 256_MiB);
}

TEST(Dynamic, RamIsALowerBoundWhereResidentWeightsKeepCopies) {
  WanCase run(61, {0, 33, 0});
  Machine machine = paged_machine(run);
  const Timeline timeline = simulate(run.passes, machine);
  EXPECT_TRUE(timeline.ram_open);
  const Outcome outcome = judge(run.passes, timeline, machine);
  EXPECT_TRUE(outcome.ram_open);
  EXPECT_GT(outcome.ram_peak_bytes, 0);
  for (const PassOutcome& pass : outcome.passes) {
    EXPECT_FALSE(pass.ram_peak_bytes);
    EXPECT_GT(pass.ram_at_least_bytes, 0);
  }
  for (const char* flags : {"--fast-disk", "--disable-pinned-memory", "--disable-dynamic-vram"}) {
    machine.flags = *parse_comfy_flags(flags);
    EXPECT_FALSE(simulate(run.passes, machine).ram_open) << flags;
  }
  machine.flags = {};
  machine.comfyui = {0, 29, 0};
  EXPECT_FALSE(simulate(run.passes, machine).ram_open);
}

TEST(Dynamic, SecondExpertTakesPagesOfTheFirst) {
  WanCase run(61, {0, 18, 2});
  const Timeline timeline = simulate(run.passes, paged_machine(run));
  EXPECT_EQ(timeline.policy, (Policy{Policy::paged, {0, 18, 2}}));
  const StepState& low = timeline.steps[WanCase::kSampleLow];
  ASSERT_EQ(low.loads.size(), 1u);
  EXPECT_TRUE(low.loads[0].full);
  EXPECT_EQ(low.loads[0].offloaded_bytes, 0);
  EXPECT_EQ(low.streamed_bytes, 0);
  EXPECT_GT(low.vram[WanCase::high], 0);  // keeps what the second does not need
  EXPECT_LT(low.vram[WanCase::high], run.passes.weights[WanCase::high].bytes);
}

TEST(Dynamic, WhatHasNoPageIsStreamedAndLockedInRam) {
  WanCase run(61, {0, 18, 2});
  run.machine.vram_total.bytes = 16376_MiB;
  run.machine.vram_free.bytes = 15576_MiB;
  const Timeline timeline = simulate(run.passes, paged_machine(run));
  const StepState& high = timeline.steps[WanCase::kSampleHigh];
  const Load& load = high.loads.at(0);
  EXPECT_GT(load.offloaded_bytes, 0);
  EXPECT_EQ(load.free_bytes - load.minimum_bytes - load.reserve_bytes, load.usable_bytes);
  EXPECT_EQ(high.streamed_bytes % load.offloaded_bytes, 0);
  EXPECT_GE(high.streamed_bytes, 10 * load.offloaded_bytes);  // in each of ten repeats
  EXPECT_EQ(high.ram_pinned_bytes, load.offloaded_bytes);
  EXPECT_LE(high.vram_peak_bytes, run.machine.vram_total.bytes);
}

TEST(Dynamic, UnloadingBetweenPassesGainsNothingAndCostsReloading) {
  WanCase run(61, {0, 18, 2});
  Levers levers;
  levers.cuts.push_back({1, CutAction::unload_all, {}});
  const Machine machine = paged_machine(run);
  const Timeline with = simulate(run.passes, machine, levers);
  const Timeline without = simulate(run.passes, machine);
  EXPECT_EQ(with.steps[WanCase::kSampleLow].loads[0].offloaded_bytes,
            without.steps[WanCase::kSampleLow].loads[0].offloaded_bytes);
  EXPECT_EQ(with.steps[WanCase::kSampleLow].vram[WanCase::high], 0);
  std::int64_t needed_with = 0, needed_without = 0;
  for (const StepState& s : with.steps) needed_with = std::max(needed_with, s.ram_needed_bytes);
  for (const StepState& s : without.steps) {
    needed_without = std::max(needed_without, s.ram_needed_bytes);
  }
  EXPECT_EQ(needed_with, needed_without);
}

TEST(Dynamic, OtherLorasKeepThePagesAndNothingInThem) {
  Pager pager({16_GiB, 0}, 2);
  const WeightsIndex w = pager.add({{100_MiB, 0, 32, true}}, 3200_MiB);
  pager.use(w, 0, false);
  pager.spoil(w);
  const PagedWork spoiled = pager.use(w, 0, false);
  EXPECT_EQ(spoiled.hit_bytes, 0);
  EXPECT_EQ(spoiled.resident_pages, 100);
  EXPECT_EQ(pager.use(w, 0, false).hit_bytes, 3200_MiB);
}

}  // namespace
}  // namespace ebb
