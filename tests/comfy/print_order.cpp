// SPDX-License-Identifier: Apache-2.0
// Ebb's counterpart of tools/comfy_order.py: the same lines in, the same lines out.
#include <fmt/format.h>

#include <iostream>
#include <string>

#include "ebb/pass.h"
#include "json/document.h"
#include "json/write.h"
#include "tests/pass/prompt_json.h"

namespace ebb {
namespace {

std::string answer(JsonValue job) {
  const Prompt prompt = test::prompt_from_json(job.find("prompt"), job.find("classes"));
  std::vector<int> outputs;
  for (JsonValue id : job.find("outputs")) outputs.push_back(prompt.position(id.string()));
  const auto order = order_steps(prompt, {}, outputs);
  if (!order) return fmt::format("\"error\": {}", json_quote(to_string(order.error())));
  const auto quoted = [&](int node) { return json_quote(prompt.nodes[size_t(node)].id); };
  std::string nodes, served;
  for (int node : order->nodes) nodes += (nodes.empty() ? "" : ", ") + quoted(node);
  for (const Served& s : order->served)
    if (s.skipped)
      served +=
          fmt::format("{}[{}, {}]", served.empty() ? "" : ", ", quoted(s.node), quoted(s.from));
  return fmt::format("\"order\": [{}], \"served\": [{}], \"depends_on_outputs\": {}", nodes, served,
                     order->depends_on_outputs);
}

}  // namespace
}  // namespace ebb

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto job = ebb::JsonDocument::parse(line);
    if (!job) {
      std::cerr << to_string(job.error()) << '\n';
      return 1;
    }
    const auto id = job->root().find("id");
    std::cout << "{\"id\": " << (id.exists() ? id.raw() : "null") << ", "
              << ebb::answer(job->root()) << "}\n";
  }
}
