// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "ebb/demand.h"

namespace ebb {

/// Remembers the last few answers: long prompts ask the same of every sampler.
template <class Case>
class Memo {
 public:
  const Demand& get(const Case& c, Demand (*compute)(const Case&)) {
    const auto known =
        std::find_if(answers_.begin(), answers_.end(), [&](const auto& a) { return a.first == c; });
    if (known != answers_.end()) return known->second;
    if (answers_.size() == kMost) answers_.erase(answers_.begin());
    return answers_.emplace_back(c, compute(c)).second;
  }

 private:
  static constexpr std::size_t kMost = 8;
  std::vector<std::pair<Case, Demand>> answers_;
};

}  // namespace ebb
