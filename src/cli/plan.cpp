// SPDX-License-Identifier: Apache-2.0
// `ebb plan`: the run predicted and planned, told in every form that was asked for.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/ebb.h"

namespace ebb::cli {
namespace {

Result<Report> make_report(const PlanArguments& arguments, const PlanOptions& options) {
  auto run = predict_file(arguments.file, options);
  if (!run) return run.error();
  return plan_run(*std::move(run), options, !arguments.html.empty() || !arguments.svg.empty());
}

Result<Done> write_output(const std::string& path, const std::string& text) {
  return path.empty() ? Result<Done>(Done{}) : write_file(path, text);
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
  const bool worse =
      options->fail_on && rank(report->prediction.outcome.verdict) > rank(*options->fail_on);
  return answer_as_is(text, worse ? kWorse : kAnswered);
}

}  // namespace

std::function<int()> declare_plan(Options& options) {
  auto arguments = std::make_shared<PlanArguments>();
  declare(options, *arguments);
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
