// SPDX-License-Identifier: Apache-2.0
// `ebb undo`: a workflow without Ebb's nodes.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
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

Result<Done> write(const Arguments& a, const std::string& before, const std::string& text) {
  if (a.in_place) {
    if (auto kept = put_file(a.file + ".bak", before, a.force); !kept) return kept;
    return put_file(a.file, text, true);
  }
  return put_file(a.output, text, a.force);
}

int run(const Arguments& a) {
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
  if (a.output.empty() && !a.in_place) {
    std::fwrite(undone->text.data(), 1, undone->text.size(), stdout);
    if (std::fflush(stdout) != 0) return kInternal;
    fmt::print(stderr, "{}\n", said);
    return kAnswered;
  }
  const std::string before(whole_text(*workflow));
  if (auto done = write(a, before, undone->text); !done) return fail("undo", done.error());
  fmt::print("{}: {}\nWritten: {}.\n", a.file, said, a.in_place ? a.file : a.output);
  return kAnswered;
}

}  // namespace

std::function<int()> declare_undo(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  app.add_option("FILE", a->file, "a workflow that `ebb apply` patched")->required();
  auto* output = app.add_option("-o,--output", a->output, "write to this file, not to stdout");
  app.add_flag("--in-place", a->in_place, "change the file itself and keep FILE.bak")
      ->excludes(output);
  app.add_flag("--force", a->force, "write over files that are there");
  app.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
