// SPDX-License-Identifier: Apache-2.0
// `ebb undo`: a workflow without Ebb's nodes.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/in_place.h"
#include "cli/print.h"
#include "ebb/file.h"
#include "ebb/patch.h"

namespace ebb::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb undo patched.json -o original.json    byte for byte the file before `ebb apply`\n"
    "  ebb undo patched.json --in-place          keeps patched.json.bak\n"
    "  ebb undo patched.json > original.json\n"
    "A file that was edited and saved after `ebb apply` keeps its edits: only Ebb's nodes go.\n"
    "Exit codes: 0 done, 2 bad usage, 3 bad input (no node of Ebb's in it).";

struct Arguments {
  std::string file, output;
  bool in_place = false, force = false;
};

int run(const Arguments& a) {
  const auto was = input_state(a.in_place, a.file, a.output);
  if (!was) return fail("undo", was.error());
  const auto workflow = read_workflow(a.file);
  if (!workflow) return fail("undo", workflow.error());
  if (a.in_place && !workflow->carrier().empty()) {
    return fail("undo", input_error("is a media file, which is never rewritten", a.file, "",
                                    "-o FILE writes the workflow as JSON."));
  }
  const auto undone = undo_patch(*workflow);
  if (!undone) return fail("undo", undone.error());
  const std::string said =
      fmt::format("{} node{} {} {}", undone->nodes, undone->nodes == 1 ? "" : "s",
                  undone->nodes == 1 ? "is" : "are",
                  undone->exact ? "out: byte for byte the file before Ebb changed it"
                                : "out; the file was edited since, the rest stays as it is");
  if (a.output.empty() && !a.in_place && isatty(STDOUT_FILENO)) {
    fmt::print("{}: {}\nNothing is written yet: -o FILE, --in-place or > FILE does it.\n", a.file,
               said);
    return kAnswered;
  }
  if (a.output.empty() && !a.in_place) {
    const int code = answer_bytes(undone->text);
    if (code == kAnswered) say(said + "\n");
    return code;
  }
  if (auto done = write_result({a.in_place, a.force, a.file, a.output}, *was, undone->text);
      !done) {
    return fail("undo", done.error());
  }
  return answer(
      fmt::format("{}: {}\nWritten: {}.\n", a.file, said, a.in_place ? a.file : a.output));
}

}  // namespace

std::function<int()> declare_undo(Options& options) {
  auto a = std::make_shared<Arguments>();
  options.positional("FILE", a->file, "a workflow that `ebb apply` patched");
  const Option output =
      options.value("-o,--output", a->output, "FILE", "write to this file, not to stdout");
  options.flag("--in-place", a->in_place, "change the file itself and keep FILE.bak")
      .excludes(output);
  options.flag("--force", a->force, "write over files that are there");
  options.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
