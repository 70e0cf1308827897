// SPDX-License-Identifier: Apache-2.0
// `ebb explain`: the arithmetic of one pass, term by term.
#include "ebb/explain.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/plan_options.h"
#include "cli/print.h"

namespace ebb::cli {
namespace {

constexpr const char* kExamples =
    "Every number says how it was obtained (computed, measured, assumed, given) and from where. "
    "The\n"
    "sums can be redone from what is printed: MiB to two decimals, factors written out.\n\n"
    "Examples:\n"
    "  ebb explain flow.json --gpu rtx5090                   the pass with the worst verdict\n"
    "  ebb explain flow.json --gpu rtx5090 --pass 2 --flags \"--reserve-vram 4\"\n"
    "  ebb explain flow.json --vram 24G --frames 121 --comfyui ~/ComfyUI --json\n"
    "Exit codes: 0 answered, 2 bad usage, 3 bad input, 4 internal error.";

struct Arguments : PlanArguments {
  std::optional<int> pass;  ///< from 1; absent: the worst
};

Result<PassIndex> choose_pass(const Arguments& arguments, const Report& report) {
  const auto passes = static_cast<int>(report.prediction.outcome.passes.size());
  if (passes == 0) {
    return input_error("has no pass to explain: nothing in it uses weights that Ebb knows",
                       arguments.file);
  }
  if (!arguments.pass) return worst_pass(report.prediction.outcome);
  if (*arguments.pass > 0 && *arguments.pass <= passes) return PassIndex::of(*arguments.pass - 1);
  return usage_error(fmt::format("--pass: there is no pass {}", *arguments.pass),
                     passes == 1 ? "The workflow has one pass."
                                 : fmt::format("The workflow has passes 1 to {}.", passes));
}

Result<Explanation> explain(const Arguments& arguments) {
  const auto options = understand(arguments);
  if (!options) return options.error();
  if (options->table.size() > 1) {
    return usage_error("--frames and --size take one value here", "`ebb compare` takes several.");
  }
  const auto run = predict_file(arguments.file, *options);
  if (!run) return run.error();
  const Report& report = run->report;
  const auto pass = choose_pass(arguments, report);
  if (!pass) return pass.error();
  Explanation explanation = explain_pass(report, *pass);
  explanation.notes.insert(explanation.notes.end(), options->notes.begin(), options->notes.end());
  return explanation;
}

int run(const Arguments& arguments) {
  const auto explanation = explain(arguments);
  if (!explanation) {
    return fail("explain", in_file(explanation.error(), shown_name(arguments.file)));
  }
  const std::string text = arguments.json ? to_json(*explanation) : to_text(*explanation);
  return arguments.json ? answer_as_is(text) : answer(text);
}

}  // namespace

std::function<int()> declare_explain(Options& options) {
  auto arguments = std::make_shared<Arguments>();
  declare_run(options, *arguments);
  options.value("--pass", arguments->pass, "N",
                "number of the pass in `ebb plan` (default: the worst)");
  options.footer(kExamples);
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
