// SPDX-License-Identifier: Apache-2.0
#include "explain/sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "report/words.h"

namespace ebb {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
constexpr std::int64_t kSmallPart = 100;  // weights in RAM below 1/100 are told together

std::int64_t to_hundredths(double value) {
  constexpr double kMost = 1e17;  // of a MiB: more than any demand
  return std::llround(std::clamp(value * 100, -kMost, kMost));
}

Term mib_term(double bytes, Message what, NumberKind kind = NumberKind::computed,
              Message source = {}) {
  return {Product().times(bytes / kMib), std::move(what), kind, std::move(source)};
}
Term mib_term(std::int64_t bytes, Message what) {
  return mib_term(static_cast<double>(bytes), std::move(what));
}
Term mib_term(const Quantity& quantity, Message what) {
  return mib_term(static_cast<double>(quantity.bytes), std::move(what), quantity.kind,
                  quantity.source);
}

NumberKind kind_of(const Weights& weights) {
  switch (weights.bytes_from) {
    case BytesFrom::given: return NumberKind::given;
    case BytesFrom::stated:
    case BytesFrom::assumed: return NumberKind::assumed;
    default: return NumberKind::computed;
  }
}

/// Bytes of weights, whole or in part, are known as their size is.
Term weights_term(const ExplainedPass& it, WeightsIndex w, double bytes, Say what = Say::model) {
  return mib_term(bytes, {what, {it.names[w]}}, kind_of(it.passes().weights[w]));
}

/// A part as the memory manager added it, and where it has it from.
Term part_term(const ExplainedPass& it, const Part& part) {
  if (part.weights.exists()) return weights_term(it, part.weights, part.bytes, part.what);
  const Machine& machine = it.machine();
  const auto from = [&part](const Quantity& source) {
    return mib_term(part.bytes, part.what, source.kind, source.source);
  };
  Term term = mib_term(part.bytes, part.what);
  switch (part.what) {
    case Say::free_before_any_model: return from(machine.vram_free);
    case Say::others_in_ram: return from(machine.ram_others);
    case Say::headroom: term.source = Say::aimdo_keeps_it_free; break;
    case Say::least_for_a_step: term.source = Say::minimum_inference_memory; break;
    case Say::reserve:
      if (machine.flags.reserve_vram_gib) {
        term.what = {Say::reserve_flag, {*machine.flags.reserve_vram_gib}};
        term.kind = NumberKind::given;
      } else {
        term.source = machine.os == Os::windows ? Say::reserve_on_windows : Say::reserve_on_linux;
      }
      break;
    default: break;
  }
  return term;
}

/// `21`, `1,048,576`, `2.30423042`: the digits that count.
std::string digits_of(double value) {
  constexpr double kExact = 1e15;
  if (value == std::floor(value) && std::abs(value) < kExact) {
    return format_count(static_cast<std::int64_t>(value));
  }
  const std::string digits = fmt::format("{:.9g}", value);
  const auto point = digits.find('.');
  if (value < 1000 || point >= 9) return digits;
  return format_count(static_cast<std::int64_t>(value)) + digits.substr(point);
}

}  // namespace

Shown shown(const Term& term) {
  const std::vector<Factor>& factors = term.product.factors();
  if (factors.size() < 2) return {to_hundredths(term.product.value()), ""};
  Shown out;
  double value = 1;
  for (const Factor& factor : factors) {
    const std::string digits =
        digits_of(factor.result ? std::round(factor.value * 100) / 100 : factor.value);
    std::string plain = digits;
    std::erase(plain, ',');
    const double counts = std::strtod(plain.c_str(), nullptr);
    value = factor.divides ? value / counts : value * counts;
    if (!out.factors.empty()) out.factors += factor.divides ? " / " : " x ";
    out.factors += digits;
    if (*factor.unit) out.factors += fmt::format(" {}", factor.unit);
  }
  out.hundredths = to_hundredths(value);
  return out;
}

/// Whether what is printed differs from what was computed by rounding alone.
[[maybe_unused]] static bool closes(const Sum& sum, std::int64_t hundredths) {
  constexpr double kDigits = 1e-7;  // of factors with nine digits
  constexpr double kAbsurd = 1e12;
  double size = 0;
  for (const Term& term : sum.terms) size += std::abs(term.product.value());
  return size > kAbsurd || std::abs(static_cast<double>(hundredths) - sum.total() * 100) <=
                               2.0 * static_cast<double>(sum.terms.size()) + size * kDigits;
}

std::int64_t shown_total(const Sum& sum) {
  std::int64_t total = 0;
  for (const Term& term : sum.terms) total += shown(term).hundredths;
  assert(closes(sum, total));
  return total;
}

// ---- what is left for weights --------------------------------------------------------------

Sum usable_sum(const ExplainedPass& it, const Load& load, const DemandSums& demand) {
  const bool limited = load.minimum_bytes > 0 || load.reserve_bytes > 0;
  Sum sum{"usable",
          it.timeline().paged() && limited ? Say::title_usable_pages : Say::title_usable,
          "MiB",
          {},
          limited ? Say::usable : Say::usable_without_limit};
  for (const Part& part : load.parts) {
    Term term = part_term(it, part);
    if (part.weights.exists() && shown(term).hundredths == 0) continue;  // a few tables' bytes
    sum.terms.push_back(std::move(term));
    if (part.what != Say::asked) continue;
    // As it is printed above, unless another step of the pass asked for these weights.
    const double asked = static_cast<double>(shown_total(demand.asked)) / 100;
    constexpr double kRounded = 0.05;
    if (std::abs(asked + part.bytes / kMib) < kRounded) {
      sum.terms.back().product = Product().times(-asked);
    } else {
      sum.terms.back().what = Say::asked_by_another_step;
    }
  }
  return sum;
}

Sum weights_sum(const ExplainedPass& it, const Load& load) {
  const Weights& weights = it.passes().weights[load.weights];
  Sum sum{"offloaded", {}, "MiB", {}, Say::offloaded};
  const auto add = [&sum](std::int64_t bytes, Say what) {
    Term term = mib_term(bytes, what);
    if (shown(term).hundredths != 0) sum.terms.push_back(std::move(term));
  };
  const bool spare = load.offloaded_bytes == 0;
  const double sign = spare ? -1 : 1;
  Term all = weights_term(it, load.weights, sign * static_cast<double>(load.size_bytes));
  all.source = weights.bytes_from == BytesFrom::known ? "table of known files"
                                                      : bytes_from_words(weights.bytes_from);
  Term usable = mib_term(-sign * static_cast<double>(load.usable_bytes), Say::usable);
  if (spare) {
    sum.key = "spare";
    sum.terms = {std::move(usable), std::move(all)};
    sum.result = Say::to_spare;
    return sum;
  }
  sum.terms = {std::move(all), std::move(usable)};
  const std::int64_t buffer = it.timeline().paged() ? 0 : load.buffer_bytes;
  const std::int64_t gap = load.usable_bytes - buffer - load.loaded_bytes;
  add(buffer, Say::kept_free_to_stream);
  add(gap, gap < 0 ? Say::loaded_beyond_it : Say::next_module_does_not_fit);
  add(-load.uncounted_bytes, Say::on_the_card_but_not_counted);
  add(-load.unlisted_bytes, Say::small_weights_not_listed);
  return sum;
}

// ---- VRAM, RAM -----------------------------------------------------------------------------

Sum vram_sum(const ExplainedPass& it, const DemandSums& demand) {
  const StepState& state = it.state;
  Sum sum{"vram", Say::title_vram, "MiB", {}, {Say::of_vram, {it.timeline().vram_limit_bytes}}};
  sum.terms.push_back(mib_term(static_cast<double>(state.vram_others_bytes), Say::total_less_free,
                               it.machine().vram_free.kind));
  for (const WeightsIndex w : state.vram.indices()) {
    if (state.vram[w] <= 0) continue;
    sum.terms.push_back(weights_term(it, w, static_cast<double>(state.vram[w])));
  }
  if (state.reserved_bytes <= 0) return sum;
  const Demand& needs = it.step.demand;
  Term reserved = mib_term(needs.reserved.known() ? needs.reserved : needs.live, Say::reserved);
  if (demand.reserved_factor > 0) {
    const double live = static_cast<double>(shown_total(demand.live)) / 100;
    reserved.product = Product().times(live, "live").times(demand.reserved_factor);
    reserved.source = demand.reserved_source;
  }
  sum.terms.push_back(std::move(reserved));
  if (state.slack_bytes > 0) {
    sum.terms.push_back(mib_term(-state.slack_bytes, Say::slack_given_back));
  }
  return sum;
}

Sum ram_sum(const ExplainedPass& it) {
  const StepState* peak = &it.state;
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) {
    const StepState& state = it.timeline().steps[s];
    if (state.ram_needed_bytes > peak->ram_needed_bytes) peak = &state;
  }
  Sum sum{"ram",
          it.timeline().ram_open ? Say::title_ram_at_least : Say::title_ram,
          "MiB",
          {},
          {Say::of_ram, {it.machine().ram_total.bytes}}};
  const double least = static_cast<double>(peak->ram_needed_bytes / kSmallPart);
  Term kept = mib_term(std::int64_t{0}, Say::results_in_cache);
  double results = 0;
  for (Part part : peak->ram_parts) {
    const bool model = part.weights.exists();
    if ((model && part.bytes < least) || part.what == Say::results_in_cache) {
      results += part.bytes;
      if (model) kept.what = Say::results_and_small_models;
      continue;
    }
    if (model && part.bytes > static_cast<double>(peak->ram[part.weights])) {
      part.what = Say::before_it_moves;
    }
    sum.terms.push_back(part_term(it, part));
  }
  kept.product = Product().times(results / kMib);
  if (results > 0) sum.terms.push_back(std::move(kept));
  return sum;
}

// ---- seconds -------------------------------------------------------------------------------

namespace {

double two_decimals(double value) { return std::round(value * 100) / 100; }

/// A quotient that comes to so many seconds; a plain number where more than that went into it.
Term seconds_term(Product quotient, double seconds, double slack, const Figure& rate, Say what) {
  Term term{std::move(quotient), what, rate.kind, rate.source};
  const double hundredths = std::round(seconds * 100);
  if (std::abs(static_cast<double>(shown(term).hundredths) - hundredths) >
      std::max(1.0, hundredths * slack)) {
    term.product = Product().times(seconds);
  }
  return term;
}

Term transfer_term(std::int64_t bytes, double seconds, const Figure& rate, Say what) {
  Product quotient;
  quotient.result(static_cast<double>(bytes) / kMib, "MiB")
      .over(two_decimals(rate.value / kMib), "MiB/s");
  return seconds_term(std::move(quotient), seconds, 0, rate, what);
}

/// Of several steps, or of one whose work is small, the quotient does not come out.
Term compute_term(const ExplainedPass& it, double seconds) {
  const Figure& rate = it.machine().compute_flops_per_second;
  const Demand& demand = it.step.demand;
  Product quotient;
  quotient.count(std::max(demand.repeats, 1), "")
      .times(two_decimals(demand.flops / 1e12))
      .over(two_decimals(rate.value / 1e12), "TFLOP/s");
  return seconds_term(std::move(quotient), seconds, 1e-3, rate, Say::compute);
}

}  // namespace

std::optional<Sum> seconds_sum(const ExplainedPass& it) {
  double read = 0, move = 0, stall = 0, compute = 0;
  std::int64_t read_bytes = 0, moved_bytes = 0;
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) {
    const StepState& state = it.timeline().steps[s];
    const bool works = it.passes().steps[s].kind == StepKind::sample;
    if ((state.read_bytes > 0 && !state.read_seconds) ||
        (state.moved_bytes > 0 && !state.move_seconds) || (works && !state.compute_seconds)) {
      return std::nullopt;
    }
    read += state.read_seconds.value_or(0);
    move += state.move_seconds.value_or(0);
    stall += state.stall_seconds.value_or(0);
    compute += state.compute_seconds.value_or(0);
    read_bytes += state.read_bytes;
    moved_bytes += state.moved_bytes;
  }
  const Machine& machine = it.machine();
  const Figure& link = machine.link_bytes_per_second;
  Sum sum{"seconds", Say::title_seconds, "s", {}, Say::seconds_in_this_pass};
  if (read > 0) {
    sum.terms.push_back(
        transfer_term(read_bytes, read, machine.disk_bytes_per_second, Say::reading));
  }
  if (move > 0) sum.terms.push_back(transfer_term(moved_bytes, move, link, Say::moving));
  if (compute > 0) sum.terms.push_back(compute_term(it, compute));
  if (stall > 0) {
    sum.terms.push_back(
        {Product().times(stall), Say::waiting_for_streamed, link.kind, Say::streaming_adds});
  }
  if (sum.terms.empty()) return std::nullopt;
  return sum;
}

}  // namespace ebb
