// SPDX-License-Identifier: Apache-2.0
// The main path up to the prediction, which several commands share.
#pragma once

#include <memory>
#include <string>

#include "cli/plan_options.h"
#include "ebb/ebb.h"

namespace ebb::cli {

/// One workflow on one machine.
struct Run {
  std::shared_ptr<const Prompt> prompt;
  std::shared_ptr<const Order> order;
  FindWeights find;  ///< remembers what it found
  Predict predict;
  Report report;  ///< file, trial and prediction
};

/// Errors: an option that is not usable, a file that is no workflow, a prompt that cannot run.
Result<Run> predict_run(const std::string& file, const PlanOptions& options);

/// The same for a workflow that is read already.
Result<Run> predict_run(const Workflow& workflow, const PlanOptions& options);

/// Errors found beyond reading do not know the file's name.
Error in_file(Error error, const std::string& file);

}  // namespace ebb::cli
