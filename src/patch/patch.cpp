// SPDX-License-Identifier: Apache-2.0
// make_patch: places in the prompt, edits of the text, and the proof that they are right.
#include "ebb/patch.h"

#include <fmt/format.h>

#include <algorithm>

#include "patch/edit.h"

namespace ebb {
namespace {

Error broken(const std::string& file, const std::string& what) {
  return {ErrorCode::internal,
          "the patch was not written, because its prompt is not the workflow's own: " + what,
          {file, -1, -1, ""},
          "Please report it with the workflow."};
}

Result<FileEdits> edit(const Workflow& workflow, const FileWish& wish,
                       const PromptOptions& options) {
  const auto& state = workflow.state();
  if (state.format == WorkflowFormat::api_prompt) {
    return edit_prompt(state.document, state.root, wish);
  }
  const ConvertOptions convert{
      .version = options.version, .definitions = options.definitions, .repair = options.repair};
  return edit_graph(state.document, state.root, state.file, wish, convert);
}

/// Whether every node of ours in the prompt stands between samplers of different models, in every
/// run: asked where a definition has several instances.
bool all_needed(const Prompt& prompt, const ComfyVersion& version) {
  const auto sampling = find_sampling(prompt, version);
  if (!sampling) return false;
  for (const auto& run : runs_of(prompt)) {
    int last = -1;
    bool ours = false;
    for (const int at : run) {
      ours |= passed_input(prompt.nodes[std::size_t(at)].class_type) == "anything";
      const int model = sampling->model[std::size_t(at)];
      if (model < 0) continue;
      if (ours && last == model) return false;
      last = model;
      ours = false;
    }
  }
  return true;
}

class Patcher {
 public:
  Patcher(const Workflow& workflow, const PatchWish& wish, const PromptOptions& options)
      : workflow_(workflow), wish_(wish), options_(options) {}

  Result<Patch> run() {
    const auto before = to_prompt(workflow_, options_);
    if (!before) return before.error();
    const bool api = workflow_.format() == WorkflowFormat::api_prompt;
    auto placement = place_nodes_of(*before, wish_, options_.version, api);
    if (!placement) return in_file(placement.error());
    FileWish file{*placement, {}};
    if (wish_.tile_decode) {
      for (const PromptNode& node : before->nodes) {
        if (node.class_type == "VAEDecode") file.tiles.push_back(node.id);
      }
    }
    auto edits = edit(workflow_, file, options_);
    if (!edits) return edits.error();
    Patch patch;
    if (auto error = write(*placement, *edits, patch)) return *error;
    if (!edits->shared.empty() && !all_needed(after_, options_.version)) {
      drop_shared(*placement, edits->shared);
      edits = edit(workflow_, file, options_);
      if (!edits) return edits.error();
      patch = Patch();
      if (auto error = write(*placement, *edits, patch)) return *error;
    }
    patch.changes = std::move(edits->changes);
    patch.refusals = std::move(placement->refusals);
    patch.refusals.insert(patch.refusals.end(), edits->refusals.begin(), edits->refusals.end());
    patch.notes = std::move(placement->notes);
    patch.notes.insert(patch.notes.end(), edits->notes.begin(), edits->notes.end());
    patch.switches = placement->switches;
    return patch;
  }

 private:
  Error in_file(Error error) const {
    if (error.where.file.empty()) error.where.file = workflow_.file();
    return error;
  }

  /// Makes the text and checks it.
  std::optional<Error> write(const Placement& placement, const FileEdits& edits, Patch& patch) {
    const std::string_view text = whole_text(workflow_);
    if (edits.edits.empty()) {
      patch.text = text;
      return std::nullopt;
    }
    const TextEdits recorded = with_record(text, edits.edits);
    patch.text = recorded.apply(text);
    for (const TextEdit& edit : recorded.sorted()) {
      patch.spans.push_back({edit.offset,
                             std::string(text.substr(std::size_t(edit.offset),
                                                     std::size_t(edit.removed))),
                             edit.inserted});
    }
    const WorkflowPart part = workflow_.format() == WorkflowFormat::api_prompt
                                  ? WorkflowPart::prompt
                                  : WorkflowPart::graph;
    const auto after = parse_workflow(patch.text, workflow_.file(), part);
    if (!after) return broken(workflow_.file(), to_string(after.error()));
    const auto findings = contract(workflow_, *after, placement, options_, &after_);
    if (!findings) return broken(workflow_.file(), to_string(findings.error()));
    if (!findings->empty()) return broken(workflow_.file(), findings->front());
    return std::nullopt;
  }

  void drop_shared(Placement& placement, std::vector<std::size_t> shared) {
    std::ranges::sort(shared, std::greater());
    for (const std::size_t at : shared) {
      const auto& insertion = placement.insertions[at];
      placement.refusals.push_back(fmt::format(
          "Between {} and {}: the only place is inside a subgraph with several instances, and for "
          "one of them a node there would be wrong.",
          insertion.after, insertion.before));
      placement.insertions.erase(placement.insertions.begin() + std::ptrdiff_t(at));
    }
  }

  const Workflow& workflow_;
  const PatchWish& wish_;
  const PromptOptions& options_;
  Prompt after_;
};

}  // namespace

std::string_view whole_text(const Workflow& workflow) { return workflow.state().document.text(); }

Result<Patch> make_patch(const Workflow& workflow, const PatchWish& wish,
                         const PromptOptions& options) {
  return Patcher(workflow, wish, options).run();
}

}  // namespace ebb
