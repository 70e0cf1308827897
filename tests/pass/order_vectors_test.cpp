// SPDX-License-Identifier: Apache-2.0
// What ComfyUI's own scheduler and node cache did with prompts made up for this
// (tools/make_order_vectors.py), so that the order is tested where there is no ComfyUI.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/pass/order_answer.h"
#include "tests/support.h"

namespace ebb {
namespace {

constexpr const char* kFields[] = {"order", "served", "kept"};

void expect_run(JsonValue mine, JsonValue real, const std::string& which) {
  for (const char* field : kFields) {
    if (real.find(field).exists()) {
      EXPECT_EQ(mine.find(field).raw(), real.find(field).raw()) << which << ' ' << field;
    }
  }
}

TEST(OrderVectors, AreAsComfyUiRanThem) {
  const std::string text =
      test::slurp(std::string(EBB_SOURCE_DIR) + "/tests/pass/order_vectors.jsonl");
  std::istringstream lines(text);
  int orders = 0, queues = 0, kept = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto job = JsonDocument::parse(line);
    ASSERT_TRUE(job.ok());
    const auto mine = JsonDocument::parse("{" + test::order_answer(job->root()) + "}");
    ASSERT_TRUE(mine.ok());
    const std::string id(job->root().find("id").string());
    const JsonValue real = job->root().find("answer");
    if (!real.find("runs").exists()) {
      expect_run(mine->root(), real, id);
      ++orders;
      continue;
    }
    ++queues;
    const JsonValue runs = mine->root().find("runs");
    for (std::size_t i = 0; real.find("runs").at(i).exists(); ++i) {
      expect_run(runs.at(i), real.find("runs").at(i), id + " run " + std::to_string(i));
      kept += real.find("runs").at(i).find("kept").at(0).exists();
    }
  }
  EXPECT_GE(orders, 40);
  EXPECT_GE(queues, 20);
  EXPECT_GE(kept, 10);  // prompts that found results of earlier ones
}

}  // namespace
}  // namespace ebb
