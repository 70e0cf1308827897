// SPDX-License-Identifier: Apache-2.0
// `ebb simulate`: scenarios in, what ComfyUI's memory manager would do out.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/print.h"
#include "ebb/file.h"
#include "ebb/policy.h"

namespace ebb::cli {
namespace {

struct SimulateArguments {
  std::string file;
  bool check = false;
};

int run(const SimulateArguments& arguments) {
  const auto text = read_file(arguments.file);
  if (!text) return fail("simulate", text.error());
  const auto report = simulate_scenarios(
      *text, arguments.check ? ScenarioMode::check : ScenarioMode::play, arguments.file);
  if (!report) return fail("simulate", report.error());
  std::string told = report->text;
  if (arguments.check) {
    told += fmt::format("{} equal, {} differ\n", report->equal, report->different);
  }
  return answer(told, report->different > 0 ? kWorse : kAnswered);
}

}  // namespace

std::function<int()> declare_simulate(Options& options) {
  auto arguments = std::make_shared<SimulateArguments>();
  options.positional("FILE", arguments->file,
                     "scenarios, one JSON object a line, plain or gzip (docs/formats/scenario.md)");
  options.flag("--check", arguments->check,
               "compare with the results in the file; one line per difference");
  options.footer(
      "Examples:\n"
      "  ebb simulate scenario.jsonl\n"
      "  ebb simulate --check recorded.jsonl.gz\n"
      "Exit codes: 0 answered, 1 something differs (--check), 2 bad usage, 3 bad input, "
      "4 internal error.");
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
