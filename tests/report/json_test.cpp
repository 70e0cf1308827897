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
      {Verdict::fits, "fits"},
      {Verdict::tight, "tight"},
      {Verdict::offloads, "offloads"},
      {Verdict::spills, "spills"},
      {Verdict::may_run_out, "may_run_out"},
      {Verdict::ram_short, "ram_short"},
      {Verdict::unknown, "unknown"}};
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

/// Whether one of the notes names this key and, in a pass, the pass: alone, in a list, in a range.
bool explained(const std::vector<std::string>& notes, const std::string& key, int pass) {
  for (const std::string& note : notes) {
    if (!contains(note, key) || !(contains(note, "unknown") || contains(note, "null"))) continue;
    if (pass == 0) return true;
    const auto space = note.find(' '), colon = note.find(':');
    if (!note.starts_with("Pass") || colon == std::string::npos) continue;
    for (const std::string_view part :
         split(std::string_view(note).substr(space, colon - space), ',')) {
      const auto dash = part.find('-');
      const int first = std::atoi(std::string(part.substr(0, dash)).c_str());
      const int last = dash == std::string_view::npos
                           ? first
                           : std::atoi(std::string(part.substr(dash + 1)).c_str());
      if (pass >= first && pass <= last) return true;
    }
  }
  return false;
}

/// Every null below `value` has a note that names its key, and the pass where it is in one.
void expect_explained(JsonValue value, const std::vector<std::string>& notes, int pass,
                      const std::string& path) {
  for (const JsonValue member : value) {
    const std::string key = member.key().empty() ? path : std::string(member.key());
    if (member.is_null()) {
      EXPECT_TRUE(explained(notes, key, pass)) << path << "." << key << " in pass " << pass;
      continue;
    }
    const auto index = member.find("index");
    expect_explained(member, notes, index.exists() ? static_cast<int>(*index.integer()) : pass,
                     key);
  }
}

std::size_t count_nulls(JsonValue value) {
  std::size_t count = value.is_null();
  for (const JsonValue member : value) count += count_nulls(member);
  return count;
}

void expect_every_null_explained(const Report& report) {
  const auto document = parsed(report);
  std::vector<std::string> notes;
  for (const JsonValue note : document.root().find("notes")) notes.push_back(note.string());
  expect_explained(document.root(), notes, 0, "");
}

TEST(ReportJson, every_null_has_a_note_that_names_its_key_and_pass) {
  for (const auto& [name, report] : test::named_reports()) {
    SCOPED_TRACE(name);
    expect_every_null_explained(report);
  }
  const auto unknown = parsed(test::unknown_weights());
  EXPECT_GT(count_nulls(unknown.root()), 10U);
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    expect_every_null_explained(test::random_report(seed));
  }
}

TEST(ReportJson, a_peak_of_the_run_is_null_where_that_of_a_pass_is) {
  Report report = test::wan_two_passes();
  EXPECT_FALSE(parsed(report).root().find("vram_peak_bytes").is_null());
  report.prediction.outcome.passes[1].vram_peak_bytes.reset();
  const auto document = parsed(report);
  EXPECT_TRUE(document.root().find("vram_peak_bytes").is_null());
  bool bound = false;
  for (const JsonValue note : document.root().find("notes")) {
    bound |= contains(note.string(),
                      "vram_peak_bytes is unknown: that of one of the passes is; "
                      "at least ");
  }
  EXPECT_TRUE(bound);
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
