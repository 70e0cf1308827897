// SPDX-License-Identifier: Apache-2.0
// Single rules of the memory manager, with numbers recorded from ComfyUI itself.
#include "policy/manager.h"

#include <gtest/gtest.h>

#include "policy/pins.h"
#include "tests/policy/wan_case.h"

namespace ebb {
namespace {

constexpr double kMib = 1024.0 * 1024.0;

double mib(std::int64_t bytes) { return static_cast<double>(bytes) / kMib; }

ManagerSettings settings(ComfyVersion version, double free_mib, double reserved_mib) {
  ManagerSettings s;
  s.rules = rules_for(version);
  s.streams = s.rules.streams;
  s.free_bytes = std::llround(free_mib * kMib);
  s.reserved_bytes = reserved_mib * kMib;
  return s;
}

Managed managed(std::int64_t size, const std::vector<ModuleGroup>& modules) {
  Managed m;
  m.size_bytes = size;
  for (const ModuleGroup& run : modules) m.runs.push_back({run, false});
  return m;
}

Managed expert(ComfyVersion version) {
  return version >= ComfyVersion{0, 8, 0} ? managed(14296074850, test::wan_modules_0_8())
                                          : managed(14293601848, test::wan_modules());
}

LoadRecord load_expert(ComfyVersion version, std::int64_t frames, double reserved_mib = 4096) {
  Manager manager(settings(version, 30723.9, reserved_mib));  // free: by the 61-frame line
  const WeightsIndex w = manager.add(expert(version));
  const auto minimum = static_cast<double>(test::wan_minimum_bytes(frames));
  return manager.load({w}, 2 * minimum, minimum).loads.at(0);
}

TEST(PolicyRules, AVersionBetweenRowsUsesTheRowBelow) {
  EXPECT_EQ(rules_for({0, 3, 70}).since, (ComfyVersion{0, 3, 69}));
  EXPECT_EQ(rules_for({0, 3, 76}).since, (ComfyVersion{0, 3, 76}));
  EXPECT_EQ(rules_for({0, 7, 0}).since, (ComfyVersion{0, 4, 0}));
  EXPECT_EQ(rules_for({0, 38, 1}).since, (ComfyVersion{0, 30, 0}));
  EXPECT_EQ(rules_for({0, 2, 0}).since, (ComfyVersion{0, 3, 25}));
  for (std::size_t i = 1; i < kVersionRules.size(); ++i) {
    EXPECT_LT(kVersionRules[i - 1].since, kVersionRules[i].since);
  }
}

// Between two versions that were recorded: what changed in which release, from ComfyUI's history.
TEST(PolicyRules, AChangeHoldsFromTheReleaseThatMadeIt) {
  const auto streams = [](ComfyVersion v) { return rules_for(v).streams; };
  EXPECT_EQ(streams({0, 3, 75}), 0);
  EXPECT_EQ(streams({0, 3, 76}), 2);
  EXPECT_EQ(streams({0, 6, 0}), 2);
  EXPECT_EQ(rules_for({0, 3, 75}).floor_bytes, 128 * kMib);
  EXPECT_EQ(rules_for({0, 3, 76}).floor_bytes, 0);
  EXPECT_FALSE(rules_for({0, 3, 76}).looks_ahead);
  EXPECT_TRUE(rules_for({0, 4, 0}).looks_ahead);
  EXPECT_TRUE(rules_for({0, 11, 1}).frees_when_just_enough);
  EXPECT_FALSE(rules_for({0, 12, 0}).frees_when_just_enough);
  EXPECT_FALSE(rules_for({0, 13, 0}).norms_castable);
  EXPECT_TRUE(rules_for({0, 14, 0}).norms_castable);
  EXPECT_TRUE(rules_for({0, 12, 0}).pages_on_wish);
  EXPECT_FALSE(rules_for({0, 15, 1}).pages);
  EXPECT_TRUE(rules_for({0, 16, 0}).pages);
  EXPECT_FALSE(rules_for({0, 22, 0}).ram_cache);
  EXPECT_TRUE(rules_for({0, 23, 0}).ram_cache);
  EXPECT_EQ(modules_as_of({0, 3, 76}), (ComfyVersion{0, 3, 73}));
  EXPECT_EQ(modules_as_of({0, 4, 0}), (ComfyVersion{0, 8, 0}));
  EXPECT_EQ(modules_as_of({0, 14, 0}), (ComfyVersion{0, 18, 2}));
  EXPECT_EQ(modules_as_of({0, 33, 0}), (ComfyVersion{0, 18, 2}));
}

// 0.3.76 kept room for three modules like the one that is streamed; 0.4.0 for the next two.
TEST(PolicyLoad, TheFirstStreamingBufferWasThreeOfAKind) {
  Manager manager(settings({0, 3, 76}, 1200 + 819.2, 0));
  const WeightsIndex w =
      manager.add(managed(2000_MiB, {{300_MiB, 0, 4, true}, {80_MiB, 0, 10, true}}));
  const LoadRecord r = manager.load({w}, 819.2 * kMib).loads.at(0);  // leaves 1,200
  EXPECT_EQ(r.buffer_bytes, 900_MiB);
  EXPECT_EQ(r.loaded_bytes, 240_MiB);  // 3 * 80 stay below 1,200 - 900
  Manager later(settings({0, 4, 0}, 1200 + 819.2, 0));
  const WeightsIndex v =
      later.add(managed(2000_MiB, {{300_MiB, 0, 4, true}, {80_MiB, 0, 10, true}}));
  const LoadRecord s = later.load({v}, 819.2 * kMib).loads.at(0);
  EXPECT_EQ(s.buffer_bytes, 900_MiB) << "the first that is left out has two of its kind behind it";
  EXPECT_EQ(later.streamed_bytes(v) + s.loaded_bytes, 2000_MiB);
}

TEST(PolicyPins, HaveNoLimitFrom0230OnWhereNothingIsPaged) {
  Machine machine;
  machine.ram_total = {32_GiB, NumberKind::given, "test"};
  machine.os = Os::windows;
  const auto limit = [&](ComfyVersion version, const char* flags) {
    machine.comfyui = version;
    machine.flags = *parse_comfy_flags(flags);
    return pin_limit_bytes(machine);
  };
  EXPECT_NEAR(static_cast<double>(limit({0, 18, 2}, "")), 0.45 * 32 * 1024 * kMib, 2);
  EXPECT_NEAR(static_cast<double>(limit({0, 19, 0}, "")), 0.40 * 32 * 1024 * kMib, 2);
  EXPECT_GT(limit({0, 23, 0}, "--disable-dynamic-vram"), 1LL << 60);
  EXPECT_NEAR(static_cast<double>(limit({0, 23, 0}, "")), 0.40 * 32 * 1024 * kMib, 2);
  EXPECT_EQ(limit({0, 23, 0}, "--disable-pinned-memory"), 0);
}

TEST(PolicyRules, TheReserveDependsOnSystemCardAndFlag) {
  Machine machine;
  machine.vram_total.bytes = 12282_MiB;
  machine.os = Os::linux;
  EXPECT_EQ(manager_settings(machine).reserved_bytes, 400 * kMib);
  machine.os = Os::windows;
  EXPECT_EQ(manager_settings(machine).reserved_bytes, 600 * kMib);
  machine.vram_total.bytes = 16376_MiB;
  EXPECT_EQ(manager_settings(machine).reserved_bytes, 700 * kMib);
  machine.flags.reserve_vram_gib = 4;
  EXPECT_EQ(manager_settings(machine).reserved_bytes, 4096 * kMib);
}

// The log of a real run (reserve 4 GiB), within the 3 MiB that its own lines scatter by.
TEST(PolicyLoad, TheUsersCaseIsReproduced) {
  for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 3, 73}}) {
    const LoadRecord at61 = load_expert(version, 61);
    EXPECT_NEAR(at61.total_bytes / kMib, 14971.79, 0.05);
    EXPECT_TRUE(at61.full);
    EXPECT_EQ(at61.offloaded_bytes, 0);
    const LoadRecord at73 = load_expert(version, 73);
    EXPECT_NEAR(at73.total_bytes / kMib, 12786.30, 0.01);
    EXPECT_NEAR(mib(at73.loaded_bytes), 12783.91, 0.01);
    EXPECT_NEAR(mib(at73.offloaded_bytes), 845.17, 0.01);
    const LoadRecord at81 = load_expert(version, 81);
    EXPECT_NEAR(at81.total_bytes / kMib, 11329.28, 0.01);
    EXPECT_NEAR(mib(at81.offloaded_bytes), 2299.80, 0.01);
    const LoadRecord at161 = load_expert(version, 161);
    EXPECT_NEAR(at161.total_bytes / kMib, 128, 0.01);
    EXPECT_NEAR(mib(at161.loaded_bytes), 124.27, 0.01);
    EXPECT_NEAR(mib(at161.offloaded_bytes), 13504.81, 0.01);
  }
}

TEST(PolicyLoad, TheLargestResidentCountIs65WithTheFlagAnd85Without) {
  EXPECT_EQ(load_expert({0, 3, 73}, 65).offloaded_bytes, 0);
  EXPECT_NEAR(mib(load_expert({0, 3, 73}, 69).offloaded_bytes), 121, 1);
  EXPECT_EQ(load_expert({0, 3, 73}, 85, 700).offloaded_bytes, 0);
  EXPECT_NEAR(mib(load_expert({0, 3, 73}, 89, 700).offloaded_bytes), 371, 1);
}

TEST(PolicyLoad, LaterVersionsKeepRoomToStream) {
  for (const ComfyVersion version : {ComfyVersion{0, 8, 0}, ComfyVersion{0, 18, 2}}) {
    const LoadRecord at81 = load_expert(version, 81);
    EXPECT_NEAR(mib(at81.loaded_bytes), 11204.25, 0.01);
    EXPECT_NEAR(mib(at81.offloaded_bytes), 2427.17, 0.02);
    EXPECT_NEAR(mib(at81.buffer_bytes), 125.03, 0.01);
  }
}

TEST(PolicyLoad, EachVersionLogsItsOwnLine) {
  EXPECT_EQ(load_expert({0, 3, 73}, 161).log,
            "loaded partially; 128.00 MB usable, 124.27 MB loaded, 13504.81 MB offloaded, "
            "lowvram patches: 0");
  EXPECT_EQ(load_expert({0, 3, 64}, 161).log.substr(0, 23), "loaded partially 128.0 ");
  EXPECT_NE(load_expert({0, 8, 0}, 81).log.find("125.03 MB buffer reserved"), std::string::npos);
  Manager manager(settings({0, 18, 2}, 30724, 400));
  const WeightsIndex w = manager.add(expert({0, 18, 2}));
  EXPECT_EQ(manager.load({w}, 0, {}, true).loads.at(0).log,
            "loaded completely;  13631.43 MB loaded, full load: True");
}

TEST(PolicyLoad, AFullLoadNeedsMoreThanAllWeightsNotMoreThanTheListedOnes) {
  Manager manager(settings({0, 3, 73}, 2000, 0));
  // 1,000 MiB of which 990 are listed; a budget of exactly 1,000 MiB is not more than the size.
  const WeightsIndex w = manager.add(managed(1000_MiB, {{99_MiB, 0, 10, true}}));
  const LoadRecord equal = manager.load({w}, 1000 * kMib, 1000 * kMib).loads.at(0);
  EXPECT_EQ(equal.loaded_bytes, 990_MiB);
  EXPECT_FALSE(equal.full);
  EXPECT_EQ(equal.offloaded_bytes, 0);
  Manager roomier(settings({0, 3, 73}, 2001, 0));
  const WeightsIndex v = roomier.add(managed(1000_MiB, {{99_MiB, 0, 10, true}}));
  EXPECT_EQ(roomier.load({v}, 1000 * kMib, 1000 * kMib).loads.at(0).loaded_bytes, 1000_MiB);
}

TEST(PolicyLoad, SmallerModulesStillSlipInAfterALargeOneDidNotFit) {
  Manager manager(settings({0, 3, 73}, 1200, 0));
  const WeightsIndex w = manager.add(
      managed(900_MiB, {{300_MiB, 0, 2, true}, {200_MiB, 0, 1, true}, {40_MiB, 0, 2, true}}));
  const LoadRecord r = manager.load({w}, 819.2 * kMib).loads.at(0);  // leaves 380.8 MiB
  EXPECT_EQ(r.loaded_bytes, 380_MiB);                                // 300 + 2 * 40
  EXPECT_EQ(manager.streamed_bytes(w), 500_MiB);
}

TEST(PolicyLoad, ABudgetBelowWhatIsLoadedUnloadsOnlyFrom0373On) {
  for (const bool later : {false, true}) {
    Manager manager(settings(later ? ComfyVersion{0, 3, 73} : ComfyVersion{0, 3, 64}, 2000, 0));
    const WeightsIndex w = manager.add(managed(1000_MiB, {{100_MiB, 0, 10, true}}));
    manager.load({w}, 0);
    EXPECT_EQ(manager.loaded_bytes(w), 1000_MiB);
    const LoadRecord r = manager.load({w}, 1500 * kMib).loads.at(0);
    EXPECT_EQ(manager.loaded_bytes(w), later ? 400_MiB : 1000_MiB);  // 600 wasn't strictly more
    EXPECT_TRUE(r.log.empty());
  }
}

TEST(PolicyFree, AVictimGivesItsSmallestModulesAndMoreThanAsked) {
  // Recorded with 0.8.0: 6.05 MiB are missing, and the low expert gives 20.57 MiB for them.
  Manager manager(settings({0, 3, 73}, 1000, 0));
  const WeightsIndex w =
      manager.add(managed(900_MiB, {{200_MiB, 0, 4, true}, {10_MiB, 0, 10, true}}));
  manager.load({w}, 0, {}, true);
  const FreeRecord r = manager.make_room(110 * kMib);  // 100 are free, so 10 more
  ASSERT_EQ(r.victims.size(), 1u);
  EXPECT_TRUE(r.victims[0].partial);
  EXPECT_EQ(r.victims[0].left_bytes, 20_MiB);
  EXPECT_EQ(manager.free_bytes(), 120_MiB);
}

TEST(PolicyFree, ExactlyEnoughFreeStillCostsAModuleBefore0182) {
  for (const bool latest : {false, true}) {
    Manager manager(settings(latest ? ComfyVersion{0, 18, 2} : ComfyVersion{0, 3, 73}, 1000, 0));
    const WeightsIndex w = manager.add(managed(900_MiB, {{90_MiB, 0, 10, true}}));
    manager.load({w}, 0, {}, true);
    manager.make_room(100 * kMib);
    EXPECT_EQ(manager.loaded_bytes(w), latest ? 900_MiB : 810_MiB);
  }
}

TEST(PolicyFree, MostOffloadedLeaveFirstThenTheSmallest) {
  Manager manager(settings({0, 3, 73}, 10000, 0));
  const WeightsIndex large = manager.add(managed(3000_MiB, {{100_MiB, 0, 30, true}}));
  const WeightsIndex small = manager.add(managed(500_MiB, {{100_MiB, 0, 5, true}}));
  const WeightsIndex partial = manager.add(managed(4000_MiB, {{100_MiB, 0, 40, true}}));
  for (const WeightsIndex w : {large, small, partial}) manager.load({w}, 0, {}, true);
  manager.make_room(static_cast<double>(manager.free_bytes()) + 50 * kMib);  // takes from `small`
  const FreeRecord all = manager.unload_all();
  ASSERT_EQ(all.victims.size(), 3u);
  EXPECT_EQ(all.victims[0].weights, small);
  EXPECT_EQ(all.victims[1].weights, large);
  EXPECT_EQ(all.victims[2].weights, partial);
  EXPECT_EQ(manager.free_bytes(), 10000_MiB);
}

TEST(PolicyFree, WithoutSmartMemoryEveryRequestEmptiesEverythingElse) {
  ManagerSettings s = settings({0, 3, 73}, 10000, 0);
  s.smart_memory = false;
  Manager manager(s);
  const WeightsIndex a = manager.add(managed(500_MiB, {{100_MiB, 0, 5, true}}));
  const WeightsIndex b = manager.add(managed(500_MiB, {{100_MiB, 0, 5, true}}));
  manager.load({a}, 0);
  const CallRecord call = manager.load({b}, 0);
  EXPECT_EQ(call.frees.at(0).victims.at(0).weights, a);
  EXPECT_EQ(manager.loaded_bytes(a), 0);
  EXPECT_EQ(manager.loaded_bytes(b), 500_MiB);
}

TEST(PolicyLora, AnotherSetMovesEverythingBackFirstAndTheSameSetCostsNothing) {
  Manager manager(settings({0, 3, 73}, 10000, 0));
  const std::vector<ManagedGroup> patched = {{{100_MiB, 0, 5, true}, true}};
  const WeightsIndex w = manager.add(managed(500_MiB, {{100_MiB, 0, 5, true}}));
  manager.load({w}, 0);
  manager.set_patches(w, 1, patched);
  const LoadRecord first = manager.load({w}, 0).loads.at(0);
  EXPECT_EQ(first.left_bytes, 500_MiB);
  EXPECT_EQ(first.copied_bytes, 500_MiB);
  EXPECT_EQ(first.gained_bytes, 500_MiB);
  EXPECT_EQ(manager.patched_device_bytes(w), 500_MiB);
  const LoadRecord again = manager.load({w}, 0).loads.at(0);
  EXPECT_EQ(again.gained_bytes, 0);
  EXPECT_EQ(again.left_bytes, 0);
  // Patched copies are dropped, because the originals never left RAM.
  EXPECT_EQ(manager.unload_all().victims.at(0).copied_bytes, 0);
}

TEST(PolicyPlacement, LargeTextEncodersStartOnTheGpuOnlyWithRoomToSpare) {
  EXPECT_FALSE(text_encoder_starts_on_gpu(1_GiB, 80_GiB, 1_GiB));  // not above 1 GiB
  EXPECT_TRUE(text_encoder_starts_on_gpu(10_GiB, 30_GiB, 50_GiB));
  EXPECT_FALSE(text_encoder_starts_on_gpu(10_GiB, 30_GiB, 60_GiB));  // half of RAM is more
  EXPECT_FALSE(text_encoder_starts_on_gpu(10_GiB, 12_GiB, 8_GiB));   // 1.2 * size
}

TEST(PolicyManager, AbsurdSizesStayFinite) {
  for (const ComfyVersion version : {ComfyVersion{0, 3, 73}, ComfyVersion{0, 18, 2}}) {
    Manager manager(settings(version, 1000, 0));
    const std::int64_t huge = 1LL << 62;
    const WeightsIndex a =
        manager.add(managed(huge, {{huge, huge, 1 << 30, true}, {-5, -5, -1, true}}));
    const WeightsIndex b =
        manager.add(managed(-1, {{1, huge, 1 << 30, true}, {0, 0, 1 << 30, false}}));
    EXPECT_GE(manager.load({a, b}, 1e30, 1e30).loads.at(0).loaded_bytes, 0);
    manager.make_room(static_cast<double>(manager.free_bytes()) + 1);
    manager.make_room(1e18);
    manager.unload_all();
    EXPECT_EQ(manager.free_bytes(), 1000_MiB);
  }
}

}  // namespace
}  // namespace ebb
