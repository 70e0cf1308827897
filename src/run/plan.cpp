// SPDX-License-Identifier: Apache-2.0
// From a predicted run to everything that `ebb plan` tells.
#include "ebb/run.h"

namespace ebb {
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
Result<Done> explore(Report& report, const RunOptions& options, const Predict& predict,
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
  for (const NodeIndex node : order.nodes) {
    report.order.push_back(prompt.nodes[node].id);
  }
  report.order_depends_on_outputs = order.depends_on_outputs;
  report.notes.insert(report.notes.end(), prompt.notes.begin(), prompt.notes.end());
  report.notes.insert(report.notes.end(), order.notes.begin(), order.notes.end());
}

}  // namespace

Result<Report> plan_run(Run run, const RunOptions& options, bool picture) {
  Report report = std::move(run.report);
  auto explored = explore(report, options, run.predict, picture);
  if (!explored) return explored.error();
  describe(report, *run.prompt, *run.order);
  report.notes.insert(report.notes.begin(), options.notes.begin(), options.notes.end());
  return report;
}

}  // namespace ebb
