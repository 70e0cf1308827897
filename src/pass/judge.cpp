// SPDX-License-Identifier: Apache-2.0
// A timeline summed up: a verdict per pass with the terms that bind, and one for the run.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ebb/pass.h"

namespace ebb {
namespace {

/// Free VRAM scatters by a few MiB between runs; closer than this a verdict is called tight.
constexpr std::int64_t kSpareMin = 64_MiB;

/// The decision for the pass's main weights: the last load of its main step, else of the pass.
const Load* main_load(const Passes& passes, const Timeline& timeline, const Pass& pass) {
  const Load* found = nullptr;
  const auto look = [&](int s) {
    for (const Load& load : timeline.steps[static_cast<std::size_t>(s)].loads) {
      if (!pass.weights.empty() && load.weights == pass.weights.front()) found = &load;
    }
  };
  for (int s = pass.first_step; s <= pass.last_step; ++s) look(s);
  look(pass.main_step);
  return passes.weights.empty() ? nullptr : found;
}

/// The file of the first weights in use whose size nobody knows; empty if all are known.
std::string unknown_weights(const Passes& passes, const Pass& pass) {
  for (const int w : pass.weights) {
    const Weights& weights = passes.weights[static_cast<std::size_t>(w)];
    if (weights.known()) continue;
    return cut_text(weights.files.empty() ? weights.name : weights.files.front(), 200);
  }
  return {};
}

std::string offload_cause(const Load& load, const Weights& weights, bool paged) {
  const std::int64_t total = weights.listed_bytes > 0 ? weights.listed_bytes : weights.bytes;
  if (paged) {
    return fmt::format(
        "the step's own {} and {} kept free, of {} MiB free, leave {} for pages of {} MiB of "
        "weights; the rest is streamed",
        format_mib(load.minimum_bytes), format_mib(load.reserve_bytes), format_mib(load.free_bytes),
        format_mib(load.usable_bytes), format_mib(total));
  }
  return fmt::format("asked {} + reserve {} of {} MiB free leave {} for {} MiB of weights",
                     format_mib(load.minimum_bytes), format_mib(load.reserve_bytes),
                     format_mib(load.free_bytes), format_mib(load.usable_bytes), format_mib(total));
}

struct Peaks {
  std::int64_t vram = 0;
  std::int64_t ram = 0;
  std::int64_t base = 0;  ///< VRAM at the main step without demand, and what can't leave for it
};

Peaks find_peaks(const Timeline& timeline, const Pass& pass) {
  Peaks peaks;
  for (int s = pass.first_step; s <= pass.last_step; ++s) {
    const StepState& state = timeline.steps[static_cast<std::size_t>(s)];
    peaks.vram = std::max(peaks.vram, state.vram_peak_bytes);
    peaks.ram = std::max(peaks.ram, state.ram_needed_bytes);
  }
  const StepState& main = timeline.steps[static_cast<std::size_t>(pass.main_step)];
  peaks.base = main.vram_others_bytes;
  if (timeline.paged) {  // pages leave for the step; the buffers it streams through stay
    for (const Load& load : main.loads) peaks.base += load.buffer_bytes;
  } else {
    for (const std::int64_t bytes : main.vram) peaks.base += bytes;
  }
  return peaks;
}

/// Takes a verdict into account: the worst one stands, its cause first, the others after it.
void raise(PassOutcome& outcome, Verdict verdict, const std::string& cause) {
  const bool worse = rank(verdict) > rank(outcome.verdict);
  const std::string& first = worse ? cause : outcome.cause;
  const std::string& second = worse ? outcome.cause : cause;
  outcome.cause = second.empty() ? first : first + "; " + second;
  if (worse) outcome.verdict = verdict;
}

std::int64_t times(std::int64_t bytes, double factor) {
  return static_cast<std::int64_t>(static_cast<double>(bytes) * factor);
}

/// Why a step goes above the card, by how much it allocates and what there is.
std::string above_cause(const Step& step, std::int64_t live, std::int64_t room, bool paged, Os os) {
  const std::int64_t least = times(live, std::min(1.0, step.demand.low));
  const bool certain = least > room;
  const bool image = step.kind == StepKind::decode || step.kind == StepKind::encode_image;
  const std::string then = os == Os::windows ? "the rest spills into shared memory"
                           : !image          ? "it may run out of memory"
                           : certain         ? "ComfyUI will run out, then retry in tiles"
                                             : "ComfyUI is likely to run out, then retry in tiles";
  return fmt::format("the step allocates about {} MiB{}, but there are {} beside {}: {}",
                     format_mib(live),
                     certain ? "" : fmt::format(" ({} are possible)", format_mib(least)),
                     format_mib(room), paged ? "what cannot leave" : "the weights", then);
}

/// Demand against what the weights leave of the card; returns why it goes above, if it does.
std::string judge_demand(PassOutcome& outcome, const Peaks& peaks, const Step& step,
                         const Timeline& timeline, const Machine& machine) {
  const Quantity& live = step.demand.live;
  const Quantity& reserved = step.demand.reserved;
  if (!live.known() || !reserved.known()) return {};
  const std::int64_t room = timeline.vram_limit_bytes - peaks.base;
  const bool windows = machine.os == Os::windows;
  if (live.bytes > room) {
    outcome.above_bytes = live.bytes - room;
    const std::string cause =
        room < 0 ? fmt::format("{} MiB are held on a card of {} MiB: {}", format_mib(peaks.base),
                               format_mib(timeline.vram_limit_bytes),
                               windows ? "they spill into shared memory" : "it runs out of memory")
                 : above_cause(step, live.bytes, room, timeline.paged, machine.os);
    raise(outcome, windows || room < 0 ? Verdict::spills : Verdict::tight, cause);
    return cause;
  }
  // What is live may be more than expected; slack is given back on Linux, and kept on Windows.
  const std::int64_t live_most = times(live.bytes, std::max(1.0, step.demand.high));
  const std::int64_t most = windows ? std::max(live_most, reserved.bytes) : live_most;
  if (most > room) {
    raise(outcome, Verdict::tight,
          fmt::format("{} unless the step takes more than {} MiB beside {}; {} are expected, up "
                      "to {} possible",
                      outcome.verdict == Verdict::fits ? "fits" : "stays on the card",
                      format_mib(room), timeline.paged ? "what cannot leave" : "the weights",
                      format_mib(live.bytes), format_mib(most)));
  }
  return {};
}

/// Room that ComfyUI's estimate leaves above the weights, classic; or the step's own memory, paged.
void judge_spare(PassOutcome& outcome, const Load& load, const Weights& weights, const Step& step,
                 bool paged) {
  const std::int64_t spare = std::max<std::int64_t>(0, load.usable_bytes - weights.bytes);
  if (!paged) {
    if (step.kind == StepKind::sample && load.full && load.usable_bytes > 0 && spare < kSpareMin) {
      raise(outcome, Verdict::tight,
            fmt::format("{} MiB to spare before ComfyUI offloads", format_mib(spare)));
    }
    return;
  }
  const Quantity& reserved = step.demand.reserved;
  if (!load.full || !reserved.known()) return;
  const std::int64_t most = times(reserved.bytes, std::max(1.0, step.demand.high));
  if (step.kind != StepKind::sample || most - reserved.bytes <= spare) return;
  raise(outcome, Verdict::tight,
        fmt::format("stays whole unless the step takes more than {} MiB; {} are expected, up to {} "
                    "possible. Then pages of its weights leave and are streamed",
                    format_mib(reserved.bytes + spare), format_mib(reserved.bytes),
                    format_mib(most)));
}

/// ComfyUI's decision for the main weights.
void judge_load(PassOutcome& outcome, const Load& load, const Weights& weights, const Step& step,
                bool paged) {
  outcome.usable_bytes = load.usable_bytes;
  outcome.loaded_bytes = load.loaded_bytes;
  outcome.offloaded_bytes = load.offloaded_bytes;
  if (load.offloaded_bytes > 0) {
    raise(outcome, Verdict::offloads, offload_cause(load, weights, paged));
  } else {
    judge_spare(outcome, load, weights, step, paged);
  }
}

/// All seconds of a step; `known` is cleared where a part that happens has no rate.
double step_seconds(const Step& step, const StepState& state, bool& known) {
  double seconds = 0;
  const auto add = [&](const std::optional<double>& part, bool happens) {
    seconds += part.value_or(0);
    known = known && (part.has_value() || !happens);
  };
  const bool works = step.kind != StepKind::other && step.kind != StepKind::load;
  add(state.read_seconds, state.read_bytes > 0);
  add(state.move_seconds, state.moved_bytes > 0);
  add(state.stall_seconds, state.streamed_bytes > 0);
  add(state.compute_seconds, works && !step.uses.empty());
  return seconds;
}

/// Bytes and seconds of the pass; of one repeat where a step repeats.
void sum_costs(PassOutcome& outcome, const Passes& passes, const Timeline& timeline,
               const Pass& pass, const Step& step) {
  double read = 0;
  bool read_known = true;
  double all = 0;
  bool all_known = true;
  for (int s = pass.first_step; s <= pass.last_step; ++s) {
    const StepState& state = timeline.steps[static_cast<std::size_t>(s)];
    outcome.read_bytes += state.read_bytes;
    outcome.ram_pinned_bytes = std::max(outcome.ram_pinned_bytes, state.ram_pinned_bytes);
    outcome.ram_file_pages_bytes =
        std::max(outcome.ram_file_pages_bytes, state.ram_peak_bytes - state.ram_needed_bytes);
    read += state.read_seconds.value_or(0);
    read_known &= state.read_bytes == 0 || state.read_seconds.has_value();
    all += step_seconds(passes.steps[static_cast<std::size_t>(s)], state, all_known);
  }
  if (read_known) outcome.read_seconds = read;
  if (all_known) outcome.seconds = all;
  const StepState& main = timeline.steps[static_cast<std::size_t>(pass.main_step)];
  outcome.repeats = std::max(1, step.demand.repeats);
  const auto each = [&](const std::optional<double>& total) {
    return total ? std::optional(*total / outcome.repeats) : std::nullopt;
  };
  outcome.stream_seconds = each(main.stream_seconds);
  outcome.stall_seconds = each(main.stall_seconds);
  outcome.compute_seconds = each(main.compute_seconds);
}

/// That a step's demand is not known, and why where that is known.
std::string unknown_demand(const Step& step) {
  const std::string& why = step.demand.asked.source;
  return fmt::format("what node {} {} needs is not known{}{}", step.id, cut_text(step.class_type),
                     why.empty() ? "" : ": ", why);
}

PassOutcome judge_pass(const Passes& passes, const Timeline& timeline, const Machine& machine,
                       const Pass& pass, std::string& above) {
  const Step& step = passes.steps[static_cast<std::size_t>(pass.main_step)];
  PassOutcome outcome;
  outcome.verdict = Verdict::fits;
  sum_costs(outcome, passes, timeline, pass, step);
  const Peaks peaks = find_peaks(timeline, pass);
  const std::string unknown = unknown_weights(passes, pass);
  if (!unknown.empty()) {
    raise(outcome, Verdict::unknown, fmt::format("the size of {} is not known", unknown));
    return outcome;
  }
  if (const Load* load = main_load(passes, timeline, pass)) {
    judge_load(outcome, *load, passes.weights[static_cast<std::size_t>(load->weights)], step,
               timeline.paged);
  }
  outcome.ram_at_least_bytes = peaks.ram;
  if (!timeline.ram_open) outcome.ram_peak_bytes = peaks.ram;
  // A RAM size that nobody gave or probed is no reason for a verdict.
  if (peaks.ram > timeline.ram_limit_bytes && timeline.ram_limit_bytes > 0 &&
      machine.ram_total.kind != NumberKind::assumed) {
    raise(outcome, Verdict::ram_short,
          fmt::format("RAM peaks at {}{} of {}", timeline.ram_open ? "no less than " : "",
                      format_gib(peaks.ram), format_gib(timeline.ram_limit_bytes)));
  }
  const Quantity& asked = step.demand.subtracted();
  if (!asked.known()) {
    raise(outcome, Verdict::unknown, asked.source.empty() ? unknown_demand(step) : asked.source);
    return outcome;
  }
  outcome.vram_peak_bytes = peaks.vram;
  above = judge_demand(outcome, peaks, step, timeline, machine);
  return outcome;
}

/// Why a sampler is in no pass: its model is unknown, or managed by its own pack. Empty if all are.
std::string sampler_without_weights(const Passes& passes) {
  for (const Step& step : passes.steps) {
    if (step.kind != StepKind::sample || !step.uses.empty()) continue;
    return unknown_demand(step);
  }
  return {};
}

/// Reads, moves, stalls and compute of all steps.
void sum_seconds(Outcome& run, const Passes& passes, const Timeline& timeline) {
  bool known = !passes.passes.empty() && sampler_without_weights(passes).empty();
  for (std::size_t s = 0; s < timeline.steps.size(); ++s) {
    run.known_seconds += step_seconds(passes.steps[s], timeline.steps[s], known);
  }
  if (known) run.seconds = run.known_seconds;
}

/// Why passes beside the worst one go above the card (`above`, by pass); equal causes once.
void add_causes_above(Outcome& run, const std::vector<std::string>& above, std::size_t worst) {
  std::vector<std::pair<std::string, std::string>> causes;  // cause, numbers of its passes
  for (std::size_t p = 0; p < above.size(); ++p) {
    if (above[p].empty() || p == worst) continue;
    const auto same = [&](const auto& entry) { return entry.first == above[p]; };
    const auto at = std::find_if(causes.begin(), causes.end(), same);
    if (at == causes.end()) {
      causes.emplace_back(above[p], std::to_string(p + 1));
    } else {
      at->second += fmt::format(", {}", p + 1);
    }
  }
  for (const auto& [cause, passes] : causes) {
    run.cause += fmt::format("{}pass{} {}: {}", run.cause.empty() ? "" : "; ",
                             passes.find(',') == std::string::npos ? "" : "es", passes, cause);
  }
}

}  // namespace

int rank(Verdict verdict) { return static_cast<int>(verdict); }

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::fits: return "fits";
    case Verdict::tight: return "tight";
    case Verdict::offloads: return "offloads";
    case Verdict::ram_short: return "ram_short";
    case Verdict::spills: return "spills";
    case Verdict::unknown: return "unknown";
  }
  return "unknown";
}

Outcome judge(const Passes& passes, const Timeline& timeline, const Machine& machine) {
  Outcome run;
  run.verdict = Verdict::fits;
  run.ram_open = timeline.ram_open;
  PassOutcome worst;
  worst.verdict = Verdict::fits;
  std::size_t worst_pass = passes.passes.size();
  std::string unknown = sampler_without_weights(passes);
  std::vector<std::string> above(passes.passes.size());
  run.passes.reserve(passes.passes.size());
  for (const Pass& pass : passes.passes) {
    PassOutcome outcome = judge_pass(passes, timeline, machine, pass, above[run.passes.size()]);
    if (outcome.verdict == Verdict::unknown) {
      if (unknown.empty()) unknown = outcome.cause;
    } else {
      // Of two passes that offload, a sampler, whose every step pays, else the one that offloads
      // more speaks for the run.
      const auto weight = [&](StepKind kind, const PassOutcome& of) {
        return std::pair(kind == StepKind::sample, of.offloaded_bytes.value_or(0));
      };
      const bool more = outcome.verdict == Verdict::offloads && worst.verdict == outcome.verdict &&
                        weight(pass.kind, outcome) > weight(passes.passes[worst_pass].kind, worst);
      if (more || rank(outcome.verdict) > rank(worst.verdict)) {
        worst = outcome;
        worst_pass = run.passes.size();
      }
    }
    if (pass.kind == StepKind::sample) {
      run.offloaded_bytes = std::max(run.offloaded_bytes, outcome.offloaded_bytes.value_or(0));
    }
    run.vram_peak_bytes = std::max(run.vram_peak_bytes, outcome.vram_peak_bytes.value_or(0));
    run.ram_peak_bytes = std::max(run.ram_peak_bytes, outcome.ram_at_least_bytes);
    run.read_bytes += outcome.read_bytes;
    run.passes.push_back(std::move(outcome));
  }
  // What is known to go wrong is said even where something else is unknown; "fits" never is.
  const bool known_bad = rank(worst.verdict) >= rank(Verdict::offloads);
  run.verdict = unknown.empty() || known_bad ? worst.verdict : Verdict::unknown;
  run.cause = run.verdict == Verdict::unknown ? unknown : worst.cause;
  add_causes_above(run, above, run.verdict == Verdict::unknown ? above.size() : worst_pass);
  sum_seconds(run, passes, timeline);
  return run;
}

}  // namespace ebb
