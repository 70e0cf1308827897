// SPDX-License-Identifier: Apache-2.0
// make_patch: places in the prompt, edits of the text, and the proof that they are right.
#include "ebb/patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

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
  const ConvertOptions convert{.version = options.version,
                               .definitions = options.definitions,
                               .repair = options.repair,
                               .input_bytes = state.input_bytes};
  return edit_graph(state.document, state.root, state.file, wish, convert);
}

/// Whether every node of ours in the prompt stands between samplers of different models, in every
/// run: asked where a definition has several instances.
bool all_needed(const Prompt& prompt, const ComfyVersion& version) {
  const auto sampling = find_sampling(prompt, version);
  if (!sampling) return false;
  for (const auto& run : runs_of(prompt)) {
    WeightsIndex last;
    bool ours = false;
    for (const NodeIndex at : run) {
      ours |= handed_on(prompt.nodes[at].class_type) == "anything";
      const WeightsIndex model = sampling->model[at];
      if (!model.exists()) continue;
      if (ours && last == model) return false;
      last = model;
      ours = false;
    }
  }
  return true;
}

/// The graph beside the prompt of a POST body: what ComfyUI writes into the pictures it saves.
std::optional<Workflow> graph_beside(const Workflow& workflow) {
  const JsonDocument& document = workflow.state().document;
  const bool body = workflow.format() == WorkflowFormat::api_prompt &&
                    workflow.state().root.offset() != document.root().offset() &&
                    document.root().find("extra_data").find("extra_pnginfo").exists();
  if (!body) return std::nullopt;
  auto graph = parse_workflow(std::string(document.text()), workflow.file(), WorkflowPart::graph);
  if (!graph || graph->state().document.text().size() != document.text().size()) return {};
  return std::move(*graph);
}

std::int64_t largest_id(const Workflow& workflow) {
  std::int64_t largest = 0;
  const JsonValue root = workflow.state().root;
  if (workflow.format() == WorkflowFormat::api_prompt) {
    for (const JsonValue node : root) largest = std::max(largest, largest_in_id(node.key()));
    return largest;
  }
  for (const JsonValue node : root.find("nodes")) {
    largest = std::max(largest, largest_in_id(node.find("id")));
  }
  return largest;
}

class Patcher {
 public:
  Patcher(const Workflow& workflow, const PatchWish& wish, const PromptOptions& options)
      : workflow_(workflow), wish_(wish), options_(options), beside_(graph_beside(workflow)) {
    if (beside_) id_floor_ = std::max(largest_id(workflow_), largest_id(*beside_));
  }

  Result<Patch> run() {
    auto part = place(workflow_);
    if (!part) return part.error();
    auto edits = edit_part(workflow_, *part, true);
    if (!edits) return edits.error();
    Patch patch;
    if (auto error = write(*part, *edits, patch)) return *error;
    if (!edits->shared.empty() && !all_needed(after_, options_.version)) {
      drop_shared(part->placement, edits->shared);
      edits = edit_part(workflow_, *part, true);
      if (!edits) return edits.error();
      patch = Patch();
      if (auto error = write(*part, *edits, patch)) return *error;
    }
    patch.changes = std::move(edits->changes);
    patch.refusals = std::move(part->placement.refusals);
    patch.refusals.insert(patch.refusals.end(), edits->refusals.begin(), edits->refusals.end());
    if (auto error = refuse_open_switches(patch)) return *error;
    patch.notes = std::move(part->placement.notes);
    patch.notes.insert(patch.notes.end(), edits->notes.begin(), edits->notes.end());
    patch.switches = part->placement.switches;
    patch.why_none = std::move(part->placement.why_none);
    return patch;
  }

 private:
  /// What goes into one graph or prompt.
  struct Part {
    Converted before;
    Placement placement;
    std::vector<std::string> tiles;
  };

  Result<Part> place(const Workflow& workflow) const {
    auto before = convert(workflow, options_);
    if (!before) return std::move(before).error();
    const bool api = workflow.format() == WorkflowFormat::api_prompt;
    auto placement = place_nodes_of(before->prompt, wish_, options_.version, api);
    if (!placement) return in_file(placement.error());
    Part part{*std::move(before), *std::move(placement), {}};
    for (const PromptNode& node : part.before.prompt.nodes) {
      if (wish_.tile_decode && node.class_type == "VAEDecode") part.tiles.push_back(node.id);
    }
    return part;
  }

  Result<FileEdits> edit_part(const Workflow& workflow, const Part& part, bool record) const {
    return edit(workflow, {part.placement, part.tiles, id_floor_, record}, options_);
  }

  /// The same for the graph beside a prompt; it stays as it is where that can't be done.
  void add_graph(FileEdits& edits) const {
    if (!beside_ || edits.edits.empty()) return;
    const auto part = place(*beside_);
    const auto more = part ? edit_part(*beside_, *part, false) : Result<FileEdits>(part.error());
    std::string why = more ? "" : more.error().message;
    if (more) {
      const auto text = more->edits.apply(whole_text(workflow_));
      const auto after = parse_workflow(text.value_or(""), workflow_.file(), WorkflowPart::graph);
      const auto is = after ? convert(*after, options_) : Result<Converted>(after.error());
      if (!is) {
        why = is.error().message;
      } else if (const auto findings = contract(part->before, *is, part->placement);
                 !findings.empty()) {
        why = findings.front();
      }
    }
    if (why.empty()) {
      edits.edits.add(more->edits);
    } else {
      edits.notes.push_back("The workflow in extra_data stays as it is: " + why + ".");
    }
  }

  Error in_file(Error error) const {
    if (error.where.file.empty()) error.where.file = workflow_.file();
    return error;
  }

  /// Makes the text and checks it.
  std::optional<Error> write(const Part& part, FileEdits& edits, Patch& patch) {
    add_graph(edits);
    const std::string_view text = whole_text(workflow_);
    if (edits.edits.empty()) {
      patch.text = text;
      return std::nullopt;
    }
    const TextEdits recorded = with_record(text, edits.edits);
    auto made = recorded.apply(text);
    if (!made) return broken(workflow_.file(), "its edits contradict each other");
    patch.text = *std::move(made);
    for (const TextEdit& edit : recorded.sorted()) {
      patch.spans.push_back(
          {edit.offset,
           std::string(text.substr(std::size_t(edit.offset), std::size_t(edit.removed))),
           edit.inserted});
    }
    const WorkflowPart kind = workflow_.format() == WorkflowFormat::api_prompt
                                  ? WorkflowPart::prompt
                                  : WorkflowPart::graph;
    const auto after = parse_workflow(patch.text, workflow_.file(), kind);
    if (!after) return broken(workflow_.file(), to_string(after.error()));
    auto is = convert(*after, options_);
    if (!is) return broken(workflow_.file(), to_string(is.error()));
    const auto findings = contract(part.before, *is, part.placement);
    if (!findings.empty()) return broken(workflow_.file(), findings.front());
    after_ = std::move(is->prompt);
    return std::nullopt;
  }

  /// The file may hold a node on a link that feeds more than the place it was chosen for (before a
  /// bypassed node, in a definition), and the order with it: what counts is the prompt of the file.
  std::optional<Error> refuse_open_switches(Patch& patch) const {
    if (!wish_.between_models || patch.changes.empty()) return std::nullopt;
    const auto sampling = find_sampling(after_, options_.version);
    if (!sampling) return sampling.error();
    std::set<std::string> told(patch.refusals.begin(), patch.refusals.end());
    for (const Switch& open :
         unmet_switches(after_, *sampling, runs_of(after_), wish_.between_models->class_type)) {
      std::string between = fmt::format("Between {} and {}: ", after_.nodes[open.from].label(),
                                        after_.nodes[open.to].label());
      const auto why = told.lower_bound(between);
      if (why != told.end() && why->starts_with(between)) continue;
      between += "in some order of the output nodes no node runs between them.";
      told.insert(between);
      patch.refusals.push_back(std::move(between));
    }
    return std::nullopt;
  }

  void drop_shared(Placement& placement, std::vector<std::size_t> shared) {
    std::ranges::sort(shared, std::greater());
    std::vector<bool> dropped(placement.insertions.size());
    for (const std::size_t at : shared) {
      const auto& insertion = placement.insertions[at];
      placement.refusals.push_back(fmt::format(
          "Between {} and {}: the only place is inside a subgraph with several instances, and for "
          "one of them a node there would be wrong.",
          insertion.after, insertion.before));
      dropped[at] = true;
    }
    std::vector<Insertion> kept;
    for (std::size_t i = 0; i < dropped.size(); ++i) {
      if (!dropped[i]) kept.push_back(std::move(placement.insertions[i]));
    }
    placement.insertions = std::move(kept);
  }

  const Workflow& workflow_;
  const PatchWish& wish_;
  const PromptOptions& options_;
  std::optional<Workflow> beside_;
  std::int64_t id_floor_ = 0;
  Prompt after_;
};

}  // namespace

std::string_view whole_text(const Workflow& workflow) { return workflow.state().document.text(); }

Result<Patch> make_patch(const Workflow& workflow, const PatchWish& wish,
                         const PromptOptions& options) {
  return Patcher(workflow, wish, options).run();
}

}  // namespace ebb
