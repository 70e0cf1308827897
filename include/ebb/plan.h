// SPDX-License-Identifier: Apache-2.0
// A plan is Ebb's decision; a fix is one lever with its predicted effect. Every claim is the
// difference of two predictions, and the checker, which knows nothing of the search, replays it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ebb/pass.h"

namespace ebb {

/// Everything that a lever can change.
struct Trial {
  Machine machine;
  SizeOverrides sizes;
  Levers levers;
};

/// A prediction for one trial: passes, what the policy makes of them, and the verdict.
struct Prediction {
  /// Never null. Shared, because the many predictions of one search have the same passes.
  std::shared_ptr<const Passes> passes = std::make_shared<Passes>();
  Timeline timeline;
  Outcome outcome;
};

/// Predicts a trial. The plan layer does not know the policy; its caller hands it in.
using Predict = std::function<Result<Prediction>(const Trial&)>;

enum class FixKind { nothing, flag, node, parameter, order, version };
const char* to_string(FixKind kind);

struct Fix {
  std::string id;  ///< `drop-reserve-vram`, `budget`, `unload-at-cut-2`: stable names
  FixKind kind = FixKind::nothing;
  Message title;                           ///< what to do
  std::vector<Message> effects;            ///< what changes
  std::vector<Message> costs;              ///< `pack_node`, `read_again` with its bytes, ...
  bool helps = false;                      ///< false: listed because people would expect it to help
  std::optional<std::int64_t> vram_bytes;  ///< fewer bytes offloaded in the worst pass (+ = better)
  std::optional<std::int64_t> ram_bytes;   ///< lower RAM peak (+ = better)
  std::optional<double> seconds;           ///< saved per run (+ = better), where rates are known
  Trial trial;
  Verdict verdict = Verdict::unknown;  ///< of the run with this fix
};

/// What differs between two predictions of one run by more than runs differ by themselves; the
/// numbers as they are printed, so that what reads the same is the same. Empty: nothing.
std::vector<Message> changes(const Outcome& was, const Outcome& is, const Machine& machine);

/// What a run with this verdict does.
Say does(Verdict verdict);

/// How many steps one search predicts again, all trials together: a long prompt gets fewer
/// trials, so that an answer stays a matter of a moment. What was left out is said.
constexpr std::int64_t kEffortSteps = 20'000;

/// An error where a timeline of the passes, which has a number for every model at every step, would
/// take memory by the hundred megabytes; no workflow is known to come near.
std::optional<Error> too_large(const Passes& passes);

/// What predicting these passes once costs, in steps: many models make a step dearer.
std::int64_t effort_of(const Passes& passes);

/// Tries the levers, cheapest first, and keeps those that change something or that people expect
/// to. The list is never empty: `nothing: it already fits` is a fix.
std::vector<Fix> search_fixes(const Trial& base, const Prediction& prediction,
                              const Predict& predict);

/// One row of a table over --frames or --size.
struct SweepRow {
  SizeOverrides sizes;
  Outcome outcome;
  std::optional<std::int64_t> frames;        ///< that the result has: 61 where 64 were asked of Wan
  std::optional<std::int64_t> usable_bytes;  ///< least of the sampling passes
  std::int64_t offloaded_bytes = 0;          ///< most of the sampling passes
};
Result<std::vector<SweepRow>> sweep(const Trial& base, const std::vector<SizeOverrides>& values,
                                    const Predict& predict);

/// The largest frame count (of the form 4k+1, or 8k+1 for models with that stride) up to 100,001
/// with which every diffusion model stays whole; nothing if even the smallest offloads, if the
/// workflow has no frames, or if the prompt is too long to try (kEffortSteps).
std::optional<std::int64_t> largest_resident_frames(const Trial& base, const Prediction& prediction,
                                                    const Predict& predict);

/// Independent of the search and of the policy: replays a prediction and returns what is wrong
/// with it, a sentence each; empty means accepted.
std::vector<std::string> check(const Prompt& prompt, const Order& order, const Trial& trial,
                               const Prediction& prediction);

}  // namespace ebb
