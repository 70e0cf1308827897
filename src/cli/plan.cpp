// SPDX-License-Identifier: Apache-2.0
// `ebb plan`: the main path, one call a line.
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/plan_options.h"
#include "ebb/ebb.h"

namespace ebb::cli {
namespace {

/// Finds weights and remembers them: one run predicts many trials of the same files.
FindWeights remembering(WeightsSearch search) {
  using Memo = std::map<std::string, Result<Weights>>;
  return [search = std::move(search), memo = std::make_shared<Memo>()](const WeightsRequest& r) {
    std::string key =
        fmt::format("{}|{}|{}|{}", r.node, r.id_suffix, r.loader_class, r.weight_type);
    for (const auto& file : r.files) key += "|" + file;
    const auto found = memo->find(key);
    if (found != memo->end()) return found->second;
    return memo->emplace(key, find_weights(r, search)).first->second;
  };
}

/// A trial through all steps: demand, passes, policy, verdict, checker. Trials that differ only in
/// flags without a say in demand, or in levers, share their passes.
Predict predictor(const Prompt& prompt, const Order& order, FindWeights find) {
  struct Last {
    SizeOverrides sizes;
    ComfyFlags flags;
    std::shared_ptr<const Passes> passes;
  };
  auto last = std::make_shared<std::optional<Last>>();
  return [&prompt, &order, find = std::move(find), last](const Trial& trial) -> Result<Prediction> {
    // Of the flags a reserve is only subtracted, and a cache only keeps.
    ComfyFlags flags = trial.machine.flags;
    flags.reserve_vram_gib.reset();
    flags.cache = CacheKind::standard;
    if (!*last || (*last)->sizes != trial.sizes || (*last)->flags != flags) {
      auto demand = estimate_demand(prompt, find, trial.machine, trial.sizes);
      if (!demand) return demand.error();
      auto passes = build_passes(prompt, order, *std::move(demand));
      *last = Last{trial.sizes, flags, std::make_shared<const Passes>(std::move(passes))};
    }
    Prediction prediction;
    prediction.passes = (*last)->passes;
    prediction.timeline = simulate(*prediction.passes, trial.machine, trial.levers);
    prediction.outcome = judge(*prediction.passes, prediction.timeline, trial.machine);
    const auto findings = check(prompt, order, trial, prediction);
    if (!findings.empty()) {
      return Error{ErrorCode::internal,
                   "the checker refuses this prediction: " + findings.front(),
                   {},
                   "Please report it with the workflow."};
    }
    return prediction;
  };
}

/// The fix whose result is drawn beside the run as it is: the first with the best verdict.
const Fix* best_fix(const std::vector<Fix>& fixes) {
  const Fix* best = nullptr;
  for (const Fix& fix : fixes) {
    if (!fix.helps || fix.kind == FixKind::nothing) continue;
    if (!best || rank(fix.verdict) < rank(best->verdict)) best = &fix;
  }
  return best;
}

/// Everything that is found by predicting the run again.
Result<Done> explore(Report& report, const PlanOptions& options, const Predict& predict,
                     bool picture) {
  report.fixes = search_fixes(report.trial, report.prediction, predict);
  report.largest_resident_frames =
      largest_resident_frames(report.trial, report.prediction, predict);
  auto table = sweep(report.trial, options.table, predict);
  if (!table) return table.error();
  report.table = *std::move(table);
  // Only a picture shows the run with the best fix beside the run as it is.
  if (const Fix* fix = picture ? best_fix(report.fixes) : nullptr) {
    auto after = predict(fix->trial);
    if (!after) return after.error();
    report.after = *std::move(after);
    report.after_title = fix->title;
  }
  return Done{};
}

/// The order by ids, and what every step of the way had to note.
void describe(Report& report, const Prompt& prompt, const Order& order) {
  for (const int node : order.nodes) {
    report.order.push_back(prompt.nodes[static_cast<std::size_t>(node)].id);
  }
  report.order_depends_on_outputs = order.depends_on_outputs;
  for (const auto& notes : {prompt.notes, order.notes, report.prediction.passes->notes,
                            report.prediction.timeline.notes}) {
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
  }
}

Result<Report> make_report(const PlanArguments& arguments, const PlanOptions& options) {
  const auto machine = resolve_machine(options.machine);
  if (!machine) return machine.error();
  const auto prompt = read_prompt(arguments.file, arguments.object_info, *machine);
  if (!prompt) return prompt.error();
  const auto order = order_steps(*prompt, machine->comfyui, {}, machine->flags.cache);
  if (!order) return order.error();

  WeightsSearch search = options.search;
  search.comfyui = machine->comfyui;
  const Predict predict = predictor(*prompt, *order, remembering(search));
  Report report;
  report.file = shown_name(arguments.file);
  report.trial = {*machine, options.sizes, {}};
  auto prediction = predict(report.trial);
  if (!prediction) return prediction.error();
  report.prediction = *std::move(prediction);

  const bool picture = !arguments.html.empty() || !arguments.svg.empty();
  auto explored = explore(report, options, predict, picture);
  if (!explored) return explored.error();
  describe(report, *prompt, *order);
  return report;
}

Result<Done> write_output(const std::string& path, const std::string& text) {
  return path.empty() ? Result<Done>(Done{}) : write_file(path, text);
}

/// Errors found beyond reading do not know the file's name.
Error in_file(Error error, const std::string& file) {
  if (error.code == ErrorCode::input && error.where.file.empty()) error.where.file = file;
  return error;
}

int run(const PlanArguments& arguments) {
  const auto options = understand(arguments);
  if (!options) return fail("plan", options.error());
  if (arguments.again) return run_again(arguments, *options);
  const auto report = make_report(arguments, *options);
  if (!report) return fail("plan", in_file(report.error(), shown_name(arguments.file)));

  // Nothing is written before the answer is there.
  if (!arguments.save_machine.empty()) {
    auto saved = save_machine(report->trial.machine, arguments.save_machine);
    if (!saved) return fail("plan", saved.error());
  }
  if (auto done = write_output(arguments.html, arguments.html.empty() ? "" : to_html(*report));
      !done) {
    return fail("plan", done.error());
  }
  if (auto done = write_output(arguments.svg, arguments.svg.empty() ? "" : to_svg(*report));
      !done) {
    return fail("plan", done.error());
  }
  const bool colour = arguments.colour == "always" ||
                      (arguments.colour == "auto" && !arguments.json && stdout_wants_colour());
  const std::string text = arguments.json ? to_json(*report) : to_text(*report, colour);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) return kInternal;

  const bool worse =
      options->fail_on && rank(report->prediction.outcome.verdict) > rank(*options->fail_on);
  return worse ? kWorse : kAnswered;
}

}  // namespace

std::function<int()> declare_plan(CLI::App& app) {
  auto arguments = std::make_shared<PlanArguments>();
  declare(app, *arguments);
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
