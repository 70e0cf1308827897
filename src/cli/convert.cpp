// SPDX-License-Identifier: Apache-2.0
// `ebb convert`: the prompt that ComfyUI's front end would send, without a browser.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/file.h"
#include "ebb/run.h"

namespace ebb::cli {
namespace {

constexpr std::size_t kShown = 20;  // uncertain values printed before the rest is only counted

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb convert flow.json -o prompt.json                what the browser would send\n"
    "  ebb convert picture.png --prompt                    the prompt that made the picture\n"
    "  ebb convert flow.json --object-info http://127.0.0.1:8188 --strict\n"
    "      with the packs of your running server (or of a saved answer to GET /object_info)\n"
    "  ebb convert flow.json --repair --report report.json | jq .\n"
    "Exit codes: 0 converted, 1 uncertain or refused and --strict, 2 bad usage, 3 bad input.";

struct Arguments {
  std::string file, output, comfyui, object_info, report;
  bool graph = false, prompt = false, strict = false, repair = false;
};

void print_refused(const Prompt& prompt) {
  for (std::size_t i = 0; i < std::min(prompt.refused.size(), kShown); ++i) {
    const Refusal& refusal = prompt.refused[i];
    say(fmt::format("refused: {}: {}\n  {}\n", prompt.find(refusal.node)->label(), refusal.why,
                    refusal.hint));
  }
  if (prompt.refused.size() > kShown) {
    say(fmt::format("refused: {} more; --report FILE lists all\n", prompt.refused.size() - kShown));
  }
}

void print_uncertain(const Prompt& prompt) {
  const auto& list = prompt.uncertain;
  for (std::size_t i = 0; i < std::min(list.size(), kShown); ++i) {
    const std::string input = list[i].input.empty() ? "" : " " + list[i].input;
    const PromptNode* node = prompt.find(list[i].node);
    say(fmt::format("uncertain: {}{}: {}\n", node ? node->label() : "node " + list[i].node, input,
                    list[i].why));
  }
  if (list.size() > kShown) {
    say(fmt::format("uncertain: {} more; --report FILE lists all\n", list.size() - kShown));
  }
}

Result<Prompt> convert(const Arguments& arguments) {
  const auto definitions = open_definitions(arguments.object_info);
  if (!definitions) return definitions.error();
  auto options = prompt_options(arguments.comfyui, *definitions);
  if (!options) return options.error();
  options->repair = arguments.repair;
  WorkflowPart part = WorkflowPart::any;
  if (arguments.graph) part = WorkflowPart::graph;
  if (arguments.prompt) part = WorkflowPart::prompt;
  const auto workflow = open_workflow(arguments.file, part);
  if (!workflow) return workflow.error();
  auto prompt = to_prompt(*workflow, *options);
  if (!prompt && !arguments.repair) {
    Error error = prompt.error();
    if (!error.hint.empty()) error.hint += " Or let --repair drop such links.";
    return error;
  }
  return prompt;
}

int run(const Arguments& arguments) {
  const auto prompt = convert(arguments);
  if (!prompt) return fail("convert", prompt.error());
  const std::string text = to_json(*prompt);
  if (arguments.output.empty()) {
    if (const int code = answer_bytes(text); code != kAnswered) return code;
  } else if (auto done = write_file(arguments.output, text); !done) {
    return fail("convert", done.error());
  }
  if (arguments.report.empty()) {
    print_refused(*prompt);
    print_uncertain(*prompt);
  } else if (auto done = write_file(arguments.report, doubts_json(*prompt, arguments.file));
             !done) {
    return fail("convert", done.error());
  }
  const bool doubtful = !prompt->uncertain.empty() || !prompt->refused.empty();
  return arguments.strict && doubtful ? kWorse : kAnswered;
}

}  // namespace

std::function<int()> declare_convert(Options& options) {
  auto a = std::make_shared<Arguments>();
  options.positional("FILE", a->file,
                     "a workflow, or a picture, video or sound that carries one; - reads stdin");
  options.value("-o,--output", a->output, "FILE", "write the prompt to this file, not to stdout");
  options.value("--comfyui", a->comfyui, "DIR|VERSION", kComfyuiHelp);
  options.value("--object-info", a->object_info, "URL|FILE",
                "your server's address, or a saved answer to its GET /object_info, for its packs");
  const Option graph =
      options.flag("--workflow", a->graph, "convert the graph, where a file has both");
  options.flag("--prompt", a->prompt, "take the prompt that was sent, where a file has both")
      .excludes(graph);
  options.value("--report", a->report, "FILE", "write what is uncertain to this file, as JSON");
  options.flag("--strict", a->strict, "exit with 1 if anything is uncertain or refused");
  options.flag("--repair", a->repair, "drop links that lead nowhere, and say which");
  options.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
