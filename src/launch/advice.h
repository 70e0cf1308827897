// SPDX-License-Identifier: Apache-2.0
// Flags that people recommend to each other for memory, and what is known of each beforehand.
#pragma once

#include <string>
#include <vector>

namespace ebb {

struct Advice {
  std::vector<std::string> words;
  /// Predicted and compared; else only `caveat` is said.
  bool predicted = true;
  const char* caveat;
};

const std::vector<Advice>& recommended_flags();

}  // namespace ebb
