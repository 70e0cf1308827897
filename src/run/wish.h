// SPDX-License-Identifier: Apache-2.0
// What a patch shall put into a workflow: what was asked for by name, or the plan's fixes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/run.h"

namespace ebb {

struct Wish {
  PatchWish wish;
  std::optional<ComfyVersion> version;  ///< nothing: assumed
  std::vector<PlanLine> lines;          ///< the plan, a line a fix; why nothing is done
  std::optional<Outcome> before;    ///< of the run as it is, where the plan's fixes are wished for
  std::optional<Outcome> promised;  ///< with all of them, as the plan's levers have it
};

Result<Wish> make_wish(const FixChoice& choice, const Workflow& workflow,
                       const RunOptions& options);

}  // namespace ebb
