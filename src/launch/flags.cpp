// SPDX-License-Identifier: Apache-2.0
// Which flags: the levers of the plan, followed from one set of flags to the next.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ebb/launch.h"
#include "ebb/report.h"
#include "launch/advice.h"
#include "machine/flag_words.h"

namespace ebb {
namespace {

constexpr std::size_t kSetsMax = 16;  // distinct sets of flags that are predicted

constexpr const char* kStandalone = "--windows-standalone-build";

bool defines(const Checkout& checkout, const std::string& flag) {
  return std::binary_search(checkout.flags.begin(), checkout.flags.end(), flag);
}

bool has(const std::vector<FlagWords>& list, const FlagWords& flag) {
  return std::find(list.begin(), list.end(), flag) != list.end();
}

Result<ComfyFlags> from_words(const std::vector<FlagWords>& flags) {
  std::vector<std::string> all;
  for (const FlagWords& flag : flags) all.insert(all.end(), flag.begin(), flag.end());
  return parse_comfy_flags(all);
}

Result<Prediction> predict(const LaunchRun& run, const ComfyFlags& flags) {
  Trial trial = run.trial;
  trial.machine.flags = flags;
  auto prediction = run.predict(trial);
  if (!prediction && prediction.error().where.file.empty()) {
    Error error = prediction.error();
    error.where.file = run.file;
    return error;
  }
  return prediction;
}

/// A set of flags, and what it makes of every run.
struct Set {
  ComfyFlags flags;
  std::vector<Prediction> predictions;
};

Result<Set> predict_all(const std::vector<LaunchRun>& runs, const ComfyFlags& flags) {
  Set set{flags, {}};
  for (const LaunchRun& run : runs) {
    auto prediction = predict(run, flags);
    if (!prediction) return prediction.error();
    set.predictions.push_back(*std::move(prediction));
  }
  return set;
}

/// Lower is better.
auto badness(const Set& set) {
  int worst = 0, sum = 0;
  std::int64_t offloaded = 0;
  for (const Prediction& prediction : set.predictions) {
    const int verdict = rank(prediction.outcome.verdict);
    worst = std::max(worst, verdict);
    sum += verdict;
    offloaded += prediction.outcome.offloaded_bytes;
  }
  return std::tuple(worst, sum, to_words(set.flags).size(), offloaded);
}

/// The sets that one lever each leads to from `set`.
std::vector<ComfyFlags> next_sets(const std::vector<LaunchRun>& runs, const Set& set) {
  std::vector<ComfyFlags> found;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Trial trial = runs[i].trial;
    trial.machine.flags = set.flags;
    for (const Fix& fix : search_fixes(trial, set.predictions[i], runs[i].predict)) {
      if (fix.kind == FixKind::flag && fix.helps) found.push_back(fix.trial.machine.flags);
    }
  }
  return found;
}

Result<Set> best_set(const std::vector<LaunchRun>& runs, const Set& start,
                     const Checkout& checkout) {
  std::vector<Set> sets = {start};
  for (std::size_t at = 0; at < sets.size() && sets.size() < kSetsMax; ++at) {
    for (const ComfyFlags& flags : next_sets(runs, sets[at])) {
      const bool seen =
          std::any_of(sets.begin(), sets.end(), [&](const Set& set) { return set.flags == flags; });
      if (seen || sets.size() >= kSetsMax || !check_flags(checkout, flags)) continue;
      auto set = predict_all(runs, flags);
      if (!set) return set.error();
      sets.push_back(*std::move(set));
    }
  }
  return *std::min_element(sets.begin(), sets.end(),
                           [](const Set& a, const Set& b) { return badness(a) < badness(b); });
}

LaunchEffect effect_between(const LaunchRun& run, const Prediction& before,
                            const ComfyFlags& flags_before, const Prediction& after,
                            const ComfyFlags& flags_after) {
  LaunchEffect effect{run.file, before.outcome, after.outcome, {}, {}};
  if (before.outcome.offloaded_bytes == 0 && after.outcome.offloaded_bytes == 0) return effect;
  Trial trial = run.trial;
  trial.machine.flags = flags_before;
  effect.frames_before = largest_resident_frames(trial, before, run.predict);
  trial.machine.flags = flags_after;
  effect.frames_after = largest_resident_frames(trial, after, run.predict);
  return effect;
}

/// What going from `was` to `is` changes, for each run where it does; empty: nowhere.
std::string difference(const std::vector<LaunchRun>& runs, const Set& was, const Set& is) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto effect =
        effect_between(runs[i], was.predictions[i], was.flags, is.predictions[i], is.flags);
    const std::string text = to_string(effect, runs[i].trial.machine);
    if (text.empty()) continue;
    parts.push_back(runs.size() == 1 ? text : runs[i].file + ": " + text);
  }
  return fmt::format("{}", fmt::join(parts, ", and "));
}

/// `flags` without one of them. Removing a flag never makes the rest wrong.
ComfyFlags without(const ComfyFlags& flags, const FlagWords& flag) {
  std::vector<FlagWords> words = to_words(flags);
  std::erase(words, flag);
  return from_words(words).value();
}

/// Whether the flag says something of memory that Ebb knows.
bool matters(const ComfyFlags& with, const ComfyFlags& without) {
  ComfyFlags a = with, b = without;
  a.other.clear();
  b.other.clear();
  return a != b;
}

/// What the flag does, found by predicting without it.
Result<std::string> reason_to_keep(const std::vector<LaunchRun>& runs, const Set& chosen,
                                   const FlagWords& flag) {
  if (flag.front() == kStandalone) {
    return std::string("ComfyUI's own scripts give it to the portable build");
  }
  const ComfyFlags less = without(chosen.flags, flag);
  if (!matters(chosen.flags, less)) {
    return std::string("taken over; Ebb knows no effect of it on memory");
  }
  const auto set = predict_all(runs, less);
  if (!set) return set.error();
  const std::string text = difference(runs, *set, chosen);
  return text.empty() ? "taken over; without it nothing changes here"
                      : "against without it: " + text;
}

Result<std::string> reason_to_drop(const std::vector<LaunchRun>& runs, const Set& chosen,
                                   const FlagWords& flag) {
  std::vector<FlagWords> words = to_words(chosen.flags);
  words.push_back(flag);
  const auto flags = from_words(words);
  if (!flags) return std::string("another flag takes its place");
  const auto set = predict_all(runs, *flags);
  if (!set) return set.error();
  const std::string text = difference(runs, *set, chosen);
  return text.empty() ? "nothing changes here without it" : text;
}

Result<std::string> reason_to_leave_out(const std::vector<LaunchRun>& runs, const Set& chosen,
                                        const Checkout& checkout, const Advice& advice) {
  if (!defines(checkout, advice.words.front())) {
    return fmt::format("ComfyUI {} has no such flag", to_string(checkout.version));
  }
  if (!advice.predicted) return std::string(advice.caveat);
  std::vector<FlagWords> words = to_words(chosen.flags);
  words.push_back(advice.words);
  const auto flags = from_words(words);
  if (!flags) return flags.error().message;
  const auto set = predict_all(runs, *flags);
  if (!set) return set.error();
  std::string text = difference(runs, chosen, *set);
  if (text.empty()) text = "changes nothing here";
  return fmt::format("{} ({})", text, advice.caveat);
}

Result<Done> explain_flags(const std::vector<LaunchRun>& runs, const Checkout& checkout,
                           const Set& start, const Set& chosen, LaunchPlan& plan) {
  const std::vector<FlagWords> before = to_words(start.flags), after = to_words(chosen.flags);
  for (const FlagWords& flag : after) {
    const auto reason = reason_to_keep(runs, chosen, flag);
    if (!reason) return reason.error();
    (has(before, flag) ? plan.kept : plan.added).push_back({flag, *reason});
  }
  for (const FlagWords& flag : before) {
    if (has(after, flag)) continue;
    const auto reason = reason_to_drop(runs, chosen, flag);
    if (!reason) return reason.error();
    plan.dropped.push_back({flag, *reason});
  }
  for (const Advice& advice : recommended_flags()) {
    const auto same = [&](const FlagWords& flag) { return flag.front() == advice.words.front(); };
    const auto is_dropped = [&](const LaunchFlag& flag) { return same(flag.words); };
    if (std::any_of(after.begin(), after.end(), same) ||
        std::any_of(plan.dropped.begin(), plan.dropped.end(), is_dropped)) {
      continue;
    }
    const auto reason = reason_to_leave_out(runs, chosen, checkout, advice);
    if (!reason) return reason.error();
    plan.left_out.push_back({advice.words, *reason});
  }
  return Done{};
}

/// The flags that this ComfyUI has; the others are dropped.
ComfyFlags usable_flags(const ComfyFlags& given, const Checkout& checkout, LaunchPlan& plan) {
  std::vector<FlagWords> words;
  for (const FlagWords& flag : to_words(given)) {
    if (defines(checkout, flag.front())) {
      words.push_back(flag);
    } else {
      plan.dropped.push_back(
          {flag, fmt::format("ComfyUI {} has no such flag", to_string(checkout.version))});
    }
  }
  return from_words(words).value();
}

/// The portable build gets the flag that its own scripts have.
ComfyFlags with_standalone(const ComfyFlags& flags, const Checkout& checkout, Os os) {
  std::vector<FlagWords> words = to_words(flags);
  if (checkout.portable && os == Os::windows && defines(checkout, kStandalone) &&
      !has(words, {kStandalone})) {
    words.push_back({kStandalone});
  }
  return from_words(words).value();
}

}  // namespace

Result<LaunchPlan> plan_launch(const std::vector<LaunchRun>& runs, const Checkout& checkout) {
  if (runs.empty()) return usage_error("no workflow is given to start ComfyUI for");
  LaunchPlan plan;
  plan.machine = runs.front().trial.machine;
  plan.before = plan.machine.flags;
  const auto start = predict_all(runs, usable_flags(plan.before, checkout, plan));
  if (!start) return start.error();
  auto chosen = best_set(runs, *start, checkout);
  if (!chosen) return chosen.error();
  chosen->flags = with_standalone(chosen->flags, checkout, plan.machine.os);
  plan.machine.flags = chosen->flags;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    plan.effects.push_back(effect_between(runs[i], runs[i].prediction, plan.before,
                                          chosen->predictions[i], chosen->flags));
  }
  if (auto done = explain_flags(runs, checkout, *start, *chosen, plan); !done) return done.error();
  return plan;
}

std::string to_string(const LaunchEffect& effect, const Machine& machine) {
  std::vector<Message> parts = changes(effect.before, effect.after, machine);
  if (effect.frames_after && effect.frames_before && effect.frames_after != effect.frames_before) {
    parts.push_back({Say::limit_moves, {*effect.frames_before, *effect.frames_after}});
  }
  return say(parts);
}

}  // namespace ebb
