// SPDX-License-Identifier: Apache-2.0
// Cleanup nodes of other packs, taken out of every workflow of the corpus that has them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "ebb/patch.h"
#include "ebb/run.h"
#include "tests/support.h"

namespace ebb {
namespace {

/// Where a link comes from once nodes of these classes hand on their inputs, slot by slot.
Link without(const Prompt& prompt, Link link, const std::set<std::string>& classes) {
  for (std::size_t hops = 0; hops <= prompt.nodes.size(); ++hops) {
    const NodeIndex at = prompt.position(link.node);
    if (at < 0 || !classes.contains(prompt.nodes[at].class_type)) break;
    std::vector<Link> inputs;
    for (const PromptInput& input : prompt.nodes[at].inputs) {
      if (input.link) inputs.push_back(*input.link);
    }
    if (link.slot < 0 || std::size_t(link.slot) >= inputs.size()) break;
    link = inputs[link.slot];
  }
  return link;
}

/// Classes of the nodes, less these.
std::multiset<std::string> kinds_of(const Prompt& prompt, const std::set<std::string>& classes) {
  std::multiset<std::string> kinds;
  for (const PromptNode& node : prompt.nodes) {
    if (!classes.contains(node.class_type)) kinds.insert(node.class_type);
  }
  return kinds;
}

/// Whether all ids of the one are in the other: ComfyUI renumbers nodes of subgraphs whose ids are
/// taken, and what for depends on the largest.
bool same_ids(const Prompt& before, const Prompt& after) {
  return std::ranges::all_of(after.nodes, [&](const PromptNode& node) {
    const NodeIndex at = before.position(node.id);
    return at >= 0 && before.nodes[at].class_type == node.class_type;
  });
}

/// Every node but those of the classes is there with its values, and its links go past them.
void expect_same(const Prompt& before, const Prompt& after, const std::set<std::string>& classes,
                 const std::string& file) {
  for (const PromptNode& was : before.nodes) {
    if (classes.contains(was.class_type)) {
      EXPECT_FALSE(after.position(was.id).exists()) << file << ": " << was.label();
      continue;
    }
    const NodeIndex at = after.position(was.id);
    ASSERT_TRUE(at.exists()) << file << ": " << was.label() << " is gone";
    const PromptNode& is = after.nodes[at];
    EXPECT_EQ(is.class_type, was.class_type) << file;
    for (const PromptInput& input : was.inputs) {
      const PromptInput* now = is.input(input.name);
      const std::string where = file + ": " + was.label() + " " + input.name;
      ASSERT_TRUE(now) << where;
      EXPECT_EQ(now->value, input.value) << where;
      ASSERT_EQ(now->link.has_value(), input.link.has_value()) << where;
      if (!input.link) continue;
      const Link wanted = without(before, *input.link, classes);
      EXPECT_EQ(now->link->node, wanted.node) << where;
      EXPECT_EQ(now->link->slot, wanted.slot) << where;
    }
  }
}

TEST(CleanOfCorpus, TakesCleanupNodesOutAndLeavesTheRest) {
  EBB_NEED_SHARED();
  int files = 0, nodes = 0, refused = 0, renumbered = 0;
  for (const std::string& file : test::corpus_files()) {
    const auto workflow = read_workflow(file);
    if (!workflow) continue;
    std::set<std::string> classes;
    for (const Cleaner& cleaner : find_cleaners(*workflow)) {
      classes.insert(cleaner.class_type);
      ++nodes;
    }
    if (classes.empty()) continue;
    ++files;
    const auto text = remove_cleaners(*workflow);
    if (!text) {
      EXPECT_NE(to_string(text.error()).find("passes nothing on"), std::string::npos)
          << to_string(text.error());
      ++refused;
      continue;
    }
    const auto cleaned = parse_again(*workflow, *text);
    ASSERT_TRUE(cleaned.ok()) << to_string(cleaned.error());
    EXPECT_TRUE(find_cleaners(*cleaned).empty()) << file;
    const auto before = to_prompt(*workflow, PromptOptions());
    const auto after = to_prompt(*cleaned, PromptOptions());
    ASSERT_EQ(before.ok(), after.ok()) << file;
    if (!before) continue;
    EXPECT_EQ(kinds_of(*before, classes), kinds_of(*after, {})) << file;
    if (same_ids(*before, *after)) {
      expect_same(*before, *after, classes, file);
    } else {
      ++renumbered;
    }
  }
  fmt::print(
      "  {} workflows with {} cleanup nodes; in {} one is refused, {} have ids that ComfyUI "
      "changes on loading and are compared by class only\n",
      files, nodes, refused, renumbered);
  EXPECT_GT(files - refused - renumbered, 20);
}

}  // namespace
}  // namespace ebb
