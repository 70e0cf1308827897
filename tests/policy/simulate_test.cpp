// SPDX-License-Identifier: Apache-2.0
// Whole runs: what is where at every step, what moves, and what levers change.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "ebb/policy.h"
#include "ebb/report.h"
#include "tests/policy/wan_case.h"
#include "tests/support.h"

namespace ebb {
namespace {

using test::WanCase;

double mib(std::int64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }

std::int64_t sum(const std::vector<std::int64_t>& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
}

const Load& load_at(const Timeline& timeline, StepIndex step) {
  return timeline.steps[step].loads.at(0);
}

std::int64_t ram_needed(const Timeline& timeline) {
  std::int64_t peak = 0;
  for (const StepState& state : timeline.steps) peak = std::max(peak, state.ram_needed_bytes);
  return peak;
}

std::int64_t read_bytes(const Timeline& timeline) {
  std::int64_t bytes = 0;
  for (const StepState& state : timeline.steps) bytes += state.read_bytes;
  return bytes;
}

TEST(Simulate, TheUsersCaseIsTheSameForBothExperts) {
  const WanCase wan(81);
  const Timeline timeline = simulate(wan.passes, wan.machine);
  EXPECT_EQ(timeline.policy, (Policy{Policy::classic, {0, 3, 73}}));
  for (const StepIndex step : {WanCase::kSampleHigh, WanCase::kSampleLow}) {
    const Load& load = load_at(timeline, step);
    EXPECT_NEAR(mib(load.usable_bytes), 11329.28, 0.2);
    EXPECT_NEAR(mib(load.offloaded_bytes), 2299.80, 0.2);
    EXPECT_EQ(load.usable_bytes, load.free_bytes - load.minimum_bytes - load.reserve_bytes);
    EXPECT_FALSE(load.full);
    EXPECT_EQ(load.log.substr(0, 34), "loaded partially; 11329.38 MB usab");
  }
}

TEST(Simulate, AnUnloadBetweenThePassesChangesNoVramNumber) {
  const WanCase wan(81);
  const Timeline stock = simulate(wan.passes, wan.machine);
  Levers levers;
  levers.cuts.push_back({1, CutAction::unload_all, {}});
  const Timeline unloaded = simulate(wan.passes, wan.machine, levers);
  EXPECT_EQ(load_at(stock, WanCase::kSampleLow).usable_bytes,
            load_at(unloaded, WanCase::kSampleLow).usable_bytes);
  EXPECT_EQ(load_at(stock, WanCase::kSampleLow).offloaded_bytes,
            load_at(unloaded, WanCase::kSampleLow).offloaded_bytes);
  EXPECT_EQ(ram_needed(stock), ram_needed(unloaded));
}

TEST(Simulate, OnlyOneExpertIsEverOnTheGpu) {
  const WanCase wan(81);
  const Timeline timeline = simulate(wan.passes, wan.machine);
  const StepState& low = timeline.steps[WanCase::kSampleLow];
  EXPECT_EQ(low.vram[WanCase::high], 0);
  EXPECT_EQ(low.ram[WanCase::high], wan.passes.weights[WanCase::high].bytes);
  ASSERT_EQ(low.evictions.size(), 1u);
  EXPECT_EQ(low.evictions[0].weights, WanCase::high);
  EXPECT_EQ(low.evictions[0].bytes, timeline.steps[WanCase::kSampleHigh].vram[WanCase::high]);
  for (const StepState& state : timeline.steps) {
    for (const WeightsIndex w : state.vram.indices()) {
      EXPECT_LE(state.vram[w] + state.ram[w], wan.passes.weights[w].bytes);
    }
  }
}

TEST(Simulate, RamPeaksWhereTheFirstExpertComesBackBeforeTheSecondLeaves) {
  const WanCase wan(61);
  const Timeline timeline = simulate(wan.passes, wan.machine);
  const StepState& low = timeline.steps[WanCase::kSampleLow];
  const std::int64_t both = 2 * wan.passes.weights[WanCase::high].bytes;
  const std::int64_t text = wan.passes.weights[WanCase::text].bytes;
  EXPECT_EQ(low.ram_needed_bytes,
            wan.machine.ram_others.bytes + both + text + low.ram_data_bytes - 20_MiB);
}

// The process's peak in MB (10^6), measured on ComfyUI 0.3.64 with --cpu, two experts of 1,662 MB
// and 530 to 560 MB when idle; 0.8.0 and 0.18.2 were within 1 %.
TEST(Simulate, RamPeaksMeasuredOnTheRealProgramAreMet) {
  WanCase wan(61, {0, 3, 64});
  wan.machine.flags.cpu = true;
  wan.machine.ram_others.bytes = 545'000'000;
  for (const WeightsIndex w : {WanCase::text, WanCase::vae}) {
    wan.passes.weights[w].bytes_from = BytesFrom::unknown;
  }
  for (const WeightsIndex w : {WanCase::high, WanCase::low}) {
    wan.passes.weights[w] =
        test::known_weights("expert" + std::to_string(w.at), WeightsRole::diffusion, 1'662'000'000,
                            {{1662000, 0, 1000}});
  }
  for (Step& step : wan.passes.steps) step.demand = {};
  const auto peak_mb = [&](const Levers& levers) {
    std::int64_t peak = 0;
    for (const StepState& s : simulate(wan.passes, wan.machine, levers).steps) {
      peak = std::max(peak, s.ram_peak_bytes);
    }
    return static_cast<double>(peak) / 1e6;
  };
  EXPECT_NEAR(peak_mb({}), 5535, 55);
  EXPECT_NEAR(peak_mb({{{1, CutAction::unload_all, {}}}, {}}), 5537, 55);
  EXPECT_NEAR(peak_mb({{{1, CutAction::drop, {}}}, {}}), 3871, 39);
  wan.machine.flags.cache = CacheKind::none;
  EXPECT_NEAR(peak_mb({}), 3872, 39);
}

TEST(Simulate, WhileAFileIsReadItsPagesCountBesideTheTensors) {
  const WanCase wan(61);
  const StepState load = simulate(wan.passes, wan.machine).steps[2];
  EXPECT_EQ(load.ram_peak_bytes - load.ram_needed_bytes, wan.passes.weights[1].file_bytes);
}

TEST(Simulate, DroppingTheFirstExpertLowersRamAndLeavesVramAsItWas) {
  const WanCase wan(81);
  const Timeline stock = simulate(wan.passes, wan.machine);
  Levers levers;
  levers.cuts.push_back({1, CutAction::drop, {}});
  const Timeline dropped = simulate(wan.passes, wan.machine, levers);
  EXPECT_EQ(dropped.steps[WanCase::kSampleLow].ram[WanCase::high], 0);
  EXPECT_LT(dropped.steps[WanCase::kSampleLow].ram_peak_bytes,
            stock.steps[WanCase::kSampleLow].ram_peak_bytes - 10_GiB);
  EXPECT_EQ(load_at(stock, WanCase::kSampleLow).offloaded_bytes,
            load_at(dropped, WanCase::kSampleLow).offloaded_bytes);
  EXPECT_EQ(read_bytes(dropped), read_bytes(stock));  // nobody needs it again
}

TEST(Simulate, WhatIsDroppedAndUsedAgainIsReadAgain) {
  WanCase wan(61);
  wan.passes.steps[WanCase::kSampleLow].uses = {WanCase::high};
  wan.passes.steps[WanCase::kSampleLow - 1].reads.clear();
  Levers levers;
  levers.cuts.push_back({1, CutAction::drop, {WanCase::high}});
  const Timeline timeline = simulate(wan.passes, wan.machine, levers);
  EXPECT_EQ(timeline.steps[WanCase::kSampleLow].read_bytes,
            wan.passes.weights[WanCase::high].file_bytes);
}

TEST(Simulate, ParkingMovesWeightsToRamAtTheCut) {
  const WanCase wan(61);
  Levers levers;
  levers.cuts.push_back({1, CutAction::park, {}});
  const Timeline timeline = simulate(wan.passes, wan.machine, levers);
  const StepState& next = timeline.steps[WanCase::kSampleHigh + 1];  // the loader of the second
  ASSERT_EQ(next.evictions.size(), 1u);
  EXPECT_EQ(next.evictions[0].weights, WanCase::high);
  EXPECT_EQ(next.vram[WanCase::high], 0);
  EXPECT_EQ(next.moved_bytes, wan.passes.weights[WanCase::high].bytes);
}

TEST(Simulate, ReadingAheadHidesTheDiskBehindTheComputing) {
  WanCase wan(61);
  wan.machine.disk_bytes_per_second = {1e9, NumberKind::given, ""};
  wan.machine.ram_bytes_per_second = {1e10, NumberKind::given, ""};
  wan.machine.compute_flops_per_second = {1e14, NumberKind::given, ""};  // 100 s a sampler
  Levers levers;
  levers.cuts.push_back({0, CutAction::prefetch, {WanCase::low}});
  const Timeline stock = simulate(wan.passes, wan.machine);
  const Timeline ahead = simulate(wan.passes, wan.machine, levers);
  const StepIndex loader = WanCase::kSampleLow - 1;
  EXPECT_NEAR(*stock.steps[loader].read_seconds, 14.29, 0.01);
  EXPECT_NEAR(*ahead.steps[loader].read_seconds, 1.429, 0.001);
  EXPECT_EQ(*ahead.steps[WanCase::kSampleHigh].read_seconds, 0);
  EXPECT_EQ(read_bytes(stock), read_bytes(ahead));
  wan.machine.ram_total.bytes = 24_GiB;
  EXPECT_FALSE(simulate(wan.passes, wan.machine, levers).notes.empty());
}

TEST(Simulate, PicturesOfATextEncoderGoThroughTheVaeInARequestBefore) {
  WanCase wan(81);
  Step& step = wan.passes.steps[1];
  const Demand pictures = wan.passes.steps[WanCase::kDecode].demand;
  wan.passes.steps[0].reads.push_back(WanCase::vae);
  step.uses.push_back(WanCase::vae);
  step.earlier = EarlierWork{{WanCase::vae}, pictures};
  const Timeline timeline = simulate(wan.passes, wan.machine);
  const StepState& state = timeline.steps.at(1);
  ASSERT_EQ(state.loads.size(), 2u);
  EXPECT_EQ(state.loads[0].weights, WanCase::vae);
  EXPECT_EQ(state.loads[1].weights, WanCase::text);
  EXPECT_EQ(state.loads[0].minimum_bytes, pictures.asked.bytes);
  EXPECT_LT(state.loads[1].minimum_bytes, 1_GiB);  // ComfyUI's least, not the pictures'
  EXPECT_TRUE(state.loads[1].full);
  EXPECT_GE(state.vram_peak_bytes, pictures.reserved.bytes);
}

TEST(Simulate, ABudgetReplacesTheEstimate) {
  const WanCase wan(161);
  Levers levers;
  levers.budgets.push_back({WanCase::high, 8_GiB, WanCase::kSampleHigh});
  const Timeline timeline = simulate(wan.passes, wan.machine, levers);
  EXPECT_EQ(load_at(timeline, WanCase::kSampleHigh).offloaded_bytes, 0);
  EXPECT_EQ(load_at(timeline, WanCase::kSampleHigh).minimum_bytes, 8_GiB);
  EXPECT_GT(load_at(timeline, WanCase::kSampleLow).offloaded_bytes, 13_GiB);
}

std::vector<Say> codes(const std::vector<Part>& parts) {
  std::vector<Say> all;
  for (const Part& part : parts) all.push_back(part.what);
  return all;
}

TEST(Simulate, TheTermsOfABudgetAreThoseThatTheManagerAdded) {
  const WanCase wan(81);
  Levers levers;
  levers.budgets.push_back({WanCase::high, 8_GiB, WanCase::kSampleHigh});
  const Timeline stock = simulate(wan.passes, wan.machine);
  const Timeline measured = simulate(wan.passes, wan.machine, levers);
  using enum Say;
  EXPECT_EQ(codes(load_at(stock, WanCase::kSampleHigh).parts),
            (std::vector{free_before_any_model, asked, reserve}));
  EXPECT_EQ(codes(load_at(measured, WanCase::kSampleHigh).parts),
            (std::vector{free_before_any_model, still_on_the_card, asked_by_the_budget, reserve}));
  for (const Timeline* timeline : {&stock, &measured}) {
    for (const StepState& state : timeline->steps) {
      EXPECT_TRUE(comes_to(state.ram_parts, static_cast<double>(state.ram_needed_bytes)));
      for (const Load& load : state.loads) {
        EXPECT_TRUE(comes_to(load.parts, static_cast<double>(load.usable_bytes)));
        EXPECT_EQ(load.size_bytes, load.loaded_bytes + load.offloaded_bytes + load.unlisted_bytes +
                                       load.uncounted_bytes);
      }
    }
  }
}

TEST(Simulate, ABudgetThatALimitRaisesSaysWhich) {
  WanCase wan(81);
  wan.machine.vram_free.bytes = 10_GiB;  // less than a step asks for
  wan.machine.vram_total.bytes = 11_GiB;
  const Load load = load_at(simulate(wan.passes, wan.machine), WanCase::kSampleHigh);
  EXPECT_EQ(load.parts.back().what,
            load.usable_bytes == 0 ? Say::raised_to_loaded : Say::raised_to_least);
  EXPECT_GT(load.parts.back().bytes, 0);
}

TEST(Simulate, WhatCannotBePagedIsATermOfItsOwn) {
  WanCase wan(81, {0, 18, 2});
  wan.machine.flags.disable_dynamic_vram = false;
  const Load load = load_at(simulate(wan.passes, wan.machine), WanCase::kSampleHigh);
  const auto own = std::ranges::find(load.parts, Say::what_is_not_paged, &Part::what);
  ASSERT_NE(own, load.parts.end());
  EXPECT_EQ(own->weights, WanCase::high);
}

TEST(Simulate, OffloadedWeightsAreStreamedOncePerForward) {
  WanCase wan(81);
  const Timeline two = simulate(wan.passes, wan.machine);
  const Load& load = load_at(two, WanCase::kSampleHigh);
  EXPECT_EQ(two.steps[WanCase::kSampleHigh].streamed_bytes, load.offloaded_bytes * 10 * 2);
  wan.passes.steps[WanCase::kSampleHigh].demand.forwards = 1;
  const Timeline one = simulate(wan.passes, wan.machine);
  EXPECT_EQ(one.steps[WanCase::kSampleHigh].streamed_bytes, load.offloaded_bytes * 10);
}

TEST(Simulate, SecondsNeedKnownRates) {
  WanCase wan(81);
  const StepState without = simulate(wan.passes, wan.machine).steps[WanCase::kSampleHigh];
  EXPECT_FALSE(without.move_seconds);
  EXPECT_FALSE(without.compute_seconds);
  EXPECT_FALSE(without.stall_seconds);
  wan.machine.link_bytes_per_second = {25e9, NumberKind::assumed, ""};
  wan.machine.compute_flops_per_second = {1e16, NumberKind::assumed, ""};
  const StepState with = simulate(wan.passes, wan.machine).steps[WanCase::kSampleHigh];
  EXPECT_NEAR(*with.compute_seconds, 1.0, 1e-9);
  EXPECT_NEAR(*with.stream_seconds, static_cast<double>(with.streamed_bytes) / 25e9, 1e-9);
}

TEST(Simulate, StreamingHidesBehindComputeOnlyOnStreamsOfItsOwn) {
  WanCase wan(81);
  wan.machine.link_bytes_per_second = {25e9, NumberKind::assumed, ""};
  wan.machine.compute_flops_per_second = {1e16, NumberKind::assumed, ""};
  const auto waits = [&](ComfyVersion version, const char* flags) {
    wan.machine.comfyui = version;
    wan.machine.flags = *parse_comfy_flags(std::string("--reserve-vram 4 ") + flags);
    const StepState step = simulate(wan.passes, wan.machine).steps[WanCase::kSampleHigh];
    EXPECT_GT(*step.stream_seconds, *step.compute_seconds);
    return *step.stall_seconds / *step.stream_seconds;
  };
  const ComfyVersion turns{0, 3, 73}, streams{0, 8, 0};
  EXPECT_EQ(waits(turns, ""), 1);
  EXPECT_LT(waits(turns, "--async-offload"), 0.9);
  EXPECT_LT(waits(streams, ""), 0.9);
  EXPECT_EQ(waits(streams, "--disable-async-offload"), 1);
  EXPECT_EQ(waits(streams, "--async-offload 1"), 1);
}

TEST(Simulate, CacheNoneForgetsWeightsAfterTheirLastStep) {
  WanCase wan(61);
  const Timeline stock = simulate(wan.passes, wan.machine);
  wan.machine.flags.cache = CacheKind::none;
  const Timeline none = simulate(wan.passes, wan.machine);
  EXPECT_EQ(none.steps[WanCase::kSampleLow].ram[WanCase::high], 0);
  EXPECT_EQ(none.steps[WanCase::kSampleLow].ram[WanCase::text], 0);
  EXPECT_LT(ram_needed(none), ram_needed(stock) - 10_GiB);
}

TEST(Simulate, ALoraKeepsTheOriginalsInRam) {
  WanCase wan(61);
  wan.passes.weights.push_back(test::known_weights("speedup", WeightsRole::lora, 600_MiB, {}));
  const int lora = 4;
  wan.passes.steps[2].reads.push_back(lora);
  const Timeline plain = simulate(wan.passes, wan.machine);
  wan.passes.steps[WanCase::kSampleHigh].loras = {lora};
  const Timeline patched = simulate(wan.passes, wan.machine);
  const StepState& state = patched.steps[WanCase::kSampleHigh];
  EXPECT_EQ(plain.steps[WanCase::kSampleHigh].ram[WanCase::high], 0);
  EXPECT_EQ(state.ram[WanCase::high], wan.passes.weights[WanCase::high].listed_bytes);
  EXPECT_EQ(state.ram[lora], 600_MiB);
  EXPECT_EQ(state.vram[lora], 0);
  EXPECT_FALSE(patched.notes.empty());  // that all weights are patched is assumed
  // Evicting it moves only what was not patched back over the link.
  EXPECT_LT(patched.steps[WanCase::kSampleLow].moved_bytes,
            plain.steps[WanCase::kSampleLow].moved_bytes - 13_GiB);
}

TEST(Simulate, UnknownWeightsTakeNoRoom) {
  WanCase wan(61);
  wan.passes.weights[WanCase::high].bytes_from = BytesFrom::unknown;
  const Timeline timeline = simulate(wan.passes, wan.machine);
  EXPECT_TRUE(timeline.steps[WanCase::kSampleHigh].loads.empty());
  EXPECT_EQ(timeline.steps[WanCase::kSampleHigh].vram[WanCase::high], 0);
}

TEST(Simulate, UnknownDemandIsSaidToBeUnknown) {
  WanCase wan(61);
  wan.passes.steps[WanCase::kSampleHigh].demand = {};
  const StepState state = simulate(wan.passes, wan.machine).steps[WanCase::kSampleHigh];
  EXPECT_FALSE(state.demand_known);
  EXPECT_EQ(state.reserved_bytes, 0);
  EXPECT_TRUE(state.loads.at(0).full);
}

TEST(Simulate, DynamicVramIsNotedAndVersionsBetweenRowsAreKnown) {
  WanCase wan(61, {0, 18, 2});
  EXPECT_TRUE(simulate(wan.passes, wan.machine).notes.empty());
  wan.machine.flags.disable_dynamic_vram = false;
  EXPECT_EQ(simulate(wan.passes, wan.machine).notes.size(), 1u);
  wan.machine.comfyui = {0, 9, 1};
  EXPECT_EQ(simulate(wan.passes, wan.machine).policy, (Policy{Policy::classic, {0, 9, 1}}));
  EXPECT_TRUE(simulate(wan.passes, wan.machine).notes.empty());
}

TEST(Simulate, WhatIsNotKnownOfAFileThatIsNotPagedIsSaid) {
  WanCase wan(61, {0, 18, 2});
  wan.machine.flags.disable_dynamic_vram = false;
  wan.passes.weights.at(1).files = {"high.gguf"};
  const auto said = [&] {
    const std::vector<Message> notes = simulate(wan.passes, wan.machine).notes;
    return std::ranges::count(notes, Say::gguf_is_not_paged, &Message::code) > 0;
  };
  EXPECT_TRUE(said());
  wan.machine.flags.disable_dynamic_vram = true;
  EXPECT_FALSE(said());
}

TEST(Simulate, WhatIsNotKnownYetOfAReleaseIsNamedInOneLine) {
  WanCase wan(61, {0, 33, 0});
  wan.machine.flags = {};
  const auto notes = [&](ComfyVersion version) {
    wan.machine.comfyui = version;
    std::vector<std::string> words;
    for (const Message& note : simulate(wan.passes, wan.machine).notes) words.push_back(say(note));
    return words;
  };
  const std::string newest = notes({0, 33, 0}).at(0);
  EXPECT_NE(newest.find("copies in RAM of weights that are on the card"), std::string::npos);
  EXPECT_NE(newest.find("node cache"), std::string::npos);
  EXPECT_EQ(notes({0, 29, 0}).at(0).find("copies in RAM"), std::string::npos);
  EXPECT_EQ(notes({0, 22, 0}).at(0).find("node cache"), std::string::npos);
  EXPECT_NE(notes({0, 38, 1}).at(0).find("what changed after 0.33.0"), std::string::npos);
  EXPECT_NE(notes({0, 3, 20}).at(1).find("update it"), std::string::npos);
}

TEST(Simulate, HighvramPutsDiffusionModelsOnTheGpuForGood) {
  WanCase wan(61);
  wan.machine.flags.vram_state = VramState::high;
  const Timeline timeline = simulate(wan.passes, wan.machine);
  const StepState& low = timeline.steps[WanCase::kSampleLow];
  EXPECT_EQ(low.vram[WanCase::high], wan.passes.weights[WanCase::high].bytes);
  EXPECT_EQ(low.vram[WanCase::low], wan.passes.weights[WanCase::low].bytes);
  EXPECT_EQ(low.ram[WanCase::high], 0);
}

TEST(Simulate, NovramStreamsEverything) {
  WanCase wan(61);
  wan.machine.flags.vram_state = VramState::none;
  const Timeline timeline = simulate(wan.passes, wan.machine);
  const StepState& high = timeline.steps[WanCase::kSampleHigh];
  EXPECT_EQ(sum(high.vram), 0);
  EXPECT_EQ(load_at(timeline, WanCase::kSampleHigh).usable_bytes, 0);
  EXPECT_EQ(load_at(timeline, WanCase::kSampleHigh).offloaded_bytes,
            wan.passes.weights[WanCase::high].listed_bytes);
  EXPECT_TRUE(timeline.steps[1].loads.empty());  // the text encoder stays on the CPU
}

TEST(Simulate, UpscalersAreMovedByTheirNodeAndLeaveAgain) {
  WanCase wan(61);
  wan.passes.weights[WanCase::vae].role = WeightsRole::upscaler;
  wan.passes.steps[WanCase::kDecode].kind = StepKind::upscale;
  wan.passes.steps.push_back({});
  const Timeline timeline = simulate(wan.passes, wan.machine);
  EXPECT_EQ(timeline.steps[WanCase::kDecode].vram[WanCase::vae], 253785062);
  EXPECT_EQ(timeline.steps.back().vram[WanCase::vae], 0);
  EXPECT_EQ(timeline.steps.back().ram[WanCase::vae], 253785062);
}

TEST(Simulate, PeaksCoverWhatIsHeldAndBytesAreNeverNegative) {
  for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 18, 2}}) {
    for (const VramState state :
         {VramState::normal, VramState::low, VramState::none, VramState::high}) {
      WanCase wan(81, version);
      wan.machine.flags.vram_state = state;
      const Timeline timeline = simulate(wan.passes, wan.machine);
      ASSERT_EQ(timeline.steps.size(), wan.passes.steps.size());
      for (const StepState& s : timeline.steps) {
        EXPECT_LE(s.vram_others_bytes + sum(s.vram) + s.reserved_bytes, s.vram_peak_bytes);
        EXPECT_LE(wan.machine.ram_others.bytes + sum(s.ram) + s.ram_data_bytes, s.ram_peak_bytes);
        for (std::int64_t bytes : s.vram) EXPECT_GE(bytes, 0);
        for (std::int64_t bytes : s.ram) EXPECT_GE(bytes, 0);
      }
    }
  }
}

TEST(Simulate, WrongIndexesAndEmptyInputAreHarmless) {
  EXPECT_TRUE(simulate({}, {}).steps.empty());
  WanCase wan(61);
  wan.passes.steps[1].uses = {-1, 99, WanCase::text, WanCase::text};
  Levers levers;
  levers.cuts = {{-1, CutAction::drop, {}}, {99, CutAction::drop, {}}, {0, CutAction::drop, {99}}};
  levers.budgets = {{99, -5, 99}, {-1, 0, -1}};
  EXPECT_EQ(simulate(wan.passes, wan.machine, levers).steps.size(), wan.passes.steps.size());
}

TEST(Simulate, TenThousandStepsTakeMilliseconds) {
  WanCase wan(81);
  const std::vector<Step> once = wan.passes.steps;
  while (wan.passes.steps.size() < 10000) {
    wan.passes.steps.insert(wan.passes.steps.end(), once.begin(), once.end());
  }
  const auto start = std::chrono::steady_clock::now();
  simulate(wan.passes, wan.machine);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  EXPECT_LT(taken.count(), 1.0 * test::kPatience);  // measured: 0.02 s; catches a wrong order
}

// ---- queued again --------------------------------------------------------------------------

// The second sampler and what hangs on it: its seed was changed.
Passes second_half(const WanCase& wan) {
  Passes again = wan.passes;
  again.passes.clear();
  again.cuts.clear();
  again.steps.erase(again.steps.begin(), again.steps.begin() + WanCase::kSampleLow.at);
  again.steps.erase(again.steps.begin() + 1);  // the VAE's loader was kept
  return again;
}

TEST(SimulateAgain, StartsWithWhatTheFirstRunLeft) {
  const WanCase wan(81);
  const Timeline first = simulate(wan.passes, wan.machine);
  const Timeline again = simulate_again(wan.passes, second_half(wan), wan.machine);
  ASSERT_EQ(again.steps.size(), 2u);
  EXPECT_EQ(read_bytes(again), 0);  // all are in RAM
  EXPECT_EQ(load_at(again, 0).offloaded_bytes, load_at(first, WanCase::kSampleLow).offloaded_bytes);
  EXPECT_EQ(sum(again.steps[0].vram) + sum(again.steps[0].ram),
            sum(first.steps.back().vram) + sum(first.steps.back().ram));
  // The latent that is made again replaces the old one.
  EXPECT_EQ(again.steps.back().ram_data_bytes, first.steps.back().ram_data_bytes);
}

TEST(SimulateAgain, WithoutACacheReadsEverything) {
  WanCase wan(81);
  wan.machine.flags.cache = CacheKind::none;
  const Timeline first = simulate(wan.passes, wan.machine);
  const Timeline again = simulate_again(wan.passes, wan.passes, wan.machine);
  EXPECT_GT(read_bytes(first), 33 * 1_GiB);
  EXPECT_EQ(read_bytes(again), read_bytes(first));
  EXPECT_EQ(ram_needed(again), ram_needed(first));
}

TEST(Simulate, CacheRamLetsModelsGoThatNoNodeWaitsFor) {
  WanCase wan(81);
  wan.machine.ram_total = {31_GiB, NumberKind::given, ""};
  const Timeline all = simulate(wan.passes, wan.machine);
  wan.machine.flags.cache = CacheKind::ram;
  const Timeline relieved = simulate(wan.passes, wan.machine);
  EXPECT_EQ(all.steps[WanCase::kDecode].ram[WanCase::high],
            wan.passes.weights[WanCase::high].bytes);
  EXPECT_EQ(relieved.steps[WanCase::kDecode].ram[WanCase::high], 0);
  EXPECT_LT(ram_needed(relieved), ram_needed(all));
  wan.machine.ram_total = {128_GiB, NumberKind::given, ""};  // never short: nothing leaves
  EXPECT_EQ(ram_needed(simulate(wan.passes, wan.machine)), ram_needed(all));
}

TEST(Simulate, TheCpuHoldsHalfPrecisionModelsInFp32) {
  WanCase wan(81);
  wan.machine.flags.cpu = true;
  Weights& vae = wan.passes.weights[WanCase::vae];
  vae.stored_type = "bf16";
  vae.parameters = vae.bytes / 2;
  const Timeline timeline = simulate(wan.passes, wan.machine);
  EXPECT_EQ(timeline.steps.back().ram[WanCase::vae], vae.parameters * 4);
  EXPECT_EQ(timeline.steps.back().ram[WanCase::high],
            wan.passes.weights[WanCase::high].bytes);  // fp8_scaled
}

TEST(Simulate, FilesBeingReadAreABandOfTheirOwn) {
  const WanCase wan(81);
  const Timeline timeline = simulate(wan.passes, wan.machine);
  const StepState& loader = timeline.steps[WanCase::kSampleHigh - 1];
  EXPECT_EQ(loader.ram_file_bytes, wan.passes.weights[WanCase::high].file_bytes);
  EXPECT_EQ(timeline.steps[WanCase::kSampleHigh].ram_file_bytes, 0);
  EXPECT_LE(loader.ram_peak_bytes, loader.ram_needed_bytes + loader.ram_file_bytes);
}

}  // namespace
}  // namespace ebb
