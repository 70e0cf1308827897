// SPDX-License-Identifier: Apache-2.0
// Ebb's counterpart of tools/comfy_order.py: the same lines in, the same lines out.
#include <iostream>
#include <string>

#include "tests/pass/order_answer.h"

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto job = ebb::JsonDocument::parse(line);
    if (!job) {
      std::cerr << to_string(job.error()) << '\n';
      return 1;
    }
    const auto id = job->root().find("id");
    std::cout << "{\"id\": " << (id.exists() ? id.raw() : "null") << ", "
              << ebb::test::order_answer(job->root()) << "}\n";
  }
}
