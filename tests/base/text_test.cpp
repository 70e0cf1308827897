// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include "ebb/printable.h"

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

TEST(Text, IsCutAtAWholeCharacter) {
  EXPECT_EQ(cut_text("short"), "short");
  EXPECT_EQ(cut_text("abcdef", 3), "abc...");
  EXPECT_EQ(cut_text("ab\u00e4cd", 3), "ab...");
}

TEST(Printable, HoldsNoControlCharacter) {
  EXPECT_EQ(printable("a\x1b]0;x\x07"
                      "b\nc\td"),
            "a?]0;x?b c d");
  EXPECT_EQ(printable("\u009b31m \u202e \x7f"), "?31m ? ?");
  EXPECT_EQ(printable_lines("a\r\nb\x1b"), "a?\nb?");
}

TEST(JsonQuote, WritesValidUtf8AndNothingThatATerminalObeys) {
  EXPECT_EQ(json_quote("a\"\\\n\x1b"), R"("a\"\\\n\u001b")");
  EXPECT_EQ(json_quote("\u00e4 \u4e2d"), "\"\u00e4 \u4e2d\"");
  EXPECT_EQ(json_quote("\u009b\u202e\x7f"), R"("\u009b\u202e\u007f")");
  EXPECT_EQ(json_quote("\xff\xc3("), "\"\uFFFD\uFFFD(\"");
  EXPECT_EQ(json_quote("\xED\xA0\xBD"), R"("\ud83d")");  // half of a pair, as JSON may hold it
}

}  // namespace
}  // namespace ebb
