// SPDX-License-Identifier: Apache-2.0
// What the plan's levers promise is what a plan of the file says into which they were put: two ways
// to the same numbers, over every workflow of the corpus.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "run/wish.h"
#include "tests/support.h"

namespace ebb {
namespace {

struct Count {
  int promised = 0, partly = 0, kept = 0;
};

std::string words(const Outcome& outcome) {
  return fmt::format("{}, offloaded {} MiB, RAM peak {}", to_string(outcome.verdict),
                     format_mib(outcome.offloaded_bytes), format_gib(outcome.ram_peak_bytes));
}

void expect_kept(const Workflow& workflow, const RunOptions& options, Count& count) {
  const auto wish = make_wish({}, workflow, options);
  if (!wish || !wish->promised) return;
  const auto patch = make_patch(workflow, wish->wish, prompt_options(wish->version, nullptr));
  ASSERT_TRUE(patch.ok()) << to_string(patch.error());
  ++count.promised;
  // The unload node drops from RAM, too; its lever speaks of VRAM alone. Inputs that changed places
  // let a loader run later than the plan saw it.
  const bool other =
      wish->wish.between_models || std::ranges::count(patch->changes, "inputs", &Change::kind) > 0;
  if (!patch->refusals.empty() || patch->changes_nothing() || other) {
    ++count.partly;
    return;
  }
  const auto run = predict_run(*parse_again(workflow, patch->text), options);
  ASSERT_TRUE(run.ok()) << to_string(run.error());
  const std::string is = words(run->report.prediction.outcome);
  EXPECT_EQ(is, words(*wish->promised)) << workflow.file() << ": " << wish->lines.front().text();
  count.kept += is == words(*wish->promised);
}

void all_of_the_corpus(const char* gpu, const char* version) {
  RunArguments arguments;
  arguments.gpu = gpu;
  arguments.ram = "32G";
  arguments.os = "linux";
  arguments.comfyui = version;
  const auto options = understand(arguments);
  ASSERT_TRUE(options.ok());
  Count count;
  for (const std::string& file : test::corpus_files()) {
    const auto workflow = read_workflow(file);
    if (workflow) expect_kept(*workflow, *options, count);
  }
  fmt::print(
      "  {}, ComfyUI {}: {} workflows with fixes, {} of them refused in part, with an unload node "
      "or in another order, {} as promised\n",
      gpu, version, count.promised, count.partly, count.kept);
  EXPECT_GT(count.kept, 100);
}

TEST(Promise, OfTheLeversIsKeptByThePatchedFileOnASmallCard) {
  EBB_NEED_SHARED();
  all_of_the_corpus("rtx3060", "0.3.64");
}

TEST(Promise, OfTheLeversIsKeptByThePatchedFileOnALargeCard) {
  EBB_NEED_SHARED();
  all_of_the_corpus("rtx4090", "0.8.0");
}

TEST(Promise, OfTheLeversIsKeptByThePatchedFileWithDynamicVram) {
  EBB_NEED_SHARED();
  all_of_the_corpus("rtx4090", "0.18.2");
}

}  // namespace
}  // namespace ebb
