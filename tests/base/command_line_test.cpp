// SPDX-License-Identifier: Apache-2.0
#include "base/command_line.h"

#include <gtest/gtest.h>

namespace ebb {
namespace {

using Commands = std::vector<std::vector<std::string>>;

TEST(CommandLine, QuotesForAPosixShell) {
  EXPECT_EQ(quote_word("--reserve-vram", Shell::posix), "--reserve-vram");
  EXPECT_EQ(quote_word("", Shell::posix), "''");
  EXPECT_EQ(quote_word("my models", Shell::posix), "'my models'");
  EXPECT_EQ(quote_word("it's", Shell::posix), "'it'\\''s'");
  EXPECT_EQ(quote_word("D:\\x", Shell::posix), "'D:\\x'");
}

TEST(CommandLine, QuotesForCmd) {
  EXPECT_EQ(quote_word("D:\\x", Shell::cmd), "D:\\x");
  EXPECT_EQ(quote_word("", Shell::cmd), "\"\"");
  EXPECT_EQ(quote_word("D:\\a b\\", Shell::cmd), "\"D:\\a b\\\\\"");
  EXPECT_EQ(quote_word("100% & (x)^!", Shell::cmd), "\"100%% & (x)^!\"");
  EXPECT_EQ(quote_word("a\"&b", Shell::cmd), "^\"a\\^\"^&b^\"");
  EXPECT_EQ(quote_word("Gr\xC3\xBC\xC3\x9F", Shell::cmd), "\"Gr\xC3\xBC\xC3\x9F\"");
}

TEST(CommandLine, CommentsEndWhereTheyShould) {
  EXPECT_EQ(comment_text("a\nrm -rf /\r", Shell::posix), "a rm -rf / ");
  EXPECT_EQ(comment_text("65 -> 85 & 5 % | x^", Shell::cmd), "65 to 85   5 %%   x ");
  EXPECT_FALSE(can_be_quoted("a\nb"));
  EXPECT_TRUE(can_be_quoted("a b\xC3\xBC"));
}

TEST(CommandLine, ReadsTheCommandsOfALine) {
  EXPECT_EQ(
      line_commands("cd x && python main.py 'a b'\\''c' \"$@\" 2>&1 | tee log\nrest", Shell::posix),
      (Commands{{"cd", "x"}, {}, {"python", "main.py", "a b'c", "$@"}, {"tee", "log"}}));
  EXPECT_EQ(line_commands("python main.py \\\n  --lowvram # why\n", Shell::posix),
            (Commands{{"python", "main.py", "--lowvram"}}));
  EXPECT_EQ(line_commands("py -s main.py ^\r\n --x \"D:\\a b\\\\\" 50%% %* >log.txt\r\npause",
                          Shell::cmd),
            (Commands{{"py", "-s", "main.py", "--x", "D:\\a b\\", "50%", "%*"}}));
  EXPECT_EQ(line_commands("echo it's ^& \"a & b\" & pause", Shell::cmd),
            (Commands{{"echo", "it's", "&", "a & b"}, {"pause"}}));
  EXPECT_FALSE(line_commands("python 'main.py", Shell::posix));
}

TEST(CommandLine, ReadsBackWhatItQuoted) {
  for (const char* word : {"", "a b", "\"", "\\", "\\\\\" x", "a\"&\"b", "%PATH%", "^^", "!a!",
                           "()", "it's", "D:\\x y\\", "$(id)", "#", "\xC3\xBC"}) {
    for (const Shell shell : {Shell::posix, Shell::cmd}) {
      EXPECT_EQ(line_commands("p " + quote_word(word, shell) + " z", shell),
                (Commands{{"p", word, "z"}}));
    }
  }
}

}  // namespace
}  // namespace ebb
