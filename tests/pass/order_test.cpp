// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>

#include "ebb/pass.h"
#include "ebb/report.h"
#include "json/document.h"
#include "tests/pass/prompt_json.h"
#include "tests/support.h"

namespace ebb {
namespace {

using Ids = std::vector<std::string>;

// Just what the order asks of these classes: outputs are "Save", switches and "Late" are lazy.
constexpr const char* kClasses = R"({
  "Save": {"output_node": true, "input": {}},
  "Load": {"output_node": false, "output": ["MODEL"], "input": {}},
  "Work": {"output_node": false, "output": ["LATENT"], "input": {"required": {"model": ["MODEL"]}}},
  "Draw": {"output_node": false, "output": ["IMAGE"], "input": {"required": {"image": ["IMAGE"]}}},
  "GetImageSize": {"output_node": false, "input": {}},
  "ComfySwitchNode": {"output_node": false, "input": {"required": {"switch": ["BOOLEAN"],
      "on_false": ["*", {"lazy": true}], "on_true": ["*", {"lazy": true}]}}},
  "Late": {"output_node": false, "input": {"required": {"a": ["*", {"lazy": true}],
      "b": ["*", {"lazy": true}]}}},
  "LumaImageNode": {"output_node": false, "input": {}}
})";

Prompt prompt_of(const std::string& text) {
  const auto json = JsonDocument::parse(text);
  const auto classes = JsonDocument::parse(kClasses);
  EXPECT_TRUE(json.ok() && classes.ok()) << text;
  return test::prompt_from_json(json->root(), classes->root());
}

Ids ids(const Prompt& prompt, const std::vector<NodeIndex>& nodes) {
  Ids result;
  for (const NodeIndex node : nodes) result.push_back(prompt.nodes[node].id);
  return result;
}

std::vector<NodeIndex> positions(const Prompt& prompt, const Ids& names) {
  std::vector<NodeIndex> result;
  for (const auto& id : names) result.push_back(prompt.position(id));
  return result;
}

Ids order_of(const Prompt& prompt, const Ids& outputs = {}) {
  const auto order = order_steps(prompt, {}, positions(prompt, outputs));
  EXPECT_TRUE(order.ok()) << to_string(order.error());
  return order.ok() ? ids(prompt, order->nodes) : Ids{};
}

// ---- recorded facts ------------------------------------------------------------------------

// The prompt that ComfyUI's front end sent for a file of the corpus, with ComfyUI's own classes.
Prompt corpus_prompt(const std::string& file) {
  const auto reference = *test::shared_dir() / "reference";
  static const auto classes =
      JsonDocument::parse(test::slurp(reference / "object_info/0.18.2.json.gz"));
  static const std::string all = test::slurp(reference / "oracle-prompts.jsonl.gz");
  const auto start = all.find("{\"file\":\"" + file + "\"");
  EXPECT_NE(start, std::string::npos) << file;
  const auto line = JsonDocument::parse(all.substr(start, all.find('\n', start) - start));
  return test::prompt_from_json(line->root().find("prompt"), classes->root());
}

Prompt wan_prompt() {
  return corpus_prompt("comfyanonymous+ComfyUI_examples/wan22__text_to_video_wan22_14B.json");
}

void move_to_end(PromptNode& node, const std::string& input) {
  auto& inputs = node.inputs;
  const auto found = std::find_if(inputs.begin(), inputs.end(),
                                  [&](const PromptInput& i) { return i.name == input; });
  std::rotate(found, found + 1, inputs.end());
}

void relink(PromptNode& node, const std::string& input, const std::string& source) {
  for (PromptInput& i : node.inputs) {
    if (i.name == input) i.link = Link{source, 0};
  }
}

void add(Prompt& prompt, const std::string& id, const std::string& class_type, bool output,
         const std::string& input, const std::string& source) {
  PromptNode node;
  node.id = id;
  node.class_type = class_type;
  node.output_node = output;
  node.inputs.push_back({input, "LATENT", Link{source, 0}, {}, false});
  prompt.index[id] = prompt.nodes.end_index();
  prompt.nodes.push_back(node);
}

TEST(Order, TheSecondExpertIsReadAfterTheFirstPass) {
  EBB_NEED_SHARED();
  const Prompt prompt = wan_prompt();
  const Ids expected = {"39", "61", "38", "7",  "6", "37", "54",
                        "57", "56", "55", "58", "8", "28", "47"};
  EXPECT_EQ(order_of(prompt), expected);
  const auto order = order_steps(prompt, {});
  EXPECT_FALSE(order->depends_on_outputs);  // 28 and 47 may swap, which moves no weights
  EXPECT_TRUE(order->notes.empty());
}

TEST(Order, BothExpertsAreReadFirstIfModelIsTheLastLinkOfTheSecondPass) {
  EBB_NEED_SHARED();
  Prompt prompt = wan_prompt();
  for (const char* input : {"positive", "negative", "model"}) {
    move_to_end(prompt.nodes[prompt.position("58")], input);
  }
  const Ids expected = {"39", "56", "55", "38", "7", "6", "61", "37", "54", "57", "58"};
  const Ids order = order_of(prompt);
  EXPECT_EQ(Ids(order.begin(), order.begin() + 11), expected);
}

TEST(Order, ANodeOnTheLatentLinkRunsBeforeTheSecondExpertIsRead) {
  EBB_NEED_SHARED();
  Prompt prompt = wan_prompt();
  add(prompt, "80", "Unload", false, "latent", "57");
  relink(prompt.nodes[prompt.position("58")], "latent_image", "80");
  const Ids order = order_of(prompt);
  const Ids expected = {"57", "80", "56", "55", "58"};
  const auto start = std::find(order.begin(), order.end(), "57");
  EXPECT_EQ(Ids(start, start + 5), expected);
}

TEST(Order, APreviewOfTheFirstPassRunsBetweenThePassesWhateverTheOutputOrder) {
  EBB_NEED_SHARED();
  Prompt prompt = wan_prompt();
  add(prompt, "70", "VAEDecode", false, "samples", "57");
  add(prompt, "71", "PreviewImage", true, "images", "70");
  for (const Ids& outputs : {Ids{"28", "47", "71"}, Ids{"71", "28", "47"}, Ids{"47", "71", "28"}}) {
    const Ids order = order_of(prompt, outputs);
    const auto start = std::find(order.begin(), order.end(), "57");
    EXPECT_EQ(Ids(start, start + 4), (Ids{"57", "70", "71", "56"}));
  }
}

TEST(Order, ADanglingNodeNeverRuns) {
  EBB_NEED_SHARED();
  Prompt prompt = wan_prompt();
  add(prompt, "80", "Unload", false, "latent", "57");
  const Ids order = order_of(prompt);
  EXPECT_EQ(std::count(order.begin(), order.end(), "80"), 0);
}

// ---- rules ---------------------------------------------------------------------------------

TEST(Order, TheLastLinkedInputIsReachedFirst) {
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "Work", "inputs": {"x": 1}},
    "2": {"class_type": "Work", "inputs": {"x": 2}},
    "3": {"class_type": "Draw", "inputs": {"a": ["1", 0], "b": ["2", 0]}},
    "4": {"class_type": "Draw", "inputs": {"a": ["3", 0]}},
    "5": {"class_type": "Draw", "inputs": {"a": ["4", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["5", 0]}}})");
  EXPECT_EQ(order_of(prompt), (Ids{"2", "1", "3", "4", "5", "9"}));
}

TEST(Order, SameNodesRunOnceAndAreServedAfterwards) {
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "Load", "inputs": {"name": "a", "strength": 1}},
    "2": {"class_type": "Load", "inputs": {"strength": 1.0, "name": "a"}},
    "3": {"class_type": "Load", "inputs": {"name": "b", "strength": 1}},
    "4": {"class_type": "Work", "inputs": {"model": ["1", 0]}},
    "5": {"class_type": "Work", "inputs": {"model": ["2", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["4", 0], "b": ["5", 0], "c": ["3", 0]}}})");
  const auto order = order_steps(prompt, {});
  ASSERT_TRUE(order.ok());
  EXPECT_EQ(ids(prompt, order->nodes), (Ids{"3", "2", "5", "9"}));
  const std::vector<Served> expected = {{prompt.position("1"), prompt.position("2")},
                                        {prompt.position("4"), prompt.position("5")}};
  EXPECT_EQ(order->served, expected);
}

TEST(Order, SharingUpstreamDifferentlyMakesNodesDifferent) {
  // 7 takes one node twice, 8 takes two that are the same: their cache keys differ.
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "Load", "inputs": {"name": "a"}},
    "2": {"class_type": "Load", "inputs": {"name": "a"}},
    "7": {"class_type": "Work", "inputs": {"p": ["1", 0], "q": ["1", 0]}},
    "8": {"class_type": "Work", "inputs": {"p": ["1", 0], "q": ["2", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["7", 0], "b": ["8", 0]}}})");
  const auto order = order_steps(prompt, {});
  ASSERT_TRUE(order.ok());
  EXPECT_EQ(order->served.size(), 1u);  // one of the loaders
  EXPECT_EQ(order->nodes.size(), 4u);
}

TEST(Order, ClassesThatKeepTheirIdAreNeverServed) {
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "GetImageSize", "inputs": {"image": 1}},
    "2": {"class_type": "GetImageSize", "inputs": {"image": 1}},
    "9": {"class_type": "Save", "inputs": {"a": ["1", 0], "b": ["2", 0]}}})");
  EXPECT_EQ(order_of(prompt), (Ids{"2", "1", "9"}));
}

TEST(Order, ASwitchAsksOnlyForTheInputItNames) {
  const std::string text = R"({
    "1": {"class_type": "Load", "inputs": {"name": "a"}},
    "2": {"class_type": "Load", "inputs": {"name": "b"}},
    "3": {"class_type": "PrimitiveBoolean", "inputs": {"value": false}},
    "5": {"class_type": "ComfySwitchNode", "inputs":
          {"switch": SWITCH, "on_false": ["1", 0], "on_true": ["2", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["5", 0]}}})";
  const auto with = [&](const std::string& value) {
    std::string copy = text;
    return prompt_of(copy.replace(copy.find("SWITCH"), 6, value));
  };
  EXPECT_EQ(order_of(with("true")), (Ids{"2", "5", "9"}));
  EXPECT_EQ(order_of(with("false")), (Ids{"1", "5", "9"}));
  EXPECT_EQ(order_of(with("[\"3\", 0]")), (Ids{"3", "1", "5", "9"}));
  const Prompt unknown = with("[\"1\", 0]");
  const auto order = order_steps(unknown, {});
  EXPECT_EQ(order->nodes.size(), 4u);
  ASSERT_EQ(order->notes.size(), 1u);
  EXPECT_NE(say(order->notes[0]).find("lazy inputs"), std::string::npos);
}

TEST(Order, LazyInputsAreReachedWhenTheirNodeIs) {
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "Load", "inputs": {"name": "a"}},
    "2": {"class_type": "Work", "inputs": {"model": ["1", 0]}},
    "3": {"class_type": "Load", "inputs": {"name": "b"}},
    "5": {"class_type": "Late", "inputs": {"a": ["3", 0], "latent": ["2", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["5", 0]}}})");
  EXPECT_EQ(order_of(prompt), (Ids{"1", "2", "3", "5", "9"}));
}

TEST(Order, WhileARemoteServiceIsWaitedForTheRestRuns) {
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "LumaImageNode", "inputs": {"prompt": "a"}},
    "2": {"class_type": "Load", "inputs": {"name": "a"}},
    "3": {"class_type": "Work", "inputs": {"model": ["2", 0]}},
    "8": {"class_type": "Save", "inputs": {"a": ["1", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["3", 0]}}})");
  EXPECT_EQ(order_of(prompt), (Ids{"1", "2", "3", "9", "8"}));
  EXPECT_EQ(order_steps(prompt, {})->notes.size(), 1u);
}

TEST(Order, SaysWhereTheOrderOfTheOutputsDecides) {
  const Prompt prompt = prompt_of(R"({
    "1": {"class_type": "Load", "inputs": {"name": "a"}},
    "2": {"class_type": "Work", "inputs": {"model": ["1", 0]}},
    "3": {"class_type": "Load", "inputs": {"name": "b"}},
    "4": {"class_type": "Work", "inputs": {"model": ["3", 0]}},
    "8": {"class_type": "Save", "inputs": {"a": ["2", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["4", 0]}}})");
  const auto order = order_steps(prompt, {});
  ASSERT_TRUE(order.ok());
  EXPECT_TRUE(order->depends_on_outputs);
  ASSERT_EQ(order->notes.size(), 1u);
  EXPECT_NE(say(order->notes[0]).find("node 1 Load may run before or after node 3 Load"),
            std::string::npos)
      << say(order->notes[0]);
  EXPECT_EQ(order_of(prompt), (Ids{"1", "2", "8", "3", "4", "9"}));
  EXPECT_EQ(order_of(prompt, {"9", "8"}), (Ids{"3", "4", "9", "1", "2", "8"}));
}

// ---- what can't run ------------------------------------------------------------------------

TEST(Order, NoOutputNodeIsAnError) {
  const auto order = order_steps(prompt_of(R"({"1": {"class_type": "Load", "inputs": {}}})"), {});
  ASSERT_FALSE(order.ok());
  EXPECT_EQ(order.error().code, ErrorCode::input);
  EXPECT_FALSE(order_steps(Prompt{}, {}).ok());
}

TEST(Order, ACycleIsNamed) {
  const auto order = order_steps(prompt_of(R"({
    "1": {"class_type": "Work", "inputs": {"a": ["3", 0]}},
    "2": {"class_type": "Work", "inputs": {"a": ["1", 0]}},
    "3": {"class_type": "Work", "inputs": {"a": ["2", 0]}},
    "9": {"class_type": "Save", "inputs": {"a": ["3", 0]}}})"),
                                 {});
  ASSERT_FALSE(order.ok());
  EXPECT_NE(order.error().message.find("node 3 Work -> node 2 Work -> node 1 Work -> node 3 Work"),
            std::string::npos)
      << order.error().message;
}

TEST(Order, AMissingNodeDropsOnlyTheOutputsThatNeedIt) {
  const std::string broken = R"("1": {"class_type": "Work", "inputs": {"a": ["77", 0]}},
    "8": {"class_type": "Save", "inputs": {"image": ["1", 0]}})";
  const std::string whole = R"(, "2": {"class_type": "Load", "inputs": {}},
    "9": {"class_type": "Save", "inputs": {"image": ["2", 0]}})";
  const Prompt prompt = prompt_of("{" + broken + whole + "}");
  EXPECT_EQ(order_of(prompt), (Ids{"2", "9"}));
  const auto order = order_steps(prompt, {});
  ASSERT_EQ(order->notes.size(), 1u);
  EXPECT_NE(say(order->notes[0]).find("node 8 Save"), std::string::npos);
  EXPECT_NE(say(order->notes[0]).find("input a is linked to node 77"), std::string::npos);

  const auto none = order_steps(prompt_of("{" + broken + "}"), {});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().where.place, "node 1 Work");
}

TEST(Order, BadOutputPositionsAreUsageErrors) {
  const Prompt prompt = prompt_of(R"({"1": {"class_type": "Load", "inputs": {}},
                                      "9": {"class_type": "Save", "inputs": {}}})");
  EXPECT_EQ(order_steps(prompt, {}, {0}).error().code, ErrorCode::usage);
  EXPECT_EQ(order_steps(prompt, {}, {2}).error().code, ErrorCode::usage);
  EXPECT_EQ(order_steps(prompt, {}, {-1}).error().code, ErrorCode::usage);
}

// ---- against the rules written down plainly ------------------------------------------------

// Contract 1.3 word for word, with scans where the real thing uses a heap; no caches, not lazy.
Ids plain_order(const Prompt& prompt) {
  std::vector<NodeIndex> pending;
  std::map<NodeIndex, std::set<NodeIndex>> blockers, blocking;
  for (const NodeIndex root : prompt.nodes.indices()) {
    if (!prompt.nodes[root].output_node) continue;
    std::vector<NodeIndex> stack{root};
    while (!stack.empty()) {
      const NodeIndex node = stack.back();
      stack.pop_back();
      if (std::count(pending.begin(), pending.end(), node)) continue;
      pending.push_back(node);
      for (const PromptInput& input : prompt.nodes[node].inputs) {
        if (!input.link) continue;
        const NodeIndex source = prompt.position(input.link->node);
        stack.push_back(source);
        blockers[node].insert(source);
        blocking[source].insert(node);
      }
    }
  }
  const auto output = [&](NodeIndex node) { return prompt.nodes[node].output_node; };
  const auto feeds_output = [&](NodeIndex node) {
    return std::any_of(blocking[node].begin(), blocking[node].end(), output);
  };
  const auto rank = [&](NodeIndex node) {
    if (output(node)) return 1;
    if (feeds_output(node)) return 2;
    return std::any_of(blocking[node].begin(), blocking[node].end(), feeds_output) ? 3 : 4;
  };
  Ids order;
  while (!pending.empty()) {
    NodeIndex best;
    for (const NodeIndex node : pending) {
      if (blockers[node].empty() && (!best.exists() || rank(node) < rank(best))) best = node;
    }
    order.push_back(prompt.nodes[best].id);
    for (const NodeIndex node : blocking[best]) blockers[node].erase(best);
    std::erase(pending, best);
  }
  return order;
}

Prompt random_prompt(std::mt19937& random, int count) {
  Prompt prompt;
  for (int i = 0; i < count; ++i) {
    PromptNode node;
    node.id = std::to_string(i);
    node.class_type = "Work";
    node.output_node = i == count - 1 || random() % 8 == 0;
    node.inputs.push_back({"seed", "", {}, std::to_string(i), false});
    for (unsigned n = i == 0 ? 0 : random() % 4; n > 0; --n) {
      node.inputs.push_back({"in" + std::to_string(n),
                             "",
                             Link{std::to_string(random() % unsigned(i)), 0},
                             {},
                             false});
    }
    prompt.index[node.id] = NodeIndex::of(i);
    prompt.nodes.push_back(std::move(node));
  }
  return prompt;
}

TEST(Order, AgreesWithThePlainRulesOnRandomPrompts) {
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  for (int i = 0; i < 500; ++i) {
    const Prompt prompt = random_prompt(random, 2 + int(random() % 40));
    ASSERT_EQ(order_of(prompt), plain_order(prompt)) << "seed " << seed << ", prompt " << i;
  }
}

TEST(Order, HugePromptsTakeMilliseconds) {
  std::mt19937 random(7);
  const Prompt prompt = random_prompt(random, 10'000);
  const auto start = std::chrono::steady_clock::now();
  const auto order = order_steps(prompt, {});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(order.ok());
  RecordProperty("milliseconds", std::to_string(seconds.count() * 1e3));
  EXPECT_LT(seconds.count(), 0.5 * test::kPatience);  // 20 ms on an idle machine
}

TEST(Order, LongChainsAreNoProblem) {
  Prompt prompt;
  constexpr int kCount = 250'000;  // 10^6 take 2 s, mostly to build the prompt
  for (int i = 0; i < kCount; ++i) {
    PromptNode node;
    node.id = std::to_string(i);
    node.class_type = "Work";
    node.output_node = i == kCount - 1;
    if (i > 0) node.inputs.push_back({"a", "", Link{std::to_string(i - 1), 0}, {}, false});
    prompt.index[node.id] = NodeIndex::of(i);
    prompt.nodes.push_back(std::move(node));
  }
  EXPECT_EQ(order_steps(prompt, {})->nodes.size(), size_t(kCount));
  prompt.nodes[0].inputs.push_back({"a", "", Link{std::to_string(kCount - 1), 0}, {}, false});
  EXPECT_FALSE(order_steps(prompt, {}).ok());
}

TEST(Order, TwoEqualLongHalvesAreComparedInBoundedTime) {
  Prompt prompt;
  const auto push = [&](int id, bool output, std::vector<int> sources) {
    PromptNode node;
    node.id = std::to_string(id);
    node.class_type = "Work";
    node.output_node = output;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      node.inputs.push_back(
          {"in" + std::to_string(i), "", Link{std::to_string(sources[i]), 0}, {}, false});
    }
    prompt.index[node.id] = prompt.nodes.end_index();
    prompt.nodes.push_back(std::move(node));
  };
  constexpr int kHalf = 20'000;
  for (int i = 0; i < 2 * kHalf; ++i) {
    const int first = i < kHalf ? 0 : kHalf;
    if (i - first < 2) {
      push(i, false, {});
    } else {
      push(i, false, {i - 1, i - 2});
    }
  }
  push(2 * kHalf, true, {kHalf - 1, 2 * kHalf - 1});
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(order_steps(prompt, {}).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2 * test::kPatience));
}

}  // namespace
}  // namespace ebb
