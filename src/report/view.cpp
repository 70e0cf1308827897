// SPDX-License-Identifier: Apache-2.0
// From steps to passes: peaks, loads, evictions, seconds; and folding of passes that repeat.
#include "report/view.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/words.h"

namespace ebb {
namespace {

constexpr int kFoldFrom = 9;  // fewer passes are read faster than a sentence about them
constexpr int kPeriodMax = 8;
constexpr int kRowsMax = 64;

const PassOutcome kNoOutcome;
const Demand kNoDemand;
const StepState kNoState;

std::string pass_label(const PassView& pass, const View& view) {
  std::string label = pass.weights.empty() && pass.kind == StepKind::other ? "no weights in use"
                                                                           : work_words(pass.kind);
  for (std::size_t i = 0; i < pass.weights.size() && i < 3; ++i) {
    label += (i == 0 ? " " : " + ") + view.names[pass.weights[i]];
  }
  if (pass.weights.size() > 3) label += fmt::format(" + {} more", pass.weights.size() - 3);
  return label;
}

void add_step(PassView& view, const Step& step, const StepState& state) {
  if (state.vram_peak_bytes >= view.vram->vram_peak_bytes) view.vram = &state;
  if (state.ram_needed_bytes >= view.ram->ram_needed_bytes) view.ram = &state;
  view.loads.insert(view.loads.end(), state.loads.begin(), state.loads.end());
  view.evictions.insert(view.evictions.end(), state.evictions.begin(), state.evictions.end());
  view.reads.insert(view.reads.end(), step.reads.begin(), step.reads.end());
}

/// Whether a file is read of which no part has a known size.
bool reads_unknown(const Passes& all, const std::vector<WeightsIndex>& reads) {
  const auto file = [&](WeightsIndex w) {
    const Weights& weights = all.weights[w];
    return weights.files.empty() ? weights.id : weights.files[0];
  };
  const auto known = [&](WeightsIndex w) { return all.weights[w].known(); };
  return std::any_of(reads.begin(), reads.end(), [&](WeightsIndex w) {
    return !known(w) && std::none_of(reads.begin(), reads.end(), [&](WeightsIndex other) {
      return known(other) && file(other) == file(w);
    });
  });
}

PassView make_pass(const Prediction& prediction, PassIndex index, const View& view) {
  const Passes& all = *prediction.passes;
  const Pass& pass = all.passes[index];
  PassView result;
  result.number = index.number();
  result.kind = pass.kind;
  const auto valid = [&](WeightsIndex w) { return all.weights.has(w); };
  std::copy_if(pass.weights.begin(), pass.weights.end(), std::back_inserter(result.weights), valid);
  const auto& outcomes = prediction.outcome.passes;
  result.outcome = outcomes.has(index) ? &outcomes[index] : &kNoOutcome;
  result.demand = all.steps.has(pass.main_step) ? &all.steps[pass.main_step].demand : &kNoDemand;
  result.vram = result.ram = &kNoState;
  for (StepIndex s = pass.first_step; s <= pass.last_step && all.steps.has(s); ++s) {
    result.nodes.push_back(all.steps[s].id);
    const auto& states = prediction.timeline.steps;
    if (states.has(s)) add_step(result, all.steps[s], states[s]);
  }
  std::erase_if(result.loads, [&](const Load& load) { return !valid(load.weights); });
  std::erase_if(result.evictions, [&](const Eviction& e) { return !valid(e.weights); });
  std::erase_if(result.reads, [&](WeightsIndex w) { return !valid(w); });
  for (const Load& load : result.loads) {
    if (!result.weights.empty() && load.weights == result.weights[0]) {
      result.reserve_bytes = std::max<std::int64_t>(load.reserve_bytes, 0);
      result.step_bytes = std::max<std::int64_t>(load.minimum_bytes, 0);
    }
  }
  result.reads_unknown = reads_unknown(all, result.reads);
  result.label = pass_label(result, view);
  return result;
}

/// Equal in everything that a row or a column of the picture shows.
bool same_pass(const PassView& a, const PassView& b) {
  const PassOutcome& x = *a.outcome;
  const PassOutcome& y = *b.outcome;
  const auto evicted = [](const Eviction& p, const Eviction& q) {
    return p.weights == q.weights && p.bytes == q.bytes && p.partial == q.partial;
  };
  return a.kind == b.kind && a.weights == b.weights && a.vram->vram == b.vram->vram &&
         a.seconds() == b.seconds() && a.reads_unknown == b.reads_unknown &&
         x.verdict == y.verdict &&
         a.demand->subtracted().value() == b.demand->subtracted().value() &&
         a.demand->live.value() == b.demand->live.value() && x.usable_bytes == y.usable_bytes &&
         x.loaded_bytes == y.loaded_bytes && x.offloaded_bytes == y.offloaded_bytes &&
         x.vram_peak_bytes == y.vram_peak_bytes &&
         format_gib(x.ram_peak_bytes.value_or(-1)) == format_gib(y.ram_peak_bytes.value_or(-1)) &&
         x.read_bytes == y.read_bytes &&
         std::equal(a.evictions.begin(), a.evictions.end(), b.evictions.begin(), b.evictions.end(),
                    evicted);
}

/// Passes from `at` on that repeat the `period` passes before `at`, in whole periods.
int repeats_at(const List<PassView, PassIndex>& passes, PassIndex at, int period) {
  int length = 0;
  for (PassIndex p = at; passes.has(p) && same_pass(passes[p], passes[p - period]); ++p) ++length;
  return length - length % period;
}

std::vector<PassRow> fold(const List<PassView, PassIndex>& passes, int& left_out) {
  std::vector<PassRow> rows;
  const int count = passes.end_index().at;
  PassIndex settled = 0;  // a repeat must not refer to passes inside an earlier repeat
  for (PassIndex at = 0; passes.has(at);) {
    if (static_cast<int>(rows.size()) == kRowsMax) {
      left_out = count - at.at;
      break;
    }
    PassRow best{at, 0, 0};
    for (int period = 1; count >= kFoldFrom && period <= kPeriodMax; ++period) {
      if (at - period < settled) break;
      const int length = repeats_at(passes, at, period);
      if (length > best.length && length > 1) best = {at, length, period};
    }
    rows.push_back(best);
    at = best.last() + 1;
    if (best.length > 0) settled = at;
  }
  return rows;
}

/// `LATENT crosses, 20 MiB.`, `LATENT (20 MiB) and CONDITIONING (8 MiB) cross.`
std::string crossing_words(const std::vector<Crossing>& crossing) {
  constexpr std::size_t kNamed = 3;
  const auto size = [](const std::optional<std::int64_t>& bytes) -> std::string {
    if (!bytes) return "size unknown";
    return *bytes < 1_MiB / 2 ? "<1 MiB" : format_mib(*bytes) + " MiB";
  };
  if (crossing.empty()) return "nothing crosses.";
  if (crossing.size() == 1) {
    return printable(crossing[0].type) + " crosses, " + size(crossing[0].bytes) + ".";
  }
  std::vector<std::pair<std::string, int>> kinds;  // equal ones once, in order of appearance
  for (const Crossing& c : crossing) {
    const std::string words = printable(c.type) + " (" + size(c.bytes);
    const auto same = [&](const auto& kind) { return kind.first == words; };
    const auto at = std::find_if(kinds.begin(), kinds.end(), same);
    at == kinds.end() ? void(kinds.emplace_back(words, 1)) : void(++at->second);
  }
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < kinds.size() && i < kNamed; ++i) {
    const int count = kinds[i].second;
    const bool each = count > 1 && !kinds[i].first.ends_with("size unknown");
    parts.push_back((count > 1 ? count_word(count) + " " : "") + kinds[i].first +
                    (each ? " each)" : ")"));
  }
  if (kinds.size() > kNamed) {
    const std::size_t more = kinds.size() - kNamed;
    parts.push_back(fmt::format("{} more kind{}", more, more == 1 ? "" : "s"));
  }
  return join_and(parts) + " cross.";
}

}  // namespace

std::int64_t bytes_of(const List<std::int64_t, WeightsIndex>& bytes, WeightsIndex weights) {
  return bytes.has(weights) ? std::max<std::int64_t>(bytes[weights], 0) : 0;
}

std::string repeat_words(const View& view, const PassRow& row) {
  const int first = view.passes[row.pass].number;
  const int last = first + row.length - 1;
  const int times = row.length / row.period;
  const std::string range = fmt::format("passes {}-{}", first, last);
  if (row.period == 1) return fmt::format("{}: pass {} again, {} times", range, first - 1, times);
  return fmt::format("{}: passes {}-{} again, {}", range, first - row.period, first - 1,
                     times == 1 ? "once" : count_word(times) + " times");
}

namespace {

/// What one of Ebb's nodes in the prompt does at its cut, where `moved` leave VRAM: a sentence.
std::string own_words(const View& view, const CutStep& order, std::vector<std::string>& moved) {
  const Step& step = view.prediction->passes->steps[order.step];
  const std::string node = fmt::format("Node {} {}", printable(step.id), step.class_type);
  if (order.action == CutAction::unload_all) {
    return moved.empty() ? "" : fmt::format(" {} unloads {}.", node, join_and(moved));
  }
  std::vector<std::string> models;
  for (const WeightsIndex w : order.weights) models.push_back(view.names[w]);
  if (order.action == CutAction::prefetch) {
    return fmt::format(" {} reads ahead {}.", node, join_and(models));
  }
  // What is dropped has left VRAM with it.
  std::erase_if(moved, [&](const std::string& name) {
    return std::find(models.begin(), models.end(), name) != models.end();
  });
  return fmt::format(" {} {}s {}.", node, to_string(order.action), join_and(models));
}

}  // namespace

CutWords View::cut_words(PassIndex pass) const {
  const PassIndex next = pass + 1;
  if (!passes.has(next)) return {};
  CutWords words;
  const auto& cuts = prediction->passes->cuts;
  words.crosses = cuts.has(pass) ? crossing_words(cuts[pass].crossing) : "nothing crosses.";
  // A model that leaves in several steps of the pass is named once.
  std::vector<Eviction> left;
  for (const Eviction& eviction : passes[next].evictions) {
    const auto same = [&](const Eviction& e) { return e.weights == eviction.weights; };
    const auto at = std::find_if(left.begin(), left.end(), same);
    if (at == left.end()) {
      left.push_back(eviction);
    } else {
      at->bytes = add_bytes(at->bytes, eviction.bytes);
      at->partial = at->partial && eviction.partial;
    }
  }
  std::vector<std::string> moved;
  for (const Eviction& eviction : left) {
    const std::string& name = names[eviction.weights];
    moved.push_back(eviction.partial ? fmt::format("{} MiB of {}", format_mib(eviction.bytes), name)
                                     : name);
  }
  bool freed = false;
  for (const CutStep& order : prediction->passes->own.cuts) {
    if (order.after_pass != pass) continue;
    words.ours += own_words(*this, order, moved);
    freed |= order.action != CutAction::prefetch;
  }
  if (!freed) words.leaves = join_and(moved);
  return words;
}

std::string View::cut_text(PassIndex pass) const {
  const CutWords words = cut_words(pass);
  return words.crosses + words.ours +
         (words.leaves.empty() ? "" : " ComfyUI moves " + words.leaves + " out by itself here.");
}

View make_view(const Prediction& prediction) {
  View view;
  view.prediction = &prediction;
  const auto& weights = prediction.passes->weights;
  view.names = short_names(weights);
  for (const WeightsIndex w : weights.indices()) {
    // The parts of a checkpoint share a name; a sentence about it means all of them.
    if (std::ranges::count(weights, weights[w].name, &Weights::name) > 1) continue;
    view.short_names.emplace(weights[w].name, view.names[w]);
  }
  for (const PassIndex i : prediction.passes->passes.indices()) {
    view.passes.push_back(make_pass(prediction, i, view));
  }
  view.rows = fold(view.passes, view.rows_left_out);
  return view;
}

}  // namespace ebb
