// SPDX-License-Identifier: Apache-2.0
// What the user can tell Ebb where something is not known, and what no option tells.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/plan.h"

namespace ebb {

struct Question {
  std::string id;
  Message title;
  Message effect;
  bool helps = true;  ///< false: there is no option for it yet
};

/// None where everything is known; at least one where the verdict is unknown.
std::vector<Question> questions(const Trial& base, const Prediction& before, const Predict& predict,
                                std::int64_t& trials_left);

}  // namespace ebb
