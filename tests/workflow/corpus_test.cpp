// SPDX-License-Identifier: Apache-2.0
// Every file of the shared corpus is read, or refused with one clear sentence.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/text.h"
#include "ebb/workflow.h"
#include "json/document.h"
#include "tests/support.h"

namespace ebb {
namespace {

struct Row {
  std::string file, format, kind;
};

std::vector<Row> read_index() {
  const std::string text = test::slurp(*test::shared_dir() / "corpus" / "INDEX.tsv");
  std::vector<Row> rows;
  std::map<std::string_view, std::size_t> column;
  for (const auto line : split(text, '\n')) {
    const auto cells = split(line, '\t');
    if (column.empty()) {
      for (std::size_t i = 0; i < cells.size(); ++i) column[cells[i]] = i;
    } else if (cells.size() > column["kind"]) {
      rows.push_back({std::string(cells[column["file"]]), std::string(cells[column["format"]]),
                      std::string(cells[column["kind"]])});
    }
  }
  return rows;
}

/// What the index calls no workflow.
bool is_decoy(const Row& row) {
  return row.kind.starts_with("other:") || row.kind.starts_with("malformed");
}

TEST(Corpus, EveryFileIsReadAndDecoysGetOneClearSentence) {
  EBB_NEED_SHARED();
  int read = 0, decoys = 0;
  for (const Row& row : read_index()) {
    const auto path = (*test::shared_dir() / "corpus" / row.file).string();
    const auto workflow = read_workflow(path);
    if (is_decoy(row)) {
      ++decoys;
      ASSERT_FALSE(workflow.ok()) << row.file;
      EXPECT_FALSE(workflow.error().message.empty()) << row.file;
      EXPECT_EQ(workflow.error().where.file, path);
      continue;
    }
    ASSERT_TRUE(workflow.ok()) << to_string(workflow.error());
    ++read;
    const bool api = row.format == "api";
    EXPECT_EQ(workflow->format() == WorkflowFormat::api_prompt, api) << row.file;
    EXPECT_FALSE(workflow->json().empty());
  }
  fmt::print("  {} files read, {} decoys refused\n", read, decoys);
  EXPECT_GT(read, 1300);
}

TEST(Corpus, EveryWorkflowBecomesAPromptThatReadsBackAsTheSame) {
  EBB_NEED_SHARED();
  int refused = 0;
  for (const Row& row : read_index()) {
    const auto workflow = read_workflow((*test::shared_dir() / "corpus" / row.file).string());
    if (!workflow) continue;
    for (const ComfyVersion version : {ComfyVersion{0, 3, 73}, ComfyVersion{0, 18, 2}}) {
      const auto prompt = to_prompt(*workflow, version);
      if (!prompt) {
        refused += version.minor == 18;
        EXPECT_FALSE(prompt.error().where.place.empty()) << to_string(prompt.error());
        continue;
      }
      const auto again = parse_workflow(to_json(*prompt), "again.json");
      if (prompt->nodes.empty()) continue;
      ASSERT_TRUE(again.ok()) << row.file << ": " << to_string(again.error());
      const auto same = to_prompt(*again, version);
      ASSERT_TRUE(same.ok()) << row.file;
      EXPECT_EQ(to_json(*same), to_json(*prompt)) << row.file;
    }
  }
  // The three graphs that the front end refuses as well, see oracle_test.cpp.
  EXPECT_EQ(refused, 3);
}

TEST(Corpus, ApiFilesKeepTheirNodesInputsAndOrder) {
  EBB_NEED_SHARED();
  int files = 0;
  for (const Row& row : read_index()) {
    if (row.format != "api") continue;
    const auto workflow = read_workflow((*test::shared_dir() / "corpus" / row.file).string());
    ASSERT_TRUE(workflow.ok());
    const auto prompt = to_prompt(*workflow);
    ASSERT_TRUE(prompt.ok()) << to_string(prompt.error());
    const auto document = JsonDocument::parse(std::string(workflow->json()));
    NodeIndex at = 0;
    for (const JsonValue node : document->root()) {
      if (!node.find("class_type").is_string()) continue;
      ASSERT_TRUE(prompt->nodes.has(at)) << row.file;
      const PromptNode& ours = prompt->nodes[at];
      ++at;
      EXPECT_EQ(ours.id, node.key());
      EXPECT_EQ(ours.inputs.size(), node.find("inputs").size()) << row.file << " " << ours.id;
    }
    EXPECT_EQ(at, prompt->nodes.end_index()) << row.file;
    ++files;
  }
  EXPECT_GT(files, 390);
}

}  // namespace
}  // namespace ebb
