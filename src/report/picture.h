// SPDX-License-Identifier: Apache-2.0
// The timeline as a picture: where everything is, before anything is drawn. One time axis, shared
// by the lanes VRAM, RAM and disk, and by the pictures before and after a fix.
#pragma once

#include <string>
#include <vector>

#include "report/palette.h"
#include "report/view.h"

namespace ebb {

/// How a picture is drawn; the same report gives a wide and a narrow one.
struct PictureOptions {
  double width = 960;
  std::string prefix;      ///< of ids, unique within a page
  int only = -1;           ///< 0: the run itself, 1: after the fix, -1: both
  bool standalone = true;  ///< with style sheet, background and headline
};

enum class BandKind {
  others,
  weights,
  ghost,
  live,
  slack,
  reserve,
  over,
  spill,
  data,
  doubt,
  pages,
  pinned
};

/// One band of a stack, from `bottom` to `bottom + bytes`.
struct Band {
  BandKind kind = BandKind::others;
  WeightsIndex weights;  ///< for weights, ghost and over
  double bottom = 0;
  double bytes = 0;
  std::string label;   ///< `live`, `high_noise_14B`
  std::string brief;   ///< shorter than the label, where there is hardly any room
  std::string amount;  ///< `7,420 MiB`
  std::string title;   ///< exact bytes and where the number comes from
};

/// A pass, or a folded repeat, along the time axis.
struct PictureColumn {
  const PassView* pass = nullptr;  ///< null for a repeat
  int row = 0;                     ///< index into View::rows
  double x = 0;
  double width = 0;
  std::vector<Band> vram;
  std::vector<Band> ram;
};

/// Everything on one picture, in bytes vertically and in picture units horizontally.
struct PictureLayout {
  std::vector<PictureColumn> columns;
  std::string axis_words;  ///< what the width of a pass says
};

/// What all lanes of all pictures of a report share.
struct PictureScale {
  double left = 64;  ///< start of the time axis
  double right = 0;  ///< its end
  double vram_limit_bytes = 0;
  double vram_top_bytes = 1;
  double ram_limit_bytes = 0;  ///< 0: not on the scale
  double ram_top_bytes = 1;
  double read_top_bytes = 1;
};

/// Lays out a prediction, and with it the one after a fix, on one scale.
std::vector<PictureLayout> lay_out(const Report& report, const std::vector<const View*>& views,
                                   const PictureOptions& options, PictureScale& scale);

/// Roughly how wide `text` is when set in a common sans-serif, in picture units.
double text_width(std::string_view text, double size);

/// Lines of at most `room` picture units, broken at spaces.
std::vector<std::string> wrap_to_width(std::string_view text, double size, double room);

/// The `<svg>` element.
std::string draw(const Report& report, const PictureOptions& options);

}  // namespace ebb
