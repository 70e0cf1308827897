// SPDX-License-Identifier: Apache-2.0
// The case that Ebb began with: Wan 2.2 14B in two passes on an RTX 5090 with --reserve-vram 4.
// The expected figures are lines that ComfyUI 0.3.7x logged on that machine, one of which (61
// frames) calibrates the free VRAM; they scatter by 3 MiB between runs.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "ebb/report.h"
#include "tests/support.h"

namespace ebb {
namespace {

constexpr ComfyVersion kVersion = {0, 3, 73};  // of the user whose log it is

class Wan22Case : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = test::source_dir() / "examples/workflows/wan22_two_pass.json";
    auto workflow = read_workflow(file.string());
    ASSERT_TRUE(workflow.ok()) << to_string(workflow.error());
    auto prompt = to_prompt(*workflow, kVersion);
    ASSERT_TRUE(prompt.ok()) << to_string(prompt.error());
    prompt_ = *std::move(prompt);
    auto order = order_steps(prompt_, kVersion);
    ASSERT_TRUE(order.ok()) << to_string(order.error());
    order_ = *std::move(order);
    predict_ = [this](const Trial& trial) -> Result<Prediction> {
      WeightsSearch search;
      search.comfyui = kVersion;
      const FindWeights find = [&](const WeightsRequest& r) { return find_weights(r, search); };
      auto demand = estimate_demand(prompt_, find, trial.machine, trial.sizes);
      if (!demand) return demand.error();
      Prediction prediction;
      prediction.passes =
          std::make_shared<Passes>(build_passes(prompt_, order_, *std::move(demand)));
      prediction.timeline = simulate(*prediction.passes, trial.machine, trial.levers);
      prediction.outcome = judge(*prediction.passes, prediction.timeline, trial.machine);
      return prediction;
    };
  }

  static Trial trial(std::int64_t frames, const std::string& flags) {
    MachineOptions options;
    options.vram_bytes = 32607_MiB;
    options.vram_free_bytes = 30724_MiB;
    options.ram_bytes = 64_GiB;
    options.os = Os::windows;
    options.comfyui = kVersion;
    options.flags = flags;
    Trial result;
    result.machine = *resolve_machine(options);
    result.sizes.frames = frames;
    return result;
  }

  /// The outcomes of the two sampling passes.
  std::vector<PassOutcome> sampling(const Trial& trial) const {
    const auto prediction = predict_(trial);
    EXPECT_TRUE(prediction.ok());
    std::vector<PassOutcome> outcomes;
    for (const PassIndex p : prediction->passes->passes.indices()) {
      if (prediction->passes->passes[p].kind == StepKind::sample) {
        outcomes.push_back(prediction->outcome.passes[p]);
      }
    }
    EXPECT_EQ(outcomes.size(), 2u);
    return outcomes;
  }

  Prompt prompt_;
  Order order_;
  Predict predict_;
};

constexpr const char* kFlag = "--reserve-vram 4";

TEST_F(Wan22Case, ReproducesTheLoggedTable) {
  struct Row {
    std::int64_t frames;
    std::optional<double> usable_mib;
    double offloaded_mib;
  };
  for (const Row& row : {Row{61, 14971.79, 0}, Row{73, std::nullopt, 845},
                         Row{81, 11332.26, 2296.82}, Row{161, std::nullopt, 13504.81}}) {
    for (const PassOutcome& pass : sampling(trial(row.frames, kFlag))) {
      const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
      if (row.usable_mib) {
        EXPECT_NEAR(mib(*pass.usable_bytes), *row.usable_mib, 4) << row.frames;
      }
      EXPECT_NEAR(mib(*pass.offloaded_bytes), row.offloaded_mib, 4) << row.frames;
    }
  }
}

TEST_F(Wan22Case, TheCliffIsAt65FramesWithTheFlagAndAt85Without) {
  const Trial with = trial(81, kFlag);
  EXPECT_EQ(largest_resident_frames(with, *predict_(with), predict_), 65);
  const Trial without = trial(81, "");
  EXPECT_EQ(largest_resident_frames(without, *predict_(without), predict_), 85);
}

TEST_F(Wan22Case, NamesTheFlagAsTheCheapestFix) {
  const Trial base = trial(81, kFlag);
  const auto fixes = search_fixes(base, *predict_(base), predict_);
  ASSERT_FALSE(fixes.empty());
  EXPECT_EQ(fixes.front().id, "drop-reserve-vram");
  EXPECT_EQ(fixes.front().kind, FixKind::flag);
  EXPECT_EQ(fixes.front().verdict, Verdict::fits);
}

TEST_F(Wan22Case, UnloadingBetweenThePassesChangesNothingInVram) {
  const Trial base = trial(81, kFlag);
  const auto before = predict_(base);
  for (const Fix& fix : search_fixes(base, *before, predict_)) {
    if (fix.id != "unload") continue;
    EXPECT_FALSE(fix.helps);
    EXPECT_NE(say(fix.effects).find("an unload node would change VRAM by 0 here"),
              std::string::npos);
    const auto after = predict_(fix.trial);
    ASSERT_TRUE(after.ok());
    for (const PassIndex p : before->outcome.passes.indices()) {
      EXPECT_EQ(before->outcome.passes[p].vram_peak_bytes,
                after->outcome.passes[p].vram_peak_bytes);
    }
    return;
  }
  FAIL() << "the fix people ask for is not listed";
}

TEST_F(Wan22Case, TheCheckerAcceptsEveryFix) {
  const Trial base = trial(81, kFlag);
  for (const Fix& fix : search_fixes(base, *predict_(base), predict_)) {
    const auto after = predict_(fix.trial);
    ASSERT_TRUE(after.ok());
    const auto findings = check(prompt_, order_, fix.trial, *after);
    EXPECT_TRUE(findings.empty()) << fix.id << ": " << findings.front();
  }
}

}  // namespace
}  // namespace ebb
