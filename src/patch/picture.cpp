// SPDX-License-Identifier: Apache-2.0
// A patch as a picture: what is near our nodes on the canvas, before above, after below.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "patch/canvas.h"
#include "patch/cuts.h"
#include "patch/remove.h"

namespace ebb {
namespace {

constexpr double kWidth = 960, kNear = 420, kRow = 190, kMostHeight = 460;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

struct Box {
  std::string label;
  Rect area;
  bool ours = false;
};

struct Scene {
  std::vector<Box> boxes;
  std::vector<std::pair<std::size_t, std::size_t>> links;
};

/// The first canvas with one of our nodes: its place among the file's canvases; -1 for a prompt.
std::optional<std::size_t> canvas_of(const Workflow& after, std::vector<JsonValue>& scopes) {
  const JsonValue root = after.state().root;
  scopes.push_back(root);
  for (const JsonValue json : root.find("definitions").find("subgraphs")) scopes.push_back(json);
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    for (const JsonValue node : scopes[i].find("nodes")) {
      if (node.find("properties").find("ebb").is_object()) return i;
    }
  }
  return std::nullopt;
}

Scene scene_of_graph(const JsonValue& scope) {
  Scene scene;
  std::map<std::string_view, std::size_t> index;
  for (const JsonValue node : scope.find("nodes")) {
    const auto area = node_area(node);
    if (!area) continue;
    index[node.find("id").raw()] = scene.boxes.size();
    const std::string type = node.find("type").text_or(""), title = node.find("title").text_or("");
    const bool named = title.empty() || type.size() != 36;  // a subgraph's class is its id
    scene.boxes.push_back({std::string(node.find("id").raw()) + " " + (named ? type : title), *area,
                           node.find("properties").find("ebb").is_object()});
  }
  for (const JsonValue link : scope.find("links")) {
    const bool list = link.is_array();
    const auto from = index.find((list ? link.at(1) : link.find("origin_id")).raw());
    const auto to = index.find((list ? link.at(3) : link.find("target_id")).raw());
    if (from != index.end() && to != index.end()) {
      scene.links.emplace_back(from->second, to->second);
    }
  }
  return scene;
}

/// A prompt's samplers, decoders and our nodes in the order of their links.
Scene scene_of_prompt(const JsonValue& root) {
  Scene scene;
  std::map<std::string, std::size_t> index;
  std::vector<JsonValue> nodes;
  for (const JsonValue node : root) {
    index[node.key()] = nodes.size();
    nodes.push_back(node);
    scene.boxes.push_back({node.key() + " " + node.find("class_type").text_or(""), Rect{},
                           node.find("_meta").find("ebb").is_object()});
  }
  std::vector<int> depth(nodes.size(), 0);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const JsonValue value : nodes[i].find("inputs")) {
      const auto from = value.is_array() ? index.find(value.at(0).string()) : index.end();
      if (from != index.end()) scene.links.emplace_back(from->second, i);
    }
  }
  for (std::size_t round = 0; round < nodes.size() && round < 100; ++round) {
    for (const auto& [from, to] : scene.links) depth[to] = std::max(depth[to], depth[from] + 1);
  }
  std::map<int, int> rows;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    scene.boxes[i].area = {250.0 * depth[i], 80.0 * rows[depth[i]]++, 200, 50};
  }
  return scene;
}

Rect united(const Rect& a, const Rect& b) {
  const double x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.right(), b.right()) - x, std::max(a.bottom(), b.bottom()) - y};
}

std::string draw(const Scene& scene, const Rect& view, double scale, double top) {
  std::string out = fmt::format("<svg x=\"0\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\">\n",
                                top, kWidth, view.height * scale);
  const auto x = [&](double at) { return (at - view.x) * scale; };
  const auto y = [&](double at) { return (at - view.y) * scale; };
  for (const auto& [from, to] : scene.links) {
    const Rect &a = scene.boxes[from].area, &b = scene.boxes[to].area;
    const bool ours = scene.boxes[from].ours || scene.boxes[to].ours;
    const double x1 = x(a.right()), y1 = y(a.y + 40), x2 = x(b.x), y2 = y(b.y + 40);
    const double bend = std::max(20.0, std::abs(x2 - x1) / 2);
    out += fmt::format(
        "<path class=\"{}\" d=\"M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\"/>\n",
        ours ? "link ours" : "link", x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2);
  }
  for (const Box& box : scene.boxes) {
    if (!box.area.overlaps(view)) continue;
    const auto letters = static_cast<std::size_t>(std::max(4.0, box.area.width * scale / 6.2));
    out += fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"4\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
        box.ours ? "node ours" : "node", x(box.area.x), y(box.area.y), box.area.width * scale,
        box.area.height * scale, x(box.area.x) + 6, y(box.area.y) + 14,
        escaped(box.label.substr(0, letters)));
  }
  return out + "</svg>\n";
}

}  // namespace

Result<std::string> patch_svg(const Workflow& before, const Workflow& after) {
  Scene old_scene, new_scene;
  if (after.format() == WorkflowFormat::api_prompt) {
    old_scene = scene_of_prompt(before.state().root);
    new_scene = scene_of_prompt(after.state().root);
  } else {
    std::vector<JsonValue> scopes, old_scopes;
    const auto canvas = canvas_of(after, scopes);
    canvas_of(before, old_scopes);
    if (!canvas || *canvas >= old_scopes.size()) {
      return input_error("has no node of Ebb's to draw", after.file());
    }
    old_scene = scene_of_graph(old_scopes[*canvas]);
    new_scene = scene_of_graph(scopes[*canvas]);
  }
  std::optional<Rect> view;
  for (const Box& box : new_scene.boxes) {
    if (!box.ours) continue;
    const Rect near{box.area.x - kNear, box.area.y - kRow, box.area.width + 2 * kNear,
                    box.area.height + 2 * kRow};
    view = view ? united(*view, near) : near;
  }
  if (!view) return input_error("has no node of Ebb's to draw", after.file());
  const double scale = std::min(kWidth / view->width, kMostHeight / view->height);
  view->width = kWidth / scale;
  const double height = view->height * scale;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\" role=\"img\">\n<title>Before and after "
      "the patch</title>\n<style>.node{{fill:#e8e8ec;stroke:#667}}.link{{fill:none;"
      "stroke:#99a;stroke-width:1.5}}.node.ours{{fill:#cfe3ff;stroke:#0072b2;"
      "stroke-width:2}}.link.ours{{stroke:#0072b2;stroke-width:2.5}}text{{fill:#111}}"
      "</style>\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#fff\"/>\n"
      "<text x=\"4\" y=\"14\" font-weight=\"bold\">before</text>\n{2}"
      "<text x=\"4\" y=\"{3:.0f}\" font-weight=\"bold\">after</text>\n{4}</svg>\n",
      kWidth, 2 * height + 44, draw(old_scene, *view, scale, 20), height + 36,
      draw(new_scene, *view, scale, height + 42));
}

}  // namespace ebb
