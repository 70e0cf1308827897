// SPDX-License-Identifier: Apache-2.0
// The search over a made-up policy with one rule: a frame costs 128 MiB, 20 GiB are there, and the
// reserve and the model come first. Real policies are tested elsewhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "ebb/report.h"
#include "tests/pass/two_pass.h"

namespace ebb {
namespace {

using test::TwoPass;

Result<Prediction> predict(const Trial& trial) {
  TwoPass example;
  const std::int64_t frames = trial.sizes.frames.value_or(81);
  const auto reserve = static_cast<std::int64_t>(
      trial.machine.flags.reserve_vram_gib.value_or(0.5) * static_cast<double>(1_GiB));
  example.passes.picture = Shape{1, 3, frames, 480, 832, true};
  for (const StepIndex at : {StepIndex(4), StepIndex(6)}) {
    Step& step = example.passes.steps[at];
    step.shape = Shape{1, 16, (frames - 1) / 4 + 1, 60, 104, true};
    step.demand.minimum.bytes = frames * 128_MiB;
    step.demand.live.bytes = step.demand.reserved.bytes = frames * 32_MiB;
    example.passes.weights[step.uses[0]].architecture = "wan-14b";
    std::int64_t asked = step.demand.minimum.bytes;
    for (const Budget& budget : trial.levers.budgets) {
      if (budget.step == at) asked = budget.minimum_bytes;
    }
    StepState& state = example.timeline.steps[at];
    Load& load = state.loads[0];
    load.usable_bytes = std::max<std::int64_t>(0, 30_GiB - asked - reserve);
    load.offloaded_bytes = std::max<std::int64_t>(0, 13_GiB - load.usable_bytes);
    load.full = load.offloaded_bytes == 0;
    load.loaded_bytes = 13_GiB - load.offloaded_bytes;
    const WeightsIndex w = step.uses[0];
    state.vram[w] = load.loaded_bytes;
    state.ram[w] = load.offloaded_bytes;
  }
  Prediction prediction{std::make_shared<Passes>(example.passes), example.timeline, {}};
  prediction.outcome = judge(*prediction.passes, prediction.timeline, example.machine);
  return prediction;
}

std::vector<Fix> fixes(const Trial& trial) { return search_fixes(trial, *predict(trial), predict); }

const Fix* find(const std::vector<Fix>& list, const std::string& id) {
  const auto fix = std::find_if(list.begin(), list.end(), [&](const Fix& f) { return f.id == id; });
  return fix == list.end() ? nullptr : &*fix;
}

Trial trial_with(std::optional<double> reserve, std::int64_t frames) {
  Trial trial;
  trial.machine.flags.reserve_vram_gib = reserve;
  trial.sizes.frames = frames;
  return trial;
}

TEST(Search, DoNothingIsAFix) {
  const auto list = fixes(trial_with(std::nullopt, 81));
  ASSERT_NE(find(list, "nothing"), nullptr);
  EXPECT_EQ(list.front().id, "nothing");
}

TEST(Search, TheFlagComesFirstAndItsEffectIsADifference) {
  const auto list = fixes(trial_with(8, 81));
  ASSERT_FALSE(list.empty());
  EXPECT_EQ(list.front().id, "drop-reserve-vram");
  EXPECT_EQ(list.front().vram_bytes, 10_GiB + 128_MiB + 8_GiB + 13_GiB - 30_GiB);
  EXPECT_TRUE(list.front().helps);
  EXPECT_EQ(find(list, "nothing"), nullptr);
}

TEST(Search, AnUnloadNodeIsListedWhereItDoesNothing) {
  const auto list = fixes(trial_with(8, 81));
  const Fix* unload = find(list, "unload");
  ASSERT_NE(unload, nullptr);
  EXPECT_FALSE(unload->helps);
  EXPECT_EQ(unload->vram_bytes, 0);
  EXPECT_NE(say(unload->effects).find("would change VRAM by 0"), std::string::npos)
      << say(unload->effects);
}

/// A policy in which the card is tight, parking or dropping makes room, and dropping gives
/// `ram_bytes` of RAM back besides.
Predict tight_with(std::int64_t ram_bytes) {
  return [ram_bytes](const Trial& trial) {
    auto prediction = predict(trial);
    Outcome& outcome = prediction->outcome;
    outcome.verdict = trial.levers.cuts.empty() ? Verdict::tight : Verdict::fits;
    outcome.vram_peak_bytes = outcome.verdict == Verdict::fits ? 9_GiB : 10_GiB;
    outcome.ram_peak_bytes = 20_GiB;
    for (const CutStep& cut : trial.levers.cuts) {
      if (cut.action == CutAction::drop) outcome.ram_peak_bytes = 20_GiB - ram_bytes;
    }
    return prediction;
  };
}

TEST(Search, ADropThatGainsNoMoreThanParkingIsNotListed) {
  const Trial trial = trial_with(std::nullopt, 49);
  const auto list = search_fixes(trial, *tight_with(0)(trial), tight_with(0));
  ASSERT_NE(find(list, "park-text-encoder"), nullptr);
  EXPECT_EQ(find(list, "park-text-encoder")->costs, std::vector<Message>{Say::pack_node});
  EXPECT_EQ(find(list, "drop-text-encoder"), nullptr);
  const auto with_ram = search_fixes(trial, *tight_with(5_GiB)(trial), tight_with(5_GiB));
  EXPECT_NE(find(with_ram, "park-text-encoder"), nullptr);
  ASSERT_NE(find(with_ram, "drop-text-encoder"), nullptr);
  EXPECT_EQ(find(with_ram, "drop-text-encoder")->ram_bytes, 5_GiB);
}

TEST(Search, LessRamHelpsOnlyWhereSevenTenthsAreInUse) {
  const Predict same_card = [](const Trial& trial) {
    auto prediction = tight_with(5_GiB)(trial);
    prediction->outcome.verdict = Verdict::tight;
    prediction->outcome.vram_peak_bytes = 10_GiB;
    return prediction;
  };
  Trial trial = trial_with(std::nullopt, 49);
  for (const std::int64_t total : {29_GiB, 28_GiB}) {  // 20 GiB are 69 % and 71 % of them
    trial.machine.ram_total = {total, NumberKind::given, ""};
    const auto list = search_fixes(trial, *same_card(trial), same_card);
    ASSERT_NE(find(list, "drop-text-encoder"), nullptr);
    EXPECT_EQ(find(list, "drop-text-encoder")->helps, total == 28_GiB);
  }
}

TEST(Search, TheClassicManagerIsOfferedWherePagingMayRunOut) {
  for (const Verdict paged : {Verdict::offloads, Verdict::may_run_out}) {
    const Predict policy = [paged](const Trial& trial) {
      auto prediction = predict(trial);
      prediction->timeline.policy.kind =
          trial.machine.flags.disable_dynamic_vram ? Policy::classic : Policy::paged;
      prediction->outcome.verdict = prediction->timeline.paged() ? paged : Verdict::tight;
      return prediction;
    };
    const Trial trial = trial_with(std::nullopt, 49);
    const auto list = search_fixes(trial, *policy(trial), policy);
    const Fix* classic = find(list, "disable-dynamic-vram");
    ASSERT_EQ(classic != nullptr, paged == Verdict::may_run_out);
    if (!classic) continue;
    EXPECT_TRUE(classic->helps);
    EXPECT_EQ(classic->verdict, Verdict::tight);
  }
}

/// The run as it is, but that the step at `index` is changed and needs nobody knows what.
std::vector<Fix> asked_where(const std::function<void(Passes&, Step&)>& change, StepIndex index,
                             const Message& why) {
  const Predict policy = [&](const Trial& trial) {
    auto prediction = predict(trial);
    Passes passes = *prediction->passes;
    Step& step = passes.steps[index];
    step.demand.asked = step.demand.minimum = {0, NumberKind::unknown, why};
    change(passes, step);
    prediction->passes = std::make_shared<Passes>(passes);
    prediction->outcome = judge(passes, prediction->timeline, TwoPass().machine);
    return prediction;
  };
  const Trial trial = trial_with(std::nullopt, 81);
  return search_fixes(trial, *policy(trial), policy);
}

TEST(Search, WhereAKindIsUnknownTheFoldersOfModelsAreAskedFor) {
  for (const BytesFrom from : {BytesFrom::known, BytesFrom::header}) {
    const auto list = asked_where(
        [from](Passes& passes, Step& step) {
          step.model_known = false;
          passes.weights[step.uses[0]].bytes_from = from;
        },
        4, "which kind of model it is");
    const Fix* asked = find(list, "tell-kinds");
    const Fix* none = find(list, "no-option");
    const bool unread = from == BytesFrom::known;  // a file that was read says no more
    ASSERT_EQ(asked != nullptr, unread);
    ASSERT_EQ(none != nullptr, !unread);
    const std::string title = say((unread ? asked : none)->title);
    EXPECT_EQ(title.find("--models FOLDER") != std::string::npos, unread) << title;
    EXPECT_NE(title.find("high.safetensors"), std::string::npos) << title;
  }
}

TEST(Search, WhereAClassHasNoRuleItIsNamed) {
  const auto list = asked_where(
      [](Passes& passes, Step& step) {
        step.kind = StepKind::use;
        step.class_type = "Unheard";
        step.model_known = false;
        for (Pass& pass : passes.passes) {
          if (passes.steps[pass.main_step].id == step.id) {
            pass.kind = StepKind::use;
          }
        }
        passes.weights[step.uses[0]].bytes_from = BytesFrom::unknown;
        passes.weights[step.uses[0]].architecture.clear();
      },
      4, "");
  const Fix* none = find(list, "no-option");
  ASSERT_NE(none, nullptr);
  EXPECT_FALSE(none->helps);
  EXPECT_NE(say(none->title).find("no rule yet for node "), std::string::npos) << say(none->title);
  EXPECT_NE(say(none->title).find(" Unheard"), std::string::npos) << say(none->title);
}

TEST(Search, WhatOnlyAPackManagesNoOptionTells) {
  const auto list = asked_where(
      [](Passes&, Step& step) {
        step.class_type = "PackLoader";
        step.loads_unseen = true;
      },
      4, "what the pack holds");
  const Fix* none = find(list, "no-option");
  ASSERT_NE(none, nullptr);
  EXPECT_NE(say(none->title).find(" PackLoader"), std::string::npos) << say(none->title);
}

TEST(Search, WhatNoOptionTellsIsSaidSo) {
  const Message why = {Say::output_not_known, {"latent", NodeName{"node 9 X"}}};
  const auto list = asked_where([](Passes&, Step&) {}, 4, why);
  const Fix* none = find(list, "no-option");
  ASSERT_NE(none, nullptr);
  EXPECT_EQ(none->title, Message(Say::no_option, {Message(Say::some_of, {std::vector{why}})}));
}

TEST(Search, AMeasuredBudgetMovesTheLimit) {
  const auto list = fixes(trial_with(std::nullopt, 161));
  const Fix* budget = find(list, "budget");
  ASSERT_NE(budget, nullptr);
  EXPECT_TRUE(budget->helps);
  EXPECT_EQ(budget->kind, FixKind::node);
  EXPECT_NE(say(budget->effects).find("limit 129 -> "), std::string::npos) << say(budget->effects);
}

TEST(Search, FewerFramesIsTheMostThatFits) {
  const auto list = fixes(trial_with(std::nullopt, 161));
  const Fix* fewer = find(list, "fewer-frames");
  ASSERT_NE(fewer, nullptr);
  EXPECT_EQ(fewer->trial.sizes.frames, 129);
  EXPECT_EQ(predict(fewer->trial)->outcome.offloaded_bytes, 0);
}

TEST(Search, LargestResidentFramesIsExact) {
  const Trial trial = trial_with(std::nullopt, 81);
  const auto most = largest_resident_frames(trial, *predict(trial), predict);
  ASSERT_EQ(most, 129);  // 129 * 128 MiB = 16.125 of 30 - 0.5 - 13 = 16.5 GiB; 133 would be 16.625
}

TEST(Search, NothingIsResidentWhereTheSmallestOffloads) {
  const Trial trial = trial_with(40, 81);
  EXPECT_FALSE(largest_resident_frames(trial, *predict(trial), predict));
}

TEST(Sweep, OneRowPerValue) {
  std::vector<SizeOverrides> values(2);
  values[0].frames = 81;
  values[1].frames = 161;
  const auto rows = sweep(trial_with(std::nullopt, 81), values, predict);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].outcome.verdict, Verdict::fits);
  EXPECT_EQ((*rows)[1].outcome.verdict, Verdict::offloads);
  EXPECT_EQ((*rows)[1].offloaded_bytes, 161 * 128_MiB + 512_MiB + 13_GiB - 30_GiB);
}

}  // namespace
}  // namespace ebb
