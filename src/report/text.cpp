// SPDX-License-Identifier: Apache-2.0
// The report on a terminal: the answer first, then the proof, in 100 columns.
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/sentences.h"
#include "report/table.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr int kColumns = 100;
constexpr const char* kUnknown = "?";

std::string mib_cell(const std::optional<std::int64_t>& bytes, bool applies,
                     const char* zero = "-") {
  if (!bytes) return applies ? kUnknown : "-";
  return *bytes == 0 ? zero : format_mib(*bytes);
}

/// GiB without the unit, which the heading carries.
std::string gib_cell(const std::optional<std::int64_t>& bytes, bool applies) {
  if (!bytes) return applies ? kUnknown : "-";
  if (*bytes == 0) return "-";
  return gib_digits(*bytes);
}

/// Where only the least is known: `>15.4`.
std::string ram_cell(const PassOutcome& outcome) {
  if (outcome.ram_peak_bytes || outcome.ram_at_least_bytes == 0) {
    return gib_cell(outcome.ram_peak_bytes, true);
  }
  return ">" + gib_cell(outcome.ram_at_least_bytes, true);
}

std::string colour_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::fits: return "\x1b[1;32m";
    case Verdict::tight: return "\x1b[1;33m";
    case Verdict::offloads: return "\x1b[1;33m";
    case Verdict::may_run_out:
    case Verdict::ram_short:
    case Verdict::spills: return "\x1b[1;31m";
    case Verdict::unknown: return "\x1b[1;35m";
  }
  return "";
}

void put_heading(std::string& out, const Report& report) {
  const std::string subject = subject_words(report);
  const std::string file = printable(base_name(report.file));
  const int room = std::max(kColumns - 2 - display_width(subject), 30);
  put_wrapped(out, shorten_middle(file, room) + ": " + subject, 0, 2, kColumns);
  put_wrapped(out, machine_words(report), 0, 2, kColumns);
  out += '\n';
}

void put_verdict(std::string& out, const Report& report, const View& view) {
  const Headline head = headline(report, view);
  put_wrapped(out, head.word + " " + head.rest, 0, 0, kColumns);
  for (const auto& sentence : support(report, view)) put_wrapped(out, sentence, 0, 2, kColumns);
  out += '\n';
}

void put_passes(std::string& out, const View& view) {
  if (view.passes.empty()) {
    out += "  " + no_pass_words(view) + "\n\n";
    return;
  }
  const auto number = [](const char* head, const char* unit) {
    return TableColumn{head, unit, Align::right, Overflow::keep};
  };
  TextTable table({{"pass", "", Align::left, Overflow::shorten},
                   number(view.paged() ? "step" : "asked", "MiB"),
                   number("usable", "MiB"),
                   number("on GPU", "MiB"),
                   number("offloaded", "MiB"),
                   number("VRAM peak", "MiB"),
                   number("RAM peak", "GiB"),
                   number("from disk", "GiB")});
  const int digits = display_width(std::to_string(view.passes.size()));
  for (const PassRow& row : view.rows) {
    if (row.length > 0) {
      table.line(repeat_words(view, row));
      const std::string cut = view.cut_text(row.pass + row.length - 1);
      if (!cut.empty()) table.line("cut: " + cut);
      continue;
    }
    const PassView& pass = view.passes[row.pass];
    const PassOutcome& outcome = *pass.outcome;
    const bool used = !pass.weights.empty();
    table.row({fmt::format("{:>{}} {}", pass.number, digits, pass.label),
               mib_cell(view.subtracted(pass), used), mib_cell(outcome.usable_bytes, used, "0"),
               mib_cell(outcome.loaded_bytes, used, "0"), mib_cell(outcome.offloaded_bytes, used),
               mib_cell(outcome.vram_peak_bytes, used), ram_cell(outcome),
               gib_cell(pass.read_bytes(), true)});
    const std::string cut = view.cut_text(row.pass);
    if (!cut.empty()) table.line("cut: " + cut);
  }
  if (view.rows_left_out > 0) {
    table.line(
        fmt::format("and {} more passes; --json has them all", format_count(view.rows_left_out)));
  }
  out += table.layout(2, kColumns) + "\n";
}

void put_models(std::string& out, const Report& report) {
  TextTable table({{"model", "", Align::left, Overflow::shorten},
                   {"role", "", Align::left, Overflow::keep},
                   {"architecture", "", Align::left, Overflow::shorten},
                   {"MiB", "", Align::right, Overflow::keep},
                   {"size from", "", Align::left, Overflow::shorten}});
  const auto& weights = report.prediction.passes->weights;
  constexpr int kModelsMax = 40;
  for (const WeightsIndex i : weights.indices()) {
    const Weights& w = weights[i];
    if (i >= kModelsMax) break;
    if (w.absent()) continue;
    std::string from = bytes_from_words(w.bytes_from);
    if (!w.known()) from += ", see note";
    const bool listed = w.bytes_from == BytesFrom::known || w.bytes_from == BytesFrom::header;
    if (listed && !w.modules_exact && !w.modules.empty()) from += ", modules assumed";
    table.row({printable(w.name.empty() ? w.id : w.name), role_words(w.role), architecture_words(w),
               w.known() ? format_mib(w.bytes) : kUnknown, from});
  }
  if (weights.size() > kModelsMax) {
    table.line(fmt::format("and {} more; --json has them all", weights.size() - kModelsMax));
  }
  if (!table.empty()) out += table.layout(2, kColumns) + "\n";
}

void put_fixes(std::string& out, const Report& report, const View& view) {
  TextTable table({{"", "", Align::left, Overflow::keep},
                   {"What to do", "", Align::left, Overflow::wrap},
                   {"effect", "", Align::left, Overflow::wrap},
                   {"price", "", Align::left, Overflow::wrap}});
  int number = 0;
  for (const Fix& fix : report.fixes) {
    table.row({fix.helps ? std::to_string(++number) : "*", view.say(fix.title),
               fix.effects.empty() ? "-" : view.say(fix.effects),
               fix.costs.empty() ? "-" : view.say(fix.costs)});
  }
  if (!table.empty()) out += table.layout(2, kColumns) + "\n";
}

void put_sweep(std::string& out, const Report& report) {
  if (report.table.empty()) return;
  TextTable table({{"value", "", Align::right, Overflow::shorten},
                   {"verdict", "", Align::left, Overflow::keep},
                   {"usable", "MiB", Align::right, Overflow::keep},
                   {"offloaded", "MiB", Align::right, Overflow::keep}});
  for (const SweepRow& row : report.table) {
    table.row({sweep_value(row), verdict_words(row.outcome.verdict, 0),
               mib_cell(row.usable_bytes, true, "0"), mib_cell(row.offloaded_bytes, true)});
  }
  out += table.layout(2, kColumns) + "\n";
}

}  // namespace

std::string to_text(const Report& report, bool colour) {
  const View view = make_view(report.prediction);
  std::string out;
  put_heading(out, report);
  out = fit_lines(out, kColumns);
  const std::size_t verdict = out.size();
  put_verdict(out, report, view);
  put_passes(out, view);
  put_models(out, report);
  put_fixes(out, report, view);
  put_sweep(out, report);
  for (const auto& sentence : price(report, view)) put_wrapped(out, sentence, 0, 2, kColumns);
  for (const auto& note : all_notes(report, view)) {
    put_wrapped(out, "note: " + note, 0, 6, kColumns);
  }
  const std::string file = shorten_middle(printable(report.file), 50);
  put_wrapped(out, "Picture: ebb plan " + file + " --html timeline.html", 0, 2, kColumns);
  std::string assumed;
  for (std::string part : assumptions(report)) {
    for (auto at = part.find(' '); at != std::string::npos; at = part.find(' ')) {
      part.replace(at, 1, kNoBreak);
    }
    assumed += (assumed.empty() ? "" : ", ") + part;
  }
  put_wrapped(out, "assumed: " + (assumed.empty() ? "nothing" : assumed), 0, 9, kColumns);
  out = fit_lines(out, kColumns);
  if (colour) {  // last, so that widths are those of what is seen
    const Verdict kind = report.prediction.outcome.verdict;
    out.insert(verdict + verdict_word(kind).size(), "\x1b[0m");
    out.insert(verdict, colour_of(kind));
  }
  return out;
}

}  // namespace ebb
