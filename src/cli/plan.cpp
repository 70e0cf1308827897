// SPDX-License-Identifier: Apache-2.0
// `ebb plan`: the main path, one call a line.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/plan_options.h"
#include "cli/predict.h"
#include "ebb/ebb.h"

namespace ebb::cli {
namespace {

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
  // Only a picture shows the run with the best fix beside the run as it is, unless that fits.
  const bool needed = picture && report.prediction.outcome.verdict != Verdict::fits;
  if (const Fix* fix = needed ? best_fix(report.fixes) : nullptr) {
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
  auto run = predict_run(arguments.file, options);
  if (!run) return run.error();
  Report report = std::move(run->report);
  const bool picture = !arguments.html.empty() || !arguments.svg.empty();
  auto explored = explore(report, options, run->predict, picture);
  if (!explored) return explored.error();
  describe(report, *run->prompt, *run->order);
  report.notes.insert(report.notes.begin(), options.notes.begin(), options.notes.end());
  return report;
}

Result<Done> write_output(const std::string& path, const std::string& text) {
  return path.empty() ? Result<Done>(Done{}) : write_file(path, text);
}

int run(const PlanArguments& arguments) {
  const auto options = understand(arguments);
  if (!options) return fail("plan", options.error());
  if (arguments.again) return run_again(arguments, *options);
  const auto report = make_report(arguments, *options);
  if (!report) return fail("plan", in_file(report.error(), arguments.file));

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
