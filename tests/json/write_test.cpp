// SPDX-License-Identifier: Apache-2.0
#include "json/write.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ebb {
namespace {

TEST(JsonWrite, NumbersAreSpeltAsJavaScriptDoes) {
  EXPECT_EQ(json_number(1.0), "1");
  EXPECT_EQ(json_number(-0.0), "0");
  EXPECT_EQ(json_number(0.1), "0.1");
  EXPECT_EQ(json_number(8.000000000000002), "8.000000000000002");
  EXPECT_EQ(json_number(1e-6), "0.000001");
  EXPECT_EQ(json_number(1e-7), "1e-7");
  EXPECT_EQ(json_number(1.5e-9), "1.5e-9");
  EXPECT_EQ(json_number(1e21), "1e+21");
  EXPECT_EQ(json_number(1e22), "1e+22");
  EXPECT_EQ(json_number(18446744073709551615.0), "18446744073709552000");
  EXPECT_EQ(json_number(9007199254740993.0), "9007199254740992");
  EXPECT_EQ(json_number(-12.5), "-12.5");
  EXPECT_EQ(json_number(std::nan("")), "null");
}

TEST(JsonWrite, QuoteAndUnquoteAreInverse) {
  const std::string text = "a\"b\\c\n\x01\xc3\xa9/";
  EXPECT_EQ(json_quote(text), "\"a\\\"b\\\\c\\n\\u0001\xc3\xa9/\"");
  EXPECT_EQ(json_unquote(json_quote(text)), text);
}

TEST(JsonWrite, LoneSurrogatesSurvive) { EXPECT_EQ(json_unquote("\"\\ud800\""), "\xed\xa0\x80"); }

TEST(JsonWrite, WritesIndentedDocuments) {
  JsonWriter w;
  w.begin_object().member("a", 1).key("b").begin_array().value("x").null().end_array();
  w.key("c").begin_object().end_object().end_object();
  EXPECT_EQ(std::move(w).finish(),
            "{\n  \"a\": 1,\n  \"b\": [\n    \"x\",\n    null\n  ],\n  \"c\": {}\n}\n");
}

}  // namespace
}  // namespace ebb
