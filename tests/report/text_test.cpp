// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "report/words.h"
#include "tests/report/sample.h"

namespace ebb {
namespace {

void expect_narrow(const std::string& text, const std::string& what) {
  for (const auto line : split(text, '\n')) {
    EXPECT_LE(display_width(line), 100) << what << ": " << line;
    EXPECT_FALSE(!line.empty() && line.back() == ' ') << what << ": " << line;
  }
}

TEST(ReportText, no_line_is_longer_than_100_columns_or_ends_in_a_space) {
  for (const auto& [name, report] : test::named_reports())
    expect_narrow(to_text(report, false), name);
}

TEST(ReportText, no_report_however_odd_breaks_the_layout) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string text = to_text(test::random_report(seed), false);
    expect_narrow(text, "random");
    for (const auto line : split(text, '\n')) EXPECT_EQ(line, printable(line));
  }
}

TEST(ReportText, samples_are_written_where_a_person_asks_for_them) {
  const char* folder = std::getenv("EBB_WRITE_SAMPLES");
  if (!folder) GTEST_SKIP() << "EBB_WRITE_SAMPLES names no folder";
  for (const auto& [name, report] : test::named_reports()) {
    const std::string path = std::string(folder) + "/" + name;
    EXPECT_TRUE(write_file(path + ".txt", to_text(report, false)));
    EXPECT_TRUE(write_file(path + ".json", to_json(report)));
    EXPECT_TRUE(write_file(path + ".svg", to_svg(report)));
    EXPECT_TRUE(write_file(path + ".html", to_html(report)));
  }
}

}  // namespace
}  // namespace ebb
