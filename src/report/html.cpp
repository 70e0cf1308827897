// SPDX-License-Identifier: Apache-2.0
// One self-contained page: the verdict, the picture, then the same tables as on a terminal.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ebb/version.h"
#include "report/html_style.h"
#include "report/palette.h"
#include "report/picture.h"
#include "report/sentences.h"
#include "report/words.h"

namespace ebb {
namespace {

std::string mib_cell(const std::optional<std::int64_t>& bytes, bool applies,
                     const char* zero = "") {
  if (!bytes) return applies ? "?" : "";
  return *bytes == 0 ? zero : format_mib(*bytes);
}

std::string gib_cell(const std::optional<std::int64_t>& bytes) {
  if (!bytes) return "?";
  return *bytes == 0 ? "" : gib_digits(*bytes);
}

/// Where only the least is known: `&gt;15.4`.
std::string ram_cell(const PassOutcome& outcome) {
  if (outcome.ram_peak_bytes || outcome.ram_at_least_bytes == 0) {
    return gib_cell(outcome.ram_peak_bytes);
  }
  return ">" + gib_cell(outcome.ram_at_least_bytes);
}

/// A size within what a size can be, whatever its factors are.
std::int64_t to_bytes_within(double bytes) {
  return static_cast<std::int64_t>(std::clamp(bytes, 0.0, 0x1p62));
}

/// Escaped text in which a flag and its value stay on one line.
std::string prose(std::string_view text) {
  std::string result;
  const std::vector<std::string_view> words = split(text, ' ');
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) result += ' ';
    if (!words[i].starts_with("--") || words[i].size() > 40) {
      result += escape_xml(words[i]);
      continue;
    }
    result += "<span class=\"flag\">" + escape_xml(words[i]);
    const bool value = i + 1 < words.size() && !words[i + 1].empty() && words[i + 1][0] >= '0' &&
                       words[i + 1][0] <= '9' && words[i + 1].size() < 12;
    if (value) result += " " + escape_xml(words[++i]);
    result += "</span>";
  }
  return result;
}

class Page {
 public:
  explicit Page(const Report& report)
      : report_(report),
        view_(make_view(report.prediction)),
        paints_(paints(report.prediction.passes->weights)) {
    for (const PassView& pass : view_.passes) {
      const bool unknown = !pass.weights.empty() && !pass.outcome->offloaded_bytes;
      offloads_ = offloads_ || unknown || pass.offloads();
    }
  }
  std::string write() &&;

 private:
  struct Head {
    const char* text;
    bool number;
  };
  void open(const char* css, const std::vector<Head>& heads);
  void close() { out_ += "</tbody>\n</table></div>\n"; }
  void cell(std::string_view text) { out_ += "<td>" + escape_xml(text) + "</td>"; }
  void number(std::string_view text) { out_ += "<td class=\"n\">" + escape_xml(text) + "</td>"; }
  std::string swatch(WeightsIndex weights) const;
  std::string model(WeightsIndex weights) const;
  void head();
  void top();
  void figure();
  void passes();
  void pass_row(const PassView& pass);
  void models();
  void fixes();
  void sweep();
  void sources();
  void card(const PassView& pass);
  void fact(const char* name, const std::optional<std::int64_t>& bytes, const Quantity* source);
  void list(const char* title, const std::vector<std::string>& sentences);

  const Report& report_;
  View view_;
  List<Paint, WeightsIndex> paints_;
  bool offloads_ = false;  ///< any pass, or one of which that is unknown
  std::string out_;
};

void Page::open(const char* css, const std::vector<Head>& heads) {
  out_ += fmt::format("<div class=\"scroll\"><table class=\"{}\">\n<thead><tr>", css);
  for (const Head& head : heads) {
    out_ +=
        fmt::format("<th scope=\"col\"{}>{}</th>", head.number ? " class=\"n\"" : "", head.text);
  }
  out_ += "</tr></thead>\n<tbody>\n";
}

std::string Page::swatch(WeightsIndex weights) const {
  return fmt::format("<span class=\"swatch\" style=\"background:{}\"></span>",
                     paints_[weights].fill);
}

std::string Page::model(WeightsIndex weights) const {
  return swatch(weights) + escape_xml(view_.names[weights]);
}

void Page::head() {
  const Headline line = headline(report_, view_);
  out_ +=
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
  out_ += "<title>" + escape_xml(line.word + " " + line.rest + " " + report_.file) + "</title>\n";
  out_ += "<style>";
  out_ += theme_css();
  out_ += picture_css();
  out_ += page_css();
  out_ += "</style>\n</head>\n";
}

void Page::top() {
  const Headline line = headline(report_, view_);
  out_ += fmt::format("<header>\n<h1><span class=\"word t-{}\">{}</span> {}</h1>\n",
                      to_string(report_.prediction.outcome.verdict), escape_xml(line.word),
                      prose(line.rest));
  for (const auto& sentence : support(report_, view_)) {
    out_ += "<p class=\"lead\">" + prose(sentence) + "</p>\n";
  }
  out_ += fmt::format("<p class=\"about\">{}: {}<br/>{}</p>\n</header>\n", escape_xml(report_.file),
                      escape_xml(subject_words(report_)), prose(machine_words(report_)));
}

/// The picture twice, so that its words are readable on a screen of any width; before and after
/// apart, so that a printer can break between them.
void Page::figure() {
  for (const bool narrow : {false, true}) {
    for (int only = 0; only < (report_.after ? 2 : 1); ++only) {
      PictureOptions options;
      options.standalone = false;
      options.only = only;
      options.width = narrow ? 380 : 940;
      options.prefix = std::string(narrow ? "narrow-" : "wide-") + (only ? "b-" : "a-");
      const std::string svg = draw(report_, options);
      // A picture with very many passes scrolls instead of shrinking.
      const auto from = svg.find("viewBox=\"0 0 ") + 13;
      const double width = parse_double(svg.substr(from, svg.find(' ', from) - from)).value_or(0);
      const std::string least =
          width > options.width + 1 ? fmt::format(" style=\"min-width:{:.0f}px\"", width) : "";
      out_ += fmt::format("<figure class=\"{}\"><div{}>\n{}</div></figure>\n",
                          narrow ? "narrow" : "wide", least, svg);
    }
  }
  out_ += "<div class=\"panel\" id=\"panel\" aria-live=\"polite\"></div>\n";
}

void Page::pass_row(const PassView& pass) {
  const PassOutcome& o = *pass.outcome;
  const bool used = !pass.weights.empty();
  out_ += fmt::format("<tr data-pass=\"{}\">", pass.number);
  number(std::to_string(pass.number));
  cell(used || pass.kind != StepKind::other ? work_words(pass.kind) : "no weights in use");
  out_ += "<td class=\"name\">";
  for (std::size_t i = 0; i < pass.weights.size(); ++i) {
    out_ += (i > 0 ? "<br/>" : "") + model(pass.weights[i]);
  }
  out_ += "</td>";
  number(mib_cell(view_.subtracted(pass), used));
  number(mib_cell(o.usable_bytes, used, "0"));
  number(mib_cell(o.loaded_bytes, used, "0"));
  if (offloads_) number(mib_cell(o.offloaded_bytes, used));
  number(mib_cell(o.vram_peak_bytes, used));
  number(ram_cell(o));
  number(gib_cell(pass.read_bytes()));
  number(pass.seconds() ? format_seconds(*pass.seconds()) : "?");
  out_ += fmt::format("<td class=\"t-{}\">{}</td></tr>\n", to_string(o.verdict),
                      verdict_words(o.verdict, 0));
}

void Page::passes() {
  out_ += "<h2>Passes</h2>\n";
  std::vector<Head> heads = {{"", true},
                             {"pass", false},
                             {"weights", false},
                             {view_.paged() ? "step<br/>MiB" : "asked<br/>MiB", true},
                             {"usable<br/>MiB", true},
                             {"on GPU<br/>MiB", true},
                             {"VRAM peak<br/>MiB", true},
                             {"RAM peak<br/>GiB", true},
                             {"from disk<br/>GiB", true},
                             {"about", true},
                             {"verdict", false}};
  if (offloads_) heads.insert(heads.begin() + 6, {"offloaded<br/>MiB", true});
  open("passes", heads);
  const auto across = [&](const char* css, const std::string& text) {
    out_ += fmt::format("<tr class=\"{}\"><td></td><td colspan=\"{}\">{}</td></tr>\n", css,
                        heads.size() - 1, escape_xml(text));
  };
  for (const PassRow& row : view_.rows) {
    if (row.length > 0) {
      across("fold", repeat_words(view_, row));
    } else {
      pass_row(view_.passes[row.pass]);
    }
    const std::string cut = view_.cut_text(row.last());
    if (!cut.empty()) across("cut", "cut: " + cut);
  }
  if (view_.rows_left_out > 0) {
    across("fold", fmt::format("and {} more passes; --json has them all",
                               format_count(view_.rows_left_out)));
  }
  close();
}

void Page::models() {
  const auto& weights = report_.prediction.passes->weights;
  if (weights.empty()) return;
  out_ += "<h2>Models</h2>\n";
  open("models", {{"model", false},
                  {"role", false},
                  {"architecture", false},
                  {"MiB", true},
                  {"where the size comes from", false}});
  for (const WeightsIndex i : weights.indices()) {
    const Weights& w = weights[i];
    if (i >= 200) break;
    if (w.absent()) continue;
    out_ += "<tr><td class=\"name\">" + swatch(i) + escape_xml(w.name.empty() ? w.id : w.name) +
            "</td>";
    cell(role_words(w.role));
    cell(architecture_words(w));
    number(w.known() ? format_mib(w.bytes) : "?");
    std::string from = bytes_from_words(w.bytes_from);
    const bool in_source = w.known() && w.bytes_from != BytesFrom::header;  // it begins with that
    if (!w.source.empty()) from = (in_source ? "" : from + ": ") + say(w.source);
    if (w.known() && !w.modules_exact) from += "; sizes of modules assumed";
    cell(from);
    out_ += "</tr>\n";
  }
  close();
}

void Page::fixes() {
  if (report_.fixes.empty()) return;
  out_ += "<h2>What to do</h2>\n";
  bool effects = false, prices = false;
  for (const Fix& fix : report_.fixes) {
    effects = effects || !fix.effects.empty();
    prices = prices || !fix.costs.empty();
  }
  std::vector<Head> heads = {{"", true}, {"do", false}};
  if (effects) heads.push_back({"effect", false});
  if (prices) heads.push_back({"price", false});
  open("fixes", heads);
  int count = 0;
  for (const Fix& fix : report_.fixes) {
    out_ += fix.helps ? "<tr>" : "<tr class=\"off\">";
    number(fix.helps ? std::to_string(++count) : "");
    out_ += "<td><strong>" + prose(view_.say(fix.title)) + "</strong></td>";
    if (effects) cell(view_.say(fix.effects));
    if (prices) cell(view_.say(fix.costs));
    out_ += "</tr>\n";
  }
  close();
  for (const auto& sentence : price(report_, view_)) {
    out_ += "<p class=\"lead quiet\">" + escape_xml(sentence) + "</p>\n";
  }
}

void Page::sweep() {
  if (report_.table.empty()) return;
  out_ += "<h2>Other values</h2>\n";
  open("sweep",
       {{"value", true}, {"verdict", false}, {"usable MiB", true}, {"offloaded MiB", true}});
  for (const SweepRow& row : report_.table) {
    out_ += "<tr>";
    number(sweep_value(row));
    out_ += fmt::format("<td class=\"t-{}\">{}</td>", to_string(row.outcome.verdict),
                        verdict_words(row.outcome.verdict, 0));
    number(mib_cell(row.usable_bytes, true, "0"));
    number(mib_cell(row.offloaded_bytes, true));
    out_ += "</tr>\n";
  }
  close();
}

void Page::fact(const char* name, const std::optional<std::int64_t>& bytes,
                const Quantity* source) {
  std::string text = bytes ? format_mib(*bytes) + " MiB" : "unknown";
  if (source) {
    if (source->known()) text += std::string(", ") + to_string(source->kind);
    if (!source->source.empty()) text += ": " + say(source->source);
  }
  out_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escape_xml(text));
}

/// One pass with the source of each number and the lines that ComfyUI will log.
void Page::card(const PassView& pass) {
  const PassOutcome& o = *pass.outcome;
  out_ += fmt::format(
      "<section class=\"card\" id=\"card-{0}\"><h3>Pass {0}: {1}, "
      "<span class=\"t-{2}\">{3}</span></h3>\n",
      pass.number, escape_xml(pass.label), to_string(o.verdict),
      verdict_words(o.verdict, pass.offloaded_bytes()));
  if (!o.causes.empty()) {
    out_ += "<p class=\"lead\">" + escape_xml(as_sentence(say(o.causes))) + "</p>\n";
  }
  out_ += "<dl>\n";
  if (!pass.weights.empty()) {
    const Demand& demand = *pass.demand;
    fact("asked", demand.subtracted().value(), &demand.subtracted());
    fact("live", demand.live.value(), &demand.live);
    if (demand.live.known() && (demand.low != 1 || demand.high != 1)) {
      const auto live = static_cast<double>(demand.live.bytes);
      out_ += fmt::format("<dt>live, bounds</dt><dd>{} to {} MiB</dd>\n",
                          format_mib(to_bytes_within(live * demand.low)),
                          format_mib(to_bytes_within(live * demand.high)));
    }
    fact("reserved", demand.reserved.value(), &demand.reserved);
    fact("usable", o.usable_bytes, nullptr);
    fact("on GPU", o.loaded_bytes, nullptr);
    fact("offloaded", o.offloaded_bytes, nullptr);
  }
  const auto ram = [&](const char* name, std::int64_t bytes) {
    if (bytes <= 0) return;
    out_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escape_xml(format_gib(bytes)));
  };
  ram("RAM page-locked", o.ram_pinned_bytes);
  ram("file pages in RAM", o.ram_file_pages_bytes);
  if (o.repeats > 1) {
    out_ += fmt::format("<dt>steps</dt><dd>{}</dd>\n", format_count(o.repeats));
  }
  std::string nodes;
  for (std::size_t i = 0; i < pass.nodes.size() && i < 12; ++i) {
    nodes += (nodes.empty() ? "" : ", ") + pass.nodes[i];
  }
  if (pass.nodes.size() > 12) nodes += fmt::format(" and {} more", pass.nodes.size() - 12);
  out_ += "<dt>nodes</dt><dd>" + escape_xml(nodes) + "</dd>\n</dl>\n";
  for (std::size_t i = 0; i < pass.loads.size() && i < 6; ++i) {
    const Load& load = pass.loads[i];
    if (!load.log.empty()) out_ += "<code>" + escape_xml(load.log) + "</code><br/>\n";
  }
  out_ += "</section>\n";
}

void Page::list(const char* title, const std::vector<std::string>& sentences) {
  if (sentences.empty()) return;
  out_ += fmt::format("<h2>{}</h2>\n<ul>\n", title);
  for (const auto& sentence : sentences) out_ += "<li>" + escape_xml(sentence) + "</li>\n";
  out_ += "</ul>\n";
}

void Page::sources() {
  out_ += "<h2>Where the numbers come from</h2>\n<div class=\"cards\">\n";
  for (const PassRow& row : view_.rows) {
    if (row.length == 0) card(view_.passes[row.pass]);
  }
  out_ += "</div>\n";
  list("Notes", all_notes(report_, view_));
  list("Assumed", assumptions(report_));
}

std::string Page::write() && {
  head();
  out_ += "<body>\n<main>\n";
  top();
  figure();
  fixes();
  sweep();
  passes();
  models();
  sources();
  out_ += fmt::format(
      "<footer>Predicted by Ebb {} before the run; nothing was queued.</footer>\n"
      "</main>\n<script>{}</script>\n</body>\n</html>\n",
      EBB_VERSION, page_script());
  return std::move(out_);
}

}  // namespace

std::string to_html(const Report& report) { return Page(report).write(); }

}  // namespace ebb
