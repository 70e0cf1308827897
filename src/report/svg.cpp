// SPDX-License-Identifier: Apache-2.0
// The picture put together: headline, passes with their lanes, cuts with their flags, and the
// second picture after a fix.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/lanes.h"
#include "report/picture.h"
#include "report/sentences.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr double kFont = 11.5;
constexpr std::size_t kFlagsMax = 13;  // more would hide each other; the pass titles tell
constexpr double kLaneGap = 6;
constexpr double kHead = 46;  // three lines above the lanes: number and work, name, verdict

std::string pass_title(const PassView& pass) {
  const PassOutcome& o = *pass.outcome;
  std::vector<std::string> parts;
  const auto mib = [&](const char* name, const std::optional<std::int64_t>& bytes) {
    if (bytes) parts.push_back(std::string(name) + " " + format_mib(*bytes) + " MiB");
  };
  mib("asked", pass.demand->subtracted().value());
  mib("live", pass.demand->live.value());
  mib("usable for weights", o.usable_bytes);
  mib("on GPU", o.loaded_bytes);
  mib("offloaded", o.offloaded_bytes);
  mib("VRAM peak", o.vram_peak_bytes);
  if (o.ram_peak_bytes) {
    parts.push_back("RAM peak " + format_gib(*o.ram_peak_bytes));
  } else if (o.ram_at_least_bytes > 0) {
    parts.push_back("RAM peak no less than " + format_gib(o.ram_at_least_bytes));
  }
  if (o.read_bytes > 0) parts.push_back("from disk " + format_gib(o.read_bytes));
  if (pass.seconds()) parts.push_back("about " + format_seconds(*pass.seconds()));
  std::string text = fmt::format("Pass {}, {}: {}", pass.number, pass.label,
                                 verdict_words(o.verdict, pass.offloaded_bytes()));
  for (const auto& part : parts) text += "; " + part;
  return o.causes.empty() ? text + "." : text + ". " + as_sentence(say(o.causes));
}

/// The first of several ways to say something that has room; empty if none has.
std::string first_that_fits(const std::vector<std::string>& ways, double room) {
  for (const auto& way : ways) {
    if (text_width(way, kFont) <= room) return way;
  }
  return {};
}

std::string verdict_class(Verdict verdict) { return std::string("w-") + to_string(verdict); }

/// A flag below the lanes: text beside its pole.
struct Flag {
  double x = 0, from = 0, width = 0, height = 0, y = 0;
  bool left = false;  ///< text to the left of the pole, for want of room
  std::vector<std::string> lines;

  /// Whether its pole or text meets those of a flag that is already placed.
  bool meets(const Flag& other) const {
    const auto texts = [](const Flag& a, const Flag& b) {
      return a.from < b.from + b.width + 8 && b.from < a.from + a.width + 8 &&
             a.y < b.y + b.height && b.y < a.y + a.height;
    };
    const bool pole = other.x > from && other.x < from + width && y < other.y;
    return texts(*this, other) || pole;
  }
};

/// One timeline: everything between its passes' names and its flags.
class Timepiece {
 public:
  Timepiece(const Report& report, const View& view, const PictureLayout& layout,
            const PictureOptions& options, const PictureScale& scale, const View* before,
            SvgOut& out)
      : report_(report),
        view_(view),
        layout_(layout),
        options_(options),
        scale_(scale),
        before_(before),
        out_(out),
        lanes_(view, options, scale, out) {}

  double draw(double top);

 private:
  double sentence(const std::string& words, double y);
  void pass(const PictureColumn& column, double top);
  void heading(const PictureColumn& column, double top);
  void repeat(const PictureColumn& column);
  std::vector<std::string> flag_lines(const PictureColumn& column) const;
  std::string advice(PassIndex pass) const;
  std::vector<Flag> flags() const;
  void cut_lines();
  double put_flags(double top);
  double list_flags(double top);

  const Report& report_;
  const View& view_;
  const PictureLayout& layout_;
  const PictureOptions& options_;
  const PictureScale& scale_;
  const View* before_;  ///< the prediction this one is compared with; null for the first
  SvgOut& out_;
  LaneDrawer lanes_;
};

void Timepiece::heading(const PictureColumn& column, double top) {
  const PassView& pass = *column.pass;
  const double x = column.x + 4;
  const bool narrow = options_.width < 600;
  const double room = column.width - 6;
  const double bold_room = room * (narrow ? 0.96 : 0.88);  // and narrow headings are small
  const std::string number = std::to_string(pass.number);
  const std::string work = work_words(pass.kind);
  std::string name;
  if (!pass.weights.empty()) name = view_.names[pass.weights[0]];
  out_.text(
      x, top + 12,
      first_that_fits({number + " " + work, number + " " + work.substr(0, work.find(' ')), number},
                      bold_room),
      narrow ? "small strong" : "strong");
  out_.text(x, top + 26,
            first_that_fits({name, shorten_middle(name, 14), shorten_middle(name, 8)}, room),
            "muted");
  const Verdict verdict = pass.outcome->verdict;
  const std::string words = verdict_words(verdict, pass.offloaded_bytes());
  out_.text(x, top + 40,
            first_that_fits({words, verdict_words(verdict, 0), verdict == Verdict::fits ? "" : "!"},
                            bold_room),
            verdict_class(verdict) + (narrow ? " small strong" : " strong"));
}

void Timepiece::pass(const PictureColumn& column, double top) {
  const std::string id =
      fmt::format("{}{}pass-{}", options_.prefix, before_ ? "after-" : "", column.pass->number);
  const std::string title = pass_title(*column.pass);
  out_.raw(
      fmt::format("<g id=\"{0}\" class=\"pass\" data-pass=\"{3}{1}\" tabindex=\"0\" role=\"img\" "
                  "aria-label=\"{2}\">\n<title>{2}</title>\n",
                  id, column.pass->number, escape_xml(title), before_ ? "after-" : ""));
  out_.rect(column.x + 0.5, top, column.width - 1, lanes_.bottom() - top + 16, "hit");
  heading(column, top);
  lanes_.bands(column);
  if (column.pass->seconds()) {
    const std::string seconds = format_seconds(*column.pass->seconds());
    if (text_width(seconds, kFont) + 4 <= column.width) {
      out_.text(column.x + column.width / 2, lanes_.bottom() + 13, seconds, "muted small",
                "text-anchor=\"middle\"");
    }
  }
  out_.raw("</g>\n");
}

void Timepiece::repeat(const PictureColumn& column) {
  const PassRow& row = view_.rows[column.row];
  const std::string words = repeat_words(view_, row);
  const double x = column.x + column.width / 2;
  const double y = (lanes_.top() + lanes_.bottom()) / 2;
  out_.rect(column.x + 3, lanes_.top(), column.width - 6, lanes_.bottom() - lanes_.top(), "doubt",
            "pointer-events=\"all\"", words);
  out_.text(x, y + 4, words, "halo",
            fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 {} {})\"", svg_number(x),
                        svg_number(y)));
}

/// What a fix that helps would do at the cut after a pass.
std::string Timepiece::advice(PassIndex pass) const {
  for (const Fix& fix : report_.fixes) {
    for (const CutStep& order : fix.trial.levers.cuts) {
      if (!fix.helps || order.after_pass != pass || order.action == CutAction::keep) continue;
      return "Ebb: " + view_.say(fix.title);
    }
  }
  return {};
}

/// The flag at the end of a column: what crosses, what ComfyUI does, what Ebb would do.
std::vector<std::string> Timepiece::flag_lines(const PictureColumn& column) const {
  const PassRow& row = view_.rows[column.row];
  const PassIndex pass = row.last();
  const CutWords words = view_.cut_words(pass);
  if (words.crosses.empty() || (before_ && before_->cut_words(pass) == words)) return {};
  std::vector<std::string> lines = {words.crosses};
  if (!words.ours.empty()) lines.emplace_back(trim(words.ours));
  if (!words.leaves.empty()) lines.push_back("ComfyUI moves " + words.leaves + " out by itself.");
  const std::string ebb = advice(pass);
  if (!ebb.empty()) lines.push_back(ebb);
  // The first line is bold, which takes an eighth more.
  const double room = options_.width < 600 ? options_.width - scale_.left - 6 : 440;
  std::vector<std::string> wrapped;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (auto& part : wrap_to_width(lines[i], kFont - 1, i == 0 ? room / 1.13 : room)) {
      wrapped.push_back(std::move(part));
    }
  }
  return wrapped;
}

void Timepiece::cut_lines() {
  for (std::size_t i = 0; i + 1 < layout_.columns.size(); ++i) {
    const double x = layout_.columns[i].x + layout_.columns[i].width;
    out_.line(x, lanes_.top() - 18, x, lanes_.bottom() + 16, "cut");
  }
}

std::vector<Flag> Timepiece::flags() const {
  std::vector<Flag> flags;
  const std::size_t count = layout_.columns.size();
  for (std::size_t i = 0; i + 1 < count && count <= kFlagsMax; ++i) {
    Flag flag;
    flag.lines = flag_lines(layout_.columns[i]);
    if (flag.lines.empty()) continue;
    flag.x = layout_.columns[i].x + layout_.columns[i].width;
    for (const auto& line : flag.lines) {
      flag.width = std::max(flag.width, text_width(line, kFont) + 8);
    }
    flag.left = flag.x + flag.width > scale_.right;
    flag.from = flag.left ? std::max(flag.x - flag.width, 4.0) : flag.x;
    flag.height = static_cast<double>(flag.lines.size()) * 13 + 6;
    flags.push_back(std::move(flag));
  }
  // Right to left, so that poles stand left of the texts above them; those that had to turn last.
  std::stable_sort(flags.begin(), flags.end(), [](const Flag& a, const Flag& b) {
    return a.left != b.left ? b.left : a.x > b.x;
  });
  return flags;
}

/// On a narrow picture flags have no room side by side: a list says the same.
double Timepiece::list_flags(double top) {
  double y = top;
  for (std::size_t i = 0; i + 1 < layout_.columns.size() && i < kFlagsMax; ++i) {
    const PassRow& row = view_.rows[layout_.columns[i].row];
    const auto lines = flag_lines(layout_.columns[i]);
    if (lines.empty()) continue;
    out_.text(0, y + 10, fmt::format("after {}", row.last().number()), "small muted");
    for (std::size_t l = 0; l < lines.size(); ++l, y += 13) {
      out_.text(scale_.left, y + 10, lines[l], l == 0 ? "small strong" : "small muted");
    }
    y += 5;
  }
  return y;
}

/// Flags in as many rows as it takes to keep them apart; returns where they end.
double Timepiece::put_flags(double top) {
  std::vector<Flag> placed;
  double bottom = top;
  for (Flag& flag : flags()) {
    flag.y = top;
    const auto meets = [&](const Flag& other) { return flag.meets(other); };
    while (flag.y < top + 600 && std::any_of(placed.begin(), placed.end(), meets)) flag.y += 4;
    out_.line(flag.x, lanes_.bottom() + 16, flag.x, flag.y, "cut");
    out_.rect(flag.x - 1.5, flag.y, 3, flag.height - 5, "mark");
    bottom = std::max(bottom, flag.y + flag.height);
    placed.push_back(std::move(flag));
  }
  for (const Flag& flag : placed) {  // after all poles, one of which may pass behind a text
    double y = flag.y + 10;
    for (std::size_t l = 0; l < flag.lines.size(); ++l, y += 13) {
      out_.text(flag.left ? flag.x - 7 : flag.x + 7, y, flag.lines[l],
                l == 0 ? "small strong on-page" : "small muted on-page",
                flag.left ? "text-anchor=\"end\"" : "");
    }
  }
  return bottom;
}

double Timepiece::draw(double top) {
  if (view_.passes.empty()) return sentence(no_pass_words(view_), top + kHead - kLaneGap);
  lanes_.place(top + kHead - kLaneGap);
  lanes_.backdrop();
  for (const PictureColumn& column : layout_.columns) {
    if (column.pass) pass(column, top);
  }
  for (const PictureColumn& column : layout_.columns) {
    if (!column.pass) repeat(column);
  }
  cut_lines();
  lanes_.labels(layout_);
  const double below = lanes_.bottom() + 22;
  double y = (options_.width < 600 ? list_flags(below) : put_flags(below)) + 8;
  std::string words = layout_.axis_words + " Heavy lines: what the machine has.";
  const std::int64_t ram = view_.prediction->timeline.ram_limit_bytes;
  if (view_.prediction->timeline.ram_open) words += " RAM: the least it can be.";
  if (scale_.ram_limit_bytes <= 0 && ram > 0) {
    words += " RAM ends at " + format_gib(ram) + ", far above what is drawn.";
  }
  return sentence(words, y);
}

double Timepiece::sentence(const std::string& words, double y) {
  for (const auto& line : wrap_to_width(words, kFont - 1, scale_.right - 12)) {
    out_.text(options_.width < 600 ? 0 : scale_.left, y += 13, line, "muted small");
  }
  return y;
}

/// Verdict and subject, for a picture that stands alone.
double put_headline(SvgOut& out, const Report& report, const View& view, double width) {
  const Headline head = headline(report, view);
  double y = 26;
  bool first = true;
  for (const auto& line : wrap_to_width(head.word + " " + head.rest, 19.5, width - 24)) {
    if (first && line.starts_with(head.word)) {
      out.raw(
          fmt::format("<text x=\"12\" y=\"{}\" class=\"title\"><tspan class=\"{}\">{}</tspan>"
                      "{}</text>\n",
                      svg_number(y), verdict_class(report.prediction.outcome.verdict),
                      escape_xml(head.word), escape_xml(line.substr(head.word.size()))));
    } else {
      out.text(12, y, line, "title");
    }
    first = false;
    y += 22;
  }
  const std::string subject = printable(report.file) + ": " + subject_words(report);
  for (const std::string& text : {subject, machine_words(report)}) {
    for (const auto& line : wrap_to_width(text, kFont, width - 24)) {
      out.text(12, y, line, "muted");
      y += 15;
    }
  }
  return y + 6;
}

void put_patterns(SvgOut& out, const std::string& prefix) {
  out.raw(fmt::format(
      "<defs>\n<pattern id=\"{0}hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
      "patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/>"
      "</pattern>\n<pattern id=\"{0}dots\" width=\"6\" height=\"6\" "
      "patternUnits=\"userSpaceOnUse\"><circle class=\"dot\" cx=\"3\" cy=\"3\" r=\".8\"/>"
      "</pattern>\n</defs>\n",
      prefix));
}

}  // namespace

std::string draw(const Report& report, const PictureOptions& options) {
  std::vector<View> views = {make_view(report.prediction)};
  if (report.after) views.push_back(make_view(*report.after));
  PictureScale scale;
  std::vector<const View*> pointers;
  for (const View& view : views) pointers.push_back(&view);
  const auto layouts = lay_out(report, pointers, options, scale);
  const double width = std::max(options.width, scale.right + 12);

  SvgOut body;
  double y = 4;
  if (options.standalone) y = put_headline(body, report, views[0], width);
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    if (options.only >= 0 && static_cast<std::size_t>(options.only) != i) continue;
    if (layouts.size() > 1) {
      const std::string name = i == 0 ? "Before" : "After: " + views[0].say(report.after_title);
      for (const auto& line : wrap_to_width(name, 14 * 1.1, width - 24)) {
        body.text(options.standalone ? 12 : 0, y + 16, line, "before");
        y += 18;
      }
      y += 8;
    }
    Timepiece piece(report, views[i], layouts[i], options, scale, i == 0 ? nullptr : &views[0],
                    body);
    y = piece.draw(y) + 24;
  }

  SvgOut out;
  const Headline head = headline(report, views[0]);
  const std::string title = head.word + " " + head.rest;
  out.raw(fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ebb{6}\" viewBox=\"0 0 {0} {1}\" {2}"
      "role=\"group\" aria-labelledby=\"{3}title {3}desc\">\n<title id=\"{3}title\">{4}</title>\n"
      "<desc id=\"{3}desc\">{5}</desc>\n",
      svg_number(width), svg_number(y),
      options.standalone
          ? fmt::format("width=\"{}\" height=\"{}\" ", svg_number(width), svg_number(y))
          : "",
      options.prefix, escape_xml(title),
      escape_xml("Memory over the run, pass by pass: VRAM, RAM and reads from disk. " +
                 subject_words(report) + ". " + machine_words(report)),
      options.standalone ? " alone" : ""));
  if (options.standalone) {
    out.raw(std::string("<style>") + theme_css() + picture_css() + "</style>\n");
    out.rect(0, 0, width, y, "page");
  }
  put_patterns(out, options.prefix);
  out.raw(std::move(body).take());
  out.raw("</svg>\n");
  return std::move(out).take();
}

std::string to_svg(const Report& report) {
  PictureOptions options;
  options.prefix = "ebb-";
  return draw(report, options);
}

}  // namespace ebb
