// SPDX-License-Identifier: Apache-2.0
// What a second queue finds in the node cache and what it runs again.
#include <gtest/gtest.h>

#include "ebb/pass.h"
#include "json/document.h"
#include "tests/pass/prompt_json.h"

namespace ebb {
namespace {

using Ids = std::vector<std::string>;

constexpr const char* kClasses = R"({
  "Save": {"output_node": true}, "Load": {}, "Work": {}, "GetImageSize": {},
  "Late": {"input": {"required": {"a": ["*", {"lazy": true}]}}}
})";

// Two passes: each sampler has its own loader, the second takes the first's result.
Prompt two_passes(int first_seed, int second_seed) {
  const std::string text = R"({
    "1": {"class_type": "Load", "inputs": {"name": "high"}},
    "2": {"class_type": "Load", "inputs": {"name": "low"}},
    "3": {"class_type": "Work", "inputs": {"seed": FIRST, "model": ["1", 0]}},
    "4": {"class_type": "Work", "inputs": {"seed": SECOND, "model": ["2", 0], "latent": ["3", 0]}},
    "5": {"class_type": "Save", "inputs": {"images": ["4", 0]}}})";
  std::string filled = text;
  filled.replace(filled.find("FIRST"), 5, std::to_string(first_seed));
  filled.replace(filled.find("SECOND"), 6, std::to_string(second_seed));
  const auto json = JsonDocument::parse(filled);
  return test::prompt_from_json(json->root(), JsonDocument::parse(kClasses)->root());
}

Prompt prompt_of(const std::string& text) {
  const auto json = JsonDocument::parse(text);
  EXPECT_TRUE(json.ok()) << text;
  return test::prompt_from_json(json->root(), JsonDocument::parse(kClasses)->root());
}

Ids ids(const Prompt& prompt, const std::vector<NodeIndex>& nodes) {
  Ids result;
  for (const NodeIndex node : nodes) result.push_back(prompt.nodes[node].id);
  return result;
}

/// What the last prompt runs.
Ids last_runs(const std::vector<const Prompt*>& prompts, const std::string& flags,
              const ComfyVersion& version = {0, 18, 2}) {
  std::vector<QueuedPrompt> queue;
  for (const Prompt* prompt : prompts) queue.push_back({prompt, {}});
  const auto runs = run_queue(queue, version, *parse_comfy_flags(flags));
  EXPECT_TRUE(runs.ok());
  return ids(*prompts.back(), runs->back().order.nodes);
}

TEST(Queue, RunsAgainWhatHangsOnTheChange) {
  const Prompt usual = two_passes(1, 1), first = two_passes(2, 1), second = two_passes(1, 2);
  for (const char* flags : {"", "--cache-classic", "--cache-lru 1", "--cache-ram"}) {
    EXPECT_EQ(last_runs({&usual, &usual}, flags), Ids{}) << flags;
    EXPECT_EQ(last_runs({&usual, &first}, flags), (Ids{"3", "4", "5"})) << flags;
    EXPECT_EQ(last_runs({&usual, &second}, flags), (Ids{"4", "5"})) << flags;
  }
}

TEST(Queue, WithoutACacheRunsEverything) {
  const Prompt usual = two_passes(1, 1);
  for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 18, 2}}) {
    EXPECT_EQ(last_runs({&usual, &usual}, "--cache-none", version),
              last_runs({&usual}, "", version));
  }
}

// The seed comes back: only caches that outlive a prompt still know its result.
TEST(Queue, OldResultsAreKeptByLruAndRamPressureOnly) {
  const Prompt usual = two_passes(1, 1), other = two_passes(2, 1);
  EXPECT_EQ(last_runs({&usual, &other, &usual}, "--cache-classic"), (Ids{"3", "4", "5"}));
  EXPECT_EQ(last_runs({&usual, &other, &usual}, "--cache-ram"), Ids{});
  EXPECT_EQ(last_runs({&usual, &other, &usual}, "--cache-lru 8"), Ids{});
  // Five results of the first prompt are more than three: what the second lacks is dropped.
  EXPECT_EQ(last_runs({&usual, &other, &usual}, "--cache-lru 3"), (Ids{"3", "4", "5"}));
}

// From 0.23.0 on RAM pressure is the default, and has a limit for results of earlier prompts.
TEST(Queue, TheDefaultCacheLetsOldResultsGoOnMachinesWithLessThan128Gib) {
  const Prompt usual = two_passes(1, 1), other = two_passes(2, 1);
  const auto comes_back = [&](const char* flags, ComfyVersion version, std::int64_t free) {
    const auto runs = run_queue({{&usual, {}}, {&other, {}}, {&usual, {}}}, version,
                                *parse_comfy_flags(flags), free);
    return runs->back().order.nodes.size();
  };
  EXPECT_EQ(comes_back("", {0, 33, 0}, 0), 3u);
  EXPECT_EQ(comes_back("", {0, 33, 0}, 100_GiB), 3u);
  EXPECT_EQ(comes_back("", {0, 33, 0}, 130_GiB), 0u);
  EXPECT_EQ(comes_back("", {0, 25, 0}, 100_GiB), 0u) << "its limit was 96";
  EXPECT_EQ(comes_back("--cache-ram 4 20", {0, 33, 0}, 30_GiB), 0u);
  EXPECT_EQ(comes_back("--cache-ram 4", {0, 33, 0}, 30_GiB), 3u);
  EXPECT_EQ(comes_back("--high-ram", {0, 33, 0}, 130_GiB), 3u) << "the classic cache";
  EXPECT_EQ(comes_back("", {0, 22, 0}, 130_GiB), 3u) << "still the classic cache";
}

TEST(Queue, ResultsAreKeptByContentAndNotById) {
  const Prompt one = prompt_of(R"({"1": {"class_type": "Load", "inputs": {"name": "a"}},
      "2": {"class_type": "Save", "inputs": {"images": ["1", 0]}}})");
  const Prompt renamed = prompt_of(R"({"7": {"class_type": "Load", "inputs": {"name": "a"}},
      "8": {"class_type": "Save", "inputs": {"images": ["7", 0]}}})");
  EXPECT_EQ(last_runs({&one, &renamed}, ""), Ids{});
  const auto sized = [](const std::string& id) {
    return prompt_of(R"({")" + id + R"(": {"class_type": "GetImageSize", "inputs": {}},
        "2": {"class_type": "Save", "inputs": {"images": [")" +
                     id + R"(", 0]}}})");
  };
  const Prompt a = sized("1"), b = sized("7");  // its class has the id in the key
  EXPECT_EQ(last_runs({&a, &a}, ""), Ids{});
  EXPECT_EQ(last_runs({&a, &b}, ""), (Ids{"7", "2"}));
}

TEST(Queue, KeptIsWhatExecutionCachedNames) {
  const Prompt usual = two_passes(1, 1), second = two_passes(1, 2);
  const auto runs = run_queue({{&usual, {}}, {&second, {}}}, {0, 3, 73}, {});
  EXPECT_TRUE(runs->front().kept.empty());
  EXPECT_EQ(ids(second, runs->back().kept), (Ids{"1", "2", "3"}));
}

TEST(Queue, SameNodesAllRunWithoutACache) {
  const Prompt twins = prompt_of(R"({"1": {"class_type": "Load", "inputs": {"name": "a"}},
      "2": {"class_type": "Load", "inputs": {"name": "a"}},
      "3": {"class_type": "Save", "inputs": {"a": ["1", 0], "b": ["2", 0]}}})");
  EXPECT_EQ(order_steps(twins, {0, 18, 2})->nodes.size(), 2u);
  EXPECT_EQ(order_steps(twins, {0, 18, 2}, {}, CacheKind::none)->nodes.size(), 3u);
  EXPECT_EQ(order_steps(twins, {0, 3, 64}, {}, CacheKind::none)->nodes.size(), 2u);
}

// A lazy input that is asked for after its node ran: 0.3.64 still has the result.
TEST(Queue, WhatWasNotKeptIsMadeAgain) {
  const Prompt late = prompt_of(R"({"1": {"class_type": "Load", "inputs": {"name": "a"}},
      "2": {"class_type": "Work", "inputs": {"x": ["1", 0]}},
      "3": {"class_type": "Late", "inputs": {"a": ["1", 0], "b": ["2", 0]}},
      "4": {"class_type": "Save", "inputs": {"images": ["3", 0]}}})");
  const auto run = [&](const ComfyVersion& version) {
    return ids(late, order_steps(late, version, {}, CacheKind::none)->nodes);
  };
  EXPECT_EQ(run({0, 3, 64}), (Ids{"1", "2", "3", "4"}));
  EXPECT_EQ(run({0, 18, 2}), (Ids{"1", "2", "1", "3", "4"}));
}

TEST(Queue, ErrorsNameTheNode) {
  const Prompt nothing = prompt_of(R"({"1": {"class_type": "Load", "inputs": {}}})");
  EXPECT_FALSE(run_queue({{&nothing, {}}}, {}, {}).ok());
  EXPECT_TRUE(run_queue({}, {}, {})->empty());
}

}  // namespace
}  // namespace ebb
