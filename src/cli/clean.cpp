// SPDX-License-Identifier: Apache-2.0
// `ebb clean`: nodes of other packs that are there to free memory.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/in_place.h"
#include "cli/json_text.h"
#include "cli/print.h"
#include "ebb/file.h"
#include "ebb/patch.h"

namespace ebb::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb clean flow.json                                 which there are and what they do\n"
    "  ebb clean flow.json --remove -o clean.json          without them, their links joined\n"
    "  ebb clean flow.json --remove --node 17 --in-place   only node 17; keeps flow.json.bak\n"
    "  ebb clean flow.json --replace -o new.json           UnloadModels at the cuts instead\n"
    "Exit codes: 0 done, 2 bad usage, 3 bad input.";

struct Arguments {
  std::string file, output;
  std::vector<std::string> nodes;
  bool remove = false, replace = false, in_place = false, force = false, json = false;
};

std::string list_of(const Arguments& a, const std::vector<Cleaner>& cleaners) {
  if (a.json) {
    std::string list;
    for (const Cleaner& c : cleaners) {
      list += fmt::format(R"({}{{"node": {}, "class": {}, "pack": {}, "does": {}, "here": {}, )"
                          R"("switched_off": {}}})",
                          list.empty() ? "" : ", ", quoted(c.node), quoted(c.class_type),
                          quoted(c.pack), quoted(c.does), quoted(c.here), c.switched_off);
    }
    return fmt::format("{{\"schema\": \"ebb.clean/1\", \"file\": {}, \"cleaners\": [{}]}}\n",
                       quoted(a.file), list);
  }
  std::string text = fmt::format("{}: {} node{} of other packs to free memory\n", a.file,
                                 cleaners.size(), cleaners.size() == 1 ? "" : "s");
  for (const Cleaner& c : cleaners) {
    text += fmt::format("  node {} {} ({}){}\n    {}\n", c.node, c.class_type, c.pack,
                        c.switched_off ? ", switched off" : "", c.does);
    if (!c.here.empty()) text += fmt::format("    {}\n", c.here);
  }
  if (!cleaners.empty() && !a.remove && !a.replace) {
    text += "--remove takes them out, --replace puts UnloadModels at the cuts instead.\n";
  }
  return text;
}

Result<std::string> cleaned(const Arguments& a, const Workflow& workflow) {
  auto text = remove_cleaners(workflow, a.nodes);
  if (!text || !a.replace) return text;
  const bool api = workflow.format() == WorkflowFormat::api_prompt;
  const auto without =
      parse_workflow(*text, a.file, api ? WorkflowPart::prompt : WorkflowPart::graph);
  if (!without) return without.error();
  PatchWish wish;
  wish.between_models = handover("UnloadModels");
  auto patch = make_patch(*without, wish);
  return patch ? Result<std::string>(std::move(patch->text)) : patch.error();
}

int run(const Arguments& a) {
  const bool changes = a.remove || a.replace;
  if (changes && a.output.empty() && !a.in_place) {
    return fail("clean", usage_error("--remove and --replace need a place to write to",
                                     "-o FILE writes a new file, --in-place keeps FILE.bak."));
  }
  const auto was = input_state(a.in_place, a.file, a.output);
  if (!was) return fail("clean", was.error());
  const auto workflow = read_workflow(a.file);
  if (!workflow) return fail("clean", workflow.error());
  if (a.in_place && !workflow->carrier().empty()) {
    return fail("clean", input_error("is a media file, which is never rewritten", a.file, "",
                                     "-o FILE writes the workflow as JSON."));
  }
  const auto cleaners = find_cleaners(*workflow);
  std::string said = list_of(a, cleaners);
  if (!changes || cleaners.empty()) return a.json ? answer_as_is(said) : answer(said);
  const auto text = cleaned(a, *workflow);
  if (!text) return fail("clean", text.error());
  if (auto done = write_result({a.in_place, a.force, a.file, a.output}, *was, *text); !done) {
    return fail("clean", done.error());
  }
  if (a.json) return answer_as_is(said);
  return answer(said + fmt::format("Written: {}.\n", a.in_place ? a.file : a.output));
}

}  // namespace

std::function<int()> declare_clean(Options& options) {
  auto a = std::make_shared<Arguments>();
  options.positional("FILE", a->file, "a workflow");
  const Option remove = options.flag("--remove", a->remove, "take them out and join their links");
  options.flag("--replace", a->replace, "the same, and UnloadModels at every switch of models")
      .excludes(remove);
  options.value("--node", a->nodes, "ID", "only this node; may be given several times");
  const Option output = options.value("-o,--output", a->output, "FILE", "write to this file");
  options.flag("--in-place", a->in_place, "change the file itself and keep FILE.bak")
      .excludes(output);
  options.flag("--force", a->force, "write over files that are there");
  options.flag("--json", a->json, "list them as JSON");
  options.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
