// SPDX-License-Identifier: Apache-2.0
// What `ebb apply` shall put into a workflow: what was asked for by name, or the plan's fixes.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/plan_options.h"
#include "ebb/patch.h"

namespace ebb::cli {

struct WishArguments {
  std::string with;
  std::vector<std::string> only, skip;  ///< ids of fixes
  PlanArguments plan;
};

struct Wish {
  PatchWish wish;
  ComfyVersion version;
  std::vector<std::string> lines;  ///< the plan, a line a fix; why nothing is done
};

void declare_wish(CLI::App& app, WishArguments& arguments);

/// Errors: options that make no sense.
Result<Done> check_wish(const WishArguments& arguments);

Result<Wish> make_wish(const WishArguments& arguments, const Workflow& workflow);

}  // namespace ebb::cli
