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
                                                                           : to_string(pass.kind);
  for (std::size_t i = 0; i < pass.weights.size() && i < 3; ++i) {
    label += (i == 0 ? " " : " + ") + view.names[static_cast<std::size_t>(pass.weights[i])];
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
bool reads_unknown(const Passes& all, const std::vector<int>& reads) {
  const auto file = [&](int w) {
    const Weights& weights = all.weights[static_cast<std::size_t>(w)];
    return weights.files.empty() ? weights.id : weights.files[0];
  };
  const auto known = [&](int w) { return all.weights[static_cast<std::size_t>(w)].known(); };
  return std::any_of(reads.begin(), reads.end(), [&](int w) {
    return !known(w) && std::none_of(reads.begin(), reads.end(), [&](int other) {
      return known(other) && file(other) == file(w);
    });
  });
}

PassView make_pass(const Prediction& prediction, std::size_t index, const View& view) {
  const Passes& all = *prediction.passes;
  const Pass& pass = all.passes[index];
  PassView result;
  result.number = static_cast<int>(index) + 1;
  result.kind = pass.kind;
  const int steps = static_cast<int>(all.steps.size());
  const int weights = static_cast<int>(all.weights.size());
  const auto valid = [&](int w) { return w >= 0 && w < weights; };
  std::copy_if(pass.weights.begin(), pass.weights.end(), std::back_inserter(result.weights), valid);
  result.outcome =
      index < prediction.outcome.passes.size() ? &prediction.outcome.passes[index] : &kNoOutcome;
  result.demand = pass.main_step >= 0 && pass.main_step < steps
                      ? &all.steps[static_cast<std::size_t>(pass.main_step)].demand
                      : &kNoDemand;
  result.vram = result.ram = &kNoState;
  for (int s = std::max(pass.first_step, 0); s <= pass.last_step && s < steps; ++s) {
    const auto at = static_cast<std::size_t>(s);
    result.nodes.push_back(all.steps[at].id);
    if (at < prediction.timeline.steps.size()) {
      add_step(result, all.steps[at], prediction.timeline.steps[at]);
    }
  }
  std::erase_if(result.loads, [&](const Load& load) { return !valid(load.weights); });
  std::erase_if(result.evictions, [&](const Eviction& e) { return !valid(e.weights); });
  std::erase_if(result.reads, [&](int w) { return !valid(w); });
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
int repeats_at(const std::vector<PassView>& passes, int at, int period) {
  int length = 0;
  const int count = static_cast<int>(passes.size());
  while (at + length < count && same_pass(passes[static_cast<std::size_t>(at + length)],
                                          passes[static_cast<std::size_t>(at + length - period)])) {
    ++length;
  }
  return length - length % period;
}

std::vector<PassRow> fold(const std::vector<PassView>& passes, int& left_out) {
  std::vector<PassRow> rows;
  const int count = static_cast<int>(passes.size());
  int settled = 0;  // a repeat must not refer to passes inside an earlier repeat
  for (int at = 0; at < count;) {
    if (static_cast<int>(rows.size()) == kRowsMax) {
      left_out = count - at;
      break;
    }
    PassRow best{at, 0, 0};
    for (int period = 1; count >= kFoldFrom && period <= kPeriodMax; ++period) {
      if (at - period < settled) break;
      const int length = repeats_at(passes, at, period);
      if (length > best.length && length > 1) best = {at, length, period};
    }
    rows.push_back(best);
    at += std::max(best.length, 1);
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

std::int64_t bytes_of(const std::vector<std::int64_t>& bytes, int weights) {
  if (weights < 0 || static_cast<std::size_t>(weights) >= bytes.size()) return 0;
  return std::max<std::int64_t>(bytes[static_cast<std::size_t>(weights)], 0);
}

std::string repeat_words(const View& view, const PassRow& row) {
  const int first = view.passes[static_cast<std::size_t>(row.pass)].number;
  const int last = first + row.length - 1;
  const int times = row.length / row.period;
  const std::string range = fmt::format("passes {}-{}", first, last);
  if (row.period == 1) return fmt::format("{}: pass {} again, {} times", range, first - 1, times);
  return fmt::format("{}: passes {}-{} again, {}", range, first - row.period, first - 1,
                     times == 1 ? "once" : count_word(times) + " times");
}

std::string View::with_short_names(const std::string& text) const {
  std::string result = printable(text);
  const auto& weights = prediction->passes->weights;
  for (std::size_t w = 0; w < weights.size(); ++w) {
    const std::string name = printable(weights[w].name);
    // The parts of a checkpoint share a name; a sentence about it means all of them.
    const auto same = [&](const Weights& other) { return other.name == weights[w].name; };
    if (name.size() <= names[w].size() || std::count_if(weights.begin(), weights.end(), same) > 1) {
      continue;
    }
    for (auto at = result.find(name); at != std::string::npos;
         at = result.find(name, at + names[w].size())) {
      const bool file = result.compare(at + name.size(), 1, ".") == 0 &&
                        at + name.size() + 1 < result.size() && result[at + name.size() + 1] != ' ';
      if (!file) result.replace(at, name.size(), names[w]);  // a file is named as it is
    }
  }
  return result;
}

namespace {

/// What one of Ebb's nodes in the prompt does at its cut, where `moved` leave VRAM: a sentence.
std::string own_words(const View& view, const CutStep& order, std::vector<std::string>& moved) {
  const Step& step = view.prediction->passes->steps[static_cast<std::size_t>(order.step)];
  const std::string node = fmt::format("Node {} {}", printable(step.id), step.class_type);
  if (order.action == CutAction::unload_all) {
    return moved.empty() ? "" : fmt::format(" {} unloads {}.", node, join_and(moved));
  }
  std::vector<std::string> models;
  for (const int w : order.weights) models.push_back(view.names[static_cast<std::size_t>(w)]);
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

std::string View::cut_text(int pass) const {
  const auto next = static_cast<std::size_t>(pass) + 1;
  if (next >= passes.size()) return {};
  std::string text = "nothing crosses.";
  const auto& cuts = prediction->passes->cuts;
  if (static_cast<std::size_t>(pass) < cuts.size()) {
    text = crossing_words(cuts[static_cast<std::size_t>(pass)].crossing);
  }
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
    const std::string& name = names[static_cast<std::size_t>(eviction.weights)];
    moved.push_back(eviction.partial ? fmt::format("{} MiB of {}", format_mib(eviction.bytes), name)
                                     : name);
  }
  bool freed = false;
  for (const CutStep& order : prediction->passes->own.cuts) {
    if (order.after_pass != pass) continue;
    text += own_words(*this, order, moved);
    freed |= order.action != CutAction::prefetch;
  }
  if (!moved.empty() && !freed) {
    text += " ComfyUI moves " + join_and(moved) + " out by itself here.";
  }
  return text;
}

View make_view(const Prediction& prediction) {
  View view;
  view.prediction = &prediction;
  view.names = short_names(prediction.passes->weights);
  for (std::size_t i = 0; i < prediction.passes->passes.size(); ++i) {
    view.passes.push_back(make_pass(prediction, i, view));
  }
  view.rows = fold(view.passes, view.rows_left_out);
  return view;
}

}  // namespace ebb
