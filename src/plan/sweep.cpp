// SPDX-License-Identifier: Apache-2.0
// Tables over sizes, and the largest frame count that keeps every diffusion model whole.
#include <fmt/format.h>

#include <algorithm>

#include "plan/levers.h"

namespace ebb {

std::optional<int> stride_of(const Passes& passes) {
  for (const Pass& pass : passes.passes) {
    const Step& step = passes.steps[pass.main_step];
    if (pass.kind != StepKind::sample || !step.shape || !step.shape->video) continue;
    const int stride = frame_stride(passes.weights[pass.weights.front()].architecture);
    return stride > 1 ? std::optional(stride) : std::nullopt;  // a picture model has no frames
  }
  return std::nullopt;
}

namespace {

constexpr std::int64_t kFramesMax = 100'001;
constexpr std::int64_t kTrialsMost = 32;  // doubling and halving up to kFramesMax

/// Frames that the main result has; nothing without a video.
std::optional<std::int64_t> frames_made(const Passes& passes) {
  if (!passes.picture || !stride_of(passes)) return std::nullopt;
  return passes.picture->frames;
}

/// Whether a prediction keeps every diffusion model whole in every sampling pass, on the card.
bool resident(const Prediction& prediction) {
  bool sampled = false;
  for (const PassIndex p : prediction.passes->passes.indices()) {
    if (prediction.passes->passes[p].kind != StepKind::sample) continue;
    const PassOutcome& outcome = prediction.outcome.passes[p];
    if (outcome.offloaded_bytes.value_or(1) > 0 || outcome.verdict == Verdict::spills ||
        outcome.vram_peak_bytes.value_or(0) > prediction.timeline.vram_limit_bytes) {
      return false;
    }
    sampled = true;
  }
  return sampled;
}

}  // namespace

std::optional<Error> too_large(const Passes& passes) {
  constexpr std::size_t kCellsMax = 400'000;
  const std::size_t steps = passes.steps.size(), models = passes.weights.size();
  if (steps * models <= kCellsMax && !passes.too_many_crossings) return std::nullopt;
  return input_error(
      fmt::format("has {} steps with {} models: that is more than Ebb plans", steps, models), "",
      "", "Plan a part of it: mute or leave out the rest.");
}

std::int64_t effort_of(const Passes& passes) {
  constexpr std::int64_t kModelsAStep = 16;  // what a step costs beside its models
  const auto steps = static_cast<std::int64_t>(passes.steps.size());
  const auto models = static_cast<std::int64_t>(passes.weights.size());
  return std::max<std::int64_t>(1, steps + steps * models / kModelsAStep);
}

Result<std::vector<SweepRow>> sweep(const Trial& base, const std::vector<SizeOverrides>& values,
                                    const Predict& predict) {
  std::vector<SweepRow> rows;
  for (const SizeOverrides& sizes : values) {
    Trial trial = base;
    trial.sizes = sizes;
    const auto prediction = predict(trial);
    if (!prediction) return prediction.error();
    SweepRow row{sizes, prediction->outcome, {}, {}, prediction->outcome.offloaded_bytes};
    row.frames = frames_made(*prediction->passes);
    for (const PassIndex p : prediction->passes->passes.indices()) {
      const auto& usable = prediction->outcome.passes[p].usable_bytes;
      if (prediction->passes->passes[p].kind != StepKind::sample || !usable) continue;
      row.usable_bytes = std::min(row.usable_bytes.value_or(*usable), *usable);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<std::int64_t> largest_resident_frames(const Trial& base, const Prediction& prediction,
                                                    const Predict& predict) {
  const auto stride = stride_of(*prediction.passes);
  if (!stride || effort_of(*prediction.passes) * kTrialsMost > kEffortSteps) return std::nullopt;
  const auto whole_with = [&](std::int64_t latent_frames) {
    Trial trial = base;
    trial.sizes.frames = 1 + *stride * latent_frames;
    const auto result = predict(trial);
    return result.ok() && resident(*result);
  };
  if (!whole_with(0)) return std::nullopt;
  std::int64_t good = 0;
  std::int64_t bad = 1;
  const std::int64_t most = (kFramesMax - 1) / *stride;
  for (; bad <= most && whole_with(bad); bad *= 2) good = bad;
  bad = std::min(bad, most + 1);
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (whole_with(middle) ? good : bad) = middle;
  }
  return 1 + *stride * good;
}

}  // namespace ebb
