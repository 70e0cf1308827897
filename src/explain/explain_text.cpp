// SPDX-License-Identifier: Apache-2.0
// An explanation on a terminal, and as JSON.
#include <fmt/format.h>

#include <cstdlib>

#include "base/text.h"
#include "ebb/explain.h"
#include "ebb/version.h"
#include "explain/sums.h"
#include "json/write.h"
#include "report/sentences.h"
#include "report/table.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr int kColumns = 100;
constexpr int kIndent = 15;  // of what follows a number

/// `15,298.60`; the sign is written apart.
std::string number(std::int64_t hundredths, bool whole) {
  const std::int64_t size = std::abs(hundredths);
  return whole ? format_count(size / 100)
               : fmt::format("{}.{:02}", format_count(size / 100), size % 100);
}

/// `+ 15,298.60  one batch: 21 frames x 152 x 104 ... (computed; source)`. Lines break where a
/// person would: the source goes to a line of its own if it must.
void put_term(std::string& out, const Term& term, const std::string& what, char sign, bool whole) {
  const Shown it = shown(term);
  std::string text =
      fmt::format("{} {:>11}  {}", sign, number(it.hundredths, whole), printable(what));
  if (!it.factors.empty()) text += ": " + it.factors;
  std::string kind = to_string(term.kind);
  if (!term.source.empty()) kind += "; " + printable(say(term.source));
  const std::string together = fmt::format("{}  [{}]", text, kind);
  if (display_width(together) <= kColumns) {
    out += together + "\n";
    return;
  }
  // The number stands in columns of its own; what follows is wrapped beside it.
  const std::string number_part = text.substr(0, kIndent), indent(kIndent, ' ');
  const std::string* margin = &number_part;
  for (const std::string& part : {text.substr(kIndent), "[" + kind + "]"}) {
    for (const std::string& line : wrap_text(part, kColumns - kIndent)) {
      out += *margin + line + "\n";
      margin = &indent;
    }
  }
}

void put_sum(std::string& out, const Sum& sum) {
  if (!sum.title.empty()) {
    put_wrapped(out, say(sum.title) + (*sum.unit ? fmt::format(", {}", sum.unit) : ""), 0, 2,
                kColumns);
  }
  const bool whole = !*sum.unit;
  if (sum.terms.size() == 1) {
    const Term& only = sum.terms.front();
    put_term(out, only, say(sum.result) + ", " + say(only.what), '=', whole);
    return;
  }
  bool first = true;
  for (const Term& term : sum.terms) {
    put_term(out, term, say(term.what), term.product.value() < 0 ? '-' : first ? ' ' : '+', whole);
    first = false;
  }
  const std::int64_t total = shown_total(sum);
  out +=
      fmt::format("= {:>11}  {}\n", (total < 0 ? "-" : "") + number(total, whole), say(sum.result));
}

}  // namespace

std::string to_text(const Explanation& it) {
  std::string out;
  std::string head =
      fmt::format("{}, pass {} of {}: {}; {}", shorten_middle(printable(base_name(it.file)), 40),
                  it.pass.number(), it.passes, printable(it.work), it.nodes.front());
  if (it.nodes.size() > 1) {
    const std::vector<std::string> rest(it.nodes.begin() + 1, it.nodes.end());
    head += fmt::format(", which needs most; {} in the same pass", join_and(rest));
  }
  put_wrapped(out, head, 0, 2, kColumns);
  put_wrapped(out, it.machine, 0, 2, kColumns);
  const std::string verdict = verdict_word(it.verdict);
  put_wrapped(out, it.cause.empty() ? verdict + "." : verdict + ": " + it.cause + ".", 0, 2,
              kColumns);
  for (const Sum& sum : it.sums) put_sum(out, sum);
  for (const std::string& note : it.notes) {
    put_wrapped(out, "note: " + printable(note), 0, 6, kColumns);
  }
  return fit_lines(out, kColumns);
}

std::string to_json(const Explanation& it) {
  JsonWriter json;
  const auto text = [&json](const char* key, const std::string& value) {
    json.member(key, valid_utf8(value));
  };
  const auto value = [&json](const char* key, std::int64_t hundredths) {
    json.key(key).raw(fmt::format("{}{}.{:02}", hundredths < 0 ? "-" : "",
                                  std::abs(hundredths) / 100, std::abs(hundredths) % 100));
  };
  json.begin_object();
  json.member("schema", "ebb.explain/1").member("ebb", EBB_VERSION);
  text("file", it.file);
  json.member("pass", it.pass.number()).member("passes", it.passes);
  text("work", it.work);
  json.key("nodes").begin_array();
  for (const auto& node : it.nodes) json.value(valid_utf8(node));
  json.end_array();
  text("machine", it.machine);
  json.member("verdict", to_string(it.verdict));
  text("cause", it.cause);
  json.key("sums").begin_array();
  for (const Sum& sum : it.sums) {
    json.begin_object().member("key", sum.key);
    text("title", say(sum.title));
    text("unit", sum.unit);
    json.key("terms").begin_array();
    for (const Term& term : sum.terms) {
      json.begin_object();
      const Shown as_printed = shown(term);
      value("value", as_printed.hundredths);
      text("factors", as_printed.factors);
      text("what", say(term.what));
      json.member("kind", to_string(term.kind));
      text("source", say(term.source));
      json.end_object();
    }
    json.end_array();
    value("total", shown_total(sum));
    text("result", say(sum.result));
    json.end_object();
  }
  json.end_array();
  json.key("notes").begin_array();
  for (const auto& note : it.notes) json.value(valid_utf8(note));
  json.end_array();
  json.end_object();
  return std::move(json).finish();
}

}  // namespace ebb
