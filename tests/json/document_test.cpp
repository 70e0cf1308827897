// SPDX-License-Identifier: Apache-2.0
#include "json/document.h"

#include <gtest/gtest.h>

#include "tests/support.h"

namespace ebb {
namespace {

JsonDocument parse(const std::string& text) {
  auto document = JsonDocument::parse(text, "t.json");
  EXPECT_TRUE(document.ok()) << (document.ok() ? "" : to_string(document.error()));
  return std::move(document).value();
}

TEST(Json, KeepsSpellings) {
  const auto doc = parse(R"({"a":0.09000000000000002,"b":18446744073709551616,"c":NaN,"d":[1.0]})");
  EXPECT_EQ(doc.root().find("a").raw(), "0.09000000000000002");
  EXPECT_EQ(doc.root().find("b").raw(), "18446744073709551616");
  EXPECT_FALSE(doc.root().find("b").integer());
  EXPECT_EQ(doc.root().find("c").raw(), "NaN");
  EXPECT_EQ(doc.root().find("d").at(0).integer(), 1);
}

TEST(Json, LastOfDuplicateKeysWinsAndBothAreThere) {
  const auto doc = parse(R"({"a":1,"a":2})");
  EXPECT_EQ(doc.root().size(), 2u);
  EXPECT_EQ(doc.root().find("a").integer(), 2);
}

TEST(Json, DecodesEscapesInKeysAndValues) {
  const auto doc = parse(R"({"a\u0062":"\ud83d\ude00\n\"","x":1})");
  EXPECT_EQ(doc.root().find("ab").string(), "\xf0\x9f\x98\x80\n\"");
  EXPECT_EQ(doc.root().find("ab").key(), "ab");
}

TEST(Json, AbsentValuesAnswerNothing) {
  const auto doc = parse(R"({"a":[]})");
  const JsonValue none = doc.root().find("b").find("c").at(3);
  EXPECT_FALSE(none.exists());
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(none.string(), "");
  for (const JsonValue v : none) FAIL() << v.raw();
  for (const JsonValue v : doc.root().find("a")) FAIL() << v.raw();
}

TEST(Json, PointersNameThePlace) {
  const auto doc = parse(R"({"nodes":[{"id":1},{"id":2,"inputs":[0,[5]]}]})");
  EXPECT_EQ(doc.root().find("nodes").at(1).find("inputs").at(1).at(0).pointer(),
            "/nodes/1/inputs/1/0");
  EXPECT_EQ(doc.root().pointer(), "");
}

TEST(Json, ErrorsNameLineColumnAndContainer) {
  const auto error = JsonDocument::parse("{\n \"nodes\": [1, 2", "broken.json").error();
  EXPECT_EQ(error.where.file, "broken.json");
  EXPECT_EQ(error.where.line, 2);
  EXPECT_EQ(error.where.column, 16);
  EXPECT_NE(error.message.find("inside \"nodes\""), std::string::npos) << error.message;
  EXPECT_NE(error.hint.find("cut off"), std::string::npos);
}

TEST(Json, RefusesBrokenText) {
  for (const char* text :
       {"",           "  ",       "{",  "[1,]", "{\"a\"}", "{\"a\":}",    "{a:1}", "01",
        "1.",         "-",        "1e", "\"a",  "\"\\x\"", "\"\\u12g4\"", "tru",   "[1] 2",
        "{\"a\":1,}", "\"a\nb\"", "]",  "[}",   "nul",     "+1"}) {
    const auto document = JsonDocument::parse(text, "t.json");
    ASSERT_FALSE(document.ok()) << text;
    EXPECT_EQ(document.error().where.file, "t.json");
  }
}

TEST(Json, DeepNestingIsOneError) {
  const auto error = JsonDocument::parse(std::string(1'000'000, '['), "deep.json").error();
  EXPECT_NE(error.message.find("1000 levels"), std::string::npos) << error.message;
  EXPECT_TRUE(JsonDocument::parse(std::string(1000, '[') + std::string(1000, ']')).ok());
}

TEST(Json, EveryCutOfADocumentIsRefused) {
  const std::string text = R"({"a":[1,-2.5e+3,"x\u0041",{"b":null}],"c":{"d":true}})";
  for (std::size_t n = 0; n < text.size(); ++n) {
    EXPECT_FALSE(JsonDocument::parse(text.substr(0, n)).ok()) << n;
  }
}

}  // namespace
}  // namespace ebb
