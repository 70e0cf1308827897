// SPDX-License-Identifier: Apache-2.0
// The levers, cheapest first: each is tried by predicting the run again, and kept if it changes
// something or if people would expect it to.
#include <fmt/format.h>

#include <algorithm>

#include "base/names.h"
#include "plan/levers.h"
#include "plan/questions.h"

namespace ebb {
namespace {

/// Changes below these are the same run: they are within what differs from one run to the next.
constexpr std::int64_t kSameBytes = 16_MiB;
constexpr double kSameOffload = 0.02;  ///< of what is offloaded: 1 % less streaming is no fix
constexpr std::int64_t kSameRamBytes = 256_MiB;
constexpr double kSameSeconds = 1;
constexpr std::int64_t kTrialsOfASize = 16;  ///< what finding a smaller size takes
constexpr double kSameShare = 0.02;          ///< of the run's seconds

}  // namespace

Say does(Verdict verdict) {
  return name_in<Verdict::unknown>(
      {Say::fits, Say::fits_tightly, Say::offloads, Say::may_run_out_of_memory,
       Say::is_short_of_ram, Say::spills_into_shared_memory, Say::is_unknown},
      verdict);
}

namespace {

/// Whether what was above the card's limit no longer is.
bool relieves(const Outcome& was, const Outcome& is, const Machine& machine) {
  const std::int64_t limit = machine.vram_total.bytes;
  return was.vram_peak_bytes > limit && was.vram_peak_bytes - is.vram_peak_bytes > kSameBytes &&
         is.vram_peak_bytes <= limit;
}

std::int64_t rounded(std::int64_t bytes, std::int64_t unit) {
  return (bytes + unit / 2) / unit * unit;
}

/// Negative if they are lost, 0 if it is the same run or a time is unknown.
double saved_seconds(const Outcome& was, const Outcome& is) {
  if (!was.seconds || !is.seconds) return 0;
  const double seconds = *was.seconds - *is.seconds;
  return std::abs(seconds) < std::max(kSameSeconds, kSameShare * *was.seconds) ? 0 : seconds;
}

class Search {
 public:
  Search(const Trial& base, const Prediction& before, const Predict& predict)
      : base_(base), before_(before), predict_(predict) {
    trials_left_ = kEffortSteps / effort_of(*before.passes);
  }

  std::vector<Fix> run() {
    if (before_.outcome.verdict == Verdict::fits) add_nothing(Say::it_fits_already);
    add_questions();
    for (const Lever& lever : flag_levers(base_, before_, predict_)) attempt(lever);
    for (const Lever& lever : budget_levers(base_, before_, predict_)) attempt(lever);
    for (const Lever& lever : tile_levers(base_, before_)) attempt(lever);
    for (const Lever& lever : cut_levers(base_, before_)) attempt(lever);
    if (rank(before_.outcome.verdict) >= rank(Verdict::offloads) && trials_left_ > kTrialsOfASize) {
      for (const Lever& lever : size_levers(base_, before_, predict_)) attempt(lever);
      combine();
    }
    // What mends the trouble goes first, then what helps otherwise.
    const auto place = [&](const Fix& fix) { return fix.helps ? (mends(fix) ? 0 : 1) : 2; };
    std::stable_sort(fixes_.begin(), fixes_.end(),
                     [&](const Fix& a, const Fix& b) { return place(a) < place(b); });
    if (fixes_.empty() || trials_left_ <= kTrialsOfASize) {
      add_nothing(trials_left_ > kTrialsOfASize ? Say::no_lever_helps : Say::not_every_lever_tried);
    }
    return std::move(fixes_);
  }

 private:
  void add_nothing(Say why) {
    Fix fix;
    fix.id = "nothing";
    fix.title = why;
    if (why != Say::not_every_lever_tried) fix.title = {Say::nothing_because, {why}};
    fix.helps = why == Say::it_fits_already;
    if (fix.helps) fix.vram_bytes = fix.ram_bytes = 0;
    fix.trial = base_;
    fix.verdict = before_.outcome.verdict;
    fixes_.push_back(std::move(fix));
  }

  /// What the user can tell where something is not known.
  void add_questions() {
    for (Question& question : questions(base_, before_, predict_, trials_left_)) {
      Fix fix;
      fix.id = std::move(question.id);
      fix.title = std::move(question.title);
      if (!question.effect.empty()) fix.effects.push_back(std::move(question.effect));
      fix.helps = question.helps;
      fix.trial = base_;
      fix.verdict = before_.outcome.verdict;
      fixes_.push_back(std::move(fix));
    }
  }

  /// Whether a fix eases what the headline is about.
  bool mends(const Fix& fix) const {
    const Outcome& was = before_.outcome;
    if (fix.kind == FixKind::nothing || rank(fix.verdict) < rank(was.verdict)) return true;
    if (was.verdict == Verdict::ram_short) return fix.ram_bytes.value_or(0) > kSameRamBytes;
    return fix.vram_bytes.value_or(0) > same_bytes(was);
  }

  /// Less RAM is an answer only where RAM is a question.
  bool ram_matters(const Outcome& was) const {
    constexpr double kHalfFree = 0.7;
    const Quantity& ram = base_.machine.ram_total;
    return !ram.known() || was.verdict == Verdict::ram_short ||
           static_cast<double>(was.ram_peak_bytes) >= kHalfFree * static_cast<double>(ram.bytes);
  }

  void attempt(const Lever& lever) {
    if (--trials_left_ < 0) return;
    const auto after = predict_(lever.trial);
    if (!after) return;  // a lever that makes no sense here is no fix
    Fix fix = describe(lever, *after);
    // What only frees RAM that nobody misses stays in the list: it can still be asked for.
    if (!fix.helps && !lever.expected && fix.ram_bytes.value_or(0) <= kSameRamBytes) return;
    // The same effect at a higher price is no choice.
    const bool dearer = std::any_of(fixes_.begin(), fixes_.end(), [&](const Fix& other) {
      return fix.helps && other.helps && other.kind == fix.kind && other.effects == fix.effects &&
             fix.costs.size() > other.costs.size() && !other.costs.empty() &&
             std::equal(other.costs.begin(), other.costs.end(), fix.costs.begin());
    });
    if (!dearer) fixes_.push_back(std::move(fix));
  }

  Fix describe(const Lever& lever, const Prediction& after) const {
    const Outcome& was = before_.outcome;
    const Outcome& is = after.outcome;
    Fix fix;
    fix.id = lever.id;
    fix.kind = lever.kind;
    fix.title = lever.title;
    fix.trial = lever.trial;
    fix.verdict = is.verdict;
    fix.costs = lever.costs;
    const bool offloads = was.offloaded_bytes > 0 || is.offloaded_bytes > 0;
    fix.vram_bytes = offloads ? was.offloaded_bytes - is.offloaded_bytes
                              : was.vram_peak_bytes - is.vram_peak_bytes;
    if (!was.ram_open && !is.ram_open) fix.ram_bytes = was.ram_peak_bytes - is.ram_peak_bytes;
    if (was.seconds && is.seconds) fix.seconds = *was.seconds - *is.seconds;
    fix.helps = !lever.remedy.empty() || helps(was, is, fix);
    fix.effects = effects(was, is, fix, lever);
    return fix;
  }

  /// Whether the run is better by something that matters and not worse in its verdict.
  bool helps(const Outcome& was, const Outcome& is, const Fix& fix) const {
    if (rank(is.verdict) > rank(was.verdict)) return false;
    const bool fits = was.verdict == Verdict::fits;  // a lower peak of a run that fits is no gain
    return rank(is.verdict) < rank(was.verdict) || (!fits && *fix.vram_bytes > same_bytes(was)) ||
           relieves(was, is, base_.machine) ||
           (fix.ram_bytes.value_or(0) > kSameRamBytes && ram_matters(was)) ||
           saved_seconds(was, is) > 0;
  }

  static std::int64_t same_bytes(const Outcome& was) {
    return std::max(kSameBytes, static_cast<std::int64_t>(
                                    kSameOffload * static_cast<double>(was.offloaded_bytes)));
  }

  std::vector<Message> effects(const Outcome& was, const Outcome& is, const Fix& fix,
                               const Lever& lever) const {
    std::vector<Message> parts = changes(was, is, base_.machine);
    if (!lever.remedy.empty()) parts.insert(parts.begin(), lever.remedy);
    if (!lever.limit.empty() && fix.helps) parts.push_back(lever.limit);
    if (!lever.same.empty() && std::abs(*fix.vram_bytes) <= kSameBytes) {
      parts.insert(parts.begin(), lever.same);
    }
    if (parts.empty()) parts.emplace_back(Say::changes_nothing);
    return parts;
  }

  /// Where one lever is not enough, two together may be: the flag and the measured budget.
  void combine() {
    const auto find = [&](FixKind kind) {
      return std::find_if(fixes_.begin(), fixes_.end(),
                          [&](const Fix& fix) { return fix.kind == kind && fix.helps; });
    };
    const auto flag = find(FixKind::flag);
    if (flag == fixes_.end() || rank(flag->verdict) < rank(Verdict::offloads)) return;
    Trial trial = base_;
    trial.machine = flag->trial.machine;
    const auto with_flag = predict_(trial);
    if (!with_flag) return;
    for (Lever lever : budget_levers(trial, *with_flag, predict_)) {
      lever.id = flag->id + "+" + lever.id;
      lever.title = {Say::both_fixes, {flag->title, std::move(lever.title)}};
      attempt(lever);
    }
  }

  const Trial& base_;
  const Prediction& before_;
  const Predict& predict_;
  std::int64_t trials_left_ = 0;
  std::vector<Fix> fixes_;
};

}  // namespace

std::vector<Message> changes(const Outcome& was, const Outcome& is, const Machine& machine) {
  std::vector<Message> parts;
  const auto add = [&parts](Say what, std::int64_t before, std::int64_t after, std::int64_t unit) {
    parts.push_back({what, {rounded(before, unit), rounded(after, unit)}});
  };
  if (std::abs(was.offloaded_bytes - is.offloaded_bytes) > kSameBytes) {
    add(Say::offloaded_changes, was.offloaded_bytes, is.offloaded_bytes, 1_MiB);
  }
  const bool offloads = was.offloaded_bytes > 0 || is.offloaded_bytes > 0;
  const bool lower_peak = !offloads && was.vram_peak_bytes - is.vram_peak_bytes > kSameBytes;
  if (relieves(was, is, machine) || lower_peak) {
    add(Say::vram_peak_changes, was.vram_peak_bytes, is.vram_peak_bytes, 1_MiB);
  }
  const bool ram_known = !was.ram_open && !is.ram_open;
  if (ram_known && std::abs(was.ram_peak_bytes - is.ram_peak_bytes) > kSameRamBytes) {
    add(Say::ram_peak_changes, was.ram_peak_bytes, is.ram_peak_bytes, 1_GiB / 10);
  }
  if (const double seconds = saved_seconds(was, is); seconds != 0) {
    parts.push_back({seconds > 0 ? Say::saves_seconds : Say::costs_seconds,
                     {std::nearbyint(std::abs(seconds))}});
  }
  if (is.verdict != was.verdict) {
    parts.push_back({Say::then_it, {does(is.verdict)}});
  }
  return parts;
}

const char* to_string(FixKind kind) {
  return name_in<FixKind::version>({"nothing", "flag", "node", "parameter", "order", "version"},
                                   kind);
}

std::vector<Fix> search_fixes(const Trial& base, const Prediction& prediction,
                              const Predict& predict) {
  return Search(base, prediction, predict).run();
}

}  // namespace ebb
