// SPDX-License-Identifier: Apache-2.0
// The words of codes: every code can be said, and an argument is written as asked.
#include "report/say.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "ebb/bytes.h"

namespace ebb {
namespace {

struct Line {
  Say code;
  std::string words;
};
const Line kLines[] = {
#define EBB_SAY(code, words) {Say::code, words},
#include "report/messages.inc"
#undef EBB_SAY
};

TEST(Say, EveryCodeHasANameOfItsOwnAndBracesThatClose) {
  std::set<std::string> names;
  for (const Line& line : kLines) {
    EXPECT_TRUE(names.insert(to_string(line.code)).second) << line.words;
    EXPECT_FALSE(line.words.empty());
    int open = 0;
    for (const char c : line.words) {
      open += c == '{' ? 1 : c == '}' ? -1 : 0;
      EXPECT_TRUE(open == 0 || open == 1) << line.words;
    }
    EXPECT_EQ(open, 0) << line.words;
  }
}

TEST(Say, AnArgumentIsWrittenAsItsBracesAskForIt) {
  EXPECT_EQ(say(Message(Say::offloaded_changes, {2300_MiB, 0})), "offloaded 2,300 -> 0 MiB");
  EXPECT_EQ(say(Message(Say::ram_peak_changes, {1_GiB, 2_GiB})), "RAM peak 1.0 GiB -> 2.0 GiB");
  EXPECT_EQ(say(Message(Say::saves_seconds, {12.4})), "saves 12 s a run");
  EXPECT_EQ(say(Message(Say::sizes_not_known, {std::vector<std::string>{"a", "b", "c"}})),
            "the size of a, b and c is not known");
  EXPECT_EQ(say(Message(Say::no_rule_for, {std::vector<std::string>{"a", "b", "c", "d", "e"}})),
            "Ebb has no rule yet for a, b, c and 2 more");
}

TEST(Say, AFractionOfBytesIsASizeAsWell) {
  EXPECT_EQ(say(Message(Say::offloaded_changes, {1536.0 * 1024 * 1024, 0.0})),
            "offloaded 1,536 -> 0 MiB");
}

TEST(Say, MessagesNestAndAreJoined) {
  const Message inner = {Say::node_will_not_run, {"node 1 A", "input b", "no link"}};
  EXPECT_EQ(say(Message(Say::in_pass, {2, std::vector<Message>{inner, Say::is_unknown}})),
            "pass 2: node 1 A will not run: input b: no link; is unknown");
  Message grown = Say::known_from_its_size;
  grown += Say::embedding_in_fp16;
  EXPECT_EQ(say(grown), "known file: counted from its size, its token embedding in fp16");
  EXPECT_EQ(say(Message()), "");
  EXPECT_EQ(say(Message("{mib} as it is")), "{mib} as it is")
      << "words from outside are no words of ours";
}

TEST(Say, ModelsAreCalledAsTheReportCallsThem) {
  const Message title = {Say::measured_budget_on, {Message(Say::model, {"long_name"})}};
  EXPECT_EQ(say(title, {{"long_name", "short"}}), "measured budget on short");
  EXPECT_EQ(say(title), "measured budget on long_name");
}

TEST(Say, JsonHasTheCodeAndItsArguments) {
  JsonWriter json;
  json.begin_object();
  write_codes(json, "causes", {{Say::in_pass, {2, Message(Say::peak_may_run_out, {3, 4})}}});
  json.end_object();
  const std::string text = std::move(json).finish();
  EXPECT_NE(text.find("\"in_pass\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"peak_may_run_out\""), std::string::npos) << text;
}

}  // namespace
}  // namespace ebb
