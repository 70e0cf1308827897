// SPDX-License-Identifier: Apache-2.0
// Where a new node goes on the canvas: between its neighbours, over no node, inside their group.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "json/document.h"

namespace ebb {

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;

  double right() const { return x + width; }
  double bottom() const { return y + height; }
  bool overlaps(const Rect& other) const {
    return x < other.right() && other.x < right() && y < other.bottom() && other.y < bottom();
  }
  bool contains(const Rect& other) const {
    return x <= other.x && y <= other.y && right() >= other.right() && bottom() >= other.bottom();
  }
};

/// The area of a node, its title above included; nothing if the file has no position.
std::optional<Rect> node_area(const JsonValue& node);

/// A free place on one canvas (the root or a subgraph definition).
class Canvas {
 public:
  /// Looks at areas for the first canvas of a file. Every canvas adds what its nodes deserve.
  static constexpr std::int64_t kLooks = 2'000'000;

  /// `looks_left`: for all canvases of a file. Without any, nodes go below all others.
  Canvas(const JsonValue& scope, std::int64_t& looks_left);

  struct Spot {
    double x = 0, y = 0;     ///< as `pos`: below the title
    bool in_group = true;    ///< inside the group of its neighbours, where they have one
    bool collapsed = false;  ///< the group has room for the title only
  };
  /// Takes the place for a node of this size. `from` and `to` are its neighbours' areas.
  Spot take(const std::optional<Rect>& from, const std::optional<Rect>& to, double width,
            double height);

 private:
  /// Half a side of a square of places around a middle: from its own middle to a corner.
  struct HalfSide {
    Rect first;
    double dx = 0, dy = 0;  ///< to the next place; one of the two is 0

    Rect at(int place) const {
      return {first.x + dx * place, first.y + dy * place, first.width, first.height};
    }
    double places_to(const Rect& inside) const;
    double places_past(const Rect& area, double margin) const;
  };

  void add(const Rect& area);
  const Rect* in_the_way(const Rect& area);
  const Rect* group_around(const std::optional<Rect>& from, const std::optional<Rect>& to);
  std::optional<Rect> nearest_free(const Rect& middle, const Rect* inside, double margin);
  int first_free(const HalfSide& side, int begin, int end, const Rect* inside, double margin);

  std::vector<Rect> nodes_, groups_;
  double bottom_ = -std::numeric_limits<double>::infinity();
  std::int64_t& looks_left_;
  std::size_t last_hit_ = 0;
};

}  // namespace ebb
