// SPDX-License-Identifier: Apache-2.0
#include "weights/count.h"

#include <gtest/gtest.h>

#include "tests/weights/model_headers.h"
#include "weights/module_table.h"

namespace ebb {
namespace {

using enum WeightsRole;

Count count(const test::ModelHeader& model, WeightsRole role, ComfyVersion version,
            const char* architecture, bool cast_to_fp8 = false) {
  const Header header = model.header();
  return count_tensors(
      TensorSet(header, {""}),
      {.role = role, .comfyui = version, .cast_to_fp8 = cast_to_fp8, .architecture = architecture});
}

/// Modules as ComfyUI listed them, without the empty ones that no header can show. Only sums
/// matter where neighbours of one size differ in kind.
std::vector<ModuleGroup> listed(const ModuleRow& row) {
  std::vector<ModuleGroup> runs;
  for (const ModuleGroup& run : row.runs) {
    if (run.bytes > 0) runs.push_back(run);
  }
  return runs;
}

void expect_recorded(const Count& counted, const char* model, ComfyVersion version) {
  const ModuleRow* row = find_module_row(model, version);
  ASSERT_NE(row, nullptr) << model;
  EXPECT_EQ(counted.bytes, row->bytes) << model;
  EXPECT_EQ(counted.listed_bytes, row->listed_bytes) << model;
  const std::vector<ModuleGroup> wanted = listed(*row);
  ASSERT_EQ(counted.modules.size(), wanted.size()) << model;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(counted.modules[i], wanted[i]) << model << " run " << i;
  }
}

constexpr ComfyVersion kVersions[] = {{0, 3, 64}, {0, 3, 73}, {0, 8, 0}, {0, 18, 2}};

TEST(Count, WanFp8ScaledAsComfyUiHasIt) {
  for (const ComfyVersion version : kVersions) {
    const auto model = test::wan_header("scaled", 5120, 13824, 40, 36);
    expect_recorded(count(model, diffusion, version, "wan-14b"), "wan22_i2v_14b_fp8_scaled",
                    version);
  }
}

TEST(Count, WanFp16AsComfyUiHasIt) {
  for (const ComfyVersion version : kVersions) {
    const auto big = test::wan_header("F16", 5120, 13824, 40, 36);
    expect_recorded(count(big, diffusion, version, "wan-14b"), "wan22_i2v_14b_fp16", version);
    const auto small = test::wan_header("F16", 1536, 8960, 30, 16);
    expect_recorded(count(small, diffusion, version, "wan-1.3b"), "wan21_t2v_1.3b_fp16", version);
  }
}

TEST(Count, FluxAsComfyUiHasIt) {
  for (const ComfyVersion version : kVersions) {
    const auto half = test::flux_header("BF16");
    expect_recorded(count(half, diffusion, version, "flux"), "flux1_dev_bf16", version);
    const auto fp8 = test::flux_header("F8_E4M3");
    expect_recorded(count(fp8, diffusion, version, "flux"), "flux1_dev_fp8_e4m3fn", version);
  }
}

TEST(Count, AWeightDtypeOfFp8MakesEveryValueOneByte) {
  const auto counted = count(test::flux_header("BF16"), diffusion, {0, 3, 73}, "flux", true);
  expect_recorded(counted, "flux1_dev_fp8_e4m3fn", {0, 3, 73});
}

TEST(Count, FullPrecisionFilesAreKeptInTwoBytes) {
  const auto half = count(test::wan_header("F16", 1536, 8960, 30, 16), diffusion, {}, "wan-1.3b");
  const auto full = count(test::wan_header("F32", 1536, 8960, 30, 16), diffusion, {}, "wan-1.3b");
  EXPECT_EQ(full.bytes, half.bytes);
  EXPECT_EQ(full.stored_type, "fp32");
}

TEST(Count, T5AsComfyUiHasIt) {
  for (const ComfyVersion version : kVersions) {
    expect_recorded(count(test::t5_header("F16", false), text_encoder, version, "t5-xxl"),
                    "t5xxl_fp16", version);
    expect_recorded(count(test::t5_header("F16", true), text_encoder, version, "umt5-xxl"),
                    "umt5_xxl_fp16", version);
    expect_recorded(count(test::t5_header("F8_E4M3", false), text_encoder, version, "t5-xxl"),
                    "t5xxl_fp8_e4m3fn", version);
    expect_recorded(count(test::t5_header("scaled", true), text_encoder, version, "umt5-xxl"),
                    "umt5_xxl_fp8_e4m3fn_scaled", version);
  }
}

TEST(Count, ParametersBesideChildrenAreCountedButNotListed) {
  test::ModelHeader model;
  model.add("block.table", "F16", {100});
  model.linear("block.inner", 10, 10, "F16");
  const auto counted = count(model, diffusion, {}, "");
  EXPECT_EQ(counted.bytes, 200 + 220);
  EXPECT_EQ(counted.listed_bytes, 220);
}

TEST(Count, UniformModulesAddUpAndAreAbout25MiB) {
  for (const std::int64_t bytes : std::vector<std::int64_t>{1, 25000000, 14000000001, 40_GiB + 7}) {
    const auto runs = uniform_modules(bytes, 0);
    EXPECT_EQ(sum_of(runs), bytes);
    if (bytes > 1_GiB) {
      EXPECT_NEAR(static_cast<double>(runs[0].bytes), 25.0 * (1 << 20), 1e6);
    }
  }
  EXPECT_TRUE(uniform_modules(0, 0).empty());
}

TEST(Count, ScaledModulesAddUp) {
  const ModuleRow* row = find_module_row("wan22_i2v_14b_fp16", {});
  const std::vector<ModuleGroup> runs(row->runs.begin(), row->runs.end());
  for (const std::int64_t bytes : std::vector<std::int64_t>{1, 9651728896, 1LL << 45}) {
    const auto scaled = scaled_modules(runs, bytes);
    EXPECT_EQ(sum_of(scaled), bytes);
    EXPECT_GE(scaled[0].bytes, scaled[1].bytes);
  }
}

TEST(Count, MergedModulesAreInLoadOrder) {
  const auto merged = merge_modules({{50, 0, 2, true}, {10, 0, 1, true}}, {{30, 0, 1, false}});
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged[1].bytes, 30);
}

}  // namespace
}  // namespace ebb
