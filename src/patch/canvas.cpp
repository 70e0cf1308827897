// SPDX-License-Identifier: Apache-2.0
#include "patch/canvas.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace ebb {
namespace {

constexpr double kTitle = 30;   // height of a node's title, which stands above its position
constexpr double kMargin = 15;  // between nodes
constexpr double kNarrow = 4;   // the same where a group is full
constexpr double kGrid = 10;
constexpr int kRings = 160;                    // of the search, 20 px apart
constexpr std::int64_t kLooksMax = 8'000'000;  // at areas, in one file: some 20 ms
constexpr double kFarthest = 1.0e7;            // coordinates beyond are nonsense

/// Two numbers, as a list or as an object with the keys "0" and "1".
std::optional<std::pair<double, double>> pair_of(const JsonValue& value) {
  const bool list = value.is_array();
  const auto a = (list ? value.at(0) : value.find("0")).number();
  const auto b = (list ? value.at(1) : value.find("1")).number();
  if (!a || !b || !(std::abs(*a) < kFarthest) || !(std::abs(*b) < kFarthest)) return std::nullopt;
  return std::pair(*a, *b);
}

/// What a front end of today makes a node at least: old files have smaller ones, which grow.
double least_height(const JsonValue& node) {
  std::size_t sockets = 0;
  for (const JsonValue socket : node.find("inputs")) sockets += !socket.find("widget").exists();
  sockets = std::max(sockets, node.find("outputs").size());
  const double widgets = static_cast<double>(node.find("widgets_values").size());
  const bool text =
      contains(node.find("type").text_or(""), "TextEncode");  // a box of several lines
  return 20 * static_cast<double>(std::min<std::size_t>(sockets, 100)) +
         24 * std::min(widgets, 100.0) + (text ? 46 : 6);
}

double on_grid(double value) { return std::round(value / kGrid) * kGrid; }

Rect grown(const Rect& rect, double by) {
  return {rect.x - by, rect.y - by, rect.width + 2 * by, rect.height + 2 * by};
}

}  // namespace

std::optional<Rect> node_area(const JsonValue& node) {
  if (const JsonValue box = node.find("bounding"); box.size() == 4) {  // of a subgraph's boundary
    return Rect{box.at(0).number().value_or(0), box.at(1).number().value_or(0),
                box.at(2).number().value_or(0), box.at(3).number().value_or(0)};
  }
  const auto pos = pair_of(node.find("pos"));
  if (!pos) return std::nullopt;
  const auto size = pair_of(node.find("size")).value_or(std::pair(210.0, 100.0));
  const bool collapsed = node.find("flags").find("collapsed").boolean().value_or(false);
  return Rect{pos->first, pos->second - kTitle, std::max(size.first, 80.0),
              collapsed ? kTitle : std::max(size.second, least_height(node)) + kTitle};
}

Canvas::Canvas(const JsonValue& scope, std::int64_t& looks) : looks_(looks) {
  for (const JsonValue node : scope.find("nodes")) {
    if (const auto area = node_area(node)) add(*area);
  }
  for (const char* boundary : {"inputNode", "outputNode"}) {
    if (const auto area = node_area(scope.find(boundary))) add(*area);
  }
  for (const JsonValue group : scope.find("groups")) {
    if (const auto area = node_area(group)) groups_.push_back(*area);
  }
}

void Canvas::add(const Rect& area) {
  nodes_.push_back(area);
  bottom_ = std::max(bottom_, area.bottom());
}

// What was in the way of one place mostly is in the way of the next.
bool Canvas::is_free(const Rect& area) {
  ++looks_;
  if (last_hit_ < nodes_.size() && nodes_[last_hit_].overlaps(area)) return false;
  const auto in_the_way =
      std::ranges::find_if(nodes_, [&](const Rect& node) { return node.overlaps(area); });
  last_hit_ = static_cast<std::size_t>(in_the_way - nodes_.begin());
  looks_ += static_cast<std::int64_t>(last_hit_);
  return in_the_way == nodes_.end();
}

/// The smallest group with both neighbours in it, else with one.
const Rect* Canvas::group_around(const std::optional<Rect>& from, const std::optional<Rect>& to) {
  looks_ += static_cast<std::int64_t>(groups_.size());
  const Rect* best = nullptr;
  for (const bool both : {true, false}) {
    for (const Rect& group : groups_) {
      const bool has_from = from && group.contains(*from), has_to = to && group.contains(*to);
      if (both ? !(has_from && has_to) : !(has_from || has_to)) continue;
      if (!best || group.width * group.height < best->width * best->height) best = &group;
    }
    if (best) break;
  }
  return best;
}

Canvas::Spot Canvas::take(const std::optional<Rect>& from, const std::optional<Rect>& to,
                          double width, double height) {
  const Rect a = from.value_or(to.value_or(Rect{})), b = to.value_or(a);
  // Between the right edge of the one and the left edge of the other, at the height of both.
  const double middle_x = (a.right() + b.x) / 2, middle_y = (a.y + b.y) / 2;
  const double x0 = on_grid(middle_x - width / 2), y0 = on_grid(middle_y);
  const Rect* group = group_around(from, to);
  double below = height;  // the title, which stays when a node is collapsed
  const auto area_at = [&](double x, double y) { return Rect{x, y, width, below + kTitle}; };
  const auto search = [&](const Rect* inside, double margin) {
    std::optional<Rect> found;
    for (int ring = 0; ring < kRings && !found && looks_ < kLooksMax; ++ring) {
      const double reach = 2 * kGrid * ring;
      double nearest = 0;
      for (int i = -ring; i <= ring; ++i) {  // the four sides of a square around the middle
        const double along = 2 * kGrid * i;
        for (const auto& [dx, dy] : {std::pair(along, reach), std::pair(along, -reach),
                                     std::pair(reach, along), std::pair(-reach, along)}) {
          ++looks_;
          const Rect area = area_at(x0 + dx, y0 + dy);
          if (inside && !inside->contains(area)) continue;
          if (!is_free(grown(area, margin))) continue;
          const double away = dx * dx + dy * dy;
          if (!found || away < nearest) found = area, nearest = away;
        }
      }
    }
    return found;
  };
  std::optional<Rect> found;
  if (group) found = search(group, kMargin);
  if (group && !found) found = search(group, kNarrow);
  if (group && !found) {
    below = 0;
    found = search(group, kNarrow);
    if (!found) below = height;
  }
  bool in_group = !group || found;
  if (!found) found = search(nullptr, kMargin);
  if (!found) {  // a canvas full of nodes: below all of them
    found = area_at(x0, on_grid(std::max(y0, bottom_) + 2 * kMargin));
    in_group = !group;
  }
  add(*found);
  return {found->x, found->y + kTitle, in_group, below == 0};
}

}  // namespace ebb
