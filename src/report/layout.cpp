// SPDX-License-Identifier: Apache-2.0
// Stacks of bands for every pass and the scales that all pictures of a report share.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "report/picture.h"
#include "report/words.h"

namespace ebb {
namespace {

double as_double(std::int64_t bytes) {
  return static_cast<double>(std::max<std::int64_t>(bytes, 0));
}

std::string exact(std::int64_t bytes) {
  return format_mib(bytes) + " MiB (" + format_count(bytes) + " bytes)";
}

std::string origin(const Quantity& quantity) {
  std::string text = std::string(", ") + to_string(quantity.kind);
  return quantity.source.empty() ? text : text + ": " + say(quantity.source);
}

std::string origin(const Weights& weights) {
  std::string text = "; size from: " + bytes_from_words(weights.bytes_from);
  return weights.source.empty() ? text : text + ", " + say(weights.source);
}

/// A stack that grows upwards.
class Stack {
 public:
  void add(BandKind kind, WeightsIndex weights, std::int64_t bytes, std::string label,
           std::string amount, std::string title) {
    if (bytes <= 0) return;
    std::string brief;
    if (kind == BandKind::weights) brief = shorten_middle(label, 10);
    if (kind == BandKind::ghost) brief = "offloaded";
    if (kind == BandKind::slack) brief = "unused";
    bands_.push_back({kind, weights, top_, as_double(bytes), std::move(label), std::move(brief),
                      std::move(amount), std::move(title)});
    top_ += as_double(bytes);
  }
  double top() const { return top_; }
  std::vector<Band> take() && { return std::move(bands_); }

 private:
  std::vector<Band> bands_;
  double top_ = 0;
};

class Stacker {
 public:
  Stacker(const Report& report, const View& view) : report_(report), view_(view) {}
  std::vector<Band> vram(const PassView& pass) const;
  std::vector<Band> ram(const PassView& pass) const;

 private:
  const std::string& name(WeightsIndex w) const { return view_.names[w]; }
  const Weights& weights(WeightsIndex w) const { return view_.prediction->passes->weights[w]; }
  void demand(Stack& stack, const PassView& pass) const;

  const Report& report_;
  const View& view_;
};

void Stacker::demand(Stack& stack, const PassView& pass) const {
  const Demand& demand = *pass.demand;
  const std::int64_t live = demand.live.value().value_or(0);
  const std::int64_t reserved = std::max(demand.reserved.value().value_or(0), live);
  // Where weights are paged nothing is asked: what is beyond live is the allocator's.
  const std::int64_t asked = view_.paged() ? reserved : demand.subtracted().value().value_or(0);
  std::string spread;
  if (demand.low != 1 || demand.high != 1) {
    spread = fmt::format(", between {:.2f} and {:.2f} times that", demand.low, demand.high);
  }
  stack.add(BandKind::live, -1, live, "live", format_mib(live) + " MiB",
            "Live demand: " + exact(live) + origin(demand.live) + spread +
                ". Taken from the driver: " + exact(reserved));
  const std::int64_t slack = std::max(asked, reserved) - live;
  if (view_.paged()) {
    stack.add(
        BandKind::slack, -1, slack, "slack", format_mib(slack) + " MiB",
        "Taken by the allocator beyond what is live: " + exact(slack) + origin(demand.reserved));
    return;
  }
  stack.add(BandKind::slack, -1, slack, live > 0 ? "asked, not used" : "asked",
            format_mib(slack) + " MiB",
            "Asked by ComfyUI beyond what is live: " + exact(slack) +
                ". Asked in all: " + exact(asked) + origin(demand.subtracted()));
}

/// Takes away what lies between `limit` and `peak`: the spill is drawn there.
void make_room(std::vector<Band>& bands, double limit, double peak) {
  for (Band& band : bands) {
    const double top = band.bottom + band.bytes;
    if (top <= limit || band.bottom >= peak) continue;
    if (band.bottom < limit) {
      band.bytes = limit - band.bottom;
    } else {
      band.bytes = std::max(top - peak, 0.0);
      band.bottom = peak;
    }
  }
  std::erase_if(bands, [](const Band& band) { return band.bytes <= 0; });
}

std::vector<Band> Stacker::vram(const PassView& pass) const {
  Stack stack;
  const StepState& state = *pass.vram;
  stack.add(BandKind::others, -1, state.vram_others_bytes, "others",
            format_mib(state.vram_others_bytes) + " MiB",
            "Held by others before ComfyUI loads anything: " + exact(state.vram_others_bytes) +
                origin(report_.trial.machine.vram_free));
  for (const WeightsIndex w : view_.names.indices()) {
    const std::int64_t bytes = bytes_of(state.vram, w);
    stack.add(BandKind::weights, w, bytes, name(w), format_mib(bytes) + " MiB",
              name(w) + " in VRAM: " + exact(bytes) + " of " + exact(weights(w).bytes) +
                  origin(weights(w)));
  }
  const double peak = as_double(state.vram_peak_bytes);
  const double limit = as_double(view_.prediction->timeline.vram_limit_bytes);
  demand(stack, pass);
  const Quantity& asked = pass.demand->subtracted();
  const bool unknown = !pass.weights.empty() && !asked.known() && !pass.demand->live.known();
  stack.add(BandKind::reserve, -1, pass.reserve_bytes, "reserve",
            format_mib(pass.reserve_bytes) + " MiB",
            "Kept free by ComfyUI (reserve): " + exact(pass.reserve_bytes));
  if (pass.offloads() && !pass.weights.empty()) {
    const WeightsIndex w = pass.weights[0];
    const std::int64_t bytes = pass.offloaded_bytes();
    stack.add(BandKind::over, w, bytes,
              format_mib(bytes) + (view_.paged() ? " MiB streamed" : " MiB do not fit"),
              format_mib(bytes) + " MiB",
              "No room for " + exact(bytes) + " of " + name(w) +
                  ": they stay in RAM and are streamed at every step");
  }
  const double top = stack.top();
  std::vector<Band> bands = std::move(stack).take();
  if (peak > limit && limit > 0 && pass.demand->reserved.known()) {
    const auto bytes = static_cast<std::int64_t>(std::min(peak - limit, 0x1p62));
    make_room(bands, limit, peak);
    const bool windows = report_.trial.machine.os == Os::windows;
    bands.push_back({BandKind::spill, -1, limit, peak - limit, windows ? "spills" : "too much", "",
                     format_mib(bytes) + " MiB",
                     "More than the card has: " + exact(bytes) + " at the peak"});
  }
  if (unknown && limit > top) {
    bands.push_back({BandKind::doubt, -1, top, limit - top, "demand unknown", "unknown", "",
                     "Demand unknown" + origin(asked)});
  }
  return bands;
}

/// The page-locked part of the weights, drawn as a bar over their bands.
Band pinned_band(const PassView& pass, std::int64_t bottom) {
  const std::int64_t bytes = pass.ram->ram_pinned_bytes;
  return {BandKind::pinned,
          -1,
          as_double(bottom),
          as_double(bytes),
          "",
          "",
          "",
          "Page-locked, so that it can be streamed and not be paged out: " + exact(bytes)};
}

std::vector<Band> Stacker::ram(const PassView& pass) const {
  Stack stack;
  const StepState& state = *pass.ram;
  const Quantity& others = report_.trial.machine.ram_others;
  if (others.known() && pass.ram->ram_peak_bytes > 0) {
    stack.add(BandKind::others, -1, others.bytes, "others", format_gib(others.bytes),
              "RAM in other use: " + exact(others.bytes) + origin(others));
  }
  for (const WeightsIndex w : view_.names.indices()) {
    const std::int64_t held = bytes_of(state.ram, w);
    std::int64_t ghost = 0;
    if (!pass.weights.empty() && pass.weights[0] == w) {
      ghost = std::clamp<std::int64_t>(pass.offloaded_bytes(), 0, held);
    }
    stack.add(BandKind::weights, w, held - ghost, name(w), format_gib(held - ghost),
              name(w) + " in RAM: " + exact(held - ghost) + origin(weights(w)));
    stack.add(BandKind::ghost, w, ghost, name(w) + " offloaded", format_gib(ghost),
              name(w) + " offloaded, streamed from RAM at every step: " + exact(ghost));
  }
  stack.add(BandKind::data, -1, state.ram_data_bytes, "data", format_gib(state.ram_data_bytes),
            "Latents, pictures and conditioning kept by the cache: " + exact(state.ram_data_bytes));
  Band pinned =
      pinned_band(pass, others.known() && pass.ram->ram_peak_bytes > 0 ? others.bytes : 0);
  // The peak lies between two states: one model is read while another still moves out.
  const double moving = as_double(state.ram_needed_bytes) - stack.top();
  if (moving > 0) {
    const auto bytes = static_cast<std::int64_t>(moving);
    stack.add(BandKind::reserve, -1, bytes, "while moving", format_gib(bytes),
              "More while weights are read and moved: " + exact(bytes));
  }
  const std::int64_t pages = pass.outcome->ram_file_pages_bytes;
  const std::int64_t limit = view_.prediction->timeline.ram_limit_bytes;
  const std::int64_t room =
      limit > 0 ? std::max<std::int64_t>(limit - state.ram_needed_bytes, 0) : pages;
  stack.add(BandKind::pages, -1, std::min(pages, room), "file pages",
            format_gib(std::min(pages, room)),
            "Pages of files that are read, given back when somebody needs room: " + exact(pages));
  std::vector<Band> bands = std::move(stack).take();
  if (pinned.bytes > 0) bands.push_back(std::move(pinned));
  return bands;
}

double seconds_of(const PassView& pass) {
  const double seconds = pass.seconds().value_or(0);
  return std::isfinite(seconds) ? std::clamp(seconds, 0.0, 1e12) : 0;
}

/// Whether the axis can show seconds: those of every sampling pass are known.
bool seconds_tell(const std::vector<const View*>& views) {
  double sum = 0;
  for (const View* view : views) {
    for (const PassView& pass : view->passes) {
      if (!pass.seconds() && pass.kind == StepKind::sample) return false;
      sum += seconds_of(pass);
    }
  }
  return sum > 0 && sum < 1e12;
}

/// What the axis says about the passes' widths.
std::string axis_words(const View& view, bool to_scale) {
  std::vector<int> unknown;
  for (const PassView& pass : view.passes) {
    if (!pass.seconds()) unknown.push_back(pass.number);
  }
  if (!to_scale) return "All passes equally wide: how long they take is not known.";
  std::string words = "Width of a pass: its seconds, short ones widened";
  if (unknown.empty()) return words + ".";
  return fmt::format("{}; those of pass{} {} are not known.", words, unknown.size() > 1 ? "es" : "",
                     join_ranges(unknown));
}

/// Units a second, so that passes no narrower than `least` fill `room` at most.
double units_per_second(const View& view, double room, double least) {
  double low = 0, high = 1e6;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (const PassRow& row : view.rows) {
      const double seconds = row.length > 0 ? 0 : seconds_of(view.passes[row.pass]);
      sum += std::max(least, seconds * middle);
    }
    (sum > room ? high : low) = middle;
  }
  return low;
}

void place(PictureLayout& layout, const View& view, double left, double least, double rate,
           double equal) {
  double x = left;
  for (std::size_t r = 0; r < view.rows.size(); ++r) {
    const PassRow& row = view.rows[r];
    const PassView& pass = view.passes[row.pass];
    PictureColumn column;
    column.pass = row.length > 0 ? nullptr : &pass;
    column.row = static_cast<int>(r);
    column.x = x;
    column.width = rate > 0 ? std::max(least, column.pass ? seconds_of(pass) * rate : 0) : equal;
    x += column.width;
    layout.columns.push_back(std::move(column));
  }
}

double top_of(const std::vector<Band>& bands) {
  double top = 0;
  for (const Band& band : bands) top = std::max(top, band.bottom + band.bytes);
  return top;
}

void measure(const PictureLayout& layout, PictureScale& scale) {
  for (const PictureColumn& column : layout.columns) {
    if (!column.pass) continue;
    scale.vram_top_bytes = std::max(scale.vram_top_bytes, top_of(column.vram));
    scale.ram_top_bytes = std::max(scale.ram_top_bytes, top_of(column.ram));
    scale.read_top_bytes =
        std::max(scale.read_top_bytes, as_double(column.pass->outcome->read_bytes));
  }
}

}  // namespace

std::vector<PictureLayout> lay_out(const Report& report, const std::vector<const View*>& views,
                                   const PictureOptions& options, PictureScale& scale) {
  const bool narrow = options.width < 600;
  scale.left = narrow ? 46 : 74;
  std::size_t columns_max = 1;
  for (const View* view : views) columns_max = std::max(columns_max, view->rows.size());
  const double enough = narrow ? 30 : 34;  // below that not even a number has room
  const double room =
      std::max(options.width - scale.left - 12, enough * static_cast<double>(columns_max));
  const double equal = room / static_cast<double>(columns_max);
  const double least = std::min(narrow ? 62.0 : 112.0, equal);
  double rate = 0;
  if (seconds_tell(views)) {
    rate = 1e6;
    for (const View* view : views) rate = std::min(rate, units_per_second(*view, room, least));
  }
  scale.right = scale.left + room;
  std::vector<PictureLayout> layouts;
  for (const View* view : views) {
    PictureLayout layout;
    place(layout, *view, scale.left, least, rate, equal);
    const Stacker stacker(report, *view);
    for (PictureColumn& column : layout.columns) {
      if (!column.pass) continue;
      column.vram = stacker.vram(*column.pass);
      column.ram = stacker.ram(*column.pass);
    }
    layout.axis_words = axis_words(*view, rate > 0);
    measure(layout, scale);
    scale.vram_limit_bytes =
        std::max(scale.vram_limit_bytes, as_double(view->prediction->timeline.vram_limit_bytes));
    scale.ram_limit_bytes =
        std::max(scale.ram_limit_bytes, as_double(view->prediction->timeline.ram_limit_bytes));
    layouts.push_back(std::move(layout));
  }
  if (scale.vram_limit_bytes > 0) {  // a stack may be cut off, the limit must stay readable
    scale.vram_top_bytes =
        std::clamp(scale.vram_top_bytes, scale.vram_limit_bytes, 2.5 * scale.vram_limit_bytes);
  }
  scale.vram_top_bytes *= 1.02;
  if (scale.ram_limit_bytes > 4 * scale.ram_top_bytes) {
    scale.ram_limit_bytes = 0;
    scale.ram_top_bytes *= 1.25;
  } else {
    scale.ram_top_bytes = 1.04 * std::max(scale.ram_top_bytes, scale.ram_limit_bytes);
  }
  return layouts;
}

std::vector<std::string> wrap_to_width(std::string_view text, double size, double room) {
  std::vector<std::string> lines;
  std::string line;
  for (const std::string_view word : split(text, ' ')) {
    if (word.empty()) continue;
    std::vector<std::string> parts{std::string(word)};  // more only where a line can't hold it
    if (text_width(word, size) > room) parts = wrap_text(word, static_cast<int>(room / size));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string longer = line.empty() ? parts[i] : line + " " + parts[i];
      if (!line.empty() && (i > 0 || text_width(longer, size) > room)) {
        lines.push_back(line);
        line = parts[i];
      } else {
        line = longer;
      }
    }
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

double text_width(std::string_view text, double size) {
  double width = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0xC0) width += 1.0;  // one for each character beyond ASCII; tails count nothing
    if (byte >= 0x80) continue;
    if (std::string_view("iljtfI.,:;'|!()[] ").find(c) != std::string_view::npos) {
      width += 0.33;
    } else if (std::string_view("mwMW@%").find(c) != std::string_view::npos) {
      width += 0.9;
    } else {
      width += c >= 'A' && c <= 'Z' ? 0.68 : 0.585;
    }
  }
  return width * size;
}

}  // namespace ebb
