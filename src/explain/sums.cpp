// SPDX-License-Identifier: Apache-2.0
#include "explain/sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demand/terms.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr NumberKind kComputed = NumberKind::computed;
constexpr std::int64_t kSmallPart = 100;  // weights in RAM below 1/100 are told together

Term minus(Term term) {
  term.hundredths = -term.hundredths;
  return term;
}

/// The rest that makes a sum come out at `bytes`; nothing where it does already.
void make_up(Sum& sum, std::int64_t bytes, const std::string& what, const std::string& source) {
  Term rest = bytes_term(bytes, what, kComputed, source);
  rest.hundredths -= sum.total();
  // The last digit of a few rounded terms is no reason for a line of its own.
  if (std::abs(rest.hundredths) > static_cast<std::int64_t>(sum.terms.size())) {
    sum.terms.push_back(std::move(rest));
  }
}

std::string weights_source(const Weights& weights) {
  return weights.bytes_from == BytesFrom::known ? "table of known files"
                                                : bytes_from_words(weights.bytes_from);
}

NumberKind weights_kind(const Weights& weights) {
  switch (weights.bytes_from) {
    case BytesFrom::given: return NumberKind::given;
    case BytesFrom::stated:
    case BytesFrom::assumed: return NumberKind::assumed;
    default: return kComputed;
  }
}

Term reserve_term(const ExplainedPass& it, const Load& load) {
  const Machine& machine = it.machine();
  if (it.paged()) {
    return bytes_term(load.reserve_bytes, "headroom", kComputed, "comfy-aimdo keeps it free");
  }
  if (machine.flags.reserve_vram_gib) {
    return bytes_term(load.reserve_bytes,
                      fmt::format("--reserve-vram {}", *machine.flags.reserve_vram_gib),
                      NumberKind::given, "");
  }
  return bytes_term(
      load.reserve_bytes, "reserve", kComputed,
      fmt::format("EXTRA_RESERVED_VRAM on {}", machine.os == Os::windows ? "Windows" : "Linux"));
}

/// Other weights that were on the card when the budget was computed.
void take_others(Sum& sum, const ExplainedPass& it, const Load& load) {
  for (const WeightsIndex w : it.state.vram.indices()) {
    const std::int64_t bytes = it.state.vram[w];
    if (bytes <= 0 || w == load.weights) continue;
    const Term term = minus(bytes_term(bytes, it.name(w) + ", still on the card", kComputed, ""));
    const Term goal = bytes_term(load.free_bytes, "", kComputed, "");
    if (sum.total() + term.hundredths < goal.hundredths - 1) continue;  // it came later
    sum.terms.push_back(term);
  }
  make_up(sum, load.free_bytes, "held by others then", "");
}

std::string usable_correction(const ExplainedPass& it, const Load& load, std::int64_t missing) {
  if (it.paged()) return "cut to whole pages of 32 MiB";
  if (it.machine().flags.vram_state == VramState::none) return "--novram loads nothing ahead";
  if (missing < 0) return "what cannot be had";
  return load.usable_bytes == 128_MiB ? "raised to ComfyUI's least of 128 MiB"
                                      : "raised to 0, or to what is loaded already";
}

}  // namespace

bool ExplainedPass::paged() const { return report.prediction.timeline.paged(); }

const Load* main_load(const ExplainedPass& it) {
  const Load* found = nullptr;
  const auto look = [&](StepIndex s) {
    for (const Load& load : it.report.prediction.timeline.steps[s].loads) {
      if (!it.pass.weights.empty() && load.weights == it.pass.weights.front()) found = &load;
    }
  };
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) look(s);
  look(it.pass.main_step);
  return found;
}

Sum usable_sum(const ExplainedPass& it, const Load& load, const Sum& asked) {
  const Quantity& free = it.machine().vram_free;
  Sum sum{
      "usable",
      "What that leaves for weights (comfy/model_management.py; modules: comfy/model_patcher.py)",
      "MiB",
      {},
      "usable"};
  sum.terms.push_back(
      bytes_term(free.bytes, "free before any model is loaded", free.kind, free.source));
  take_others(sum, it, load);
  const bool limited = load.minimum_bytes > 0 || load.reserve_bytes > 0;
  if (!limited) {
    sum.result = "usable: this load has no limit";
    return sum;
  }
  if (it.paged()) {
    sum.title = "What that leaves for weights, page by page (comfy-aimdo)";
    const std::int64_t buffer = load.buffer_bytes;
    sum.terms.push_back(
        minus(bytes_term(load.minimum_bytes - buffer, "reserved by the step", kComputed, "")));
    if (buffer > 0) {
      sum.terms.push_back(minus(bytes_term(buffer, "buffer to stream through", kComputed, "")));
    }
  } else {
    Term least = bytes_term(load.minimum_bytes, "ComfyUI's least for a step", kComputed,
                            "minimum_inference_memory");
    Term demand{asked.total(), "", "asked", kComputed, ""};
    const bool raised = least.hundredths > demand.hundredths + 1;
    sum.terms.push_back(minus(raised ? std::move(least) : std::move(demand)));
  }
  sum.terms.push_back(minus(reserve_term(it, load)));
  const std::int64_t missing =
      load.usable_bytes - (load.free_bytes - load.minimum_bytes - load.reserve_bytes);
  make_up(sum, load.usable_bytes, usable_correction(it, load, missing), "");
  return sum;
}

Sum weights_sum(const ExplainedPass& it, const Load& load) {
  const Weights& weights = it.weights(load.weights);
  Sum sum{"offloaded", "", "MiB", {}, "offloaded"};
  Term all = bytes_term(weights.bytes, it.name(load.weights), weights_kind(weights),
                        weights_source(weights));
  Term usable = bytes_term(load.usable_bytes, "usable", kComputed, "");
  if (load.offloaded_bytes == 0) {
    sum.key = "spare";

    sum.terms = {std::move(usable), minus(std::move(all))};
    sum.result = "to spare";
    return sum;
  }
  sum.terms = {std::move(all), minus(std::move(usable))};
  const std::int64_t buffer = it.paged() ? 0 : load.buffer_bytes;
  if (buffer > 0) {
    sum.terms.push_back(bytes_term(buffer, "kept free to stream through", kComputed, ""));
  }
  Term gap = bytes_term(load.usable_bytes - buffer - load.loaded_bytes,
                        "not filled: the next module does not fit", kComputed, "");
  if (gap.hundredths < 0) gap.what = "loaded beyond it";
  if (std::abs(gap.hundredths) > 2) sum.terms.push_back(std::move(gap));
  make_up(sum, load.offloaded_bytes, "small weights that ComfyUI does not list", "");
  return sum;
}

Sum vram_sum(const ExplainedPass& it, const DemandTerms& terms) {
  const Timeline& timeline = it.report.prediction.timeline;
  const Quantity& free = it.machine().vram_free;
  Sum sum{"vram", "What the card holds while the step works", "MiB", {}, ""};
  sum.terms.push_back(
      bytes_term(it.state.vram_others_bytes, "held by others: total less free", free.kind, ""));
  for (const WeightsIndex w : it.state.vram.indices()) {
    if (it.state.vram[w] > 0) {
      sum.terms.push_back(bytes_term(it.state.vram[w], it.name(w), kComputed, ""));
    }
  }
  const Quantity& reserved = it.step.demand.reserved;
  if (it.state.reserved_bytes > 0 && terms.reserved_factor > 0) {
    Product product;
    product.times(static_cast<double>(terms.live.total()) / 100, "live")
        .times(terms.reserved_factor);
    sum.terms.push_back(product.term("reserved", reserved.kind, terms.reserved_source));
  } else if (it.state.reserved_bytes > 0) {
    sum.terms.push_back(bytes_term(reserved.bytes, "reserved", reserved.kind, reserved.source));
  }
  std::int64_t total = it.state.vram_others_bytes + it.state.reserved_bytes;
  for (const std::int64_t bytes : it.state.vram) total += bytes;
  make_up(sum, total, "slack that is given back before it runs out", "");
  sum.result = fmt::format("of {} MiB of VRAM", format_mib(timeline.vram_limit_bytes));
  return sum;
}

Sum ram_sum(const ExplainedPass& it) {
  const auto& steps = it.report.prediction.timeline.steps;
  const StepState* peak = &it.state;
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) {
    const StepState& state = steps[s];
    if (state.ram_needed_bytes > peak->ram_needed_bytes) peak = &state;
  }
  const Quantity& others = it.machine().ram_others;
  const bool open = it.report.prediction.timeline.ram_open;
  Sum sum{"ram",
          open ? "What RAM holds at least at the peak of the pass"
               : "What RAM holds at the peak of the pass",
          "MiB",
          {},
          ""};
  sum.terms.push_back(bytes_term(others.bytes, "others", others.kind, others.source));
  const std::int64_t least = peak->ram_needed_bytes / kSmallPart;
  std::int64_t small = 0;
  for (const WeightsIndex w : peak->ram.indices()) {
    const std::int64_t bytes = peak->ram[w];
    if (bytes < least) small += bytes;
    if (bytes < least) continue;
    sum.terms.push_back(bytes_term(bytes, it.name(w), kComputed, ""));
  }
  if (peak->ram_data_bytes + small > 0) {
    sum.terms.push_back(bytes_term(peak->ram_data_bytes + small,
                                   small > 0 ? "results that the cache keeps, and small models"
                                             : "results that the cache keeps",
                                   kComputed, ""));
  }
  make_up(sum, peak->ram_needed_bytes, "weights before they moved to the card", "");
  sum.result = fmt::format("of {} MiB of RAM", format_mib(it.machine().ram_total.bytes));
  return sum;
}

namespace {

/// Bytes over a rate. A plain number where more than that went into it.
Term transfer_term(std::int64_t bytes, double seconds, const Figure& rate, std::string what) {
  const double per_second = std::round(rate.value / (1 << 20) * 100) / 100;
  Term mib = bytes_term(bytes, "", kComputed, "");
  Product product;
  product.times(static_cast<double>(mib.hundredths) / 100, "MiB").over(per_second, "MiB/s");
  Term term = product.term(what, rate.kind, rate.source);
  const auto exact = std::llround(seconds * 100);
  if (std::abs(term.hundredths - exact) > 1) term.factors.clear(), term.hundredths = exact;
  return term;
}

struct PassTimes {
  double read = 0, move = 0, stall = 0, compute = 0;
  std::int64_t read_bytes = 0, moved_bytes = 0;
  bool known = true;
};

PassTimes times_of(const ExplainedPass& it) {
  PassTimes times;
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) {
    const StepState& state = it.report.prediction.timeline.steps[s];
    const bool works = it.passes().steps[s].kind == StepKind::sample;
    times.known &= (state.read_bytes == 0 || state.read_seconds) &&
                   (state.moved_bytes == 0 || state.move_seconds) &&
                   (!works || state.compute_seconds);
    times.read += state.read_seconds.value_or(0);
    times.move += state.move_seconds.value_or(0);
    times.stall += state.stall_seconds.value_or(0);
    times.compute += state.compute_seconds.value_or(0);
    times.read_bytes += state.read_bytes;
    times.moved_bytes += state.moved_bytes;
  }
  return times;
}

Term compute_term(const ExplainedPass& it, double seconds) {
  const Figure& rate = it.machine().compute_flops_per_second;
  const Demand& demand = it.step.demand;
  Product product;
  product.count(std::max(demand.repeats, 1), "")
      .times(std::round(demand.flops / 1e10) / 100)
      .over(std::round(rate.value / 1e10) / 100, "TFLOP/s");
  Term term = product.term("compute", rate.kind, rate.source);
  const auto exact = std::llround(seconds * 100);
  // Of several steps, or of one whose work is small, the quotient would not come out.
  if (std::abs(term.hundredths - exact) > std::max<std::int64_t>(1, exact / 1000)) {
    term.factors.clear();
    term.hundredths = exact;
  }
  return term;
}

}  // namespace

std::optional<Sum> seconds_sum(const ExplainedPass& it) {
  const Machine& machine = it.machine();
  const PassTimes times = times_of(it);
  if (!times.known) return std::nullopt;
  Sum sum{"seconds", "Where the time goes", "s", {}, "s in this pass"};
  if (times.read > 0) {
    sum.terms.push_back(
        transfer_term(times.read_bytes, times.read, machine.disk_bytes_per_second, "reading"));
  }
  if (times.move > 0) {
    sum.terms.push_back(
        transfer_term(times.moved_bytes, times.move, machine.link_bytes_per_second, "moving"));
  }
  if (times.compute > 0) sum.terms.push_back(compute_term(it, times.compute));
  if (times.stall > 0) {
    sum.terms.push_back({std::llround(times.stall * 100), "", "waiting for streamed weights",
                         machine.link_bytes_per_second.kind, "what streaming adds to computing"});
  }
  if (sum.terms.empty()) return std::nullopt;
  return sum;
}

}  // namespace ebb
