// SPDX-License-Identifier: Apache-2.0
// `ebb convert`: the prompt that ComfyUI's front end would send, without a browser.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "cli/comfyui.h"
#include "cli/command.h"
#include "cli/json_text.h"
#include "ebb/file.h"
#include "ebb/workflow.h"

namespace ebb::cli {
namespace {

constexpr std::size_t kShown = 20;  // uncertain values printed before the rest is only counted

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb convert flow.json -o prompt.json                what the browser would send\n"
    "  ebb convert picture.png --prompt                    the prompt that made the picture\n"
    "  ebb convert flow.json --object-info object_info.json --strict\n"
    "      with the packs of your server: curl -o object_info.json HOST:8188/object_info\n"
    "  ebb convert flow.json --repair --report report.json | jq .\n"
    "Exit codes: 0 converted, 1 something is uncertain and --strict, 2 bad usage, 3 bad input.";

struct Arguments {
  std::string file, output, comfyui, object_info, report;
  bool graph = false, prompt = false, strict = false, repair = false;
};

std::string report_of(const Arguments& arguments, const Prompt& prompt) {
  std::string text = "{\n  \"schema\": \"ebb.convert/1\",\n  \"file\": " + quoted(arguments.file) +
                     ",\n  \"nodes\": " + std::to_string(prompt.nodes.size()) +
                     ",\n  \"uncertain\": [";
  const char* separator = "\n    ";
  for (const Uncertain& entry : prompt.uncertain) {
    text += separator;
    text += fmt::format("{{\"node\": {}, \"input\": {}, \"why\": {}}}", quoted(entry.node),
                        quoted(entry.input), quoted(entry.why));
    separator = ",\n    ";
  }
  text += prompt.uncertain.empty() ? "],\n  \"notes\": [" : "\n  ],\n  \"notes\": [";
  separator = "\n    ";
  for (const std::string& note : prompt.notes) {
    text += separator + quoted(note);
    separator = ",\n    ";
  }
  return text + (prompt.notes.empty() ? "]\n}\n" : "\n  ]\n}\n");
}

void print_uncertain(const Prompt& prompt) {
  const auto& list = prompt.uncertain;
  for (std::size_t i = 0; i < std::min(list.size(), kShown); ++i) {
    const std::string input = list[i].input.empty() ? "" : " " + list[i].input;
    const PromptNode* node = prompt.find(list[i].node);
    fmt::print(stderr, "uncertain: {}{}: {}\n", node ? node->label() : "node " + list[i].node,
               input, list[i].why);
  }
  if (list.size() > kShown) {
    fmt::print(stderr, "uncertain: {} more; --report FILE lists all\n", list.size() - kShown);
  }
}

bool is_address(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

Result<Prompt> convert(const Arguments& arguments, std::optional<NodeDefinitions>& definitions) {
  PromptOptions options;
  options.repair = arguments.repair;
  const auto comfyui = choose_comfyui(arguments.comfyui);
  if (!comfyui) return comfyui.error();
  if (comfyui->version) options.version = *comfyui->version;
  if (comfyui->checkout) fmt::print(stderr, "{}\n", to_string(*comfyui->checkout));
  if (is_address(arguments.object_info)) {
    std::string address = arguments.object_info;
    if (!address.ends_with("object_info")) {
      address += address.ends_with('/') ? "object_info" : "/object_info";
    }
    return usage_error("--object-info: addresses are not read yet, only files",
                       "Later; until then save it: curl -o object_info.json " + address);
  }
  if (!arguments.object_info.empty()) {
    auto read = read_definitions(arguments.object_info);
    if (!read) return read.error();
    definitions = std::move(*read);
    options.definitions = &*definitions;
  }
  WorkflowPart part = WorkflowPart::any;
  if (arguments.graph) part = WorkflowPart::graph;
  if (arguments.prompt) part = WorkflowPart::prompt;
  const auto workflow = read_workflow(arguments.file, part);
  if (!workflow) return workflow.error();
  auto prompt = to_prompt(*workflow, options);
  if (!prompt && !arguments.repair) {
    Error error = prompt.error();
    if (!error.hint.empty()) error.hint += " Or let --repair drop such links.";
    return error;
  }
  return prompt;
}

int run(const Arguments& arguments) {
  std::optional<NodeDefinitions> definitions;
  const auto prompt = convert(arguments, definitions);
  if (!prompt) return fail("convert", prompt.error());
  const std::string text = to_json(*prompt);
  if (arguments.output.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) return kInternal;
  } else if (auto done = write_file(arguments.output, text); !done) {
    return fail("convert", done.error());
  }
  if (arguments.report.empty()) {
    print_uncertain(*prompt);
  } else if (auto done = write_file(arguments.report, report_of(arguments, *prompt)); !done) {
    return fail("convert", done.error());
  }
  return arguments.strict && !prompt->uncertain.empty() ? kWorse : kAnswered;
}

}  // namespace

std::function<int()> declare_convert(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  app.add_option("FILE", a->file, "a workflow, or a picture, video or sound that carries one")
      ->required();
  app.add_option("-o,--output", a->output, "write the prompt to this file, not to stdout");
  app.add_option("--comfyui", a->comfyui, kComfyuiHelp);
  app.add_option("--object-info", a->object_info,
                 "a saved answer to GET /object_info of your server, for its packs");
  auto* graph = app.add_flag("--workflow", a->graph, "convert the graph, where a file has both");
  app.add_flag("--prompt", a->prompt, "take the prompt that was sent, where a file has both")
      ->excludes(graph);
  app.add_option("--report", a->report, "write what is uncertain to this file, as JSON");
  app.add_flag("--strict", a->strict, "exit with 1 if anything is uncertain");
  app.add_flag("--repair", a->repair, "drop links that lead nowhere, and say which");
  app.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
