// SPDX-License-Identifier: Apache-2.0
// Every workflow of the corpus is patched, and every patch keeps the rules of rules.h.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/patch/rules.h"
#include "tests/support.h"

namespace ebb {
namespace {

struct Count {
  int files = 0, switching = 0, patched = 0, edited = 0, refused = 0;
};

void patch_all(bool everything, Count& count) {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(*test::shared_dir() / "corpus")) {
    if (!entry.is_regular_file() || entry.path().extension() != ".json") continue;
    const std::string file = entry.path().string();
    const auto workflow = read_workflow(file);
    if (!workflow) continue;
    const auto wish = everything ? test::everything_wish(*workflow) : test::unload_wish();
    const auto checked = test::check_rules(std::string(whole_text(*workflow)), file, wish);
    count.files += checked.read;
    count.switching += checked.patch.switches > 0;
    count.patched += !checked.patch.changes_nothing();
    count.edited += checked.edited;
    count.refused += !checked.patch.refusals.empty();
    if (!everything && checked.patch.switches > 0) {
      EXPECT_FALSE(checked.patch.changes_nothing()) << file << ": two models and no node";
      EXPECT_TRUE(checked.patch.refusals.empty()) << file << ": " << checked.patch.refusals.front();
    }
  }
}

TEST(PatchOfCorpus, UnloadNodesGoInAndOutAgain) {
  EBB_NEED_SHARED();
  Count count;
  patch_all(false, count);
  fmt::print(
      "  {} workflows, {} with two diffusion models in use, {} patched, {} of them also "
      "undone after a rewrite\n",
      count.files, count.switching, count.patched, count.edited);
  EXPECT_GT(count.files, 1300);
  EXPECT_GE(count.switching, 100);
  EXPECT_EQ(count.patched, count.switching);
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
