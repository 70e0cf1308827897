// SPDX-License-Identifier: Apache-2.0
#include "ebb/patch.h"

#include <gtest/gtest.h>

#include "patch/style.h"
#include "patch/text_edits.h"
#include "tests/patch/rules.h"

namespace ebb {
namespace {

TEST(TextEdits, KeepTheirOrderAndLeaveTheRest) {
  TextEdits edits;
  edits.insert(3, "X");
  edits.insert(3, "Y");
  edits.replace(5, 2, "");
  edits.replace(0, 1, "zz");
  EXPECT_EQ(edits.apply("abcdefgh"), "zzbcXYdeh");
}

TEST(TextEdits, ARecordLeadsBackAndNoticesChanges) {
  const std::string original = R"({"a": 1, "b": "x\"y"})";
  TextEdits edits;
  edits.replace(6, 1, "22");
  edits.insert(20, R"(,"r":"@ebb:undo@")");
  const std::string patched = with_record(original, edits).apply(original).value();
  const auto document = JsonDocument::parse(patched);
  ASSERT_TRUE(document.ok()) << patched;
  const std::string record = document->root().find("r").string();
  EXPECT_EQ(undo_record(patched, record), original);
  std::string other = patched;
  other[2] = 'c';
  EXPECT_EQ(undo_record(other, record), std::nullopt);
  EXPECT_EQ(undo_record(patched + " ", record), std::nullopt);
  for (const char* broken : {"", "[]", "[1,2,3]", "[9,9,[[0,-1,\"\"]]]", "[21,1,[[-5,1,\"\"]]]",
                             "[21,1,[[99999,1,\"\"],[1,-1,\"\"]]]"}) {
    EXPECT_EQ(undo_record(patched, broken), std::nullopt) << broken;
  }
}

TEST(TextEdits, TellEditsThatContradictEachOther) {
  TextEdits twice, against;
  for (TextEdits* edits : {&twice, &against}) edits->replace(2, 3, "x");
  twice.replace(2, 3, "x");
  EXPECT_EQ(twice.apply("abcdefgh"), "abxfgh");
  against.replace(4, 2, "y");
  EXPECT_EQ(against.apply("abcdefgh"), std::nullopt);
  TextEdits outside;
  outside.remove(6, 9);
  EXPECT_EQ(outside.apply("abcdefgh"), std::nullopt);
  outside.remove(-1, 0);
  outside.insert(2, std::string(kRecordHere));
  EXPECT_EQ(with_record("abcdefgh", outside).apply("abcdefgh"), std::nullopt);
}

}  // namespace
}  // namespace ebb
