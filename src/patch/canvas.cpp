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
constexpr double kStep = 20;  // between places that are tried
constexpr int kRings = 160;   // of the search, a step apart
// A look takes some ten instructions. A place takes as much as several.
constexpr std::int64_t kLooksPerNode = 20'000, kLooksAtPlace = 8;
constexpr double kFarthest = 1.0e7;  // coordinates beyond are nonsense

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

Canvas::Canvas(const JsonValue& scope, std::int64_t& looks_left) : looks_left_(looks_left) {
  for (const JsonValue node : scope.find("nodes")) {
    if (const auto area = node_area(node)) add(*area);
  }
  for (const char* boundary : {"inputNode", "outputNode"}) {
    if (const auto area = node_area(scope.find(boundary))) add(*area);
  }
  for (const JsonValue group : scope.find("groups")) {
    if (const auto area = node_area(group)) groups_.push_back(*area);
  }
  looks_left_ += kLooksPerNode * static_cast<std::int64_t>(nodes_.size());
}

void Canvas::add(const Rect& area) {
  nodes_.push_back(area);
  bottom_ = std::max(bottom_, area.bottom());
}

// What was in the way of one place mostly is in the way of the next.
const Rect* Canvas::in_the_way(const Rect& area) {
  looks_left_ -= kLooksAtPlace;
  if (last_hit_ < nodes_.size() && nodes_[last_hit_].overlaps(area)) return &nodes_[last_hit_];
  const auto hit =
      std::ranges::find_if(nodes_, [&](const Rect& node) { return node.overlaps(area); });
  last_hit_ = static_cast<std::size_t>(hit - nodes_.begin());
  looks_left_ -= static_cast<std::int64_t>(last_hit_);
  return hit == nodes_.end() ? nullptr : &*hit;
}

/// The smallest group with both neighbours in it, else with one.
const Rect* Canvas::group_around(const std::optional<Rect>& from, const std::optional<Rect>& to) {
  if (looks_left_ <= 0) return nullptr;
  looks_left_ -= static_cast<std::int64_t>(groups_.size());
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

/// The place from which on a half side may lie in an area.
double Canvas::HalfSide::places_to(const Rect& inside) const {
  if (dx != 0) return (dx > 0 ? inside.x - first.x : inside.right() - first.right()) / dx;
  return (dy > 0 ? inside.y - first.y : inside.bottom() - first.bottom()) / dy;
}

/// The place from which on it is past an area that is in the way of one before.
double Canvas::HalfSide::places_past(const Rect& area, double margin) const {
  const Rect all = grown(first, margin);
  if (dx != 0) return (dx > 0 ? area.right() - all.x : area.x - all.right()) / dx;
  return (dy > 0 ? area.bottom() - all.y : area.y - all.bottom()) / dy;
}

/// The first place from `begin` on that is free; `end` if none before it is.
int Canvas::first_free(const HalfSide& side, int begin, int end, const Rect* inside,
                       double margin) {
  int at = begin;
  while (at < end && looks_left_ > 0) {
    const Rect area = side.at(at);
    double next = 0;
    if (inside && !inside->contains(area)) {
      looks_left_ -= kLooksAtPlace;
      next = side.places_to(*inside);
      if (!(next >= at - 1)) return end;  // it has left the group, or passes beside it
    } else if (const Rect* hit = in_the_way(grown(area, margin))) {
      next = side.places_past(*hit, margin);
    } else {
      return at;
    }
    at = static_cast<int>(std::clamp(std::floor(next), at + 1.0, double(end)));
  }
  return end;
}

/// The free place next to the middle on the smallest square around it that has one.
std::optional<Rect> Canvas::nearest_free(const Rect& middle, const Rect* inside, double margin) {
  const auto moved = [&](double dx, double dy) {
    return Rect{middle.x + dx, middle.y + dy, middle.width, middle.height};
  };
  for (int ring = 0; ring < kRings && looks_left_ > 0; ++ring) {
    const double reach = kStep * ring;
    std::optional<Rect> found;
    int end = ring + 1;  // what follows has to be nearer
    for (const double step : {-kStep, kStep}) {
      for (const HalfSide& side :
           {HalfSide{moved(0, reach), step, 0}, HalfSide{moved(0, -reach), step, 0},
            HalfSide{moved(reach, 0), 0, step}, HalfSide{moved(-reach, 0), 0, step}}) {
        const int at = first_free(side, step < 0 ? 0 : 1, end, inside, margin);
        if (at >= end) continue;
        found = side.at(at);
        end = at;
      }
    }
    if (found) return found;
  }
  return std::nullopt;
}

Canvas::Spot Canvas::take(const std::optional<Rect>& from, const std::optional<Rect>& to,
                          double width, double height) {
  const Rect a = from.value_or(to.value_or(Rect{})), b = to.value_or(a);
  // Between the right edge of the one and the left edge of the other, at the height of both.
  const double middle_x = (a.right() + b.x) / 2, middle_y = (a.y + b.y) / 2;
  const Rect middle{on_grid(middle_x - width / 2), on_grid(middle_y), width, height + kTitle};
  const Rect* group = group_around(from, to);
  bool collapsed = false;  // to the title
  std::optional<Rect> found;
  if (group) found = nearest_free(middle, group, kMargin);
  if (group && !found) found = nearest_free(middle, group, kNarrow);
  if (group && !found) {
    found = nearest_free({middle.x, middle.y, width, kTitle}, group, kNarrow);
    collapsed = found.has_value();
  }
  bool in_group = !group || found;
  if (!found) found = nearest_free(middle, nullptr, kMargin);
  if (!found) {  // a canvas full of nodes: below all of them
    found = middle;
    found->y = on_grid(std::max(middle.y, bottom_) + 2 * kMargin);
    in_group = !group;
  }
  add(*found);
  return {found->x, found->y + kTitle, in_group, collapsed};
}

}  // namespace ebb
