// SPDX-License-Identifier: Apache-2.0
// What every memory manager keeps, whatever it decides: each test runs for each of them.
#include "policy/memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/policy/wan_case.h"

namespace ebb {
namespace {

using test::known_weights;

/// A card of 24 GiB: two of these models fit on it, or three, or none; the first is no whole number
/// of pages, and has a parameter that no module lists.
class AnyMemory : public testing::TestWithParam<Policy::Kind> {
 protected:
  AnyMemory() {
    machine_.comfyui = {0, 18, 2};
    machine_.vram_total = {24_GiB, NumberKind::given, "test"};
    machine_.vram_free = {23_GiB, NumberKind::given, "test"};
    machine_.ram_total = {128_GiB, NumberKind::given, "test"};
    machine_.os = Os::linux;
    models_ = {known_weights("text", WeightsRole::text_encoder, 6_GiB,
                             {{64_MiB, 0, 95, true}, {3_MiB, 0, 21, true}}),
               known_weights("high", WeightsRole::diffusion, 13_GiB, {{64_MiB, 0, 208, true}}),
               known_weights("low", WeightsRole::diffusion, 13_GiB, {{64_MiB, 0, 208, true}}),
               known_weights("huge", WeightsRole::diffusion, 32_GiB, {{64_MiB, 0, 512, true}})};
    start();
  }

  void start() {
    memory_ = make_memory(machine_, GetParam());
    for (const Weights& weights : models_) memory_->add(weights);
  }

  /// A sampler's whole step; what it asks for is what it takes.
  Moves use(WeightsIndex weights, std::int64_t taken = 2_GiB, int lora_set = 0) {
    memory_->patch(weights, lora_set, {});
    Moves moves = memory_->begin({weights});
    const double asked = static_cast<double>(taken);
    Moves used = memory_->use({.weights = {weights},
                               .asked_bytes = asked,
                               .minimum_bytes = asked,
                               .taken_bytes = taken,
                               .ram_bytes = 120_GiB});
    moves.left.insert(moves.left.end(), used.left.begin(), used.left.end());
    used.left = std::move(moves.left);
    return used;
  }

  std::int64_t on_card() const {
    std::int64_t bytes = 0;
    for (const WeightsIndex w : models_.indices()) bytes += memory_->vram(w);
    return bytes;
  }
  std::vector<std::int64_t> state() const {
    std::vector<std::int64_t> state;
    for (const WeightsIndex w : models_.indices()) {
      state.insert(state.end(), {memory_->vram(w), memory_->ram(w), memory_->loaded(w)});
    }
    state.push_back(memory_->free_bytes());
    return state;
  }
  static std::int64_t left(const Moves& moves, WeightsIndex weights) {
    std::int64_t bytes = 0;
    for (const Left& it : moves.left) {
      if (it.eviction.weights == weights) bytes += it.eviction.bytes;
    }
    return bytes;
  }

  static constexpr WeightsIndex kText = 0, kHigh = 1, kLow = 2, kHuge = 3;
  Machine machine_;
  List<Weights, WeightsIndex> models_;
  std::unique_ptr<Memory> memory_;
};

TEST_P(AnyMemory, SaysWhichItIs) { EXPECT_EQ(memory_->policy().kind, GetParam()); }

TEST_P(AnyMemory, NeverHoldsMoreThanTheCardBesideWhatTheWorkTakes) {
  for (const std::int64_t taken : {0_GiB, 2_GiB, 9_GiB, 20_GiB}) {
    for (const WeightsIndex w : {kText, kHigh, kLow, kHuge, kHigh, kText}) {
      use(w, taken);
      EXPECT_LE(on_card() + taken, machine_.vram_free.bytes) << w.at << " beside " << taken;
      EXPECT_LE(on_card(), machine_.vram_free.bytes - memory_->free_bytes());
    }
  }
}

TEST_P(AnyMemory, KeepsNoMoreOfAModelThanThereIs) {
  for (const WeightsIndex w : {kText, kHuge, kHigh}) {
    use(w);
    for (const WeightsIndex m : models_.indices()) {
      EXPECT_GE(memory_->vram(m), 0);
      EXPECT_LE(memory_->vram(m), models_[m].bytes);
      EXPECT_LE(memory_->loaded(m), models_[m].bytes);
    }
  }
}

TEST_P(AnyMemory, WhatLeavesWasThere) {
  for (const WeightsIndex w : {kText, kHigh, kLow, kHuge, kText, kLow}) {
    std::vector<std::int64_t> before;
    for (const WeightsIndex m : models_.indices()) before.push_back(memory_->vram(m));
    const Moves moves = use(w);
    for (const WeightsIndex m : models_.indices()) {
      EXPECT_LE(left(moves, m), before[size_t(m.at)]);
      if (m == w) continue;
      const std::int64_t stays = before[size_t(m.at)] - left(moves, m);
      EXPECT_GE(memory_->vram(m), stays) << m.at << " for " << w.at;
      EXPECT_LT(memory_->vram(m), stays + kPageBytes) << "a last page is never quite full";
    }
    for (const Left& it : moves.left) EXPECT_LE(it.copied_bytes, it.eviction.bytes);
  }
}

TEST_P(AnyMemory, AnEvictionIsPartialWhereSomethingStays) {
  use(kHigh);
  const Moves moves = use(kLow, 9_GiB);
  ASSERT_FALSE(moves.left.empty());
  EXPECT_EQ(moves.left.back().eviction.partial, memory_->vram(kHigh) > 0);
}

TEST_P(AnyMemory, UseTwiceIsFree) {
  for (const WeightsIndex w : {kHigh, kHuge}) {
    use(w);
    const auto before = state();
    const Moves again = use(w);
    EXPECT_EQ(again.gained_bytes, 0) << w.at;
    EXPECT_TRUE(again.left.empty());
    EXPECT_EQ(state(), before);
  }
}

TEST_P(AnyMemory, WhatFitsStaysWholeAndWhatDoesNotIsStreamed) {
  const Moves whole = use(kHigh);
  ASSERT_EQ(whole.loads.size(), 1u);
  EXPECT_TRUE(whole.loads[0].full);
  EXPECT_EQ(whole.streamed_bytes, 0);
  EXPECT_EQ(memory_->vram(kHigh), models_[kHigh].bytes);
  const Moves part = use(kHuge);
  ASSERT_EQ(part.loads.size(), 1u);
  EXPECT_FALSE(part.loads[0].full);
  EXPECT_EQ(part.loads[0].weights, kHuge);
  EXPECT_EQ(part.loads[0].offloaded_bytes, part.streamed_bytes);
  EXPECT_EQ(part.loads[0].loaded_bytes + part.streamed_bytes, models_[kHuge].bytes);
}

TEST_P(AnyMemory, ALoadAddsUp) {
  for (const WeightsIndex w : {kText, kHigh, kHuge}) {
    const Load load = use(w, 5_GiB).loads.at(0);
    EXPECT_EQ(load.usable_bytes, load.free_bytes - load.minimum_bytes - load.reserve_bytes);
    EXPECT_GE(load.minimum_bytes, 5_GiB);
    EXPECT_LE(load.loaded_bytes, load.usable_bytes);
  }
}

TEST_P(AnyMemory, OneThatNeedsRoomTakesItFromWhoeverIsNotInUse) {
  use(kHigh);
  use(kLow);
  EXPECT_EQ(memory_->vram(kLow), models_[kLow].bytes);
  EXPECT_LT(memory_->vram(kHigh), models_[kHigh].bytes);
  EXPECT_EQ(memory_->listed().front(), kLow);
}

TEST_P(AnyMemory, ForgettingFreesAllAndCopiesNothing) {
  const std::int64_t empty = memory_->free_bytes();
  use(kHuge);
  memory_->end();
  EXPECT_GT(memory_->pinned(), 0);
  const std::int64_t held = memory_->vram(kHuge);
  EXPECT_EQ(memory_->forget(kHuge), held);
  memory_->end();
  EXPECT_EQ(memory_->vram(kHuge), 0);
  EXPECT_EQ(memory_->pinned(), 0);
  EXPECT_EQ(memory_->free_bytes(), empty);
  EXPECT_TRUE(memory_->listed().empty());
  EXPECT_EQ(memory_->forget(kHuge), 0) << "nothing is left of it";
}

TEST_P(AnyMemory, UnloadingLeavesTheOthersWhereTheyAre) {
  use(kText, 0);
  use(kHigh, 0);
  const std::int64_t text = memory_->vram(kText), high = memory_->vram(kHigh);
  ASSERT_GT(text, 0);
  const Moves moves = memory_->unload(kHigh);
  EXPECT_EQ(left(moves, kHigh), high);
  EXPECT_EQ(moves.left.size(), 1u);
  EXPECT_EQ(memory_->vram(kHigh), 0);
  EXPECT_EQ(memory_->vram(kText), text);
  EXPECT_TRUE(memory_->unload(kHigh).left.empty());
}

TEST_P(AnyMemory, UnloadingAllEmptiesTheCard) {
  const std::int64_t empty = memory_->free_bytes();
  for (const WeightsIndex w : {kText, kHigh}) use(w);
  const std::int64_t text = memory_->vram(kText), high = memory_->vram(kHigh);
  const Moves moves = memory_->unload_all();
  EXPECT_EQ(left(moves, kText), text);
  EXPECT_EQ(left(moves, kHigh), high);
  EXPECT_EQ(on_card(), 0);
  EXPECT_EQ(memory_->free_bytes(), empty);
  EXPECT_TRUE(memory_->listed().empty());
}

TEST_P(AnyMemory, MakingRoomMakesIt) {
  use(kHigh, 0);
  use(kText, 0);
  for (const std::int64_t wanted : {10_GiB, 20_GiB}) {
    memory_->make_room(wanted);
    EXPECT_GE(memory_->free_bytes(), wanted);
  }
  EXPECT_TRUE(memory_->make_room(1_GiB).left.empty()) << "there is room";
}

TEST_P(AnyMemory, WhatNodesTakeByThemselvesIsGoneForWeights) {
  const std::int64_t empty = memory_->free_bytes();
  memory_->take(12_GiB);
  EXPECT_EQ(memory_->free_bytes(), empty - 12_GiB);
  EXPECT_FALSE(use(kHigh).loads.at(0).full);
  EXPECT_LE(on_card() + 12_GiB, machine_.vram_free.bytes);
  memory_->take(-12_GiB);
  EXPECT_TRUE(use(kHigh).loads.at(0).full);
}

TEST_P(AnyMemory, AnotherSetOfLorasBringsAllOfItAgain) {
  use(kHigh, 2_GiB, 1);
  EXPECT_EQ(use(kHigh, 2_GiB, 1).gained_bytes, 0);
  EXPECT_EQ(use(kHigh, 2_GiB, 2).gained_bytes, models_[kHigh].bytes);
  EXPECT_EQ(use(kHigh, 2_GiB, 0).gained_bytes, models_[kHigh].bytes);
}

TEST_P(AnyMemory, WithoutSmartMemoryARequestEmptiesEverythingElse) {
  machine_.flags.disable_smart_memory = true;
  start();
  use(kText, 0);
  const Moves moves = use(kHigh, 0);
  EXPECT_EQ(left(moves, kText), models_[kText].bytes);
  EXPECT_EQ(memory_->vram(kText), 0);
  EXPECT_EQ(memory_->listed(), std::vector<WeightsIndex>{kHigh});
}

TEST_P(AnyMemory, WhatWorksOnTheCpuTakesNothingFromTheCard) {
  machine_.flags.cpu = true;
  start();
  const std::int64_t empty = memory_->free_bytes();
  const Moves moves = use(kHigh);
  EXPECT_TRUE(memory_->on_cpu(kHigh));
  EXPECT_TRUE(moves.loads.empty());
  EXPECT_EQ(moves.gained_bytes + moves.streamed_bytes, 0);
  EXPECT_EQ(memory_->free_bytes(), empty);
  EXPECT_GE(memory_->ram(kHigh), models_[kHigh].bytes);
}

// While a model works, every byte of it is on the card or in RAM, locked there or not.
TEST_P(AnyMemory, NothingOfAModelAtWorkIsNowhere) {
  for (const bool locks : {true, false}) {
    machine_.flags.disable_pinned_memory = !locks;
    start();
    for (const WeightsIndex w : {kText, kHigh, kHuge, kHigh}) {
      use(w);
      EXPECT_GE(memory_->vram(w) + memory_->ram(w), models_[w].bytes) << w.at;
      memory_->end();
    }
  }
}

TEST_P(AnyMemory, LockedRamIsWhatIsStreamedAndNothingWhereNothingMayBe) {
  const Moves moves = use(kHuge);
  memory_->end();
  EXPECT_EQ(memory_->pinned(), moves.streamed_bytes);
  machine_.flags.disable_pinned_memory = true;
  start();
  use(kHuge);
  memory_->end();
  EXPECT_EQ(memory_->pinned(), 0);
}

TEST_P(AnyMemory, AbsurdSizesStayFinite) {
  constexpr std::int64_t kHugeSize = std::int64_t{1} << 62;
  models_.push_back(known_weights("absurd", WeightsRole::diffusion, kHugeSize, {}));
  models_.back().modules = {
      {kHugeSize, kHugeSize, 1 << 30, true}, {-5, -5, -1, true}, {kHugeSize, 0, 5, true}};
  start();
  const WeightsIndex absurd = 4;
  const std::int64_t empty = memory_->free_bytes();
  const Moves moves = use(absurd, kHugeSize);
  EXPECT_GE(moves.streamed_bytes, 0);
  EXPECT_LE(moves.streamed_bytes, kMostSummedBytes);
  EXPECT_GE(moves.loads.at(0).loaded_bytes, 0);
  EXPECT_LE(on_card(), machine_.vram_free.bytes);
  memory_->make_room(kHugeSize);
  memory_->unload_all();
  EXPECT_EQ(memory_->free_bytes(), empty);
}

INSTANTIATE_TEST_SUITE_P(Memory, AnyMemory, testing::Values(Policy::classic, Policy::paged),
                         [](const auto& it) {
                           return it.param == Policy::classic ? "Classic" : "Paged";
                         });

TEST(MakeMemory, TakesTheManagerThatComfyuiStartsWith) {
  Machine machine;
  machine.vram_total = machine.vram_free = {24_GiB, NumberKind::given, "test"};
  const auto kind = [&](ComfyVersion version, const char* flags) {
    machine.comfyui = version;
    machine.flags = *parse_comfy_flags(flags);
    return make_memory(machine)->policy();
  };
  EXPECT_EQ(kind({0, 8, 0}, ""), (Policy{Policy::classic, {0, 8, 0}}));
  EXPECT_EQ(kind({0, 33, 0}, ""), (Policy{Policy::paged, {0, 18, 2}}));
  EXPECT_EQ(kind({0, 33, 0}, "--disable-dynamic-vram"), (Policy{Policy::classic, {0, 33, 0}}));
  EXPECT_EQ(kind({0, 2, 0}, "").rules, kVersionRules.front().since);
}

}  // namespace
}  // namespace ebb
