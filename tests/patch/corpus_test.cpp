// SPDX-License-Identifier: Apache-2.0
// Every workflow of the corpus is patched, and every patch keeps the rules of rules.h.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/patch/rules.h"
#include "tests/support.h"

namespace ebb {
namespace {

struct Count {
  int files = 0, switching = 0, patched = 0, edited = 0, refused = 0;
  int merged = 0, inside = 0, unused = 0;  // several models loaded, and no switch between nodes
};

/// The first of the refusals that has another reason than an end where no link leaves.
std::string other_refusal(const Patch& patch) {
  for (const std::string& why : patch.refusals) {
    if (!why.ends_with("nothing that a node could be put on leaves the first one.")) return why;
  }
  return {};
}

void patch_all(bool everything, Count& count) {
  for (const std::string& file : test::corpus_files()) {
    const auto workflow = read_workflow(file);
    if (!workflow) continue;
    const auto wish = everything ? test::everything_wish(*workflow) : test::unload_wish();
    const auto checked = test::check_rules(std::string(whole_text(*workflow)), file, wish);
    count.files += checked.read;
    count.switching += checked.patch.switches > 0;
    count.patched += !checked.patch.changes_nothing();
    count.edited += checked.edited;
    count.refused += !checked.patch.refusals.empty();
    const std::string& why = checked.patch.why_none;
    count.merged += why.ends_with("hands on one model");
    count.inside += why.ends_with("changes inside one node");
    count.unused += why.find("no sampler that Ebb knows") != why.npos;
    if (!everything && checked.patch.switches > 0) {
      EXPECT_TRUE(!checked.patch.changes_nothing() || !checked.patch.refusals.empty())
          << file << ": two models and no node";
      EXPECT_EQ(other_refusal(checked.patch), "") << file;
      EXPECT_EQ(why, "") << file;
    }
  }
}

TEST(PatchOfCorpus, UnloadNodesGoInAndOutAgain) {
  EBB_NEED_SHARED();
  Count count;
  patch_all(false, count);
  fmt::print(
      "  {} workflows, {} with two diffusion models in use, {} patched, {} of them also "
      "undone after a rewrite; several models and no switch: {} hand on one, {} change inside a "
      "node, {} leave one unused\n",
      count.files, count.switching, count.patched, count.edited, count.merged, count.inside,
      count.unused);
  EXPECT_GT(count.files, 1300);
  EXPECT_GE(count.switching, 105);
  // SeedVR2's upscalers of one public file end three branches each: two files.
  EXPECT_LE(count.switching - count.patched, 2);
  EXPECT_GT(count.merged, 0);
  EXPECT_GT(count.inside, 0);
  EXPECT_GT(count.unused, 0);
}

TEST(PatchOfCorpus, EveryKindOfEditGoesInAndOutAgain) {
  EBB_NEED_SHARED();
  Count count;
  patch_all(true, count);
  fmt::print(
      "  {} workflows, {} patched, {} of them also undone after a rewrite, {} with something "
      "refused\n",
      count.files, count.patched, count.edited, count.refused);
  EXPECT_GT(count.patched, 900);
}

}  // namespace
}  // namespace ebb
