// SPDX-License-Identifier: Apache-2.0
#include "weights/module_table.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "json/document.h"
#include "tests/support.h"
#include "weights/count.h"

namespace ebb {
namespace {

TEST(ModuleTable, EveryRecordedModelIsThereWithTheSameModulesInTheSameOrder) {
  EBB_NEED_SHARED();
  const std::string text = test::slurp(*test::shared_dir() / "reference/model-modules.jsonl.gz");
  int records = 0;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const auto document = JsonDocument::parse(std::string(line));
    ASSERT_TRUE(document.ok());
    const JsonValue root = document->root();
    const std::string version_text = root.find("version").string();
    const auto numbers = split(version_text, '.');
    ASSERT_EQ(numbers.size(), 3u);
    const ComfyVersion version{static_cast<int>(*parse_int(numbers[0])),
                               static_cast<int>(*parse_int(numbers[1])),
                               static_cast<int>(*parse_int(numbers[2]))};
    const std::string model = root.find("model").string();
    const ModuleRow* row = find_module_row(model, version);
    ASSERT_NE(row, nullptr) << model;
    EXPECT_EQ(row->version, version) << model;
    EXPECT_EQ(row->bytes, root.find("size").integer()) << model;
    EXPECT_EQ(row->listed_bytes, root.find("in_list").integer()) << model;

    std::size_t run = 0;
    int in_run = 0;
    for (const JsonValue module : root.find("modules")) {
      ASSERT_LT(run, row->runs.size()) << model;
      EXPECT_EQ(row->runs[run].bytes, module.at(1).integer()) << model;
      EXPECT_EQ(row->runs[run].extra_offload_bytes, module.at(2).integer()) << model;
      EXPECT_EQ(row->runs[run].castable, module.at(3).integer() == 1) << model;
      if (++in_run == row->runs[run].count) {
        ++run;
        in_run = 0;
      }
    }
    EXPECT_EQ(run, row->runs.size()) << model;
    ++records;
  }
  EXPECT_EQ(records, 108);
}

TEST(ModuleTable, RowsAddUp) {
  for (const ModuleRow& row : module_rows()) {
    EXPECT_EQ(sum_of({row.runs.begin(), row.runs.end()}), row.listed_bytes) << row.model;
    EXPECT_LE(row.listed_bytes, row.bytes) << row.model;
  }
}

TEST(ModuleTable, AVersionBetweenTwoTakesTheOneWhoseModulesItHas) {
  const auto version_of = [](ComfyVersion version) {
    return find_module_row("wan22_i2v_14b_fp8_scaled", version)->version;
  };
  EXPECT_EQ(version_of({0, 3, 73}), (ComfyVersion{0, 3, 73}));
  EXPECT_EQ(version_of({0, 3, 70}), (ComfyVersion{0, 3, 64}));
  EXPECT_EQ(version_of({0, 1, 0}), (ComfyVersion{0, 3, 64}));
  EXPECT_EQ(version_of({0, 3, 76}), (ComfyVersion{0, 3, 73}));
  EXPECT_EQ(version_of({0, 6, 0}), (ComfyVersion{0, 8, 0})) << "cast copies count from 0.4.0 on";
  EXPECT_EQ(version_of({0, 9, 0}), (ComfyVersion{0, 8, 0}));
  EXPECT_EQ(version_of({0, 15, 1}), (ComfyVersion{0, 18, 2})) << "norms, from 0.14.0 on";
  EXPECT_EQ(version_of({1, 0, 0}), (ComfyVersion{0, 18, 2}));
  EXPECT_EQ(find_module_row("nothing", {}), nullptr);
}

TEST(ModuleTable, PartsOfPairsAddUpToThePair) {
  for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 18, 2}}) {
    const auto listed = [&](std::string_view model) {
      return find_module_row(model, version)->listed_bytes;
    };
    EXPECT_EQ(listed("clip_l") + listed("t5xxl_fp16"), listed("clip_l+t5xxl_fp16"));
    EXPECT_EQ(listed("clip_l") + listed("t5xxl_fp8_e4m3fn"), listed("clip_l+t5xxl_fp8_e4m3fn"));
    EXPECT_EQ(listed("clip_l") + listed("clip_g"), listed("sdxl_clip"));
  }
}

}  // namespace
}  // namespace ebb
