// SPDX-License-Identifier: Apache-2.0
#include "tests/patch/rules.h"

#include <gtest/gtest.h>

#include "ebb/run.h"
#include "patch/edit.h"
#include "workflow/js_value.h"

namespace ebb::test {
namespace {

WorkflowPart part_of(const Workflow& workflow) {
  return workflow.format() == WorkflowFormat::api_prompt ? WorkflowPart::prompt
                                                         : WorkflowPart::graph;
}

/// How `ebb apply` reads a workflow where nobody names a version.
PromptOptions as_the_command() { return prompt_options(std::nullopt, nullptr); }

/// As a front end saves it: the same values, none of the old bytes, ids and counters kept.
std::string rewritten(const std::string& text) {
  const auto document = JsonDocument::parse(text);
  return document ? js_text(document->root()) + " \n" : text;
}

void expect_undone(const Workflow& before, const std::string& patched, const std::string& text,
                   const std::string& file) {
  const auto after = parse_workflow(patched, file, part_of(before));
  ASSERT_TRUE(after.ok()) << to_string(after.error());
  const auto undone = undo_patch(*after);
  ASSERT_TRUE(undone.ok()) << to_string(undone.error());
  EXPECT_TRUE(undone->exact) << file;
  EXPECT_TRUE(undone->text == text) << file << ": undo is not byte-identical";
}

/// A node class that repeats an id, a link that stands twice: what a rewrite itself changes.
bool survives_rewriting(const Workflow& before, const std::string& text, const std::string& file) {
  const auto plain = parse_workflow(rewritten(text), file, part_of(before));
  if (!plain) return false;
  const auto was = convert(before, as_the_command()), is = convert(*plain, as_the_command());
  return was.ok() && is.ok() && contract(*was, *is, Placement()).empty();
}

void expect_edited_undone(const Workflow& before, const std::string& patched,
                          const std::string& file) {
  const auto edited = parse_workflow(rewritten(patched), file, part_of(before));
  ASSERT_TRUE(edited.ok()) << file;
  const auto undone = undo_patch(*edited);
  ASSERT_TRUE(undone.ok()) << to_string(undone.error());
  EXPECT_FALSE(undone->exact) << file;
  const auto plain = parse_workflow(undone->text, file, part_of(before));
  ASSERT_TRUE(plain.ok()) << to_string(plain.error());
  EXPECT_FALSE(is_patched(*plain)) << file;
  const auto was = convert(before, as_the_command()), is = convert(*plain, as_the_command());
  ASSERT_TRUE(was.ok() && is.ok()) << to_string(was.ok() ? is.error() : was.error());
  const auto findings = contract(*was, *is, Placement());
  EXPECT_TRUE(findings.empty()) << file << ": " << findings.front();
}

}  // namespace

PatchWish unload_wish() {
  PatchWish wish;
  wish.between_models = handover("UnloadModels");
  return wish;
}

PatchWish everything_wish(const Workflow& workflow) {
  PatchWish wish = unload_wish();
  wish.tile_decode = true;
  const auto prompt = to_prompt(workflow, as_the_command());
  const auto sampling = prompt ? find_sampling(*prompt, {}) : Result<Sampling>(Sampling());
  if (!prompt || !sampling) return wish;
  for (const NodeIndex i : prompt->nodes.indices()) {
    if (sampling->model[i] < 0) continue;
    const std::string& id = prompt->nodes[i].id;
    wish.cuts.push_back({*handover("EbbCut"), "drop", {id}});
    wish.budgets.push_back(
        {{"EbbBudget", "Measured Budget (Ebb)", "model", "MODEL", {{"budget_gib", "7.5"}}},
         "budget",
         id});
  }
  return wish;
}

Checked check_rules(const std::string& text, const std::string& file, const PatchWish& wish) {
  Checked checked;
  const auto workflow = parse_workflow(text, file);
  if (!workflow) return checked;
  auto patch = make_patch(*workflow, wish, as_the_command());
  if (!patch) {
    EXPECT_NE(patch.error().code, ErrorCode::internal) << to_string(patch.error());
    return checked;
  }
  checked.read = true;
  checked.patch = *std::move(patch);
  const std::string whole(whole_text(*workflow));
  if (checked.patch.changes_nothing()) {
    EXPECT_TRUE(checked.patch.text == whole) << file;
    return checked;
  }
  expect_undone(*workflow, checked.patch.text, whole, file);
  const auto after = parse_workflow(checked.patch.text, file, part_of(*workflow));
  if (!after) return checked;
  const auto twice =
      make_patch(*parse_again(*after, *original_text(*after)), wish, as_the_command());
  EXPECT_TRUE(twice.ok() && twice->text == checked.patch.text) << file << ": twice is not once";
  // Our nodes are seen as what they are, even without the record. Where something was refused, a
  // second patch may find a place beside the nodes of the first.
  if (!wish.tile_decode && checked.patch.refusals.empty()) {
    const auto again = make_patch(*after, wish, as_the_command());
    EXPECT_TRUE(again.ok() && again->changes_nothing())
        << file << ": a second patch adds more to " << checked.patch.changes.size()
        << " changes and " << checked.patch.refusals.size() << " refusals"
        << (again.ok() && !again->changes.empty() ? ": " + again->changes.front().words : "");
  }
  const auto prompt = to_prompt(*after, as_the_command());
  const auto sampling = find_sampling(*prompt, {});
  if (prompt && sampling && checked.patch.refusals.empty()) {
    const auto open = unmet_switches(*prompt, *sampling, runs_of(*prompt), "UnloadModels");
    EXPECT_TRUE(open.empty()) << file << ": no unload between "
                              << prompt->nodes[open.front().from].label() << " and "
                              << prompt->nodes[open.front().to].label();
  }
  if (survives_rewriting(*workflow, whole, file)) {
    expect_edited_undone(*workflow, checked.patch.text, file);
    checked.edited = true;
  }
  return checked;
}

}  // namespace ebb::test
