// SPDX-License-Identifier: Apache-2.0
#include "ebb/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "ebb/version.h"
#include "json/write.h"
#include "report/sentences.h"
#include "report/table.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr int kColumns = 100;
constexpr const char* kUnknown = "?";

std::string mib(const std::optional<std::int64_t>& bytes) {
  return bytes ? *bytes == 0 ? "-" : format_mib(*bytes) : kUnknown;
}

/// A column of results: how it is headed, and what a run says there.
struct ResultColumn {
  const char* head;
  const char* unit;
  Align align;
  std::function<std::string(const ComparedRun&)> cell;
};

const std::vector<ResultColumn>& result_columns() {
  static const std::vector<ResultColumn> columns = {
      {"policy", "", Align::left,
       [](const ComparedRun& run) { return policy_word(run.policy.kind); }},
      {"verdict", "", Align::left,
       [](const ComparedRun& run) { return std::string(to_string(run.outcome.verdict)); }},
      {"on GPU", "MiB", Align::right, [](const ComparedRun& run) { return mib(run.loaded_bytes); }},
      {"offloaded", "MiB", Align::right,
       [](const ComparedRun& run) { return mib(run.offloaded_bytes); }},
      {"VRAM peak", "MiB", Align::right,
       [](const ComparedRun& run) { return mib(run.outcome.vram_peak_bytes); }},
      {"RAM peak", "GiB", Align::right,
       [](const ComparedRun& run) {
         const std::string text = format_gib(run.outcome.ram_peak_bytes);
         return (run.outcome.ram_open ? ">" : "") + text.substr(0, text.find(' '));
       }},
      {"seconds", "", Align::right,
       [](const ComparedRun& run) {
         return run.outcome.seconds ? fmt::format("{:.0f}", *run.outcome.seconds) : kUnknown;
       }},
  };
  return columns;
}

/// What of the machine is the same in all runs.
std::vector<std::string> common_machine(const Comparison& it) {
  using Words = std::function<std::string(const ComparedRun&)>;
  const Words words[] = {
      [](const ComparedRun& r) { return "ComfyUI " + to_string(r.trial.machine.comfyui); },
      [](const ComparedRun& r) { return printable(r.trial.machine.gpu); },
      [](const ComparedRun& r) {
        const Machine& m = r.trial.machine;
        return fmt::format("{} of {} MiB free", format_mib(m.vram_free.bytes),
                           format_mib(m.vram_total.bytes));
      },
      [](const ComparedRun& r) { return format_gib(r.trial.machine.ram_total.bytes) + " RAM"; },
      [](const ComparedRun& r) {
        return std::string(r.trial.machine.os == Os::windows ? "Windows" : "Linux");
      },
      [](const ComparedRun& r) { return printable(to_string(r.trial.machine.flags)); }};
  std::vector<std::string> common;
  for (const Words& word : words) {
    const std::string first = word(it.runs.front());
    const bool same = std::all_of(it.runs.begin(), it.runs.end(),
                                  [&](const ComparedRun& run) { return word(run) == first; });
    if (same && !first.empty()) common.push_back(first);
  }
  return common;
}

std::string join_commas(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string common_result(const ResultColumn& column, const std::string& cell) {
  const std::string unit = *column.unit ? fmt::format(" {}", column.unit) : "";
  if (cell == "-") return fmt::format("nothing {}", column.head);
  return cell == kUnknown ? fmt::format("{} unknown", column.head)
                          : fmt::format("{} {}{}", column.head, cell, unit);
}

}  // namespace

std::string compared_subject(const Report& report) { return subject_words(report); }

ComparedRun compared_run(const Report& report, std::vector<std::string> values) {
  ComparedRun run;
  run.values = std::move(values);
  run.trial = report.trial;
  run.policy = report.prediction.timeline.policy;
  run.outcome = report.prediction.outcome;
  const auto& passes = report.prediction.passes->passes;
  const PassOutcome* shown = nullptr;
  bool sampling = false;
  for (const PassIndex i : run.outcome.passes.indices()) {
    const PassOutcome& pass = run.outcome.passes[i];
    const bool samples = passes[i].kind == StepKind::sample;
    if (sampling && !samples) continue;
    const bool more =
        !shown || pass.offloaded_bytes.value_or(-1) > shown->offloaded_bytes.value_or(-1);
    if (more || samples != sampling) shown = &pass;
    sampling = samples;
  }
  if (shown) {
    run.loaded_bytes = shown->loaded_bytes;
    run.offloaded_bytes = shown->offloaded_bytes;
  }
  return run;
}

std::string to_text(const Comparison& it) {
  std::string out;
  const std::string file = shorten_middle(printable(base_name(it.file)), 50);
  put_wrapped(out, it.subject.empty() ? file : file + ": " + it.subject, 0, 2, kColumns);
  if (it.runs.empty()) return out;
  std::vector<std::string> same = common_machine(it);
  std::vector<TableColumn> heads;
  for (const std::string& option : it.options) {
    heads.push_back({option.substr(2), "", Align::left, Overflow::shorten});
  }
  std::vector<const ResultColumn*> varying;
  for (const ResultColumn& column : result_columns()) {
    const std::string first = column.cell(it.runs.front());
    const bool alike = std::all_of(it.runs.begin(), it.runs.end(), [&](const ComparedRun& run) {
      return column.cell(run) == first;
    });
    if (alike) {
      same.push_back(common_result(column, first));
    } else {
      varying.push_back(&column);
      heads.push_back({column.head, column.unit, column.align, Overflow::keep});
    }
  }
  const std::string in_all = it.runs.size() == 1 ? "" : "In all: ";
  put_wrapped(out, in_all + join_commas(same), 0, 2, kColumns);
  if (varying.empty() && it.runs.size() > 1) {
    put_wrapped(out, fmt::format("Nothing changes in these {} runs.", it.runs.size()), 0, 2,
                kColumns);
  } else if (!heads.empty()) {
    TextTable table(heads);
    for (const ComparedRun& run : it.runs) {
      std::vector<std::string> cells;
      for (const std::string& value : run.values) {
        cells.push_back(value.empty() ? "none" : printable(value));
      }
      for (const ResultColumn* column : varying) cells.push_back(column->cell(run));
      table.row(std::move(cells));
    }
    out += "\n" + table.layout(2, kColumns) + "\n";
  }
  for (const std::string& note : it.notes) {
    put_wrapped(out, "note: " + printable(note), 0, 6, kColumns);
  }
  return fit_lines(out, kColumns);
}

std::string to_json(const Comparison& it) {
  JsonWriter json;
  json.begin_object().member("schema", "ebb.compare/1").member("ebb", EBB_VERSION);
  json.member("file", valid_utf8(it.file));
  json.key("options").begin_array();
  for (const std::string& option : it.options) json.value(option);
  json.end_array();
  json.key("runs").begin_array();
  for (const ComparedRun& run : it.runs) {
    json.begin_object();
    json.key("values").begin_array();
    for (const std::string& value : run.values) json.value(valid_utf8(value));
    json.end_array();
    const Machine& machine = run.trial.machine;
    json.member("comfyui", to_string(machine.comfyui)).member("policy", policy_words(run.policy));
    json.member("gpu", valid_utf8(machine.gpu));
    json.member("vram_bytes", machine.vram_total.bytes);
    json.member("vram_free_bytes", machine.vram_free.bytes);
    json.member("ram_bytes", machine.ram_total.bytes);
    json.member("os", machine.os == Os::windows ? "windows" : "linux");
    json.member("flags", valid_utf8(to_string(machine.flags)));
    json.member("frames", run.trial.sizes.frames);
    json.member("width_px", run.trial.sizes.width).member("height_px", run.trial.sizes.height);
    json.member("verdict", to_string(run.outcome.verdict));
    json.member("cause", valid_utf8(say(run.outcome.causes)));
    json.member("loaded_bytes", run.loaded_bytes);
    json.member("offloaded_bytes", run.offloaded_bytes);
    json.member("vram_peak_bytes", run.outcome.vram_peak_bytes);
    json.member("ram_peak_bytes", run.outcome.ram_open ? std::optional<std::int64_t>()
                                                       : std::optional(run.outcome.ram_peak_bytes));
    json.member("ram_at_least_bytes", run.outcome.ram_peak_bytes);
    json.member("seconds", run.outcome.seconds);
    json.end_object();
  }
  json.end_array();
  json.key("notes").begin_array();
  for (const std::string& note : it.notes) json.value(valid_utf8(note));
  json.end_array();
  json.end_object();
  return std::move(json).finish();
}

}  // namespace ebb
