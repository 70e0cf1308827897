// SPDX-License-Identifier: Apache-2.0
// The sentences of a report. No number here that is not in the report or a sum of such numbers.
#include "report/sentences.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/names.h"
#include "base/text.h"
#include "report/machine_notes.h"
#include "report/words.h"

namespace ebb {
namespace {

const PassView* worst_offload(const View& view) {
  const PassView* worst = nullptr;
  for (const PassView& pass : view.passes) {  // a sampler's steps pay, so samplers go first
    const bool heavier =
        worst && worst->kind == pass.kind && pass.offloaded_bytes() > worst->offloaded_bytes();
    const bool sampler = worst && worst->kind != StepKind::sample && pass.kind == StepKind::sample;
    if (pass.offloads() && (!worst || heavier || sampler)) worst = &pass;
  }
  return worst;
}

/// `in both sampling passes`, `in passes 2 and 5`; those that offload other amounts in brackets.
std::string where_offloaded(const View& view, const PassView& worst) {
  std::vector<int> equal, less;
  int samplers = 0, equal_samplers = 0;
  for (const PassView& pass : view.passes) {
    const bool sampler = pass.kind == StepKind::sample;
    samplers += sampler;
    if (!pass.offloads()) continue;
    const bool same = pass.offloaded_bytes() == worst.offloaded_bytes() &&
                      pass.outcome->loaded_bytes == worst.outcome->loaded_bytes;
    (same ? equal : less).push_back(pass.number);
    equal_samplers += same && sampler;
  }
  std::string where;
  if (equal_samplers == samplers && samplers > 0 &&
      equal.size() == static_cast<std::size_t>(samplers)) {
    where = samplers == 1   ? "in the sampling pass"
            : samplers == 2 ? "in both sampling passes"
                            : fmt::format("in all {} sampling passes", count_word(samplers));
  } else {
    where = (equal.size() == 1 ? "in pass " : "in passes ") + join_ranges(equal);
  }
  if (less.empty()) return where;
  return where + fmt::format(" (other amounts in pass{} {})", less.size() == 1 ? "" : "es",
                             join_ranges(less));
}

/// What becomes of passes that need more than the card has, beside the pass the headline is about:
/// `; pass 5, decode vae, runs out of memory and is retried in tiles`.
std::string above_words(const Report& report, const View& view, const PassView* told) {
  const bool windows = report.trial.machine.os == Os::windows;
  std::vector<const PassView*> above;
  for (const PassView& pass : view.passes) {
    if (pass.outcome->above_bytes > 0 && &pass != told) above.push_back(&pass);
  }
  if (above.empty()) return {};
  if (above.size() > 2) {
    std::vector<int> numbers;
    for (const PassView* pass : above) numbers.push_back(pass->number);
    return fmt::format("; passes {} {}", join_ranges(numbers),
                       windows ? "spill into shared memory" : "need more than the card has");
  }
  std::string words;
  for (const PassView* pass : above) {
    words += fmt::format("; pass {}, {}, ", pass->number, pass->label);
    switch (pass->outcome->then) {
      case Then::spills:
        words += "spills " + format_mib(pass->outcome->above_bytes) + " MiB into shared memory";
        break;
      case Then::retries_in_tiles: words += "runs out of memory and is retried in tiles"; break;
      case Then::nothing:
      case Then::may_run_out: words += "may run out of memory"; break;
    }
  }
  return words;
}

/// The flag that a helpful fix takes away; empty if it takes none away.
std::string removed_flag(const ComfyFlags& now, const ComfyFlags& then) {
  const double reserve = then.reserve_vram_gib.value_or(0);
  if (now.reserve_vram_gib && *now.reserve_vram_gib > reserve) {
    return fmt::format("--reserve-vram {:g}", *now.reserve_vram_gib);
  }
  if (now.vram_state == VramState::low && then.vram_state != VramState::low) return "--lowvram";
  if (now.vram_state == VramState::none && then.vram_state != VramState::none) return "--novram";
  return {};
}

/// The flag without which nothing would be offloaded; empty if there is none.
std::string guilty_flag(const Report& report) {
  for (const Fix& fix : report.fixes) {
    if (!fix.helps || fix.kind != FixKind::flag) continue;
    if (fix.vram_bytes.value_or(0) < report.prediction.outcome.offloaded_bytes) continue;
    const auto flag = removed_flag(report.trial.machine.flags, fix.trial.machine.flags);
    if (!flag.empty()) return flag;
  }
  return {};
}

const PassView* peak_pass(const View& view, bool ram) {
  const PassView* peak = nullptr;
  const auto bytes = [&](const PassView& pass) {
    if (ram && view.prediction->outcome.ram_open) return pass.outcome->ram_at_least_bytes;
    return (ram ? pass.outcome->ram_peak_bytes : pass.outcome->vram_peak_bytes).value_or(-1);
  };
  for (const PassView& pass : view.passes) {
    if (bytes(pass) >= 0 && (!peak || bytes(pass) > bytes(*peak))) peak = &pass;
  }
  return peak;
}

std::string gib_of(std::int64_t bytes, std::int64_t total) {
  return fmt::format("{:.1f} of {}", static_cast<double>(bytes) / 0x1p30, format_gib(total));
}

std::string vram_limit_words(const Report& report, std::int64_t peak) {
  const Quantity& total = report.trial.machine.vram_total;
  return total.known() ? fmt::format("{} of {} MiB", format_mib(peak), format_mib(total.bytes))
                       : format_mib(peak) + " MiB";
}

/// Whether the peak of every pass with weights is known.
bool all_peaks_known(const View& view) {
  return std::none_of(view.passes.begin(), view.passes.end(), [](const PassView& pass) {
    return !pass.weights.empty() && !pass.outcome->vram_peak_bytes;
  });
}

/// Whether weights that this pass does not use stay in VRAM beside it.
bool holds_idle_weights(const PassView& pass) {
  for (const WeightsIndex w : pass.vram->vram.indices()) {
    const bool used = std::find(pass.weights.begin(), pass.weights.end(), w) != pass.weights.end();
    if (!used && pass.vram->vram[w] > 0) return true;
  }
  return false;
}

std::string peaks_words(const Report& report, const View& view) {
  std::vector<std::string> parts;
  const Quantity& ram = report.trial.machine.ram_total;
  if (const PassView* pass = peak_pass(view, false)) {
    const bool idle = view.paged() && holds_idle_weights(*pass);
    parts.push_back(fmt::format("{}{} VRAM at the peak (pass {}{})",
                                all_peaks_known(view) ? "" : "at least ",
                                vram_limit_words(report, *pass->outcome->vram_peak_bytes),
                                pass->number, idle ? ", with pages of idle models" : ""));
  }
  if (const PassView* pass = peak_pass(view, true)) {
    const auto peak = pass->outcome->ram_peak_bytes.value_or(pass->outcome->ram_at_least_bytes);
    std::string words = view.prediction->outcome.ram_open ? "at least " : "";
    words += (ram.known() ? gib_of(peak, ram.bytes) : format_gib(peak)) + " RAM";
    const std::int64_t pinned = pass->outcome->ram_pinned_bytes;
    if (pinned >= 1_GiB) words += " (" + format_gib(pinned) + " of it page-locked)";
    parts.push_back(std::move(words));
  }
  return join_and(parts);
}

/// The pass that the verdict is of, or what is known of it.
const PassView* verdict_pass(const View& view) {
  const Outcome& outcome = view.prediction->outcome;
  if (view.passes.has(outcome.known_pass)) return &view.passes[outcome.known_pass];
  const auto same = [&](const PassView& pass) { return pass.outcome->verdict == outcome.verdict; };
  const auto found = std::ranges::find_if(view.passes, same);
  return found == view.passes.end() ? nullptr : &*found;
}

/// What is not known, the first by name: `the size of a is not known (and two more things)`.
std::string lacking_words(const View& view) {
  const auto& lacking = view.prediction->outcome.lacking;
  if (lacking.empty()) return {};
  const std::string first = view.say(lacking.front());
  const auto more = static_cast<std::int64_t>(lacking.size()) - 1;
  return first + (more == 0   ? ""
                  : more == 1 ? " (and one more thing)"
                              : " (and " + count_word(more) + " more things)");
}

/// What is known of a run that is not known as a whole: what goes wrong, else what fits.
std::string known_words(const View& view) {
  const PassView* bad = verdict_pass(view);
  if (bad && bad->outcome->verdict == Verdict::offloads) {
    const auto whole = add_bytes(bad->outcome->loaded_bytes.value_or(0), bad->offloaded_bytes());
    return fmt::format("; pass {}, {}, offloads {} of {} MiB", bad->number, bad->label,
                       format_mib(bad->offloaded_bytes()), format_mib(whole));
  }
  if (bad && rank(bad->outcome->verdict) > rank(Verdict::offloads)) {
    return fmt::format("; pass {}, {}, {}", bad->number, bad->label,
                       say(does(bad->outcome->verdict)));
  }
  std::vector<int> whole;
  for (const PassView& pass : view.passes) {
    if (rank(pass.outcome->verdict) <= rank(Verdict::tight)) whole.push_back(pass.number);
  }
  if (whole.empty()) return {};
  return fmt::format("; pass{} {} fit{}", whole.size() == 1 ? "" : "es", join_ranges(whole),
                     whole.size() == 1 ? "s" : "");
}

/// What is too much for the card; only Windows has shared memory to spill it into.
std::string spill_words(const Report& report, const View& view) {
  const char* where = report.trial.machine.os == Os::windows ? "into shared memory" : "too much";
  const PassView* pass = verdict_pass(view);
  const Quantity& total = report.trial.machine.vram_total;
  const auto peak = pass ? pass->outcome->vram_peak_bytes : std::nullopt;
  if (!pass) return where;
  if (!peak || !total.known() || *peak <= total.bytes) {
    return fmt::format("{} in pass {}", where, pass->number);
  }
  return fmt::format("{} MiB {} in pass {}, {}", format_mib(*peak - total.bytes), where,
                     pass->number, pass->label);
}

}  // namespace

std::string verdict_word(Verdict verdict) {
  return name_in<Verdict::unknown>(
      {"FITS", "TIGHT", "OFFLOADS", "MAY RUN OUT", "RAM SHORT", "SPILLS", "UNKNOWN"}, verdict);
}

std::string verdict_words(Verdict verdict, std::int64_t offloaded_bytes) {
  if (verdict == Verdict::offloads && offloaded_bytes > 0) {
    return "offloads " + format_mib(offloaded_bytes) + " MiB";
  }
  return lower(verdict_word(verdict)) == "ram short" ? "RAM short" : lower(verdict_word(verdict));
}

namespace {

/// Whether a diffusion model in use makes videos: a VAE for videos may serve pictures as well.
bool makes_video(const Report& report) {
  const Passes& all = *report.prediction.passes;
  return std::any_of(all.passes.begin(), all.passes.end(), [&](const Pass& pass) {
    if (pass.kind != StepKind::sample || pass.weights.empty()) return false;
    const WeightsIndex w = pass.weights[0];
    return all.weights.has(w) && frame_stride(all.weights[w].architecture) > 1;
  });
}

}  // namespace

std::string subject_words(const Report& report) {
  std::vector<std::string> parts;
  if (const auto& shape = report.prediction.passes->picture) {
    parts.push_back(fmt::format("{}x{}", shape->width, shape->height));
    if (shape->video && (shape->frames > 1 || makes_video(report))) {
      parts.push_back(format_count(shape->frames) + (shape->frames == 1 ? " frame" : " frames"));
    }
    if (shape->batch > 1) parts.push_back("batch of " + format_count(shape->batch));
  }
  std::set<WeightsIndex> diffusion;
  for (const Pass& pass : report.prediction.passes->passes) {
    for (const WeightsIndex w : pass.weights) {
      const auto& all = report.prediction.passes->weights;
      if (all.has(w) && all[w].role == WeightsRole::diffusion) diffusion.insert(w);
    }
  }
  const bool unknown = report.prediction.outcome.verdict == Verdict::unknown;
  parts.push_back(diffusion.empty() && unknown
                      ? "no diffusion model known to Ebb"
                      : count_word(static_cast<std::int64_t>(diffusion.size())) +
                            " diffusion model" + (diffusion.size() == 1 ? "" : "s") + " in use");
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string machine_words(const Report& report) {
  const Machine& machine = report.trial.machine;
  const std::string version = to_string(machine.comfyui);
  const Policy& policy = report.prediction.timeline.policy;
  std::string text = "ComfyUI " + version;
  text += policy.rules == machine.comfyui
              ? fmt::format(" ({})", policy_word(policy.kind))
              : fmt::format(" (by the rules of {})", policy_words(policy));
  if (!machine.gpu.empty()) text += ", " + card_words(machine);
  if (machine.vram_total.known() && machine.vram_free.known()) {
    text += fmt::format(", {} of {} MiB free", format_mib(machine.vram_free.bytes),
                        format_mib(machine.vram_total.bytes));
  } else if (machine.vram_total.known()) {
    text += fmt::format(", {} MiB VRAM", format_mib(machine.vram_total.bytes));
  }
  if (machine.ram_total.known()) text += ", " + format_gib(machine.ram_total.bytes) + " RAM";
  text += machine.os == Os::windows ? ", Windows" : ", Linux";
  const std::string flags = to_string(machine.flags);
  if (!flags.empty()) text += ", " + printable(flags);
  return text;
}

Headline headline(const Report& report, const View& view) {
  const Outcome& outcome = report.prediction.outcome;
  Headline result{verdict_word(outcome.verdict), ""};
  const PassView* worst = worst_offload(view);
  const PassView* pass = verdict_pass(view);
  const std::string in_pass = pass ? fmt::format(" in pass {}, {}", pass->number, pass->label) : "";
  const bool known = outcome.verdict != Verdict::unknown;
  const std::string lacking =
      known && !outcome.lacking.empty() ? "; not known: " + lacking_words(view) : "";
  switch (outcome.verdict) {
    case Verdict::fits:
      result.rest = peaks_words(report, view).empty() ? "as it needs no model."
                                                      : "whole: " + peaks_words(report, view) + ".";
      break;
    case Verdict::tight:
      result.rest =
          "but whole: " + peaks_words(report, view) + above_words(report, view, nullptr) + ".";
      break;
    case Verdict::offloads: {
      if (!worst) break;
      const auto whole =
          add_bytes(worst->outcome->loaded_bytes.value_or(0), worst->offloaded_bytes());
      const auto flag = guilty_flag(report);
      result.rest = fmt::format("{} of {} MiB {}{}{}.", format_mib(worst->offloaded_bytes()),
                                format_mib(whole), where_offloaded(view, *worst),
                                flag.empty() ? "" : ", because of " + flag,
                                above_words(report, view, nullptr) + lacking);
      break;
    }
    case Verdict::may_run_out: result.rest = "of memory" + in_pass + lacking + "."; break;
    case Verdict::spills:
      result.rest = spill_words(report, view) + above_words(report, view, pass) + lacking + ".";
      if (report.trial.machine.os == Os::linux) result.word = "OUT OF MEMORY";
      break;
    case Verdict::ram_short: {
      const Quantity& total = report.trial.machine.ram_total;
      const auto peak =
          pass ? pass->outcome->ram_peak_bytes.value_or(pass->outcome->ram_at_least_bytes) : 0;
      if (peak > 0 && total.known()) {
        result.rest = outcome.ram_open ? "needs at least " : "needs ";
        result.rest += gib_of(peak, total.bytes);
      }
      result.rest += in_pass;
      if (worst) {
        result.rest += fmt::format("; pass {} offloads {} MiB", worst->number,
                                   format_mib(worst->offloaded_bytes()));
      }
      result.rest += above_words(report, view, nullptr) + lacking + ".";
      break;
    }
    case Verdict::unknown:
      result.rest =
          "whether it fits: " +
          (outcome.lacking.empty() ? "a size or a demand is not known" : lacking_words(view)) +
          known_words(view) + above_words(report, view, pass) + ".";
      break;
  }
  result.rest = std::string(trim(result.rest));
  if (result.rest == ".") result.rest.clear();
  return result;
}

namespace {

/// Whether what is streamed costs next to nothing.
bool nearly_free(const PassView& pass) {
  const PassOutcome& outcome = *pass.outcome;
  return outcome.compute_seconds && outcome.stall_seconds &&
         *outcome.stall_seconds <= 0.01 * *outcome.compute_seconds;
}

/// What streaming costs one step of the worst sampler.
std::string stream_words(const PassView& pass, bool with_number, bool speed_known) {
  const PassOutcome& outcome = *pass.outcome;
  const std::string size = format_mib(pass.offloaded_bytes()) + " MiB" +
                           (with_number ? fmt::format(" in pass {}", pass.number) : "");
  if (!outcome.stream_seconds) {
    return "What offloading " + size + " costs a step is unknown: the link's rate is not known.";
  }
  const std::string stream = format_seconds(*outcome.stream_seconds);
  if (!outcome.stall_seconds) {
    return fmt::format(
        "Offloading {} streams for {} a step; how much of it hides behind compute is unknown, as "
        "the step's own time is{}.",
        size, stream, speed_known ? "" : " (--gpu NAME tells Ebb the card's speed)");
  }
  const double stall = *outcome.stall_seconds;
  const bool in_turn = stall >= *outcome.stream_seconds;
  std::string text = fmt::format("Offloading {} streams for {} a step", size, stream);
  if (outcome.compute_seconds) {
    text += fmt::format(", beside {} of compute", format_seconds(*outcome.compute_seconds));
  }
  if (nearly_free(pass)) return text + (in_turn ? "" : ", and hides behind it") + ": nearly free.";
  text += in_turn ? "; none of it hides, they take turns"
                  : fmt::format("; {} of it do not hide", format_seconds(stall));
  if (outcome.repeats > 1) {
    text += fmt::format(", {} over {} steps", format_seconds(stall * outcome.repeats),
                        format_count(outcome.repeats));
  }
  return text + ".";
}

}  // namespace

std::vector<std::string> support(const Report& report, const View& view) {
  std::vector<std::string> sentences;
  const Outcome& outcome = report.prediction.outcome;
  if (!outcome.causes.empty()) {
    sentences.push_back(as_sentence(printable(say(outcome.causes))));
  }
  const PassView* worst = worst_offload(view);
  if (worst) {
    const bool speed = report.trial.machine.compute_flops_per_second.known();
    sentences.push_back(stream_words(*worst, outcome.verdict != Verdict::offloads, speed));
  }
  if (outcome.verdict != Verdict::fits && !outcome.passes.empty()) {
    const std::string peaks = peaks_words(report, view);
    if (outcome.verdict != Verdict::tight && !peaks.empty()) {
      sentences.push_back(as_sentence(peaks));
    }
  }
  // A smaller result is no way out of what costs nothing.
  const bool free = outcome.verdict == Verdict::offloads && worst && nearly_free(*worst);
  const auto best = std::find_if(report.fixes.begin(), report.fixes.end(), [&](const Fix& fix) {
    return fix.helps && rank(fix.verdict) < rank(outcome.verdict) &&
           !(free && fix.kind == FixKind::parameter);
  });
  if (outcome.verdict != Verdict::fits && outcome.verdict != Verdict::tight &&
      best != report.fixes.end()) {
    const std::string effect = view.say(best->effects);
    sentences.push_back("Cheapest way out: " + view.say(best->title) +
                        (effect.empty() ? "." : " (" + effect + ")."));
  }
  if (report.largest_resident_frames) {
    sentences.push_back(
        fmt::format("Up to {} frames every diffusion model stays whole on this machine.",
                    format_count(*report.largest_resident_frames)));
  }
  return sentences;
}

namespace {

/// Seconds of the whole run, or the least it takes and what is missing.
std::string run_words(const Report& report, const View& view) {
  const Outcome& outcome = report.prediction.outcome;
  if (outcome.seconds) {
    return "The whole run: about " + format_seconds(*outcome.seconds) + ".";
  }
  std::vector<int> missing;
  for (const PassView& pass : view.passes) {
    if (!pass.seconds()) missing.push_back(pass.number);
  }
  if (missing.empty() || outcome.known_seconds <= 0) return {};
  const bool all = missing.size() == view.passes.size();
  return fmt::format(
      "The whole run: at least {}, without the computing of {}{}.",
      format_seconds(outcome.known_seconds),
      all ? "its passes" : (missing.size() == 1 ? "pass " : "passes ") + join_ranges(missing),
      report.trial.machine.compute_flops_per_second.known()
          ? ", whose work is not known"
          : ": --gpu NAME tells Ebb the card's speed");
}

}  // namespace

std::vector<std::string> price(const Report& report, const View& view) {
  std::vector<std::string> sentences;
  const Outcome& outcome = report.prediction.outcome;
  double seconds = 0;
  bool known = true;
  for (const PassView& pass : view.passes) {
    if (pass.outcome->read_bytes <= 0) continue;
    known = known && pass.outcome->read_seconds.has_value();
    seconds += pass.outcome->read_seconds.value_or(0);
  }
  std::string rest;
  if (outcome.read_bytes > 0) {
    rest = "Reading " + format_gib(outcome.read_bytes) + " from disk costs ";
    rest += known ? "about " + format_seconds(seconds) + ". " : "time, how much is unknown. ";
  }
  const Quantity& ram = report.trial.machine.ram_total;
  if (ram.known() && outcome.ram_peak_bytes > 0 && outcome.verdict != Verdict::ram_short &&
      nearly_full(outcome.ram_peak_bytes, ram)) {
    rest += "RAM is nearly full (" + gib_of(outcome.ram_peak_bytes, ram.bytes) +
            "): if the run is slow, look at paging before offloading. ";
  }
  rest += run_words(report, view);
  if (!rest.empty()) sentences.emplace_back(trim(rest));
  return sentences;
}

namespace {

/// Sizes and demands that are not known; one sentence for passes with the same reason.
std::vector<std::string> unknown_notes(const Report& report, const View& view) {
  std::vector<std::string> notes;
  const auto& weights = report.prediction.passes->weights;
  for (const WeightsIndex w : weights.indices()) {
    const bool used = std::any_of(view.passes.begin(), view.passes.end(), [&](const PassView& p) {
      return std::find(p.weights.begin(), p.weights.end(), w) != p.weights.end();
    });
    if (weights[w].known() || !used) continue;
    notes.push_back(
        fmt::format("The size of {} is unknown, so that it takes no room in this prediction{}",
                    view.names[w], weights[w].source.empty() ? "" : ": " + say(weights[w].source)));
  }
  struct Unknown {
    bool asked;  // else live
    Message why;
    std::vector<int> passes;
  };
  std::vector<Unknown> unknown;  // in order of appearance
  for (const PassView& pass : view.passes) {
    const Quantity& asked = pass.demand->subtracted();
    const Quantity& live = pass.demand->live;
    if (pass.weights.empty() || (asked.known() && live.known())) continue;
    const Message& why = asked.known() ? live.source : asked.source;
    const auto same = [&](const Unknown& entry) {
      return entry.asked == !asked.known() && entry.why == why;
    };
    auto at = std::find_if(unknown.begin(), unknown.end(), same);
    if (at == unknown.end()) at = unknown.insert(unknown.end(), {!asked.known(), why, {}});
    at->passes.push_back(pass.number);
  }
  for (const auto& [asked, why, passes] : unknown) {
    notes.push_back(fmt::format("Unknown in pass{} {}: {} demand{}", passes.size() == 1 ? "" : "es",
                                join_ranges(passes), asked ? "asked" : "live",
                                why.empty() ? "" : ": " + say(why)));
  }
  return notes;
}

/// `--frames 64`, of which a model that takes 4k+1 makes 61.
std::string frames_note(const Report& report) {
  const auto& asked = report.trial.sizes.frames;
  const auto& picture = report.prediction.passes->picture;
  if (asked && !makes_video(report)) {
    return "--frames changes nothing: no model in use makes a video";
  }
  if (!asked || !picture || picture->frames == *asked) return {};
  return fmt::format(
      "{} frames were asked for, {} are made: a video model takes one frame and "
      "then whole groups, and leaves the rest out",
      format_count(*asked), format_count(picture->frames));
}

}  // namespace

std::vector<std::string> all_notes(const Report& report, const View& view, bool unknown) {
  std::vector<std::string> notes;
  std::set<std::string> seen;
  const auto add = [&](const std::string& text) {
    std::string sentence = as_sentence(printable(text));
    if (!sentence.empty() && seen.insert(sentence).second) notes.push_back(std::move(sentence));
  };
  for (const auto& note : unknown ? unknown_notes(report, view) : std::vector<std::string>()) {
    add(note);
  }
  add(card_note(report.trial.machine));
  for (const auto& note : flag_notes(report.trial.machine)) add(note);
  add(frames_note(report));
  for (const auto& note : report.notes) add(say(note));
  for (const auto& note : report.prediction.passes->notes) add(say(note));
  for (const auto& note : report.prediction.timeline.notes) add(say(note));
  if (report.order_depends_on_outputs) {
    add("The order of the output nodes decides the order of these passes");
  }
  return notes;
}

std::string no_pass_words(const View& view) {
  return view.prediction->outcome.verdict == Verdict::unknown
             ? "No pass is known to Ebb: it does not know what loads the models here."
             : "No pass uses weights: nothing of this workflow needs a model.";
}

}  // namespace ebb
