// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/text.h"
#include "json/document.h"
#include "tests/report/sample.h"

namespace ebb {
namespace {

JsonDocument parsed(const Report& report) {
  auto document = JsonDocument::parse(to_json(report));
  EXPECT_TRUE(document) << to_string(document.error());
  return std::move(document).value();
}

void expect_keys(JsonValue object, const std::vector<const char*>& keys) {
  for (const char* key : keys) EXPECT_TRUE(object.find(key).exists()) << key;
}

TEST(ReportJson, every_fixed_name_is_there) {
  const auto document = parsed(test::wan_two_passes());
  const JsonValue root = document.root();
  expect_keys(root, {"schema", "verdict", "machine", "models", "order", "passes", "cuts", "fixes",
                     "table", "largest_resident", "notes"});
  EXPECT_TRUE(root.find("schema").is("ebb.plan/1"));
  expect_keys(root.find("models").at(0),
              {"id", "file", "role", "architecture", "bytes", "bytes_from"});
  expect_keys(root.find("passes").at(0),
              {"index", "nodes", "weights", "asked_bytes", "live_bytes", "reserved_bytes",
               "usable_bytes", "loaded_bytes", "offloaded_bytes", "vram_peak_bytes",
               "ram_peak_bytes", "read_bytes", "verdict", "cause"});
  expect_keys(root.find("cuts").at(0), {"after_pass", "crossing"});
  expect_keys(root.find("fixes").at(0),
              {"id", "kind", "title", "vram_bytes", "ram_bytes", "seconds"});
  expect_keys(root.find("table").at(0), {"frames", "verdict", "usable_bytes", "offloaded_bytes"});
  expect_keys(root.find("largest_resident"), {"frames"});
}

TEST(ReportJson, numbers_and_words_are_those_of_the_report) {
  const Report report = test::wan_two_passes();
  const auto document = parsed(report);
  const JsonValue root = document.root();
  EXPECT_TRUE(root.find("verdict").is("offloads"));
  EXPECT_EQ(root.find("largest_resident").find("frames").integer(), 65);
  EXPECT_EQ(root.find("passes").size(), 5U);
  const JsonValue third = root.find("passes").at(2);
  EXPECT_EQ(third.find("index").integer(), 3);
  EXPECT_EQ(third.find("offloaded_bytes").integer(), 2300_MiB);
  EXPECT_TRUE(third.find("asked_kind").is("computed"));
  EXPECT_TRUE(third.find("live_kind").is("measured"));
  EXPECT_TRUE(third.find("weights").at(0).is("37"));
  EXPECT_TRUE(third.find("nodes").at(1).is("57"));
  EXPECT_EQ(third.find("evictions").size(), 2U);
  EXPECT_TRUE(third.find("loads").at(0).find("log").is("loaded partially"));
  EXPECT_TRUE(root.find("models").at(2).find("role").is("diffusion"));
  EXPECT_TRUE(root.find("models").at(0).find("role").is("text_encoder"));
  EXPECT_TRUE(root.find("models").at(1).find("role").is("vae"));
  EXPECT_TRUE(third.find("work").is("sample"));
  EXPECT_TRUE(root.find("models").at(2).find("bytes_from").is("known"));
  EXPECT_TRUE(root.find("fixes").at(0).find("kind").is("flag"));
  EXPECT_EQ(root.find("cuts").at(0).find("after_pass").integer(), 1);
  EXPECT_EQ(root.find("table").at(3).find("frames").integer(), 121);
  EXPECT_EQ(root.find("order").size(), report.order.size());
}

TEST(ReportJson, verdicts_have_their_fixed_spelling) {
  const std::vector<std::pair<Verdict, const char*>> spelling = {
      {Verdict::fits, "fits"},           {Verdict::tight, "tight"},
      {Verdict::offloads, "offloads"},   {Verdict::spills, "spills"},
      {Verdict::ram_short, "ram_short"}, {Verdict::unknown, "unknown"}};
  Report report = test::picture_that_fits();
  for (const auto& [verdict, word] : spelling) {
    report.prediction.outcome.verdict = verdict;
    EXPECT_TRUE(parsed(report).root().find("verdict").is(word)) << word;
  }
}

TEST(ReportJson, an_unknown_number_is_null_and_a_note_says_why) {
  const auto document = parsed(test::unknown_weights());
  const JsonValue root = document.root();
  EXPECT_TRUE(root.find("verdict").is("unknown"));
  EXPECT_TRUE(root.find("models").at(1).find("bytes").is_null());
  EXPECT_TRUE(root.find("passes").at(1).find("asked_bytes").is_null());
  EXPECT_TRUE(root.find("passes").at(1).find("vram_peak_bytes").is_null());
  const auto noted = [&](std::string_view a, std::string_view b) {
    for (const JsonValue note : root.find("notes")) {
      const std::string text = note.string();
      if (contains(text, a) && contains(text, b)) return true;
    }
    return false;
  };
  EXPECT_TRUE(noted("asked_bytes", "Pass 2"));
  EXPECT_TRUE(noted("asked_bytes", "the architecture is not known"));
  EXPECT_TRUE(noted("mystery_merge_v7", "in no model folder"));
  EXPECT_TRUE(noted("frames", "unknown"));
}

TEST(ReportJson, every_report_however_odd_parses_and_every_null_number_has_a_note) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto document = parsed(test::random_report(seed));
    const JsonValue root = document.root();
    std::string notes;
    for (const JsonValue note : root.find("notes")) notes += note.string() + "\n";
    for (const JsonValue pass : root.find("passes")) {
      for (const JsonValue member : pass) {
        if (member.is_null()) {
          EXPECT_TRUE(contains(lower(notes), member.key())) << member.key();
        }
      }
    }
  }
}

TEST(ReportJson, names_come_back_as_they_were) {
  Report report = test::wan_two_passes();
  report.file = "a \"b\" \\ c\n\x01 \xE6\xA8\xA1.json";
  EXPECT_EQ(parsed(report).root().find("file").string(), report.file);
  report.file = "broken \xff bytes";
  EXPECT_EQ(parsed(report).root().find("file").string(), "broken \xEF\xBF\xBD bytes");
}

}  // namespace
}  // namespace ebb
