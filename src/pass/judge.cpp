// SPDX-License-Identifier: Apache-2.0
// A timeline summed up: a verdict per pass with the terms that bind, and one for the run.
#include <fmt/format.h>

#include <algorithm>

#include "base/names.h"
#include "base/text.h"
#include "ebb/pass.h"

namespace ebb {
namespace {

/// Free VRAM scatters by a few MiB between runs; closer than this a verdict is called tight.
constexpr std::int64_t kSpareMin = 64_MiB;

std::string file_of(const Weights& weights) {
  return weights.files.empty() ? weights.name : weights.files.front();
}

/// Whose sizes in use nobody knows; empty if all are known.
Message unknown_sizes(const Passes& passes, const std::vector<WeightsIndex>& list) {
  std::vector<std::string> files;
  for (const WeightsIndex w : list) {
    const Weights& weights = passes.weights[w];
    if (!weights.known()) files.push_back(cut_text(file_of(weights), 200));
  }
  if (files.empty()) return {};
  return {Say::sizes_not_known, {std::move(files)}};
}

Message offload_cause(const Load& load, const Weights& weights, bool paged) {
  const std::int64_t total = weights.listed_bytes > 0 ? weights.listed_bytes : weights.bytes;
  return {paged ? Say::pages_streamed : Say::weights_offloaded,
          {load.minimum_bytes, load.reserve_bytes, load.free_bytes, load.usable_bytes, total}};
}

struct Peaks {
  std::int64_t vram = 0;
  std::int64_t ram = 0;
  std::int64_t base = 0;  ///< VRAM at the main step without demand, and what can't leave for it
};

Peaks find_peaks(const Timeline& timeline, const Pass& pass) {
  Peaks peaks;
  for (StepIndex s = pass.first_step; s <= pass.last_step; ++s) {
    const StepState& state = timeline.steps[s];
    peaks.vram = std::max(peaks.vram, state.vram_peak_bytes);
    peaks.ram = std::max(peaks.ram, state.ram_needed_bytes);
  }
  const StepState& main = timeline.steps[pass.main_step];
  peaks.base = main.vram_others_bytes;
  if (timeline.paged()) {  // pages leave for the step; the buffers it streams through stay
    for (const Load& load : main.loads) peaks.base += load.buffer_bytes;
  } else {
    for (const std::int64_t bytes : main.vram) peaks.base += bytes;
  }
  return peaks;
}

/// Takes a verdict into account: the worst one stands, its cause first, the others after it.
void raise(PassOutcome& outcome, Verdict verdict, Message cause) {
  const bool worse = rank(verdict) > rank(outcome.verdict);
  outcome.causes.insert(worse ? outcome.causes.begin() : outcome.causes.end(), std::move(cause));
  if (worse) outcome.verdict = verdict;
}

std::int64_t times(std::int64_t bytes, double factor) {
  return static_cast<std::int64_t>(static_cast<double>(bytes) * factor);
}

/// What becomes of a step that goes above the card.
Then then_of(const Step& step, Os os) {
  if (os == Os::windows) return Then::spills;
  const bool image = step.kind == StepKind::decode || step.kind == StepKind::encode_image;
  return image ? Then::retries_in_tiles : Then::may_run_out;
}

/// Beside which `room` a step has: pages leave for it, whole models do not.
Say beside(bool paged) { return paged ? Say::what_cannot_leave : Say::the_weights; }

/// Why a step goes above the card, by how much it allocates and what there is.
Message above_cause(const Step& step, std::int64_t live, std::int64_t room, bool paged, Then then) {
  const std::int64_t least = times(live, std::min(1.0, step.demand.low));
  const bool certain = least > room;
  const Say what = then == Then::spills        ? Say::rest_spills
                   : then == Then::may_run_out ? Say::it_may_run_out
                   : certain                   ? Say::will_retry_in_tiles
                                               : Say::may_retry_in_tiles;
  return {Say::allocates_more_than_there_is,
          {live, certain ? Message() : Message(Say::less_is_possible, {least}), room, beside(paged),
           what}};
}

/// Steps whose node catches that memory ran out, and goes on in tiles.
bool retries_in_tiles(const Step& step) {
  return step.kind == StepKind::decode || step.kind == StepKind::encode_image ||
         step.kind == StepKind::upscale;
}

/// Linux: more than live is needed, for a moment or for good, and nothing gives it. `certain`
/// steps are told elsewhere. Returns the cause, or nothing.
Message may_run_out(const Peaks& peaks, const Step& step, const std::vector<Load>& loads,
                    std::int64_t room, bool paged, std::int64_t limit) {
  constexpr double kSplit = 1.1;  // assumed: freed blocks that are too small for the next
  const Quantity& reserved = step.demand.reserved;
  const bool streams = std::any_of(loads.begin(), loads.end(),
                                   [](const Load& load) { return load.offloaded_bytes > 0; });
  const std::int64_t cast = paged || !streams ? 0 : step.demand.cast_bytes;  // paged: in the base
  const std::int64_t needed = times(step.demand.live.bytes + cast, kSplit);
  if (cast > 0 && needed > room) {
    return {Say::streaming_may_run_out, {step.demand.live.bytes, cast, room}};
  }
  if (paged && reserved.known() && reserved.bytes > room) {
    return {Say::reserved_may_run_out, {reserved.bytes, step.demand.live.bytes, room}};
  }
  if (peaks.vram > limit) {
    return {Say::peak_may_run_out, {peaks.vram, limit}};
  }
  return {};
}

/// Demand against what the weights leave of the card; returns why it goes above, if it does.
Message judge_demand(PassOutcome& outcome, const Peaks& peaks, const Step& step,
                     const std::vector<Load>& loads, const Timeline& timeline,
                     const Machine& machine) {
  const Quantity& live = step.demand.live;
  const Quantity& reserved = step.demand.reserved;
  if (!live.known() || !reserved.known()) return {};
  const std::int64_t room = timeline.vram_limit_bytes - peaks.base;
  const bool windows = machine.os == Os::windows;
  if (live.bytes > room) {
    outcome.above_bytes = live.bytes - room;
    outcome.then = then_of(step, machine.os);
    const Message cause = room < 0
                              ? Message(windows ? Say::held_spills : Say::held_runs_out,
                                        {peaks.base, timeline.vram_limit_bytes})
                              : above_cause(step, live.bytes, room, timeline.paged(), outcome.then);
    raise(outcome,
          windows || room < 0      ? Verdict::spills
          : retries_in_tiles(step) ? Verdict::tight
                                   : Verdict::may_run_out,
          cause);
    return cause;
  }
  if (!windows && !retries_in_tiles(step)) {
    Message cause =
        may_run_out(peaks, step, loads, room, timeline.paged(), timeline.vram_limit_bytes);
    if (!cause.empty()) {
      raise(outcome, Verdict::may_run_out, std::move(cause));
      return {};
    }
  }
  // What is live may be more than expected; slack is given back on Linux, and kept on Windows.
  const std::int64_t live_most = times(live.bytes, std::max(1.0, step.demand.high));
  const std::int64_t most = windows ? std::max(live_most, reserved.bytes) : live_most;
  if (most > room) {
    raise(outcome, Verdict::tight,
          {outcome.verdict == Verdict::fits ? Say::fits_unless : Say::stays_on_the_card_unless,
           {room, beside(timeline.paged()), live.bytes, most}});
  }
  return {};
}

/// Room that ComfyUI's estimate leaves above the weights, classic; or the step's own memory, paged.
void judge_spare(PassOutcome& outcome, const Load& load, const Weights& weights, const Step& step,
                 bool paged) {
  const std::int64_t spare = std::max<std::int64_t>(0, load.usable_bytes - weights.bytes);
  if (!paged) {
    if (step.kind == StepKind::sample && load.full && load.usable_bytes > 0 && spare < kSpareMin) {
      raise(outcome, Verdict::tight, {Say::spare_before_it_offloads, {spare}});
    }
    return;
  }
  const Quantity& reserved = step.demand.reserved;
  if (!load.full || !reserved.known()) return;
  const std::int64_t most = times(reserved.bytes, std::max(1.0, step.demand.high));
  if (step.kind != StepKind::sample || most - reserved.bytes <= spare) return;
  raise(outcome, Verdict::tight,
        {Say::stays_whole_unless, {reserved.bytes + spare, reserved.bytes, most}});
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
  for (StepIndex s = pass.first_step; s <= pass.last_step; ++s) {
    const StepState& state = timeline.steps[s];
    outcome.read_bytes += state.read_bytes;
    outcome.ram_pinned_bytes = std::max(outcome.ram_pinned_bytes, state.ram_pinned_bytes);
    outcome.ram_file_pages_bytes =
        std::max(outcome.ram_file_pages_bytes, state.ram_peak_bytes - state.ram_needed_bytes);
    read += state.read_seconds.value_or(0);
    read_known &= state.read_bytes == 0 || state.read_seconds.has_value();
    all += step_seconds(passes.steps[s], state, all_known);
  }
  if (read_known) outcome.read_seconds = read;
  if (all_known) outcome.seconds = all;
  const StepState& main = timeline.steps[pass.main_step];
  outcome.repeats = std::max(1, step.demand.repeats);
  const auto each = [&](const std::optional<double>& total) {
    return total ? std::optional(*total / outcome.repeats) : std::nullopt;
  };
  outcome.stream_seconds = each(main.stream_seconds);
  outcome.stall_seconds = each(main.stall_seconds);
  outcome.compute_seconds = each(main.compute_seconds);
}

/// That a step's demand is not known, and why where that is known.
Message unknown_demand(const Step& step) {
  const Message& why = step.demand.asked.source;
  const std::string node = cut_text(step.class_type);
  if (why.empty()) return {Say::need_not_known, {step.id, node}};
  return {Say::need_not_known_why, {step.id, node, why}};
}

/// Adds to what is lacking.
void lack(Message& lacking, Message more) {
  if (more.empty()) return;
  if (!lacking.empty()) more = {Say::both, {std::move(lacking), std::move(more)}};
  lacking = std::move(more);
}

/// Whether the main weights of a pass and their kind are known: without, nothing is said of it.
bool main_known(const Passes& passes, const Pass& pass) {
  const Step& step = passes.steps[pass.main_step];
  return step.model_known && !pass.weights.empty() && passes.weights[pass.weights.front()].known();
}

/// ComfyUI's pages do not hold GGUF files. Where paged models leave for one, its code and a public
/// log disagree on how much of it stays on the card.
Message beside_pages(const Passes& passes, const Timeline& timeline, const Pass& pass) {
  if (!timeline.paged() || pass.weights.empty()) return {};
  const Weights& main = passes.weights[pass.weights.front()];
  if (main.files.empty() || !main.files.front().ends_with(".gguf")) return {};
  bool makes_room = false;
  for (StepIndex s = pass.first_step; s <= pass.last_step; ++s) {
    makes_room |= !timeline.steps[s].evictions.empty();
  }
  if (!makes_room) return {};
  return {Say::stays_beside_pages_not_known, {main.name}};
}

PassOutcome judge_pass(const Passes& passes, const Timeline& timeline, const Machine& machine,
                       const Pass& pass, Message& above) {
  const Step& step = passes.steps[pass.main_step];
  PassOutcome outcome;
  outcome.verdict = Verdict::fits;
  sum_costs(outcome, passes, timeline, pass, step);
  const Peaks peaks = find_peaks(timeline, pass);
  lack(outcome.lacking, unknown_sizes(passes, pass.weights));
  lack(outcome.lacking, beside_pages(passes, timeline, pass));
  if (const Load* load = main_load(timeline, pass)) {
    judge_load(outcome, *load, passes.weights[load->weights], step, timeline.paged());
  }
  outcome.ram_at_least_bytes = peaks.ram;
  if (outcome.lacking.empty() && !timeline.ram_open) outcome.ram_peak_bytes = peaks.ram;
  // A RAM size that nobody gave or probed is no reason for a verdict.
  if (peaks.ram > timeline.ram_limit_bytes && timeline.ram_limit_bytes > 0 &&
      machine.ram_total.kind != NumberKind::assumed) {
    raise(outcome, Verdict::ram_short,
          {timeline.ram_open ? Say::ram_peaks_at_no_less_than : Say::ram_peaks_at,
           {peaks.ram, timeline.ram_limit_bytes}});
  }
  const Quantity& asked = step.demand.subtracted();
  if (!asked.known()) {
    lack(outcome.lacking, asked.source.empty() ? unknown_demand(step) : asked.source);
  } else {
    if (outcome.lacking.empty()) outcome.vram_peak_bytes = peaks.vram;
    above =
        judge_demand(outcome, peaks, step, timeline.steps[pass.main_step].loads, timeline, machine);
  }
  // More of what is not known makes nothing better: what is known to go wrong stays said.
  const bool known_bad = rank(outcome.verdict) >= rank(Verdict::offloads);
  if (!outcome.lacking.empty() && !(known_bad && main_known(passes, pass))) {
    raise(outcome, Verdict::unknown, outcome.lacking);
  }
  return outcome;
}

/// What is in no pass: work whose weights are unknown or managed by their own pack, models that no
/// step is known to use, outputs that don't run.
std::vector<Message> in_no_pass(const Passes& passes) {
  std::vector<Message> lacking;
  for (const Step& step : passes.steps) {
    const bool works = step.kind == StepKind::sample || step.kind == StepKind::use;
    if (works && step.uses.empty()) {
      lacking.push_back(unknown_demand(step));
    } else if (step.loads_unseen) {
      lacking.push_back({Say::managed_by_its_pack, {step.id, step.class_type}});
    }
  }
  if (passes.passes.empty() && lacking.empty() && passes.unused.empty() &&
      !passes.weights.empty()) {
    lacking.emplace_back(Say::nothing_uses_the_models);
  }
  for (const WeightsIndex w : passes.unused) {
    lacking.push_back({Say::use_not_known, {file_of(passes.weights[w])}});
  }
  for (const std::string& node : passes.left_out) lacking.push_back({Say::will_not_run, {node}});
  return lacking;
}

/// Passes without which a run is not known: its samplers; all of them where nothing samples.
bool is_main(const Passes& passes, const Pass& pass) {
  return pass.kind == StepKind::sample ||
         std::none_of(passes.passes.begin(), passes.passes.end(),
                      [](const Pass& other) { return other.kind == StepKind::sample; });
}

/// Reads, moves, stalls and compute of all steps.
void sum_seconds(Outcome& run, const Passes& passes, const Timeline& timeline) {
  bool known = !passes.passes.empty() && in_no_pass(passes).empty();
  for (const StepIndex s : timeline.steps.indices()) {
    run.known_seconds += step_seconds(passes.steps[s], timeline.steps[s], known);
  }
  if (known) run.seconds = run.known_seconds;
}

/// Why passes beside the worst one go above the card (`above`, by pass); equal causes once.
void add_causes_above(Outcome& run, const List<Message, PassIndex>& above, PassIndex worst) {
  std::vector<std::pair<Message, std::vector<std::string>>> causes;  // and numbers of its passes
  for (const PassIndex p : above.indices()) {
    if (above[p].empty() || p == worst) continue;
    const auto same = [&](const auto& entry) { return entry.first == above[p]; };
    const auto at = std::find_if(causes.begin(), causes.end(), same);
    auto& numbers =
        at == causes.end() ? causes.emplace_back(above[p], std::vector<std::string>()) : *at;
    numbers.second.push_back(std::to_string(p.number()));
  }
  for (auto& [cause, passes] : causes) {
    const Say in = passes.size() == 1 ? Say::in_pass : Say::in_passes;
    run.causes.push_back({in, {std::move(passes), std::move(cause)}});
  }
}

}  // namespace

const Load* main_load(const Timeline& timeline, const Pass& pass) {
  const Load* found = nullptr;
  const auto look = [&](StepIndex s) {
    for (const Load& load : timeline.steps[s].loads) {
      if (!pass.weights.empty() && load.weights == pass.weights.front()) found = &load;
    }
  };
  for (StepIndex s = pass.first_step; s <= pass.last_step; ++s) look(s);
  look(pass.main_step);
  return found;
}

bool nearly_full(std::int64_t ram_peak_bytes, const Quantity& ram) {
  constexpr double kNearlyFull = 0.9;
  return ram.known() &&
         static_cast<double>(ram_peak_bytes) >= kNearlyFull * static_cast<double>(ram.bytes);
}

int rank(Verdict verdict) { return static_cast<int>(verdict); }

const char* to_string(Verdict verdict) {
  return name_in<Verdict::unknown>(
      {"fits", "tight", "offloads", "may_run_out", "ram_short", "spills", "unknown"}, verdict);
}

const char* to_string(Then then) {
  return name_in<Then::retries_in_tiles>({"nothing", "spills", "may_run_out", "retries_in_tiles"},
                                         then);
}

namespace {

/// Of two passes that offload, a sampler, whose every step pays, else the one that offloads more
/// speaks for the run.
bool speaks_before(const Pass& pass, const PassOutcome& outcome, const Pass& before,
                   const PassOutcome& than) {
  if (rank(outcome.verdict) != rank(than.verdict)) {
    return rank(outcome.verdict) > rank(than.verdict);
  }
  const auto weight = [](const Pass& of, const PassOutcome& its) {
    return std::pair(of.kind == StepKind::sample, its.offloaded_bytes.value_or(0));
  };
  return outcome.verdict == Verdict::offloads && weight(pass, outcome) > weight(before, than);
}

void sum_bytes(Outcome& run, const Pass& pass, const PassOutcome& outcome) {
  if (pass.kind == StepKind::sample) {
    run.offloaded_bytes = std::max(run.offloaded_bytes, outcome.offloaded_bytes.value_or(0));
  }
  run.vram_peak_bytes = std::max(run.vram_peak_bytes, outcome.vram_peak_bytes.value_or(0));
  run.ram_peak_bytes = std::max(run.ram_peak_bytes, outcome.ram_at_least_bytes);
  run.read_bytes += outcome.read_bytes;
}

/// RAM that is all but full is the trouble where only small parts are offloaded: no sampler waits
/// for them, but everything waits for the page file.
void judge_full_ram(Outcome& run, const Passes& passes, const Machine& machine) {
  const Quantity& ram = machine.ram_total;
  if (ram.kind == NumberKind::assumed || !nearly_full(run.ram_peak_bytes, ram)) return;
  bool small = false;
  for (const PassIndex p : run.passes.indices()) {
    if (rank(run.passes[p].verdict) < rank(Verdict::offloads)) continue;
    if (is_main(passes, passes.passes[p]) || run.passes[p].verdict != Verdict::offloads) return;
    small = true;
  }
  for (PassOutcome& outcome : run.passes) {
    if (!small || outcome.ram_at_least_bytes != run.ram_peak_bytes) continue;
    raise(outcome, Verdict::ram_short, {Say::ram_all_but_full, {run.ram_peak_bytes, ram.bytes}});
    return;
  }
}

/// What is known of the run, and the pass that it is of.
void find_known(Outcome& run, const Passes& passes) {
  for (const PassIndex p : run.passes.indices()) {
    const PassOutcome& outcome = run.passes[p];
    if (outcome.verdict == Verdict::unknown || outcome.verdict == Verdict::fits) continue;
    const PassIndex at = run.known_pass;
    if (at.exists() &&
        !speaks_before(passes.passes[p], outcome, passes.passes[at], run.passes[at])) {
      continue;
    }
    run.known_pass = p;
    run.known = outcome.verdict;
  }
}

/// Whether a pass is other work with a diffusion model of which neither size nor kind is known: it
/// may be the largest of the run.
bool works_with_anything(const Passes& passes, const Pass& pass) {
  return pass.kind == StepKind::use && std::ranges::any_of(pass.weights, [&](WeightsIndex w) {
           const Weights& weights = passes.weights[w];
           return weights.role == WeightsRole::diffusion && !weights.known() &&
                  weights.architecture.empty();
         });
}

/// Whether what is not known keeps anything from being said of the run as a whole.
bool hides_run(const Passes& passes, const Outcome& run, bool in_no_pass) {
  if (in_no_pass) return true;
  for (const PassIndex p : run.passes.indices()) {
    if (works_with_anything(passes, passes.passes[p])) return true;
    if (run.passes[p].verdict == Verdict::unknown && is_main(passes, passes.passes[p]) &&
        !main_known(passes, passes.passes[p])) {
      return true;
    }
  }
  return !run.lacking.empty() && rank(run.known) < rank(Verdict::offloads);
}

}  // namespace

Outcome judge(const Passes& passes, const Timeline& timeline, const Machine& machine) {
  Outcome run;
  run.ram_open = timeline.ram_open;
  run.lacking = in_no_pass(passes);
  const bool not_in_passes = !run.lacking.empty();
  List<Message, PassIndex> above(passes.passes.size());
  run.passes.reserve(passes.passes.size());
  for (const Pass& pass : passes.passes) {
    PassOutcome outcome =
        judge_pass(passes, timeline, machine, pass, above[run.passes.end_index()]);
    if (!outcome.lacking.empty() &&
        std::ranges::find(run.lacking, outcome.lacking) == run.lacking.end()) {
      run.lacking.push_back(outcome.lacking);
    }
    sum_bytes(run, pass, outcome);
    run.passes.push_back(std::move(outcome));
  }
  judge_full_ram(run, passes, machine);
  find_known(run, passes);
  // What is known to go wrong is said even where something else is unknown; "fits" never is.
  const bool hidden = hides_run(passes, run, not_in_passes);
  run.verdict = hidden ? Verdict::unknown : run.known;
  const PassIndex told = run.known_pass.exists() ? run.known_pass : run.passes.end_index();
  if (hidden) {
    run.causes = {run.lacking.front()};
    if (rank(run.known) >= rank(Verdict::offloads)) {
      run.causes.push_back({Say::in_pass, {told.number(), run.passes[told].causes}});
    }
  } else if (run.passes.has(told)) {
    run.causes = run.passes[told].causes;
  }
  const bool said = !hidden || rank(run.known) >= rank(Verdict::offloads);
  add_causes_above(run, above, said ? told : above.end_index());
  sum_seconds(run, passes, timeline);
  return run;
}

}  // namespace ebb
