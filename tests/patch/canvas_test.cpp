// SPDX-License-Identifier: Apache-2.0
#include "patch/canvas.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "json/document.h"

namespace ebb {
namespace {

std::string area_json(const Rect& area) {
  return fmt::format(R"({{"pos": [{}, {}], "size": [{}, {}]}})", area.x, area.y, area.width,
                     area.height);
}

std::string canvas_json(const std::vector<Rect>& nodes, const std::vector<Rect>& groups) {
  std::string json = R"({"nodes": [)";
  for (const Rect& node : nodes) json += (json.back() == '[' ? "" : ",") + area_json(node);
  json += R"(], "groups": [)";
  for (const Rect& group : groups) {
    json += fmt::format(R"({}{{"bounding": [{}, {}, {}, {}]}})", json.back() == '[' ? "" : ",",
                        group.x, group.y, group.width, group.height);
  }
  return json + "]}";
}

/// Every place of every square around the middle, one after the other.
std::optional<Rect> nearest(const std::vector<Rect>& nodes, const Rect& middle, const Rect* group,
                            double margin) {
  for (int ring = 0; ring < 160; ++ring) {
    std::optional<Rect> found;
    double least = 0;
    for (int i = -ring; i <= ring; ++i) {
      const double along = 20.0 * i, reach = 20.0 * ring;
      for (const auto& [dx, dy] : {std::pair(along, reach), std::pair(along, -reach),
                                   std::pair(reach, along), std::pair(-reach, along)}) {
        const Rect area{middle.x + dx, middle.y + dy, middle.width, middle.height};
        const Rect wide{area.x - margin, area.y - margin, area.width + 2 * margin,
                        area.height + 2 * margin};
        if (group && !group->contains(area)) continue;
        bool covered = false;
        for (const Rect& node : nodes) covered |= node.overlaps(wide);
        if (covered) continue;
        const double away = dx * dx + dy * dy;
        if (!found || away < least) found = area, least = away;
      }
    }
    if (found) return found;
  }
  return std::nullopt;
}

TEST(Canvas, TakesTheNearestPlaceOfAll) {
  std::mt19937 random(7);
  const auto number = [&](int low, int high) {
    return std::uniform_int_distribution(low, high)(random);
  };
  for (int round = 0; round < 60; ++round) {
    std::vector<Rect> drawn, groups;
    const int count = number(1, 40), spread = number(100, 1500);
    for (int i = 0; i < count; ++i) {
      drawn.push_back({number(-spread, spread) + number(0, 9) / 10.0,
                       double(number(-spread, spread)), double(number(80, 500)),
                       double(number(40, 600))});
    }
    if (round % 2 == 1) groups.push_back({-700.5, -300, double(number(900, 2500)), 900.25});
    const auto document = JsonDocument::parse(canvas_json(drawn, groups));
    ASSERT_TRUE(document.ok());
    std::vector<Rect> nodes;
    for (const JsonValue node : document->root().find("nodes")) nodes.push_back(*node_area(node));
    std::int64_t looks = 100 * Canvas::kLooks;
    Canvas canvas(document->root(), looks);
    for (int i = 0; i < 4; ++i) {
      const Rect from = nodes.front(), to = nodes.back();
      const Rect* group = nullptr;
      if (!groups.empty() && (groups[0].contains(from) || groups[0].contains(to))) {
        group = &groups[0];
      }
      const auto on_grid = [](double value) { return std::round(value / 10) * 10; };
      const Rect middle{on_grid((from.right() + to.x) / 2 - 105), on_grid((from.y + to.y) / 2), 210,
                        90 + 30};
      const Rect title{middle.x, middle.y, 210, 30};
      auto expected = group ? nearest(nodes, middle, group, 15) : std::nullopt;
      if (group && !expected) expected = nearest(nodes, middle, group, 4);
      const bool collapsed = group && !expected && nearest(nodes, title, group, 4);
      if (collapsed) expected = nearest(nodes, title, group, 4);
      const bool in_group = !group || expected;
      if (!expected) expected = nearest(nodes, middle, nullptr, 15);
      ASSERT_TRUE(expected);
      const Canvas::Spot spot = canvas.take(from, to, 210, 90);
      EXPECT_EQ(spot.x, expected->x) << round << " " << i;
      EXPECT_EQ(spot.y, expected->y + 30) << round << " " << i;
      EXPECT_EQ(spot.collapsed, collapsed) << round << " " << i;
      EXPECT_EQ(spot.in_group, in_group) << round << " " << i;
      nodes.push_back(*expected);
    }
  }
}

TEST(Canvas, LooksForNoLongerThanItMay) {
  const auto document =
      JsonDocument::parse(canvas_json({{0, 0, 200, 100}, {0, 400, 200, 100}}, {}));
  ASSERT_TRUE(document.ok());
  std::int64_t looks = -1'000'000;
  Canvas canvas(document->root(), looks);
  const Canvas::Spot spot = canvas.take(Rect{0, 0, 200, 100}, std::nullopt, 210, 90);
  EXPECT_GE(spot.y, 500);
}

TEST(Canvas, BearsWithAreasThatMakeNoSense) {
  const auto document = JsonDocument::parse(
      R"({"nodes": [], "inputNode": {"bounding": [-1e308, -1e308, 1.7e308, 1.7e308]},
          "outputNode": {"bounding": [1e308, 0, 1e308, -1e308]},
          "groups": [{"bounding": [-1e308, -1e308, 1.7e308, 1.7e308]}]})");
  ASSERT_TRUE(document.ok());
  std::int64_t looks = Canvas::kLooks;
  Canvas canvas(document->root(), looks);
  const Rect from = *node_area(document->root().find("inputNode"));
  const Rect to = *node_area(document->root().find("outputNode"));
  canvas.take(from, to, 210, 90);
  canvas.take(to, from, 210, 90);
  canvas.take(from, from, 210, 90);
  EXPECT_GT(looks, 0);
}

}  // namespace
}  // namespace ebb
