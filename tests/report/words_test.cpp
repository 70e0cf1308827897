// SPDX-License-Identifier: Apache-2.0
#include "report/words.h"

#include <gtest/gtest.h>

#include "report/table.h"
#include "report/view.h"
#include "tests/pass/two_pass.h"
#include "tests/report/sample.h"

namespace ebb {
namespace {

TEST(ReportWords, width_counts_columns_not_bytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("\xC3\xA9"), 1);                  // e with acute
  EXPECT_EQ(display_width("e\xCC\x81"), 1);                 // e and a combining acute
  EXPECT_EQ(display_width("\xE6\xA8\xA1\xE5\x9E\x8B"), 4);  // two Chinese characters
  EXPECT_EQ(display_width("\xF0\x9F\x98\x80"), 2);          // an emoji
  EXPECT_EQ(display_width("\xff"), 1);
}

TEST(ReportWords, shortened_names_keep_both_ends_and_whole_characters) {
  EXPECT_EQ(shorten_middle("wan2.2_i2v_high_noise_14B", 13), "wan2.2..e_14B");
  EXPECT_EQ(shorten_middle("short", 5), "short");
  EXPECT_EQ(shorten_middle("shorter", 2), "sh");
  EXPECT_EQ(shorten_middle("", 0), "");
  const std::string name = "\xE6\xA8\xA1\xE6\xA8\xA1\xE6\xA8\xA1\xE6\xA8\xA1";
  for (int columns = 0; columns < 9; ++columns) {
    const std::string text = shorten_middle(name, columns);
    EXPECT_LE(display_width(text), columns);
    EXPECT_EQ(valid_utf8(text), text);
  }
}

TEST(ReportWords, printable_text_has_no_escapes_and_no_turned_direction) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a?[31mb");
  EXPECT_EQ(printable("a\nb"), "a b");
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "gpj.exe"),
            "?gpj.exe");  // right-to-left override
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "?31m");  // C1 control sequence introducer
  EXPECT_EQ(escape_xml("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
}

TEST(ReportWords, lines_break_at_spaces_but_not_before_a_unit) {
  EXPECT_EQ(wrap_text("one two three", 8), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap_text("unbreakable", 4), (std::vector<std::string>{"unbr", "eaka", "ble"}));
  std::string out;
  put_wrapped(out, "it holds 13,629 MiB.", 0, 0, 16);
  EXPECT_EQ(out, "it holds\n13,629 MiB.\n");
}

TEST(ReportWords, seconds_have_two_figures) {
  EXPECT_EQ(format_seconds(0.0913), "0.09 s");
  EXPECT_EQ(format_seconds(3.14), "3.1 s");
  EXPECT_EQ(format_seconds(48.2), "48 s");
  EXPECT_EQ(format_seconds(150), "2 min 30 s");
  EXPECT_EQ(format_seconds(120), "2 min");
  EXPECT_EQ(format_seconds(7300), "2 h 1 min");
  EXPECT_EQ(format_seconds(0.0 / 1e-300 - 0), "0 s");
}

TEST(ReportWords, short_names_say_what_tells_models_apart) {
  EXPECT_EQ(
      short_names(test::wan_two_passes().prediction.passes->weights),
      (std::vector<std::string>{"umt5_xxl", "wan_2.1_vae", "high_noise_14B", "low_noise_14B"}));
  EXPECT_EQ(
      short_names(test::picture_that_fits().prediction.passes->weights),
      (std::vector<std::string>{"sd_xl_base_1.0 clip", "sd_xl_base_1.0", "sd_xl_base_1.0 vae"}));
}

TEST(ReportWords, ranges_join) {
  EXPECT_EQ(join_ranges({3, 4, 5, 7}), "3-5, 7");
  EXPECT_EQ(join_ranges({3, 4}), "3, 4");
  EXPECT_EQ(join_and({"a", "b", "c"}), "a, b and c");
  EXPECT_EQ(add_bytes(1LL << 62, 1LL << 62), std::numeric_limits<std::int64_t>::max());
}

TEST(ReportTable, an_empty_column_disappears) {
  TextTable table({{"a", "", Align::left, Overflow::keep},
                   {"b", "MiB", Align::right, Overflow::keep},
                   {"c", "MiB", Align::right, Overflow::keep}});
  table.row({"x", "-", "12"});
  table.row({"y", "", "1,234"});
  EXPECT_EQ(table.layout(2, 100), "  a      c\n       MiB\n  x     12\n  y  1,234\n");
}

TEST(ReportTable, text_columns_give_way_and_wrap) {
  TextTable table(
      {{"do", "", Align::left, Overflow::wrap}, {"effect", "", Align::left, Overflow::wrap}});
  table.row({"start without the flag", "nothing is offloaded"});
  EXPECT_EQ(table.layout(0, 24),
            "do           effect\n"
            "start        nothing is\n"
            "without the  offloaded\n"
            "flag\n");
}

TEST(ReportView, passes_that_repeat_are_folded_once_there_are_many) {
  const Report report = test::forty_passes();
  const View view = make_view(report.prediction);
  ASSERT_EQ(view.passes.size(), 40U);
  ASSERT_EQ(view.rows.size(), 5U);
  EXPECT_EQ(view.rows[4].length, 36);
  EXPECT_EQ(view.rows[4].period, 2);
  EXPECT_EQ(repeat_words(view, view.rows[4]), "passes 5-40: passes 3-4 again, 18 times");
  EXPECT_EQ(make_view(test::wan_two_passes().prediction).rows.size(), 5U);
}

TEST(ReportView, sentences_use_the_short_names_of_models_but_files_keep_theirs) {
  const Report report = test::wan_two_passes();
  const View view = make_view(report.prediction);
  const Message model = {Say::model, {"wan2.2_i2v_high_noise_14B_fp8_scaled"}};
  EXPECT_EQ(view.say(Message(Say::release_model, {"drop", model})),
            "drop high_noise_14B after its last pass");
  const std::string file = "umt5_xxl_fp8_e4m3fn_scaled.safetensors";
  EXPECT_EQ(view.say(Message(Say::size_in_no_table, {file})),
            "the size of " + file + " is in no table");
}

TEST(ReportView, equal_crossings_are_counted) {
  Report report = test::wan_two_passes();
  auto& crossing = test::own_passes(report.prediction).cuts[0].crossing;
  crossing = {
      {"CONDITIONING", "6", 8_MiB}, {"CONDITIONING", "7", 8_MiB}, {"IMAGE", "9", std::nullopt}};
  EXPECT_EQ(make_view(report.prediction).cut_text(0),
            "two CONDITIONING (8 MiB each) and IMAGE (size unknown) cross.");
}

TEST(ReportView, every_pass_is_in_exactly_one_row) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Report report = test::random_report(seed);
    const View view = make_view(report.prediction);
    PassIndex next = 0;
    for (const PassRow& row : view.rows) {
      EXPECT_EQ(row.pass, next);
      next = row.last() + 1;
    }
    EXPECT_EQ(next + view.rows_left_out, view.passes.end_index());
  }
}

}  // namespace
}  // namespace ebb
