// SPDX-License-Identifier: Apache-2.0
// Fresh nodes of every class against the widgets and sockets that the real front end gives them,
// and how saved values reach widgets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "json/document.h"
#include "tests/support.h"
#include "tests/workflow/graphs.h"
#include "workflow/graph.h"
#include "workflow/js_value.h"
#include "workflow/state.h"

namespace ebb {
namespace {

/// A graph of one node with nothing saved.
struct Fresh {
  explicit Fresh(const std::string& type)
      : document(JsonDocument::parse(test::graph("{\"id\":1,\"type\":\"" + type + "\"}"))),
        set(*read_ui_graph(document->root(), "fresh.json", {{0, 18, 2}, true})) {}
  Result<JsonDocument> document;
  GraphSet set;
};

/// A widget as the recorded list spells it: name, saved, sent.
std::string spell(const Widget& widget) {
  return fmt::format("{} {} {}", widget.name, widget.saved, widget.sent);
}

TEST(Widgets, FreshNodesOfEveryClassHaveTheFrontEndsWidgets) {
  EBB_NEED_SHARED();
  const auto file = *test::shared_dir() / "reference" / "widgets-0.18.2.json.gz";
  const auto recorded = JsonDocument::parse(test::slurp(file));
  ASSERT_TRUE(recorded.ok());
  int classes = 0;
  for (const JsonValue entry : recorded->root()) {
    const std::string type = entry.key();
    if (!find_node(type, {0, 18, 2})) continue;  // virtual, or of a fork
    ++classes;
    const Fresh fresh(type);
    const GraphSet& set = fresh.set;
    const GraphNode& node = set.root.nodes.at(0);
    std::vector<std::string> want, have;
    for (const JsonValue w : entry.find("widgets")) {
      want.push_back(fmt::format("{} {} {}", w.at(0).string(), w.at(2).raw(), w.at(3).raw()));
    }
    for (const Widget& widget : node.widgets) have.push_back(spell(widget));
    EXPECT_EQ(have, want) << type;
    if (have != want) continue;
    std::size_t i = 0;
    for (const JsonValue w : entry.find("widgets")) {
      const Widget& widget = node.widgets[i++];
      const bool prose = widget.definition && widget.definition->long_default;
      const bool computed = type == "CustomCombo" && widget.name == "index";
      if (w.size() < 6 || prose || computed || widget.name.starts_with("control_")) continue;
      EXPECT_EQ(widget.value.value_or("nothing"), js_text(w.at(5))) << type << " " << widget.name;
    }
  }
  EXPECT_GE(classes, 650);
}

TEST(Widgets, PlainSocketsOfEveryClassComeInTheFrontEndsOrder) {
  EBB_NEED_SHARED();
  const auto file = *test::shared_dir() / "reference" / "widgets-0.18.2.json.gz";
  const auto recorded = JsonDocument::parse(test::slurp(file));
  ASSERT_TRUE(recorded.ok());
  for (const JsonValue entry : recorded->root()) {
    const std::string type = entry.key();
    if (!find_node(type, {0, 18, 2})) continue;
    const Fresh fresh(type);
    const GraphSet& set = fresh.set;
    std::vector<std::string> want, have;
    for (const JsonValue socket : entry.find("inputs")) {
      const std::string name = socket.at(0).string();
      const InputDefinition* input = nullptr;
      for (const auto& declared : find_node(type, {0, 18, 2})->inputs) {
        if (!name.starts_with(declared.name + ".")) continue;
        const InputDefinition* member = find_input(*find_node(type, {0, 18, 2}), name);
        if (member && member->autogrow) input = member;  // has a socket as soon as one is used
      }
      if (!socket.at(2).boolean().value_or(true) && !input) {
        want.push_back(name + " " + socket.at(1).string());
      }
    }
    for (const Socket& socket : set.root.nodes.at(0).inputs) {
      if (socket.widget < 0) have.push_back(socket.name + " " + socket.type);
    }
    EXPECT_EQ(have, want) << type;
  }
}

}  // namespace
}  // namespace ebb
