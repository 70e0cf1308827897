// SPDX-License-Identifier: Apache-2.0
#include "run/wish.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "workflow/own_nodes.h"

namespace ebb {
namespace {

bool named(const std::vector<std::string>& list, const std::string& id) {
  return std::ranges::find(list, id) != list.end();
}

/// Fixes that live in the workflow and leave what it makes as it is.
bool is_patchable(const Fix& fix) { return fix.kind == FixKind::node || fix.trial.sizes.tile_vae; }

/// Whether a fix does nothing but this at its cuts.
bool only(const Fix& fix, CutAction action) {
  const std::vector<CutStep>& cuts = fix.trial.levers.cuts;
  return !cuts.empty() &&
         std::ranges::all_of(cuts, [&](const CutStep& cut) { return cut.action == action; });
}

constexpr std::int64_t kWorthBytes = 16_MiB;
constexpr double kWorthSeconds = 1;

/// Whether a fix is worth a change of the file: a run that fits is left alone, RAM is freed (and
/// read again) only where it is short.
bool worth_it(const Fix& fix, Verdict before) {
  if (!fix.helps || before == Verdict::fits) return false;
  if (rank(fix.verdict) < rank(before)) return true;
  if (before == Verdict::ram_short && fix.ram_bytes.value_or(0) > kWorthBytes) return true;
  if (only(fix, CutAction::prefetch)) return fix.seconds.value_or(0) > kWorthSeconds;
  return fix.vram_bytes.value_or(0) > kWorthBytes;
}

/// The plan's choice, less what was skipped; or exactly what was named.
bool chosen(const FixChoice& a, const Fix& fix, Verdict before) {
  if (!is_patchable(fix) || named(a.skip, fix.id)) return false;
  return a.only.empty() ? worth_it(fix, before) : named(a.only, fix.id);
}

/// Ids of the steps that use these weights.
std::vector<std::string> steps_with(const Passes& passes, WeightsIndex weights) {
  std::vector<std::string> ids;
  for (const Step& step : passes.steps) {
    if (std::ranges::count(step.uses, weights)) ids.push_back(step.id);
  }
  return ids;
}

Handover cut_node(const char* action, const char* prefetch) {
  Handover node = *handover(kEbbCut);
  for (auto& [name, value] : node.widgets) {
    if (name == "action") value = fmt::format("\"{}\"", action);
    if (name == "prefetch") value = fmt::format("\"{}\"", prefetch);
  }
  return node;
}

Handover budget_node(std::int64_t bytes) {
  const double gib = std::ceil(1000 * static_cast<double>(bytes) / (1LL << 30)) / 1000;
  Handover node = *handover(kEbbBudget);
  node.widgets.front().second = fmt::format("{:g}", gib);
  return node;
}

void add_cut(const CutStep& cut, const Fix& fix, const Passes& passes, PatchWish& wish) {
  if (cut.action == CutAction::unload_all) {
    wish.between_models = handover(kUnloadModels);
    return;
  }
  if (cut.action == CutAction::prefetch) {
    const Pass& pass = passes.passes[cut.after_pass];
    wish.cuts.push_back(
        {cut_node("park", "next_files"), fix.id, {passes.steps[pass.last_step].id}});
    return;
  }
  const char* action = cut.action == CutAction::drop ? "drop" : "park";
  for (const WeightsIndex weights : cut.weights) {
    wish.cuts.push_back({cut_node(action, "nothing"), fix.id, steps_with(passes, weights)});
  }
}

void add_fix(const Fix& fix, const Prediction& prediction, PatchWish& wish) {
  const Passes& passes = *prediction.passes;
  for (const CutStep& cut : fix.trial.levers.cuts) add_cut(cut, fix, passes, wish);
  for (const Budget& budget : fix.trial.levers.budgets) {
    wish.budgets.push_back(
        {budget_node(budget.minimum_bytes), fix.id, passes.steps[budget.step].id});
  }
  wish.tile_decode |= fix.trial.sizes.tile_vae;
}

/// All chosen fixes at once, predicted again.
Result<Outcome> together(const Run& run, const std::vector<const Fix*>& fixes) {
  Trial trial = run.report.trial;
  for (const Fix* fix : fixes) {
    const Levers& levers = fix->trial.levers;
    trial.levers.cuts.insert(trial.levers.cuts.end(), levers.cuts.begin(), levers.cuts.end());
    trial.levers.budgets.insert(trial.levers.budgets.end(), levers.budgets.begin(),
                                levers.budgets.end());
    trial.sizes.tile_vae |= fix->trial.sizes.tile_vae;
  }
  const auto after = run.predict(trial);
  if (!after) return after.error();
  return after->outcome;
}

bool same_cuts(const Fix& a, const Fix& b) {
  return std::ranges::equal(a.trial.levers.cuts, b.trial.levers.cuts,
                            [](const CutStep& x, const CutStep& y) {
                              return x.after_pass == y.after_pass && x.weights == y.weights;
                            });
}

/// What is dropped need not be parked.
void leave_to_drops(std::vector<const Fix*>& taken) {
  std::erase_if(taken, [&](const Fix* park) {
    return only(*park, CutAction::park) && std::ranges::any_of(taken, [&](const Fix* fix) {
             return only(*fix, CutAction::drop) && same_cuts(*fix, *park);
           });
  });
}

std::string fix_words(const Fix& fix) {
  return say(fix.title) + ": " + (fix.effects.empty() ? "-" : say(fix.effects));
}

/// The reason in `nothing: ...`; any other message as it is.
Message because(const Message& why) {
  const bool nothing = why.code == Say::nothing_because;
  return nothing ? std::get<Message>(why.arguments().front().value) : why;
}

Message why_nothing(const std::vector<Fix>& fixes, Verdict before) {
  const auto nothing = std::ranges::find(fixes, FixKind::nothing, &Fix::kind);
  if (nothing != fixes.end()) return nothing->title;
  const Say is = before == Verdict::spills ? Say::spills : does(before);
  return {Say::nothing_because, {Message(Say::no_change_helps, {is})}};
}

/// The plan for a workflow, and of it what goes into the file.
Result<Done> plan_wish(const FixChoice& a, const Workflow& workflow, const RunOptions& options,
                       Wish& wish) {
  auto run = predict_run(workflow, options);
  if (!run) return in_file(run.error(), workflow.file());
  wish.version = known_version(run->report.trial.machine);
  const auto fixes = search_fixes(run->report.trial, run->report.prediction, run->predict);
  const Verdict before = run->report.prediction.outcome.verdict;
  std::vector<const Fix*> taken;
  for (const Fix& fix : fixes) {
    if (named(a.only, fix.id) && !is_patchable(fix)) {
      return usage_error(fmt::format("--only: \"{}\" is no fix in the workflow", fix.id),
                         "It is a flag or a smaller size: ebb plan shows it.");
    }
    if (chosen(a, fix, before)) taken.push_back(&fix);
  }
  leave_to_drops(taken);
  for (const Fix* fix : taken) {
    add_fix(*fix, run->report.prediction, wish.wish);
    wish.lines.push_back({PlanLine::fix, fix_words(*fix), fix->id});
  }
  if (taken.empty()) {
    const Message why = why_nothing(fixes, before);
    wish.lines.push_back({PlanLine::plan, say(why), "", say(because(why))});
  }
  for (const Fix& fix : fixes) {
    const bool is_taken = std::ranges::find(taken, &fix) != taken.end();
    if (!fix.helps || fix.kind == FixKind::nothing || is_taken) continue;
    wish.lines.push_back(
        {PlanLine::left, fix_words(fix), is_patchable(fix) ? fix.id : "not in the workflow"});
  }
  if (taken.empty()) return Done{};
  auto promised = together(*run, taken);
  if (!promised) return promised.error();
  wish.before = run->report.prediction.outcome;
  wish.promised = *std::move(promised);
  return Done{};
}

}  // namespace

Result<Done> check_choice(const FixChoice& a) {
  if (!a.with.empty() && !(own_node(a.with) && own_node(a.with)->ends_pass)) {
    return usage_error(
        fmt::format("--with: \"{}\" is no node that Ebb puts between passes", a.with),
        "It is UnloadModels or EbbCut.");
  }
  if (!a.with.empty() && !(a.only.empty() && a.skip.empty())) {
    return usage_error(
        "--with asks for a node whatever the plan says; --only and --skip choose "
        "from the plan",
        "Leave out one of them.");
  }
  return Done{};
}

Result<Wish> make_wish(const FixChoice& choice, const Workflow& workflow,
                       const RunOptions& options) {
  Wish wish;
  if (auto sound = check_choice(choice); !sound) return sound.error();
  wish.version = options.machine.comfyui;
  if (!choice.with.empty()) {
    wish.wish.between_models = handover(choice.with);
    return wish;
  }
  if (auto planned = plan_wish(choice, workflow, options, wish); !planned) return planned.error();
  return wish;
}

}  // namespace ebb
