// SPDX-License-Identifier: Apache-2.0
// A workflow, planned and patched; and how that is told as JSON.
#include <fmt/format.h>

#include "json/write.h"
#include "run/wish.h"

namespace ebb {
namespace {

/// What a file is apart from Ebb's own nodes, where they can be taken out exactly.
Result<Workflow> without_ours(Workflow workflow) {
  auto text = original_text(workflow);
  if (!text) return workflow;
  return parse_again(workflow, *std::move(text));
}

constexpr const char* kKinds[] = {"plan", "fix", "left", "effect"};

std::string plan_json(const std::vector<PlanLine>& plan, bool whole) {
  std::string text;
  for (const PlanLine& line : plan) {
    text += text.empty() ? "" : ", ";
    text += whole ? json_quote(line.text())
                  : fmt::format(R"({{"kind": "{}", "fix": {}, "words": {}, "because": {}}})",
                                kKinds[line.kind], line.id.empty() ? "null" : json_quote(line.id),
                                json_quote(line.words), json_quote(line.because));
  }
  return "[" + text + "]";
}

std::string list_json(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& entry : list) text += (text.empty() ? "" : ", ") + json_quote(entry);
  return "[" + text + "]";
}

/// What the patched file does, as a plan of it has it, beside the file before.
Result<std::string> effect_of(const Workflow& workflow, const Patch& patch, const Outcome& was,
                              const RunOptions& options) {
  const auto patched = parse_again(workflow, patch.text);
  if (!patched) return patched.error();
  const auto run = predict_run(*patched, options);
  if (!run) return run.error();
  const Outcome& is = run->report.prediction.outcome;
  std::string text = fmt::format("with all of it: {} -> {}, offloaded {} -> {} MiB",
                                 to_string(was.verdict), to_string(is.verdict),
                                 format_mib(was.offloaded_bytes), format_mib(is.offloaded_bytes));
  if (was.ram_open || is.ram_open) return text;
  return text + fmt::format(", RAM peak {} -> {}", format_gib(was.ram_peak_bytes),
                            format_gib(is.ram_peak_bytes));
}

}  // namespace

std::string PlanLine::text() const {
  return fmt::format("{:<7}{}{}", kKinds[kind], id.empty() ? "" : id + ": ", words);
}

Result<Workflow> parse_again(const Workflow& workflow, std::string text) {
  const bool api = workflow.format() == WorkflowFormat::api_prompt;
  return parse_workflow(std::move(text), workflow.file(),
                        api ? WorkflowPart::prompt : WorkflowPart::graph);
}

Result<PatchResult> patch_run(Workflow read, const FixChoice& choice, const RunOptions& options) {
  PatchResult result;
  result.file = read.file();
  result.original = whole_text(read);
  result.media = !read.carrier().empty();
  const auto workflow = without_ours(std::move(read));
  if (!workflow) return workflow.error();
  auto wish = make_wish(choice, *workflow, options);
  if (!wish) return wish.error();
  result.plan = wish->lines;
  auto patch =
      make_patch(*workflow, wish->wish, prompt_options(wish->version, options.definitions));
  if (!patch) return patch.error();
  result.patch = *std::move(patch);
  if (wish->before && !result.patch.changes_nothing()) {
    auto effect = effect_of(*workflow, result.patch, *wish->before, options);
    if (!effect) return effect.error();
    result.plan.push_back({PlanLine::effect, *std::move(effect), ""});
  }
  if (result.patch.changes_nothing() && is_patched(*workflow)) result.already = true;
  if (result.patch.text == result.original) {
    result.already = !result.patch.changes_nothing();
  } else if (whole_text(*workflow) != result.original) {
    // Another patch was there: what is shown is the way from the file without it.
    result.original = whole_text(*workflow);
  }
  return result;
}

std::string to_json(const PatchResult& result, bool with_text) {
  std::string changes, spans;
  for (const Change& change : result.patch.changes) {
    changes +=
        fmt::format(R"({}{{"kind": {}, "node": {}, "words": {}, "fix": {}}})",
                    changes.empty() ? "" : ", ", json_quote(change.kind), json_quote(change.node),
                    json_quote(change.words), json_quote(change.fix));
  }
  for (const Span& span : result.patch.spans) {
    spans += fmt::format("{}[{}, {}, {}]", spans.empty() ? "" : ", ", span.offset,
                         json_quote(span.removed), json_quote(span.inserted));
  }
  return fmt::format(
      R"({{"schema": "ebb.apply/1", "file": {}, "error": {}, "changed": {}, "already": {}, )"
      R"("switches": {}, "why_none": {}, "plan": {}, )"
      R"("lines": {}, "changes": [{}], "refused": {}, "notes": {}, )"
      R"("spans": [{}], "written": {}{}}})"
      "\n",
      json_quote(result.file), result.error.empty() ? "null" : json_quote(result.error),
      result.changed(), result.already, result.patch.switches, json_quote(result.patch.why_none),
      plan_json(result.plan, true), plan_json(result.plan, false), changes,
      list_json(result.patch.refusals), list_json(result.patch.notes), spans,
      result.written.empty() ? "null" : json_quote(result.written),
      with_text ? ", \"text\": " + json_quote(result.patch.text) : "");
}

std::string doubts_json(const Prompt& prompt, const std::string& file, bool with_prompt) {
  JsonWriter out;
  out.begin_object().member("schema", "ebb.convert/1").member("file", std::string_view(file));
  out.member("nodes", static_cast<std::int64_t>(prompt.nodes.size()))
      .key("uncertain")
      .begin_array();
  for (const Uncertain& entry : prompt.uncertain) {
    out.begin_object().member("node", std::string_view(entry.node));
    out.member("input", std::string_view(entry.input)).member("why", std::string_view(entry.why));
    out.end_object();
  }
  out.end_array().key("refused").begin_array();
  for (const Refusal& entry : prompt.refused) {
    out.begin_object().member("node", std::string_view(entry.node));
    out.member("input", std::string_view(entry.input)).member("why", std::string_view(entry.why));
    out.member("hint", std::string_view(entry.hint)).end_object();
  }
  out.end_array().key("notes").begin_array();
  for (const std::string& note : prompt.notes) out.value(std::string_view(note));
  out.end_array();
  if (with_prompt) out.key("prompt").raw(to_json(prompt));
  out.end_object();
  return std::move(out).finish();
}

}  // namespace ebb
