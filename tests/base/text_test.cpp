// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

namespace ebb {
namespace {

TEST(Text, NumbersMustBeWhole) {
  EXPECT_EQ(parse_double("0.09000000000000002"), 0.09000000000000002);
  EXPECT_FALSE(parse_double("1x"));
  EXPECT_FALSE(parse_int("1.5"));
  EXPECT_EQ(parse_int("-12"), -12);
}

TEST(Text, BaseNameKnowsBothSlashes) {
  EXPECT_EQ(base_name("wan/high.safetensors"), "high.safetensors");
  EXPECT_EQ(base_name("SDXL\\base.safetensors"), "base.safetensors");
  EXPECT_EQ(base_name("plain"), "plain");
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ',').size(), 1u);
}

TEST(Text, EditDistanceCountsEdits) {
  EXPECT_EQ(edit_distance("rtx5090", "rtx5090"), 0);
  EXPECT_EQ(edit_distance("rtx5090", "rtx5080"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

}  // namespace
}  // namespace ebb
