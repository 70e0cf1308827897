// SPDX-License-Identifier: Apache-2.0
#include "ebb/explain.h"

#include <fmt/format.h>

#include "base/text.h"
#include "explain/sums.h"
#include "report/words.h"

namespace ebb {
namespace {

/// The main step first, then the others of the pass that use weights.
std::vector<std::string> working_nodes(const ExplainedPass& it) {
  const auto label = [](const Step& step) {
    return printable(fmt::format("node {} {}", step.id, cut_text(step.class_type)));
  };
  std::vector<std::string> nodes = {label(it.step)};
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) {
    const Step& step = it.passes().steps[s];
    if (s != it.pass.main_step && !step.uses.empty()) nodes.push_back(label(step));
  }
  return nodes;
}

/// As short as it can be: sizes are in the sums.
std::string machine_line(const Report& report) {
  const Machine& machine = report.trial.machine;
  const std::string version = to_string(machine.comfyui);
  const Policy& policy = report.prediction.timeline.policy;
  const bool own = policy.rules == machine.comfyui;
  std::string text = fmt::format("ComfyUI {} ({})", version,
                                 own ? policy_word(policy.kind) : policy_words(policy));
  if (!machine.gpu.empty()) text += ", " + printable(machine.gpu);
  text += machine.os == Os::windows ? ", Windows" : ", Linux";
  const std::string flags = to_string(machine.flags);
  return flags.empty() ? text : text + ", " + printable(flags);
}

/// What other weights do before and in this pass, and a peak that the sums do not reach.
void note_moves(Explanation& out, const ExplainedPass& it, const Sum& vram) {
  std::vector<std::string> left;
  for (StepIndex s = it.pass.first_step; s <= it.pass.last_step; ++s) {
    const StepState& state = it.report.prediction.timeline.steps[s];
    for (const Eviction& eviction : state.evictions) {
      left.push_back(
          fmt::format("{} ({} MiB)", it.names[eviction.weights], format_mib(eviction.bytes)));
    }
  }
  if (!left.empty()) {
    out.notes.push_back(fmt::format("To make room ComfyUI moves {} off the card.", join_and(left)));
  }
  const auto& outcome = it.report.prediction.outcome.passes[out.pass];
  const std::int64_t peak = outcome.vram_peak_bytes.value_or(0);
  if (static_cast<double>(peak - 2_MiB) > vram.total() * static_cast<double>(1_MiB)) {
    out.notes.push_back(fmt::format(
        "The peak of the pass, {} MiB of VRAM, is earlier: before weights of the pass before left.",
        format_mib(peak)));
  }
}

void add_loras(Explanation& out, const ExplainedPass& it) {
  if (it.step.loras.empty()) return;
  List<std::string, WeightsIndex> names;
  for (const WeightsIndex w : it.step.loras) names.push_back(it.names[w]);
  out.notes.push_back(fmt::format(
      "{} {} applied: the originals of patched weights stay in RAM, which the RAM sum counts.",
      join_and(names), names.size() == 1 ? "is" : "are"));
}

}  // namespace

PassIndex worst_pass(const Outcome& outcome) {
  const auto badness = [](const PassOutcome& pass) {
    return pass.verdict == Verdict::unknown ? rank(Verdict::tight) : rank(pass.verdict) * 2;
  };
  PassIndex worst;
  for (const PassIndex i : outcome.passes.indices()) {
    const PassOutcome& pass = outcome.passes[i];
    if (!worst.exists()) worst = i;
    const PassOutcome& best = outcome.passes[worst];
    const bool more = badness(pass) == badness(best) &&
                      pass.offloaded_bytes.value_or(0) > best.offloaded_bytes.value_or(0);
    if (more || badness(pass) > badness(best)) worst = i;
  }
  return worst;
}

Explanation explain_pass(const Report& report, PassIndex pass) {
  const Passes& passes = *report.prediction.passes;
  const Pass& it_pass = passes.passes[pass];
  const StepIndex main = it_pass.main_step;
  const ExplainedPass it{report, it_pass, passes.steps[main],
                         report.prediction.timeline.steps[main], short_names(passes.weights)};
  const PassOutcome& outcome = report.prediction.outcome.passes[pass];
  static const DemandSums kNone;
  const DemandSums& demand = it.step.demand.sums ? *it.step.demand.sums : kNone;
  Explanation out;
  out.file = report.file;
  out.pass = pass;
  out.passes = static_cast<int>(passes.passes.size());
  out.work = work_words(it_pass.kind);
  for (const WeightsIndex w : it_pass.weights) {
    out.work += (w == it_pass.weights[0] ? " " : ", ") + it.names[w];
  }
  out.nodes = working_nodes(it);
  out.machine = machine_line(report);
  out.verdict = outcome.verdict;
  out.cause = say(outcome.causes);
  for (const Sum* sum : {&demand.area, &demand.asked, &demand.live}) {
    if (!sum->terms.empty()) out.sums.push_back(*sum);
  }
  if (demand.asked.terms.empty()) {
    out.notes.push_back(
        as_sentence("What the step asks for is not known: " + say(it.step.demand.asked.source)));
  }
  const Load* load = main_load(report.prediction.timeline, it_pass);
  if (load && passes.weights[load->weights].known()) {
    out.sums.push_back(usable_sum(it, *load, demand));
    out.sums.push_back(weights_sum(it, *load));
  } else if (!it_pass.weights.empty()) {
    const bool known = passes.weights[it_pass.weights.front()].known();
    const std::string& name = it.names[it_pass.weights.front()];
    out.notes.push_back(known ? fmt::format("No memory of the card is asked for {}.", name)
                              : fmt::format("The size of {} is not known.", name));
  }
  const Sum vram = vram_sum(it, demand);
  out.sums.push_back(vram);
  out.sums.push_back(ram_sum(it));
  if (auto seconds = seconds_sum(it)) out.sums.push_back(*std::move(seconds));
  note_moves(out, it, vram);
  add_loras(out, it);
  return out;
}

}  // namespace ebb
