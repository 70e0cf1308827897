// SPDX-License-Identifier: Apache-2.0
// The sentences of a report. No number here that is not in the report or a sum of such numbers.
#include "report/sentences.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
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

/// `in both sampling passes`, `in passes 2 and 5`.
std::string where_offloaded(const View& view) {
  std::vector<int> numbers;
  int samplers = 0, offloading_samplers = 0, offloading_others = 0;
  for (const PassView& pass : view.passes) {
    const bool sampler = pass.kind == StepKind::sample;
    samplers += sampler;
    if (!pass.offloads()) continue;
    numbers.push_back(pass.number);
    (sampler ? offloading_samplers : offloading_others) += 1;
  }
  if (offloading_samplers == samplers && samplers > 0 && offloading_others == 0) {
    if (samplers == 1) return "in the sampling pass";
    if (samplers == 2) return "in both sampling passes";
    return fmt::format("in all {} sampling passes", count_word(samplers));
  }
  return (numbers.size() == 1 ? "in pass " : "in passes ") + join_ranges(numbers);
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

void replace_first(std::string& text, std::string_view part, std::string_view with) {
  const auto at = text.find(part);
  if (at != std::string::npos) text.replace(at, part.size(), with);
}

std::string peaks_words(const Report& report, const View& view) {
  std::vector<std::string> parts;
  const Quantity& ram = report.trial.machine.ram_total;
  if (const PassView* pass = peak_pass(view, false)) {
    parts.push_back(fmt::format("{} VRAM at the peak (pass {})",
                                vram_limit_words(report, *pass->outcome->vram_peak_bytes),
                                pass->number));
  }
  if (const PassView* pass = peak_pass(view, true)) {
    const auto peak = *pass->outcome->ram_peak_bytes;
    parts.push_back((ram.known() ? gib_of(peak, ram.bytes) : format_gib(peak)) + " RAM");
  }
  return join_and(parts);
}

/// The pass whose verdict is the run's.
const PassView* verdict_pass(const View& view) {
  const Verdict verdict = view.prediction->outcome.verdict;
  for (const PassView& pass : view.passes) {
    if (pass.outcome->verdict == verdict) return &pass;
  }
  return nullptr;
}

std::string spill_words(const Report& report, const View& view) {
  const PassView* pass = verdict_pass(view);
  const Quantity& total = report.trial.machine.vram_total;
  const auto peak = pass ? pass->outcome->vram_peak_bytes : std::nullopt;
  if (!pass) return "into shared memory";
  if (!peak || !total.known() || *peak <= total.bytes) {
    return fmt::format("into shared memory in pass {}", pass->number);
  }
  return fmt::format("{} MiB into shared memory in pass {}, {}", format_mib(*peak - total.bytes),
                     pass->number, pass->label);
}

}  // namespace

std::string verdict_word(Verdict verdict) {
  switch (verdict) {
    case Verdict::fits: return "FITS";
    case Verdict::tight: return "TIGHT";
    case Verdict::offloads: return "OFFLOADS";
    case Verdict::ram_short: return "RAM SHORT";
    case Verdict::spills: return "SPILLS";
    case Verdict::unknown: return "UNKNOWN";
  }
  return "UNKNOWN";
}

std::string verdict_words(Verdict verdict, std::int64_t offloaded_bytes) {
  if (verdict == Verdict::offloads && offloaded_bytes > 0) {
    return "offloads " + format_mib(offloaded_bytes) + " MiB";
  }
  return lower(verdict_word(verdict)) == "ram short" ? "RAM short" : lower(verdict_word(verdict));
}

std::string subject_words(const Report& report) {
  std::vector<std::string> parts;
  if (const auto& shape = report.prediction.passes->picture) {
    parts.push_back(fmt::format("{}x{}", shape->width, shape->height));
    if (shape->video) {
      parts.push_back(format_count(shape->frames) + (shape->frames == 1 ? " frame" : " frames"));
    }
    if (shape->batch > 1) parts.push_back("batch of " + format_count(shape->batch));
  }
  std::set<int> diffusion;
  for (const Pass& pass : report.prediction.passes->passes) {
    for (const int w : pass.weights) {
      const auto& all = report.prediction.passes->weights;
      if (w < 0 || static_cast<std::size_t>(w) >= all.size()) continue;
      if (all[static_cast<std::size_t>(w)].role == WeightsRole::diffusion) diffusion.insert(w);
    }
  }
  parts.push_back(count_word(static_cast<std::int64_t>(diffusion.size())) + " diffusion model" +
                  (diffusion.size() == 1 ? "" : "s") + " in use");
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string machine_words(const Report& report) {
  const Machine& machine = report.trial.machine;
  const std::string version = to_string(machine.comfyui);
  const std::string& policy = report.prediction.timeline.policy;
  std::string text = "ComfyUI " + version;
  if (!policy.empty()) {
    const auto space = policy.find(' ');
    const bool exact = space == std::string::npos || policy.substr(space + 1) == version;
    text += exact ? " (" + printable(policy.substr(0, space)) + ")"
                  : " (by the rules of " + printable(policy) + ")";
  }
  if (!machine.gpu.empty()) text += ", " + printable(machine.gpu);
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
  switch (outcome.verdict) {
    case Verdict::fits:
      result.rest = peaks_words(report, view).empty() ? "as it needs no model."
                                                      : "whole: " + peaks_words(report, view) + ".";
      break;
    case Verdict::tight: result.rest = "but whole: " + peaks_words(report, view) + "."; break;
    case Verdict::offloads: {
      if (!worst) break;
      const auto whole =
          add_bytes(worst->outcome->loaded_bytes.value_or(0), worst->offloaded_bytes());
      const auto flag = guilty_flag(report);
      result.rest =
          fmt::format("{} of {} MiB {}{}.", format_mib(worst->offloaded_bytes()), format_mib(whole),
                      where_offloaded(view), flag.empty() ? "" : ", because of " + flag);
      break;
    }
    case Verdict::spills:
      result.rest = spill_words(report, view) + ".";
      // Only Windows has shared memory to spill into.
      if (report.trial.machine.os == Os::linux) {
        result.word = "OUT OF MEMORY";
        replace_first(result.rest, " into shared memory", " too much");
      }
      break;
    case Verdict::ram_short: {
      const Quantity& total = report.trial.machine.ram_total;
      const auto peak = pass ? pass->outcome->ram_peak_bytes : std::nullopt;
      if (peak && total.known()) result.rest = "needs " + gib_of(*peak, total.bytes);
      result.rest += in_pass + ".";
      break;
    }
    case Verdict::unknown:
      result.rest = "whether it fits" + in_pass + ": a size or a demand is not known.";
      break;
  }
  result.rest = std::string(trim(result.rest));
  if (result.rest == ".") result.rest.clear();
  return result;
}

std::vector<std::string> support(const Report& report, const View& view) {
  std::vector<std::string> sentences;
  const Outcome& outcome = report.prediction.outcome;
  if (!outcome.cause.empty()) sentences.push_back(as_sentence(printable(outcome.cause)));
  if (outcome.verdict != Verdict::fits && !outcome.passes.empty()) {
    const std::string peaks = peaks_words(report, view);
    if (outcome.verdict != Verdict::tight && !peaks.empty()) {
      sentences.push_back(as_sentence(peaks));
    }
  }
  const auto best = std::find_if(report.fixes.begin(), report.fixes.end(), [&](const Fix& fix) {
    return fix.helps && rank(fix.verdict) < rank(outcome.verdict);
  });
  if (outcome.verdict != Verdict::fits && outcome.verdict != Verdict::tight &&
      best != report.fixes.end()) {
    const std::string effect = view.with_short_names(best->effect);
    sentences.push_back("Cheapest way out: " + view.with_short_names(best->title) +
                        (effect.empty() || effect == "-" ? "." : " (" + effect + ")."));
  }
  if (report.largest_resident_frames) {
    sentences.push_back(
        fmt::format("Up to {} frames every diffusion model stays whole on this machine.",
                    format_count(*report.largest_resident_frames)));
  }
  return sentences;
}

namespace {

/// What streaming costs one step of the worst sampler.
std::string stream_words(const PassView& pass) {
  const PassOutcome& outcome = *pass.outcome;
  const std::string size = format_mib(pass.offloaded_bytes()) + " MiB";
  if (!outcome.stream_seconds) {
    return "What offloading " + size + " costs a step is unknown: the link's rate is not known.";
  }
  const std::string stream = format_seconds(*outcome.stream_seconds);
  if (!outcome.compute_seconds || !outcome.stall_seconds) {
    return fmt::format(
        "Offloading {} streams for {} a step; how much of it hides behind compute "
        "is unknown, as the step's own time is.",
        size, stream);
  }
  const double compute = *outcome.compute_seconds;
  const double stall = *outcome.stall_seconds;
  const std::string beside =
      fmt::format("{} a step, beside {} of compute", stream, format_seconds(compute));
  if (stall <= 0.01 * compute) {
    return fmt::format("Offloading {} streams for {}, and hides behind it: nearly free.", size,
                       beside);
  }
  std::string text = fmt::format("Offloading {} streams for {}; {} of it do not hide", size, beside,
                                 format_seconds(stall));
  if (outcome.repeats > 1) {
    text += fmt::format(", {} over {} steps", format_seconds(stall * outcome.repeats),
                        format_count(outcome.repeats));
  }
  return text + ".";
}

}  // namespace

std::vector<std::string> price(const Report& report, const View& view) {
  std::vector<std::string> sentences;
  const Outcome& outcome = report.prediction.outcome;
  if (const PassView* worst = worst_offload(view)) sentences.push_back(stream_words(*worst));
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
  if (ram.known() && outcome.ram_peak_bytes > 0 &&
      static_cast<double>(outcome.ram_peak_bytes) > 0.9 * static_cast<double>(ram.bytes)) {
    rest += "RAM is nearly full (" + gib_of(outcome.ram_peak_bytes, ram.bytes) +
            "): if the run is slow, look at paging before offloading. ";
  }
  if (outcome.seconds) rest += "The whole run: about " + format_seconds(*outcome.seconds) + ".";
  if (!rest.empty()) sentences.emplace_back(trim(rest));
  return sentences;
}

std::vector<std::string> assumptions(const Report& report) {
  std::vector<std::string> parts;
  const Machine& m = report.trial.machine;
  const auto assumed = [](const auto& value) { return value.kind == NumberKind::assumed; };
  const auto rate = [&](const Figure& figure, const char* what) {
    if (assumed(figure))
      parts.push_back(fmt::format("{} {:.1f} GiB/s", what, figure.value / 0x1p30));
  };
  if (assumed(m.vram_total)) parts.push_back(format_mib(m.vram_total.bytes) + " MiB VRAM");
  if (assumed(m.vram_free)) {
    parts.push_back(format_mib(m.vram_others_bytes()) + " MiB VRAM held by others");
  }
  if (assumed(m.ram_total)) parts.push_back(format_gib(m.ram_total.bytes) + " RAM");
  if (assumed(m.ram_others)) parts.push_back(format_gib(m.ram_others.bytes) + " RAM in other use");
  if (m.os_kind == NumberKind::assumed) {
    parts.push_back(m.os == Os::windows ? "Windows" : "Linux");
  }
  if (m.comfyui_kind == NumberKind::assumed) parts.push_back("ComfyUI " + to_string(m.comfyui));
  rate(m.link_bytes_per_second, "link");
  rate(m.disk_bytes_per_second, "disk");
  if (assumed(m.compute_flops_per_second)) {
    parts.push_back(fmt::format("{:.0f} TFLOPS", m.compute_flops_per_second.value / 1e12));
  }
  return parts;
}

std::vector<std::string> all_notes(const Report& report, const View& view) {
  std::vector<std::string> notes;
  std::set<std::string> seen;
  const auto add = [&](const std::string& text) {
    std::string sentence = as_sentence(printable(text));
    if (!sentence.empty() && seen.insert(sentence).second) notes.push_back(std::move(sentence));
  };
  const auto& weights = report.prediction.passes->weights;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].known()) continue;
    add(fmt::format("The size of {} is unknown{}", view.names[i],
                    weights[i].source.empty() ? "" : ": " + weights[i].source));
  }
  std::vector<std::pair<std::string, std::vector<int>>> unknown;  // in order of appearance
  for (const PassView& pass : view.passes) {
    const Quantity& asked = pass.demand->subtracted();
    const Quantity& live = pass.demand->live;
    if (pass.weights.empty() || (asked.known() && live.known())) continue;
    const std::string why = asked.known() ? live.source : asked.source;
    const std::string what =
        std::string(asked.known() ? "live" : "asked") + " demand" + (why.empty() ? "" : ": " + why);
    const auto same = [&](const auto& entry) { return entry.first == what; };
    auto at = std::find_if(unknown.begin(), unknown.end(), same);
    if (at == unknown.end()) at = unknown.insert(unknown.end(), {what, {}});
    at->second.push_back(pass.number);
  }
  for (const auto& [what, passes] : unknown) {
    add(fmt::format("Unknown in pass{} {}: {}", passes.size() == 1 ? "" : "es", join_ranges(passes),
                    what));
  }
  for (const auto& note : report.notes) add(note);
  for (const auto& note : report.prediction.passes->notes) add(note);
  for (const auto& note : report.prediction.timeline.notes) add(note);
  if (report.order_depends_on_outputs) {
    add("The order of the output nodes decides the order of these passes");
  }
  return notes;
}

std::string sweep_value(const SizeOverrides& sizes) {
  std::vector<std::string> parts;
  if (sizes.width || sizes.height) {
    const auto side = [](const auto& value) { return value ? std::to_string(*value) : "as is"; };
    parts.push_back(side(sizes.width) + "x" + side(sizes.height));
  }
  if (sizes.frames) parts.push_back(format_count(*sizes.frames) + " frames");
  if (sizes.tile_vae) parts.emplace_back("tiled VAE");
  return parts.empty() ? "as it is" : join_and(parts);
}

}  // namespace ebb
