// SPDX-License-Identifier: Apache-2.0
#include "capi/call.h"

#include "json/document.h"
#include "json/write.h"

namespace ebb::capi {
namespace {

Error wrong(const JsonValue& value, const std::string& wanted) {
  return usage_error("options: \"" + value.key() + "\" is not " + wanted,
                     "docs/c.md lists the options.");
}

/// A string, or a whole number as its digits: sizes may be either.
std::optional<std::string> text_of(const JsonValue& value) {
  if (value.is_string()) return value.string();
  if (const auto number = value.integer()) return std::to_string(*number);
  return std::nullopt;
}

Result<Done> read_text(const JsonValue& value, std::string& out) {
  const auto text = text_of(value);
  if (!text) return wrong(value, "a string or a whole number");
  out = *text;
  return Done{};
}

/// One text, or an array of them.
Result<Done> read_texts(const JsonValue& value, std::vector<std::string>& out) {
  if (!value.is_array()) {
    const auto text = text_of(value);
    if (!text) return wrong(value, "a string, a whole number or an array of them");
    out.push_back(*text);
    return Done{};
  }
  for (const JsonValue item : value) {
    const auto text = text_of(item);
    if (!text) return wrong(value, "an array of strings or whole numbers");
    out.push_back(*text);
  }
  return Done{};
}

/// {NAME: SIZE}, as --bytes NAME=SIZE.
Result<Done> read_bytes(const JsonValue& value, std::vector<std::string>& out) {
  if (!value.is_object()) return wrong(value, "an object of sizes by file name");
  for (const JsonValue item : value) {
    const auto size = text_of(item);
    if (!size) return wrong(item, "a size");
    out.push_back(item.key() + "=" + *size);
  }
  return Done{};
}

Result<Done> read_folders(const JsonValue& value, WeightsSearch& search) {
  if (!value.is_object()) return wrong(value, "an object of folders by kind");
  search.folders.emplace();
  for (const JsonValue item : value) {
    if (auto done = read_texts(item, (*search.folders)[item.key()]); !done) return done;
  }
  return Done{};
}

Result<Done> read_part(const JsonValue& value, WorkflowPart& part) {
  if (value.is("graph")) {
    part = WorkflowPart::graph;
  } else if (value.is("prompt")) {
    part = WorkflowPart::prompt;
  } else if (!value.is("any")) {
    return wrong(value, "\"any\", \"graph\" or \"prompt\"");
  }
  return Done{};
}

Result<Done> read_definitions(const JsonValue& value, Call& call) {
  if (!value.is_object()) return wrong(value, "an object as GET /object_info answers it");
  auto parsed = parse_definitions(std::string(value.raw()), "object_info");
  if (!parsed) return parsed.error();
  call.definitions.emplace(*std::move(parsed));
  return Done{};
}

Result<Done> read_into(const JsonValue& value, RunArguments& arguments, const OptionRow& row) {
  if (const auto* text = std::get_if<0>(&row.place)) return read_text(value, arguments.**text);
  if (const auto* flags = std::get_if<1>(&row.place)) {
    return read_text(value, (arguments.**flags).emplace());
  }
  return read_texts(value, arguments.**std::get_if<2>(&row.place));
}

Result<Done> read_option(const JsonValue& value, Call& call, WeightsSearch& search) {
  const std::string key = value.key();
  if (key == "with") return read_text(value, call.choice.with);
  if (key == "file") return read_text(value, call.file);
  if (key == "only") return read_texts(value, call.choice.only);
  if (key == "skip") return read_texts(value, call.choice.skip);
  if (key == "bytes") return read_bytes(value, call.arguments.bytes);
  if (key == "folders") return read_folders(value, search);
  if (key == "object_info") return read_definitions(value, call);
  if (key == "part") return read_part(value, call.part);
  if (key == "repair") {
    if (!value.boolean()) return wrong(value, "true or false");
    call.repair = *value.boolean();
    return Done{};
  }
  for (const OptionRow& row : option_rows()) {
    if (key == row.name) return read_into(value, call.arguments, row);
  }
  return usage_error("options: there is no option \"" + key + "\"", "docs/c.md lists them.");
}

Result<Report> report_of(std::string_view text, const Call& call, bool picture) {
  const auto workflow = open(text, call);
  if (!workflow) return workflow.error();
  auto run = predict_run(*workflow, call.run);
  if (!run) return in_file(run.error(), workflow->file());
  auto report = plan_run(*std::move(run), call.run, picture);
  return report ? std::move(report) : in_file(report.error(), workflow->file());
}

}  // namespace

Result<Done> read_options(std::string_view json, Call& call) {
  if (json.empty()) json = "{}";
  const auto document = JsonDocument::parse(std::string(json), "options");
  if (!document) return document.error();
  if (!document->root().is_object()) {
    return usage_error("options: they are not a JSON object", "docs/c.md lists them.");
  }
  WeightsSearch search;
  for (const JsonValue value : document->root()) {
    if (value.is_null()) continue;
    if (auto done = read_option(value, call, search); !done) return done;
  }
  auto run = understand(call.arguments);
  if (!run) return run.error();
  call.run = *std::move(run);
  call.run.search.folders = std::move(search.folders);
  if (call.definitions) call.run.definitions = &*call.definitions;
  return Done{};
}

Result<Workflow> open(std::string_view workflow, const Call& call) {
  if (!workflow.empty() || call.file.empty()) {
    return parse_workflow(std::string(workflow), call.file.empty() ? "workflow" : call.file,
                          call.part);
  }
  return read_workflow(call.file, call.part);
}

Result<std::string> plan(std::string_view workflow, const Call& call) {
  const auto report = report_of(workflow, call, false);
  return report ? Result<std::string>(ebb::to_json(*report)) : report.error();
}

Result<std::string> svg(std::string_view workflow, const Call& call) {
  const auto report = report_of(workflow, call, true);
  return report ? Result<std::string>(to_svg(*report)) : report.error();
}

Result<std::string> apply(std::string_view text, const Call& call) {
  auto workflow = open(text, call);
  if (!workflow) return workflow.error();
  const auto result = patch_run(*std::move(workflow), call.choice, call.run);
  return result ? Result<std::string>(ebb::to_json(*result, true)) : result.error();
}

Result<std::string> undo(std::string_view text, const Call& call) {
  const auto workflow = open(text, call);
  if (!workflow) return workflow.error();
  const auto undone = undo_patch(*workflow);
  if (!undone) return undone.error();
  JsonWriter out;
  out.begin_object().member("schema", "ebb.undo/1");
  out.member("file", std::string_view(workflow->file())).member("nodes", undone->nodes);
  out.member("exact", undone->exact).key("notes").begin_array();
  for (const std::string& note : undone->notes) out.value(std::string_view(note));
  out.end_array().member("text", std::string_view(undone->text)).end_object();
  return std::move(out).finish();
}

Result<std::string> convert(std::string_view text, const Call& call) {
  const auto workflow = open(text, call);
  if (!workflow) return workflow.error();
  PromptOptions options = prompt_options(call.run.machine.comfyui, call.run.definitions);
  options.repair = call.repair;
  const auto prompt = to_prompt(*workflow, options);
  if (!prompt) return prompt.error();
  return doubts_json(*prompt, workflow->file(), true);
}

std::string to_json(const Error& error) {
  static constexpr std::string_view kCodes[] = {"usage", "input", "internal"};
  JsonWriter out;
  out.begin_object().member("schema", "ebb.error/1");
  out.member("code", kCodes[static_cast<std::size_t>(error.code)]);
  out.key("reason");
  if (const char* reason = to_string(error.reason)) {
    out.value(reason);
  } else {
    out.null();
  }
  out.member("message", std::string_view(error.message));
  out.member("file", std::string_view(error.where.file));
  const auto number = [&](const char* key, std::int64_t value) {
    out.member(key, value < 0 ? std::nullopt : std::optional(value));
  };
  number("line", error.where.line);
  number("column", error.where.column);
  out.member("place", std::string_view(error.where.place));
  out.member("hint", std::string_view(error.hint));
  out.member("text", std::string_view(to_string(error))).end_object();
  return std::move(out).finish();
}

}  // namespace ebb::capi
