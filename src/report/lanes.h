// SPDX-License-Identifier: Apache-2.0
// The three lanes of one picture: bands with their labels inside where they fit, limits, axes.
#pragma once

#include <string>
#include <vector>

#include "report/picture.h"
#include "report/svg_out.h"

namespace ebb {

/// Where a lane is on the picture: bytes 0 at `bottom`, `top_bytes` at `top`.
struct Lane {
  double top = 0;
  double bottom = 0;
  double top_bytes = 1;
  double y(double bytes) const;
};

class LaneDrawer {
 public:
  LaneDrawer(const View& view, const PictureOptions& options, const PictureScale& scale,
             SvgOut& out);

  /// Puts the lanes below `top`; returns where they end.
  double place(double top);
  double top() const { return vram_.top; }
  double bottom() const { return disk_.bottom; }

  /// Background, axis numbers and names of the lanes.
  void backdrop();
  /// All that one pass holds in the three lanes; without labels.
  void bands(const PictureColumn& column);
  /// Labels in and next to bands, for runs of equal bands at once; limit lines on top.
  void labels(const PictureLayout& layout);

 private:
  struct Stretch {  ///< one band over neighbouring passes
    const Band* band = nullptr;
    double x = 0, width = 0;
    double widest_x = 0, widest_width = 0;  ///< its widest pass: labels there cross no cut
  };
  std::vector<Stretch> runs(const PictureLayout& layout, bool ram) const;
  void band(const Band& band, const Lane& lane, const PictureColumn& column);
  bool label(const Stretch& run, const Lane& lane);
  void put_label(const Band& band, double x, double y, const std::vector<std::string>& lines,
                 bool upright);
  void callouts(const PictureColumn& column, const std::vector<const Band*>& without_label);
  void reads(const PictureColumn& column);
  void ticks(const Lane& lane, double unit_bytes, double limit_bytes, const char* unit);
  std::string label_class(const Band& band, std::string& attributes) const;

  const View& view_;
  const PictureOptions& options_;
  const PictureScale& scale_;
  SvgOut& out_;
  List<Paint, WeightsIndex> paints_;
  Lane vram_, ram_, disk_;
};

}  // namespace ebb
