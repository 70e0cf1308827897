// SPDX-License-Identifier: Apache-2.0
// Drawing of lanes.
#include "report/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/words.h"

namespace ebb {
namespace {

constexpr double kFont = 11.5;
constexpr double kLineHeight = 14;
constexpr double kLaneName = 20;  // room above a lane; its name is in the margin

/// 1, 2 or 5 times a power of ten, so that `top` gets four to eight ticks.
double tick_step(double top) {
  const double rough = std::max(top, 1.0) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

bool same_place(const Band& a, const Band& b, const Lane& lane) {
  const bool stays = a.weights >= 0 || a.kind == BandKind::others || a.kind == BandKind::data;
  return stays && a.kind == b.kind && a.weights == b.weights && a.amount == b.amount &&
         std::abs(lane.y(a.bottom) - lane.y(b.bottom)) < 0.5;
}

}  // namespace

double Lane::y(double bytes) const {
  const double part = std::clamp(bytes / std::max(top_bytes, 1.0), 0.0, 1.0);
  return bottom - part * (bottom - top);
}

LaneDrawer::LaneDrawer(const View& view, const PictureOptions& options, const PictureScale& scale,
                       SvgOut& out)
    : view_(view),
      options_(options),
      scale_(scale),
      out_(out),
      paints_(paints(view.prediction->passes->weights)) {}

double LaneDrawer::place(double top) {
  const bool narrow = options_.width < 600;
  const auto lane = [&](Lane& l, double height, double top_bytes) {
    l.top = top + kLaneName;
    l.bottom = l.top + height;
    l.top_bytes = top_bytes;
    top = l.bottom + 8;
  };
  lane(vram_, narrow ? 300 : 290, scale_.vram_top_bytes);
  lane(ram_, narrow ? 160 : 155, scale_.ram_top_bytes);
  lane(disk_, 34, scale_.read_top_bytes * 1.05);
  return disk_.bottom;
}

void LaneDrawer::ticks(const Lane& lane, double unit_bytes, double limit_bytes, const char* unit) {
  const double step = tick_step(lane.top_bytes / unit_bytes);
  const double limit_y = limit_bytes > 0 ? lane.y(limit_bytes) : -100;
  for (double tick = 0; tick * unit_bytes <= lane.top_bytes && step > 0; tick += step) {
    const double y = lane.y(tick * unit_bytes);
    if (std::abs(y - limit_y) < 13) continue;
    out_.line(scale_.left, y, scale_.right, y, "grid");
    out_.text(scale_.left - 6, y + 4, format_count(std::llround(tick)), "muted small",
              "text-anchor=\"end\"");
  }
  if (limit_bytes > 0) {
    std::string text = format_count(std::llround(limit_bytes / unit_bytes));
    if (options_.width >= 600) text += std::string(" ") + unit;
    out_.text(scale_.left - 6, limit_y + 4, text, "small strong", "text-anchor=\"end\"");
  }
}

void LaneDrawer::backdrop() {
  const double width = scale_.right - scale_.left;
  const auto name = [&](const Lane& lane, const char* text, double y) {
    out_.rect(scale_.left, lane.top, width, lane.bottom - lane.top, "lane");
    out_.text(scale_.left - 6, y, text, "strong", "text-anchor=\"end\"");
  };
  name(vram_, "VRAM", vram_.top - 7);
  name(ram_, "RAM", ram_.top - 7);
  name(disk_, "Disk", (disk_.top + disk_.bottom) / 2 + 4);
  ticks(vram_, 0x1p20, scale_.vram_limit_bytes, "MiB");
  ticks(ram_, 0x1p30, scale_.ram_limit_bytes, "GiB");
}

void LaneDrawer::band(const Band& band, const Lane& lane, const PictureColumn& column) {
  const double top = lane.y(band.bottom + band.bytes);
  const double height = lane.y(band.bottom) - top;
  if (height < 0.3) return;
  const std::string fill = band.weights.exists() ? paints_[band.weights].fill : "";
  std::string css, attributes;
  switch (band.kind) {
    case BandKind::others: css = "others"; break;
    case BandKind::weights: attributes = "fill=\"" + fill + "\""; break;
    case BandKind::ghost:
      css = "ghost";
      attributes = fmt::format("fill=\"{0}\" stroke=\"{0}\"", fill);
      break;
    case BandKind::live: css = "live"; break;
    case BandKind::data: css = "data"; break;
    case BandKind::slack:
      css = "hatched";
      attributes = fmt::format("fill=\"url(#{}hatch)\"", options_.prefix);
      break;
    case BandKind::reserve:
      css = "reserve";
      attributes = fmt::format("fill=\"url(#{}dots)\"", options_.prefix);
      break;
    case BandKind::over:
    case BandKind::spill: css = "over"; break;
    case BandKind::doubt: css = "doubt"; break;
    case BandKind::pages: css = "pages"; break;
    case BandKind::pinned:
      if (height >= 10) out_.rect(column.x + 1.5, top, 4, height, "pinned", "", band.title);
      return;
  }
  const double inset = band.kind == BandKind::ghost && height > 3 ? 1 : 0;
  out_.rect(column.x + 0.5 + inset, top + inset, column.width - 1 - 2 * inset, height - 2 * inset,
            css, attributes, band.title);
}

void LaneDrawer::bands(const PictureColumn& column) {
  for (const Band& b : column.vram) band(b, vram_, column);
  for (const Band& b : column.ram) band(b, ram_, column);
  reads(column);
}

/// Bytes read from disk as thin bars, in the colour of the weights when only one is read.
void LaneDrawer::reads(const PictureColumn& column) {
  const PassView& pass = *column.pass;
  const std::int64_t bytes = pass.outcome->read_bytes;
  if (bytes <= 0) return;
  const double share = pass.outcome->read_seconds && pass.seconds() && *pass.seconds() > 0
                           ? *pass.outcome->read_seconds / *pass.seconds()
                           : 0;
  const double width = std::clamp(std::isfinite(share) ? share * column.width : 0, 6.0,
                                  std::max(6.0, column.width - 2));
  const double top = std::min(disk_.y(static_cast<double>(bytes)), disk_.bottom - 1.5);
  const WeightsIndex only = pass.reads.size() == 1 ? pass.reads[0] : WeightsIndex();
  const std::string fill = only.exists() ? fmt::format("fill=\"{}\"", paints_[only].fill) : "";
  out_.rect(column.x + 1, top, width, disk_.bottom - top, only.exists() ? "" : "data", fill,
            "Read from disk: " + format_gib(bytes) + " (" + format_count(bytes) + " bytes)");
  const std::string text = format_gib(bytes);
  const bool beside = text_width(text, kFont) + width + 6 <= column.width;
  if (!beside && text_width(text, kFont) + 8 > width) return;
  std::string attributes = "pointer-events=\"none\"";
  const bool inside = !beside && disk_.bottom - top >= 13;  // else over a low bar, on the lane
  if (inside && only.exists()) {
    attributes += fmt::format(" style=\"fill:{}\"", paints_[only].ink);
  }
  out_.text(beside ? column.x + width + 5 : column.x + 5, disk_.bottom - 6, text,
            !inside || only.exists() ? "small" : "small live-label", attributes);
}

std::vector<LaneDrawer::Stretch> LaneDrawer::runs(const PictureLayout& layout, bool ram) const {
  const Lane& lane = ram ? ram_ : vram_;
  std::vector<Stretch> done, open;
  for (const PictureColumn& column : layout.columns) {
    std::vector<Stretch> next;
    const auto& bands = ram ? column.ram : column.vram;
    for (std::size_t i = 0; column.pass && i < bands.size(); ++i) {
      Stretch run{&bands[i], column.x, column.width, column.x, column.width};
      // A model's amount differs where it is loaded anew, so a run is one stay, not two.
      const auto same = std::find_if(open.begin(), open.end(), [&](const Stretch& r) {
        return same_place(*r.band, bands[i], lane);
      });
      if (same != open.end()) {
        run.x = same->x;
        run.width = same->width + column.width;
        run.widest_x = same->widest_width >= column.width ? same->widest_x : column.x;
        run.widest_width = std::max(same->widest_width, column.width);
        run.band = same->band;
        open.erase(same);
      }
      next.push_back(run);
    }
    done.insert(done.end(), open.begin(), open.end());
    open = std::move(next);
  }
  done.insert(done.end(), open.begin(), open.end());
  return done;
}

std::string LaneDrawer::label_class(const Band& band, std::string& attributes) const {
  switch (band.kind) {
    case BandKind::weights:
      attributes += fmt::format(" style=\"fill:{}\"", paints_[band.weights].ink);
      return "";
    case BandKind::live: return "live-label";
    case BandKind::over:
    case BandKind::spill: return "over-label";
    case BandKind::data: return "halo";
    case BandKind::others: return "";
    case BandKind::pages: return "muted";
    default: return "halo";
  }
}

void LaneDrawer::put_label(const Band& band, double x, double y,
                           const std::vector<std::string>& lines, bool upright) {
  std::string attributes = "text-anchor=\"middle\"";
  const std::string css = label_class(band, attributes);
  if (upright) {
    attributes += fmt::format(" transform=\"rotate(-90 {} {})\"", svg_number(x), svg_number(y));
  }
  double line = y + 4 - (static_cast<double>(lines.size()) - 1) * kLineHeight / 2;
  for (const std::string& text : lines) {
    out_.text(x, line, text, css, attributes);
    line += kLineHeight;
  }
}

/// Puts the longest form of a label that fits into the band; false if none does.
bool LaneDrawer::label(const Stretch& run, const Lane& lane) {
  const Band& band = *run.band;
  const double top = lane.y(band.bottom + band.bytes);
  const double height = lane.y(band.bottom) - top;
  const double y = top + height / 2;
  const bool has_amount = band.label.starts_with(band.amount);  // also when there is none
  const std::string both = has_amount ? band.label : band.label + " " + band.amount;
  const std::string number = band.amount.substr(0, band.amount.find(' '));
  const double padding = options_.width < 600 ? 3 : 8;
  const bool bold = band.kind == BandKind::over || band.kind == BandKind::spill;
  const double font = bold ? kFont * 1.13 : kFont;
  const auto fits = [&](const std::vector<std::string>& lines, double room) {
    double width = 0;
    for (const auto& text : lines) width = std::max(width, text_width(text, font));
    return !lines.front().empty() && !lines.back().empty() && width + padding <= room &&
           static_cast<double>(lines.size()) * kLineHeight - 3.5 <= height;
  };
  const double middle = run.widest_x + run.widest_width / 2;
  const std::vector<std::vector<std::string>> forms = {{both},       {band.label, band.amount},
                                                       {band.label}, {band.brief, band.amount},
                                                       {band.brief}, {band.amount},
                                                       {number}};
  for (std::size_t f = 0; f < forms.size(); ++f) {
    if (fits(forms[f], run.widest_width)) return put_label(band, middle, y, forms[f], false), true;
    if (f == 1 && fits(forms[0], run.width)) {  // over a cut line rather than cut short
      return put_label(band, run.x + run.width / 2, y, forms[0], false), true;
    }
    const bool upright =
        f != 1 && f < 3 && !forms[f][0].empty() && text_width(forms[f][0], font) + 10 <= height;
    if (upright && kLineHeight + 3 <= run.widest_width) {
      return put_label(band, middle, y, forms[f], true), true;
    }
  }
  return false;
}

/// Names of the models in use whose bands are too thin for them, in the free room above the stack.
void LaneDrawer::callouts(const PictureColumn& column, const std::vector<const Band*>& thin) {
  double top = vram_.bottom;
  for (const Band& band : column.vram) top = std::min(top, vram_.y(band.bottom + band.bytes));
  const double ceiling = scale_.vram_limit_bytes > 0 ? vram_.y(scale_.vram_limit_bytes) : vram_.top;
  double y = top - 7;
  for (const Band* band : thin) {
    const auto& used = column.pass->weights;
    const bool in_use = std::find(used.begin(), used.end(), band->weights) != used.end();
    if (band->kind != BandKind::weights || !in_use || y - kLineHeight < ceiling) continue;
    std::string text = band->label + " " + band->amount;
    if (text_width(text, kFont) + 20 > column.width) text = band->label;
    if (text_width(text, kFont) + 20 > column.width) text = shorten_middle(text, 8);
    if (text_width(text, kFont) + 20 > column.width) continue;
    out_.rect(column.x + 5, y - 8, 8, 8, "",
              fmt::format("fill=\"{}\"", paints_[band->weights].fill));
    out_.text(column.x + 17, y, text, "halo");
    y -= kLineHeight;
  }
}

void LaneDrawer::labels(const PictureLayout& layout) {
  out_.raw("<g class=\"labels\" aria-hidden=\"true\">\n");
  for (const auto& [lane, limit] :
       {std::pair{&vram_, scale_.vram_limit_bytes}, std::pair{&ram_, scale_.ram_limit_bytes}}) {
    if (limit > 0) {
      out_.line(scale_.left, lane->y(limit), scale_.right, lane->y(limit), "limit");
    }
  }
  std::vector<std::pair<double, const Band*>> thin;
  for (const Stretch& run : runs(layout, false)) {
    if (!label(run, vram_)) thin.emplace_back(run.x, run.band);
  }
  for (const Stretch& run : runs(layout, true)) label(run, ram_);
  for (const PictureColumn& column : layout.columns) {
    if (!column.pass) continue;
    std::vector<const Band*> here;
    for (const auto& [x, band] : thin) {
      const bool mine = !column.vram.empty() && band >= column.vram.data() &&
                        band < column.vram.data() + column.vram.size();
      if (mine) here.push_back(band);
    }
    callouts(column, here);
  }
  out_.raw("</g>\n");
}

}  // namespace ebb
