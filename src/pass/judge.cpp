// SPDX-License-Identifier: Apache-2.0
// A timeline summed up: a verdict per pass with the terms that bind, and one for the run.
#include <fmt/format.h>

#include <algorithm>

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
    if (!weights.known()) return weights.files.empty() ? weights.name : weights.files.front();
  }
  return {};
}

std::string offload_cause(const Load& load, const Weights& weights) {
  const std::int64_t total = weights.listed_bytes > 0 ? weights.listed_bytes : weights.bytes;
  return fmt::format("asked {} + reserve {} of {} MiB free leave {} for {} MiB of weights",
                     format_mib(load.minimum_bytes), format_mib(load.reserve_bytes),
                     format_mib(load.free_bytes), format_mib(load.usable_bytes), format_mib(total));
}

struct Peaks {
  std::int64_t vram = 0;
  std::int64_t ram = 0;
  std::int64_t base = 0;  ///< VRAM at the main step without demand
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
  for (const std::int64_t bytes : main.vram) peaks.base += bytes;
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

/// Demand against what the weights leave of the card.
void judge_demand(PassOutcome& outcome, const Peaks& peaks, const Step& step,
                  const Timeline& timeline, const Machine& machine) {
  const Quantity& live = step.demand.live;
  const Quantity& reserved = step.demand.reserved;
  if (!live.known() || !reserved.known()) return;
  const std::int64_t room = timeline.vram_limit_bytes - peaks.base;
  const bool windows = machine.os == Os::windows;
  if (room < 0) {
    raise(outcome, Verdict::spills,
          fmt::format("{} MiB of weights are on a card of {} MiB: {}", format_mib(peaks.base),
                      format_mib(timeline.vram_limit_bytes),
                      windows ? "they spill into shared memory" : "it runs out of memory"));
    return;
  }
  if (live.bytes > room) {
    const bool image = step.kind == StepKind::decode || step.kind == StepKind::encode_image;
    raise(outcome, windows ? Verdict::spills : Verdict::tight,
          fmt::format("the step allocates about {} MiB, but there are {} beside the weights: {}",
                      format_mib(live.bytes), format_mib(room),
                      windows ? "the rest spills into shared memory"
                      : image ? "ComfyUI will run out, then retry in tiles"
                              : "it may run out of memory"));
    return;
  }
  // What is live may be more than expected; slack is given back on Linux, and kept on Windows.
  const auto live_most =
      static_cast<std::int64_t>(static_cast<double>(live.bytes) * std::max(1.0, step.demand.high));
  const std::int64_t most = windows ? std::max(live_most, reserved.bytes) : live_most;
  if (most > room) {
    raise(outcome, Verdict::tight,
          fmt::format("fits unless the step takes more than {} MiB beside the weights; "
                      "{} are expected, up to {} possible",
                      format_mib(room), format_mib(live.bytes), format_mib(most)));
  }
}

/// ComfyUI's decision for the main weights.
void judge_load(PassOutcome& outcome, const Load& load, const Weights& weights, StepKind kind) {
  outcome.usable_bytes = load.usable_bytes;
  outcome.loaded_bytes = load.loaded_bytes;
  outcome.offloaded_bytes = load.offloaded_bytes;
  if (load.offloaded_bytes > 0) {
    raise(outcome, Verdict::offloads, offload_cause(load, weights));
  } else if (kind == StepKind::sample && load.full && load.usable_bytes > 0 &&
             load.usable_bytes - weights.bytes < kSpareMin) {
    raise(outcome, Verdict::tight,
          fmt::format("{} MiB to spare before ComfyUI offloads",
                      format_mib(std::max<std::int64_t>(0, load.usable_bytes - weights.bytes))));
  }
}

/// Bytes and seconds of the pass; of one repeat where a step repeats.
void sum_costs(PassOutcome& outcome, const Timeline& timeline, const Pass& pass, const Step& step) {
  double read = 0;
  bool read_known = true;
  for (int s = pass.first_step; s <= pass.last_step; ++s) {
    const StepState& state = timeline.steps[static_cast<std::size_t>(s)];
    outcome.read_bytes += state.read_bytes;
    read += state.read_seconds.value_or(0);
    read_known &= state.read_bytes == 0 || state.read_seconds.has_value();
  }
  if (read_known) outcome.read_seconds = read;
  const StepState& main = timeline.steps[static_cast<std::size_t>(pass.main_step)];
  outcome.repeats = std::max(1, step.demand.repeats);
  const auto each = [&](const std::optional<double>& total) {
    return total ? std::optional(*total / outcome.repeats) : std::nullopt;
  };
  outcome.stream_seconds = each(main.stream_seconds);
  outcome.stall_seconds = each(main.stall_seconds);
  outcome.compute_seconds = each(main.compute_seconds);
}

PassOutcome judge_pass(const Passes& passes, const Timeline& timeline, const Machine& machine,
                       const Pass& pass) {
  const Step& step = passes.steps[static_cast<std::size_t>(pass.main_step)];
  PassOutcome outcome;
  outcome.verdict = Verdict::fits;
  sum_costs(outcome, timeline, pass, step);
  const Peaks peaks = find_peaks(timeline, pass);
  const std::string unknown = unknown_weights(passes, pass);
  if (!unknown.empty()) {
    raise(outcome, Verdict::unknown, fmt::format("the size of {} is not known", unknown));
    return outcome;
  }
  if (const Load* load = main_load(passes, timeline, pass)) {
    judge_load(outcome, *load, passes.weights[static_cast<std::size_t>(load->weights)], pass.kind);
  }
  outcome.ram_peak_bytes = peaks.ram;
  // A RAM size that nobody gave or probed is no reason for a verdict.
  if (peaks.ram > timeline.ram_limit_bytes && timeline.ram_limit_bytes > 0 &&
      machine.ram_total.kind != NumberKind::assumed) {
    raise(outcome, Verdict::ram_short,
          fmt::format("RAM peaks at {} of {}", format_gib(peaks.ram),
                      format_gib(timeline.ram_limit_bytes)));
  }
  const Quantity& asked = step.demand.subtracted();
  if (!asked.known()) {
    raise(outcome, Verdict::unknown, asked.source);
    return outcome;
  }
  outcome.vram_peak_bytes = peaks.vram;
  judge_demand(outcome, peaks, step, timeline, machine);
  return outcome;
}

/// Why a sampler is in no pass: its model is unknown, or managed by its own pack. Empty if all are.
std::string sampler_without_weights(const Passes& passes) {
  for (const Step& step : passes.steps) {
    if (step.kind != StepKind::sample || !step.uses.empty()) continue;
    const std::string& why = step.demand.asked.source;
    return fmt::format("what node {} {} needs is not known{}{}", step.id, step.class_type,
                       why.empty() ? "" : ": ", why);
  }
  return {};
}

/// Reads, moves, stalls and compute of all steps; nothing where one of them is not known.
std::optional<double> total_seconds(const Passes& passes, const Timeline& timeline) {
  if (passes.passes.empty() || !sampler_without_weights(passes).empty()) return std::nullopt;
  double seconds = 0;
  for (std::size_t s = 0; s < timeline.steps.size(); ++s) {
    const StepState& state = timeline.steps[s];
    if ((state.read_bytes > 0 && !state.read_seconds) ||
        (passes.steps[s].kind == StepKind::sample && !state.compute_seconds)) {
      return std::nullopt;
    }
    seconds += state.read_seconds.value_or(0) + state.move_seconds.value_or(0) +
               state.stall_seconds.value_or(0) + state.compute_seconds.value_or(0);
  }
  return seconds;
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
  PassOutcome worst;
  worst.verdict = Verdict::fits;
  std::string unknown = sampler_without_weights(passes);
  run.passes.reserve(passes.passes.size());
  for (const Pass& pass : passes.passes) {
    PassOutcome outcome = judge_pass(passes, timeline, machine, pass);
    if (outcome.verdict == Verdict::unknown) {
      if (unknown.empty()) unknown = outcome.cause;
    } else {
      // Of two passes that offload, the one that offloads more speaks for the run.
      const bool more = outcome.verdict == Verdict::offloads && worst.verdict == outcome.verdict &&
                        outcome.offloaded_bytes.value_or(0) > worst.offloaded_bytes.value_or(0);
      if (more || rank(outcome.verdict) > rank(worst.verdict)) worst = outcome;
    }
    if (pass.kind == StepKind::sample) {
      run.offloaded_bytes = std::max(run.offloaded_bytes, outcome.offloaded_bytes.value_or(0));
    }
    run.vram_peak_bytes = std::max(run.vram_peak_bytes, outcome.vram_peak_bytes.value_or(0));
    run.ram_peak_bytes = std::max(run.ram_peak_bytes, outcome.ram_peak_bytes.value_or(0));
    run.read_bytes += outcome.read_bytes;
    run.passes.push_back(std::move(outcome));
  }
  // What is known to go wrong is said even where something else is unknown; "fits" never is.
  const bool known_bad = rank(worst.verdict) >= rank(Verdict::offloads);
  run.verdict = unknown.empty() || known_bad ? worst.verdict : Verdict::unknown;
  run.cause = run.verdict == Verdict::unknown ? unknown : worst.cause;
  run.seconds = total_seconds(passes, timeline);
  return run;
}

}  // namespace ebb
