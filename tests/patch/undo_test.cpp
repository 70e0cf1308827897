// SPDX-License-Identifier: Apache-2.0
// Marks and records as nobody but an attacker writes them, and files that hold many of ours.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "ebb/patch.h"
#include "ebb/printable.h"
#include "ebb/run.h"
#include "tests/support.h"

namespace ebb {
namespace {

std::string graph(const std::string& nodes, const std::string& links = "") {
  return R"({"last_node_id": 9, "last_link_id": 9, "version": 0.4, "nodes": [)" + nodes +
         R"(], "links": [)" + links + "]}";
}

/// A node with a mark; `record` is its record of undo.
std::string marked(int id, const std::string& type, const std::string& record) {
  return fmt::format(
      R"({{"id": {}, "type": "{}", "properties": {{"ebb": {{"version": "1", "undo": {}}}}}}})", id,
      type, json_quote(record));
}

std::string record_of(const std::string& original, const std::string& edits) {
  const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(original.data()), original.size());
  return fmt::format("[{}, {}, [{}]]", original.size(), sum, edits);
}

Workflow read(const std::string& text) {
  auto workflow = parse_workflow(text, "flow.json");
  EXPECT_TRUE(workflow.ok()) << to_string(workflow.error());
  return std::move(*workflow);
}

TEST(UndoRecord, ThatHidesAnotherWorkflowIsNotBelieved) {
  const std::string hidden = graph(R"({"id": 1, "type": "EvilExec", "inputs": []})");
  const std::string shown =
      graph(marked(1, "Note", record_of(hidden, "[0, -1, " + json_quote(hidden) + "]")));
  const Workflow workflow = read(shown);
  EXPECT_EQ(original_text(workflow), std::nullopt);
  const auto undone = undo_patch(workflow);
  ASSERT_TRUE(undone.ok());
  EXPECT_FALSE(undone->exact);
  EXPECT_EQ(undone->text.find("EvilExec"), std::string::npos) << undone->text;
}

/// A file that a record rightly leads back from, but for what the record changes beside our node.
std::optional<std::string> believed(const std::string& was, const std::string& is,
                                    const std::string& removed, const std::string& inserted) {
  const std::string body = graph(was);
  const auto at = body.find(removed);
  EXPECT_NE(at, std::string::npos);
  const std::string rest = graph(is);
  const std::string record =
      record_of(body, fmt::format("[{}, {}, {}], [{}, -1, \"\"]", at, inserted.size(),
                                  json_quote(removed), body.find("], \"links\"")));
  std::string text = rest;
  text.insert(text.find("], \"links\""), ", " + marked(9, "UnloadModels", record));
  return original_text(read(text));
}

TEST(UndoRecord, IsBelievedForWhatEbbCanHaveRemoved) {
  const std::string node = R"({"id": 1, "type": "KSampler", "widgets_values": [1, "euler"]})";
  const auto with = [&](const char* from, const char* to) {
    std::string text = node;
    return text.replace(text.find(from), std::string(from).size(), to);
  };
  EXPECT_FALSE(believed(node, with("KSampler", "SaveImage"), "KSampler", "SaveImage"));
  EXPECT_FALSE(believed(node, with("euler", "ddim"), "euler", "ddim"));
  EXPECT_FALSE(believed(node, with("[1,", "[2,"), "[1,", "[2,"));
  EXPECT_FALSE(believed(node, with("\"id\": 1", "\"id\": 3"), "\"id\": 1", "\"id\": 3"));
  // A counter is Ebb's to raise.
  EXPECT_TRUE(believed(node, node, "\"last_node_id\": 9", "\"last_node_id\": 9"));
}

TEST(UndoRecord, WithAbsurdNumbersIsNotBelieved) {
  for (const char* record :
       {"[9223372036854775807, 0, [[0, -1, \"\"], [9223372036854775807, 1, \"\"]]]",
        "[-1, 0, [[0, -1, \"\"]]]", "[10, 0, [[0, 9223372036854775807, \"\"], [0, -1, \"\"]]]",
        "[9e18, 0, [[0, -1, \"\"]]]"}) {
    EXPECT_EQ(original_text(read(graph(marked(1, "UnloadModels", record)))), std::nullopt);
  }
}

TEST(Undo, BearsWithMarksThatMakeNoSense) {
  const auto no_type =
      undo_patch(read(graph(R"({"id": 1, "properties": {"ebb": {"version": "1", "was": "X"}}})")));
  ASSERT_TRUE(no_type.ok());
  EXPECT_EQ(no_type->text.find("ebb"), std::string::npos);
  // What a mark claims to have been is not made of a node that Ebb did not change.
  const auto other = undo_patch(read(graph(
      R"({"id": 1, "type": "A", "properties": {"ebb": {"version": "1", "was": "EvilExec"}}})")));
  ASSERT_TRUE(other.ok());
  EXPECT_NE(other->text.find("\"type\": \"A\""), std::string::npos) << other->text;
}

TEST(Undo, OfALinkThatTwoSocketsNameIsOneEdit) {
  const auto undone = undo_patch(read(graph(
      R"({"id": 1, "type": "UnloadModels", "properties": {"ebb": {"version": "1"}},
          "inputs": [{"name": "a", "link": 1}, {"name": "b", "link": 1}],
          "outputs": [{"links": [2]}, {"links": [3]}]},
         {"id": 5, "type": "A", "outputs": [{"links": [1]}]},
         {"id": 6, "type": "B", "inputs": [{"name": "x", "link": 2}, {"name": "y", "link": 3}]})",
      R"([1, 5, 0, 1, 0, "X"], [2, 1, 0, 6, 0, "X"], [3, 1, 1, 6, 1, "X"])")));
  ASSERT_TRUE(undone.ok()) << to_string(undone.error());
  const auto prompt = to_prompt(read(undone->text));
  ASSERT_TRUE(prompt.ok()) << undone->text;
  for (const char* name : {"x", "y"}) {
    EXPECT_EQ(prompt->find("6")->input(name)->link, (Link{"5", 0})) << undone->text;
  }
}

/// `count` nodes of ours in a row between A and `readers` nodes B.
std::string row(int count, int readers) {
  std::string nodes = R"({"id": 1, "type": "A", "outputs": [{"links": [1]}]})", links;
  for (int k = 0; k < count; ++k) {
    nodes += fmt::format(
        R"(, {{"id": {}, "type": "UnloadModels", "properties": {{"ebb": {{"version": "1"}}}}, )"
        R"("inputs": [{{"name": "anything", "link": {}}}], "outputs": [{{"links": [{}]}}]}})",
        k + 2, k + 1, k + 2);
    links += fmt::format("[{}, {}, 0, {}, 0, \"X\"], ", k + 1, k + 1, k + 2);
  }
  for (int k = 0; k < readers; ++k) {
    nodes += fmt::format(R"(, {{"id": {}, "type": "B", "inputs": [{{"name": "x", "link": {}}}]}})",
                         count + 2 + k, count + 1 + k);
    links += fmt::format("{}[{}, {}, 0, {}, 0, \"X\"]", k ? ", " : "", count + 1 + k, count + 1,
                         count + 2 + k);
  }
  return graph(nodes, links);
}

TEST(Undo, TakesRowsOfNodesOutAndJoinsTheirEnds) {
  const Workflow workflow = read(row(3, 4));
  const auto undone = undo_patch(workflow);
  ASSERT_TRUE(undone.ok()) << to_string(undone.error());
  EXPECT_EQ(undone->nodes, 3);
  const auto prompt = to_prompt(read(undone->text));
  ASSERT_TRUE(prompt.ok()) << undone->text;
  ASSERT_EQ(prompt->nodes.size(), 5U);
  for (int k = 5; k < 9; ++k) {
    EXPECT_EQ(prompt->find(std::to_string(k))->input("x")->link, (Link{"1", 0})) << undone->text;
  }
}

TEST(Undo, LeavesNoneHoweverManyThereAre) {
  const auto undone = undo_patch(read(row(12'000, 1)));
  ASSERT_TRUE(undone.ok()) << to_string(undone.error());
  EXPECT_EQ(undone->nodes, 12'000);
  EXPECT_FALSE(is_patched(read(undone->text)));
}

TEST(Undo, OfAPromptFollowsRowsOfNodes) {
  const auto undone = undo_patch(read(
      R"({"1": {"class_type": "A", "inputs": {}},
          "2": {"class_type": "UnloadModels", "inputs": {"anything": ["1", 2]},
                "_meta": {"ebb": {"version": "1"}}},
          "3": {"class_type": "UnloadModels", "inputs": {"anything": ["2", 0]},
                "_meta": {"ebb": {"version": "1"}}},
          "4": {"class_type": "B", "inputs": {"x": ["3", 0], "y": ["2", 0], "z": 5}}})"));
  ASSERT_TRUE(undone.ok()) << to_string(undone.error());
  const auto prompt = to_prompt(read(undone->text));
  ASSERT_EQ(prompt->nodes.size(), 2U);
  for (const char* name : {"x", "y"}) {
    EXPECT_EQ(prompt->find("4")->input(name)->link, (Link{"1", 2})) << undone->text;
  }
}

}  // namespace
}  // namespace ebb
